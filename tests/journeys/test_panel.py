"""The running server with a panel: a serial console driven by the test, LEDs and a button on mock pins."""

import os
import signal
import smtplib
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
import trio

from appliance.control.client import RemoteControl
from appliance.control.requests import Restart
from tests.support.cable import SECONDS, Cable
from tests.support.server import PASSWORD, Pillarbox, free_ports, new_data, on_terminal, pillarbox
from tests.support.wire import Smtp


def with_panel(place: Path, monkeypatch: pytest.MonkeyPatch, more: str) -> Pillarbox:
    """A server of Ada's with this `[panel]`, on gpiozero's mock pins."""
    monkeypatch.setenv("GPIOZERO_PIN_FACTORY", "mock")
    monkeypatch.setenv("GPIOZERO_MOCK_PIN_CLASS", "mockpwmpin")
    settings = place / "settings.toml"
    settings.write_text(f"[panel]\n{more}\n")
    return Pillarbox(new_data(place / "data"), "--settings", str(settings))


def logged(server: Pillarbox, words: str, times: int = 1) -> None:
    """Wait until the log contains `words`."""
    deadline = time.monotonic() + SECONDS
    while server.log.read_text().count(words) < times:
        assert time.monotonic() < deadline, f"{words!r} was not said: {server.log.read_text()}"
        time.sleep(0.05)


def test_the_console_shows_status_and_adds_an_account_for_an_administrator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cable: Cable
) -> None:
    with with_panel(tmp_path, monkeypatch, f'console = "{cable.device}"\nleds = ["pwm:18 all", "rgb:5,6,13 mail"]') as server:
        cable.until("9 Power")
        cable.type("4a")
        cable.until("Password of ada@home.example:")
        cable.type("wrong\r")
        cable.until("password is wrong")
        time.sleep(1.1)
        cable.type("a")
        cable.until("Password of ada@home.example:")
        cable.type(f"{PASSWORD}\r")
        cable.until("Address of the new account:")
        cable.type("bob@home.example\r")
        cable.until("Password (empty")
        cable.type("correct horse battery\r")
        cable.until("bob@home.example")
        assert "bob@home.example" in pillarbox("account", "list", data=server.data).stdout
        pillarbox("account", "password", "ada@home.example", data=server.data, password="another good secret")
        cable.until("read only")
        pillarbox("account", "admin", "bob@home.example", "--on", data=server.data)
        cable.type("4a")
        cable.until("Address of an administrator:")
        cable.type("bob\r")
        cable.until("Password of bob:")
        cable.type("correct horse battery\r")
        cable.until("Address of the new account:")
        pillarbox("account", "admin", "bob@home.example", "--off", data=server.data)
        cable.until("read only")
        assert "secret" not in server.log.read_text()


def test_the_power_key_stops_the_server_and_the_leds_stay_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cable: Cable) -> None:
    with with_panel(tmp_path, monkeypatch, f'console = "{cable.device}"\nconsole_password = false\nleds = ["led:18"]') as server:
        cable.until("9 Power")
        cable.type("9s")
        cable.until("(y/n)")
        cable.type("y")
        cable.until("The server has stopped. The plug may be pulled.")
        logged(server, "The plug may be pulled")
        assert "is not running" in pillarbox("status", data=server.data, check=False).stdout, "the data directory is unlocked"
        assert server.stop() == 0
        before = len(server.log.read_text())
        server.start()
        assert "recovering" not in server.log.read_text()[before:], "it was stopped cleanly"


def test_recovery_after_a_crash_is_logged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with with_panel(tmp_path, monkeypatch, 'leds = ["led:18"]\nbutton = "17"') as server:
        pillarbox("account", "add", "bob@home.example", data=server.data, password="correct horse battery")
        os.kill(server.pid, signal.SIGKILL)
        server.kill()
        server.start()
        assert "server phase=recovering" in server.log.read_text()


def test_the_server_restarts_in_place_with_new_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cable: Cable) -> None:
    with with_panel(tmp_path, monkeypatch, f'console = "{cable.device}"\nconsole_password = false') as server:
        pid = server.pid
        cable.until("9 Power")
        (tmp_path / "settings.toml").write_text(f'[panel]\nconsole = "{cable.device}"\n')
        cable.type("9b")
        cable.until("Stop it and start again? (y/n)")
        cable.type("y")
        cable.until("read only")  # the new settings ask for the password
        assert server.pid == pid and server.process and server.process.poll() is None
        assert "recovering" not in server.log.read_text()
        with smtplib.SMTP("127.0.0.1", server.ports["smtp"], timeout=10) as talk:
            assert talk.noop()[0] == 250


AS_SYSTEMD = """
import os, socket, sys
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
os.dup2(os.dup2(listener.fileno(), 9), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES="smtp")
os.execv(sys.executable, [sys.executable, "-m", "appliance", *sys.argv[2:]])
"""


def test_sockets_passed_by_systemd_survive_a_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (port,) = free_ports(1)
    notifications = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notifications.bind(str(tmp_path / "notify"))
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    command = [sys.executable, "-c", AS_SYSTEMD, str(port)]
    with Pillarbox(new_data(tmp_path / "data"), protocols=("imap",), command=command) as server:
        for _ in range(2):
            trio.run(RemoteControl(server.data).ask, Restart())
            for _ in range(20):  # 421 from the server that stops, served by the one that starts, never refused
                with suppress(smtplib.SMTPException), smtplib.SMTP("127.0.0.1", port, timeout=SECONDS) as talk:
                    if talk.noop()[0] == 250:
                        break
            else:
                pytest.fail("no connection is served any more")
        logged(server, "phase=stopped", times=2)
        logged(server, "phase=ready", times=3)
        assert server.process and server.process.poll() is None
        assert server.stop() == 0
    heard = [notifications.recv(100).decode() for _ in range(6)]
    notifications.close()
    assert heard == ["READY=1", "RELOADING=1", "READY=1", "RELOADING=1", "READY=1", "STOPPING=1"], "no STOPPING in between"


def test_missing_pins_and_ports_do_not_stop_mail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pins that this board lacks are logged. A name that is no pin on any board is an error in the settings (below)."""
    panel = 'leds = ["led:GPIO53", "pwm:J8:1", "board:NONE"]\nbutton = "BOARD6"\nconsole = "/dev/none"'
    with with_panel(tmp_path, monkeypatch, panel) as server:
        for name in ("board:NONE", "led:GPIO53", "pwm:J8:1", "pin BOARD6"):
            logged(server, f"{name} cannot be used")
        logged(server, "/dev/none")
        with smtplib.SMTP("127.0.0.1", server.ports["smtp"], timeout=10) as talk:
            assert talk.noop()[0] == 250
        assert "cannot be used" not in pillarbox("status", data=server.data).stdout


def test_without_a_panel_its_modules_are_not_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")  # one line on stderr for each module
    with Pillarbox(new_data(tmp_path / "data")) as server, Smtp(server.ports["smtp"]) as smtp:
        assert smtp.deliver(b"Subject: hello\r\n\r\nwords\r\n").startswith(b"250")
    loaded = {line.rpartition("|")[2].strip() for line in server.log.read_text().splitlines() if line.startswith("import time:")}
    assert "appliance.smtpd.session" in loaded
    of_panel = {name for name in loaded if name.partition(".")[0] in ("gpiozero", "colorzero", "lgpio", "serial")}
    of_panel |= {name for name in loaded if name.startswith("appliance.panel.")}
    assert of_panel == {"appliance.panel.service", "appliance.panel.board_leds"}, "only the modules that check whether there is one"


@pytest.mark.parametrize(
    ("panel", "word"), [('leds = ["candle:1"]', "candle:1"), ('leds = ["led:WRONG"]', "WRONG"), ('button = "NONE"', "NONE")]
)
def test_unknown_words_in_settings_are_reported_before_anything_starts(tmp_path: Path, panel: str, word: str) -> None:
    settings = tmp_path / "settings.toml"
    settings.write_text(f"[panel]\n{panel}\n")
    done = pillarbox("serve", "--settings", str(settings), data=tmp_path / "data", check=False)
    assert done.returncode == 2 and word in done.stderr and not (tmp_path / "data").exists()


def test_the_console_through_a_pipe_and_the_printed_card(tmp_path: Path) -> None:
    data = new_data(tmp_path / "data")
    assert pillarbox("console", data=data, check=False).returncode == 3
    with Pillarbox(data):
        shown = pillarbox("console", data=data).stdout
        assert "Overview" in shown and "Queue     empty" in shown and "written today" in shown
        assert "No message was refused" in pillarbox("message", "track", data=data).stdout
        assert "Password: " in on_terminal("account", "password", "ada@home.example", data=data)
    pillarbox("panel", "--card", str(tmp_path / "card.pdf"))
    assert (tmp_path / "card.pdf").read_bytes().startswith(b"%PDF")
    assert pillarbox("panel", check=False).returncode == 2
