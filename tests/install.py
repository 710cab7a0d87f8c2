"""`pillarbox install` under a real systemd: one Debian root, booted as a container. Called by tests/install.sh, as root.

Every step is printed with its time; the first that does not hold ends the run with exit status 1 and the container's journal.
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

PROGRAM = "/opt/pillarbox/bin/pillarbox"
PATH = "/usr/local/bin:/usr/sbin:/usr/bin"
DATA = "--data /srv/pillarbox"
ADA = "ada@home.example"
LONGEST_S = 90.0
LEAN = "opt/pillarbox/lean-code"
SHUT_DOWN = (
    "import trio; from pathlib import Path; from appliance.control.client import RemoteControl as Remote;"
    " from appliance.control.requests import ShutDown; print(trio.run(Remote(Path('/srv/pillarbox')).ask, ShutDown()).text)"
)
"""The request of button and console, as a Python program."""
EXPOSURE = 2.0
"""`systemd-analyze security` must stay below this."""


class Machine:
    """A root booted by systemd-nspawn with a network of its own (loopback only)."""

    def __init__(self, root: Path, binds: tuple[str, ...] = ()) -> None:
        self.root = root
        self._binds = binds
        self.log = root.parent / "console.log"
        self._nspawn: subprocess.Popen[bytes] | None = None

    def boot(self) -> None:
        words = ["systemd-nspawn", "-q", "-b", "--register=no", "--keep-unit", "--private-network", "--console=pipe"]
        words += [*self._binds, "-D", str(self.root)]
        self._nspawn = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=self.log.open("ab"), stderr=subprocess.STDOUT)
        self.wait_until_up()

    def wait_until_up(self) -> None:
        until("multi-user", lambda: self.run("systemctl is-system-running", check=False).strip() in ("running", "degraded"))

    def leader(self) -> int:
        """The process id of the container's PID 1, as this machine sees it; 0 for none."""
        assert self._nspawn is not None
        try:
            children = Path(f"/proc/{self._nspawn.pid}/task/{self._nspawn.pid}/children").read_text().split()
            found = [int(one) for one in children if Path(f"/proc/{one}/comm").read_text().strip() == "systemd"]
        except OSError:
            return 0
        return found[0] if found else 0

    def reboot(self) -> None:
        """Shut down in order and boot again; where systemd-nspawn does not do the second itself, it is done here."""
        before = self.leader()
        self.run("systemctl reboot", check=False)
        assert self._nspawn is not None
        nspawn = self._nspawn
        until("the end of PID 1", lambda: nspawn.poll() is not None or self.leader() not in (0, before))
        if nspawn.poll() is not None:
            self.boot()
        self.wait_until_up()

    def run(self, command: str, *, check: bool = True, status: int = 0) -> str:
        """A command in the container; what it printed."""
        leader = self.leader()
        if not leader:
            return ""
        enter = ["nsenter", "-t", str(leader), "-m", "-u", "-i", "-n", "-p", "-C"]
        words = [*enter, "env", "-i", f"PATH={PATH}", "HOME=/root", "sh", "-c", command]
        done = subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=LONGEST_S, check=False)
        if check and done.returncode != status:
            raise AssertionError(f"{command}: exit status {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def value(self, name: str, unit: str = "pillarbox.service") -> str:
        return self.run(f"systemctl show -P {name} {unit}", check=False).strip()

    def ended(self) -> bool:
        return self._nspawn is None or self._nspawn.poll() is not None

    def power_off(self) -> None:
        if self._nspawn is not None and self._nspawn.poll() is None:
            self._nspawn.send_signal(signal.SIGTERM)
            try:
                self._nspawn.wait(60)
            except subprocess.TimeoutExpired:
                self._nspawn.kill()
                self._nspawn.wait()


def until(name: str, holds: Callable[[], object], longest_s: float = LONGEST_S) -> None:
    end = time.monotonic() + longest_s
    while not holds():
        if time.monotonic() > end:
            raise AssertionError(f"not within {longest_s:.0f} s: {name}")
        time.sleep(0.2)


def installs(machine: Machine) -> None:
    """Tells what it will do and asks; does it with --yes; the server is up when systemd says so."""
    machine.run("/opt/pillarbox/bin/pip -q install --no-index --no-deps /root/pillarbox-*.whl")
    asked = machine.run(f"{PROGRAM} install", status=2)
    assert "pillarbox install will:" in asked and "Nothing was done" in asked and not (machine.root / "etc/pillarbox.toml").exists(), asked
    told = machine.run(f"{PROGRAM} install --yes")
    assert told.count("done: ") == told.count("  - ") >= 6 and "Pillarbox runs" in told, told
    assert machine.value("ActiveState") == "active" and machine.value("Type") == "notify", "active means that READY=1 came"
    assert machine.value("UnitFileState") == "enabled"


def serves_the_real_ports_as_its_own_user(machine: Machine) -> None:
    pid = machine.value("MainPID")
    rows = machine.run(f"cat /proc/{pid}/status")
    assert re.search(r"Uid:\s+[1-9]", rows) and re.search(r"CapEff:\s+0000000000000400", rows), "CAP_NET_BIND_SERVICE only"
    listening = machine.run("ss -Hltn")
    for port in (25, 465, 587, 143, 993, 110, 995):
        assert re.search(rf":{port}\s", listening), f"port {port}\n{listening}"


def makes_the_first_account_and_moves_a_message(machine: Machine) -> None:
    code = machine.run(f"pillarbox setup-code {DATA}")
    assert re.search(r"Setup code: [a-z0-9]{4}-[a-z0-9]{4}-[a-z0-9]{4}", code), code
    machine.run(f"echo four words in rows | pillarbox account add {ADA} --password-file - {DATA}")
    assert "no setup code any more" in machine.run(f"pillarbox setup-code {DATA}", status=2)
    message = f"From: ben@other.example\\nTo: {ADA}\\nSubject: Hello\\n\\nIt works.\\n"
    machine.run(f"printf '{message}' | curl -sS --crlf smtp://localhost --mail-from ben@other.example --mail-rcpt {ADA} --upload-file -")
    read = f"curl -sSk imaps://localhost/INBOX/;UID=1 -u '{ADA}:four words in rows'"
    assert "It works." in machine.run(read.replace(";", "\\;"))


def does_nothing_the_second_time(machine: Machine) -> None:
    before = machine.value("MainPID")
    again = machine.run(f"{PROGRAM} install --yes")
    assert "There is nothing to do" in again and machine.value("MainPID") == before, again


def is_hardened(machine: Machine) -> None:
    last = machine.run("systemd-analyze security --no-pager pillarbox.service").strip().splitlines()[-1]
    found = re.search(r"service: ([0-9.]+) ", last)
    assert found and float(found[1]) < EXPOSURE, last
    print(f"        {last.strip()}")


def is_restarted_by_the_watchdog(machine: Machine) -> None:
    """A server that is stopped by SIGSTOP feeds no watchdog; systemd kills it and starts another."""
    machine.run("mkdir -p /run/systemd/system/pillarbox.service.d")
    machine.run("printf '[Service]\\nWatchdogSec=4\\n' > /run/systemd/system/pillarbox.service.d/test.conf && systemctl daemon-reload")
    machine.run("systemctl restart pillarbox")
    before, restarts = machine.value("MainPID"), machine.value("NRestarts")
    time.sleep(6)  # one and a half times the watchdog's: a server that answers must live through it
    assert machine.value("MainPID") == before and machine.value("NRestarts") == restarts
    machine.run(f"kill -STOP {before}")
    until("started again", lambda: machine.value("MainPID") not in (before, "0") and machine.value("ActiveState") == "active")
    assert "watchdog" in machine.run("journalctl -u pillarbox --no-pager -n 200").lower()
    machine.run("rm -r /run/systemd/system/pillarbox.service.d && systemctl daemon-reload && systemctl restart pillarbox")


def takes_sockets_from_systemd(machine: Machine) -> None:
    """A connection that came while the server was stopped is served by the next one: nothing is refused."""
    socket = "[Socket]\\nListenStream=2525\\nFileDescriptorName=smtp\\nService=pillarbox.service\\n"
    machine.run(f"printf '{socket}' > /run/systemd/system/pillarbox-test.socket && systemctl daemon-reload && systemctl stop pillarbox")
    machine.run("systemctl start pillarbox-test.socket")
    greeting = machine.run("exec 3<>/dev/tcp/127.0.0.1/2525 && timeout 60 head -n 1 <&3".join(("bash -c '", "'")))
    assert greeting.startswith("220 "), greeting
    assert machine.value("ActiveState") == "active" and re.search(r":25\s", machine.run("ss -Hltn")), "those of the settings are open too"
    machine.run("systemctl stop pillarbox-test.socket && rm /run/systemd/system/pillarbox-test.socket")
    machine.run("systemctl daemon-reload && systemctl restart pillarbox")


def is_upgraded_in_place(machine: Machine) -> None:
    before = machine.value("MainPID")
    machine.run("/opt/pillarbox/bin/pip -q install --no-index --no-deps --force-reinstall /root/pillarbox-*.whl")
    told = machine.run(f"{PROGRAM} install --yes")
    assert "start pillarbox.service again" in told and machine.value("MainPID") not in (before, "0"), told
    assert machine.value("ActiveState") == "active" and ADA in machine.run(f"pillarbox account list {DATA}")


def is_back_after_a_reboot(machine: Machine) -> None:
    machine.reboot()
    until("the server", lambda: machine.value("ActiveState") == "active")
    assert ADA in machine.run(f"pillarbox account list {DATA}")
    assert "Result=success" in machine.run("systemctl show -p Result pillarbox")


def shows_that_the_plug_may_be_pulled(machine: Machine) -> None:
    """A server with LEDs that was shut down by an admin request stays, longer than TimeoutStopSec and WatchdogSec, until it is stopped."""
    drop_in = "[Service]\\nTimeoutStopSec=4\\nWatchdogSec=4\\nEnvironment=GPIOZERO_PIN_FACTORY=mock\\n"
    machine.run("mkdir -p /run/systemd/system/pillarbox.service.d && cp -p /etc/pillarbox.toml /root/before.toml")
    machine.run(f"printf '{drop_in}' > /run/systemd/system/pillarbox.service.d/test.conf && systemctl daemon-reload")
    machine.run("sed -i 's/^# leds = .*/leds = [\"led:18\"]/' /etc/pillarbox.toml && systemctl restart pillarbox")
    pid = machine.value("MainPID")
    machine.run(f'/opt/pillarbox/bin/python -P -c "{SHUT_DOWN}"')
    until("the end of mail", lambda: not re.search(r":25\s", machine.run("ss -Hltn")))
    time.sleep(10)
    assert machine.value("MainPID") == pid and machine.value("ActiveState") == "active", "it shows that the plug may be pulled"
    machine.run("systemctl stop pillarbox")
    assert machine.value("Result") == "success", machine.value("Result")
    machine.run("rm -r /run/systemd/system/pillarbox.service.d; cp -p /root/before.toml /etc/pillarbox.toml")
    machine.run("systemctl daemon-reload && systemctl start pillarbox")


def stops_in_order(machine: Machine) -> None:
    machine.run("systemctl stop pillarbox")
    assert machine.value("Result") == "success" and machine.value("ExecMainStatus") == "0"
    machine.run("systemctl start pillarbox")


def names_a_port_that_is_taken(machine: Machine) -> None:
    machine.run("systemctl stop pillarbox")
    machine.run("systemd-run -q --unit=other /usr/bin/python3 -c \"import socket,time; s=socket.create_server(('', 25)); time.sleep(600)\"")
    until("the other program", lambda: re.search(r":25\s", machine.run("ss -Hltn")))
    assert "port 25" in machine.run(f"{PROGRAM} install --yes", status=2)
    machine.run("systemctl stop other && systemctl start pillarbox")


def is_uninstalled_and_leaves_the_mail(machine: Machine) -> None:
    told = machine.run(f"{PROGRAM} uninstall --yes")
    assert "stay" in told and not (machine.root / "etc/systemd/system/pillarbox.service").exists(), told
    assert machine.value("LoadState") == "not-found" and not machine.run("ss -Hltn | grep ':25 '", check=False)
    assert (machine.root / "srv/pillarbox/pillarbox.db").exists() and (machine.root / "etc/pillarbox.toml").exists()
    machine.run(f"{PROGRAM} install --yes")
    assert ADA in machine.run(f"pillarbox account list {DATA}"), "installed again on the mail that stayed"


def is_purged_when_told(machine: Machine) -> None:
    machine.run(f"{PROGRAM} uninstall --purge", status=2)
    assert (machine.root / "srv/pillarbox").exists()
    machine.run(f"{PROGRAM} uninstall --purge --yes")
    for place in ("srv/pillarbox", "etc/pillarbox.toml", "usr/local/bin/pillarbox", "etc/sysusers.d/pillarbox.conf", LEAN):
        assert not os.path.lexists(machine.root / place), place
    assert not machine.run("getent passwd pillarbox", check=False)
    assert "There is nothing to do" in machine.run(f"{PROGRAM} uninstall --purge --yes")


STEPS: tuple[Callable[[Machine], None], ...] = (
    installs, serves_the_real_ports_as_its_own_user, makes_the_first_account_and_moves_a_message, does_nothing_the_second_time, is_hardened,
    is_restarted_by_the_watchdog, takes_sockets_from_systemd, is_upgraded_in_place, stops_in_order,
    shows_that_the_plug_may_be_pulled, names_a_port_that_is_taken,
    is_back_after_a_reboot, is_uninstalled_and_leaves_the_mail, is_purged_when_told,
)  # fmt: skip


T = TypeVar("T", bound=Machine)


def follow(suite: str, machine: T, steps: Sequence[Callable[[T], None]]) -> int:
    """Boot, then the steps, each printed with its time; the exit status."""
    began = time.monotonic()

    def report(text: str, since: float) -> None:
        print(f"{suite:9} {time.monotonic() - began:6.1f} s  {text} ({time.monotonic() - since:.1f} s)", flush=True)

    try:
        machine.boot()
        report(f"booted, {machine.run('systemctl --version').splitlines()[0]}", began)
        for step in steps:
            since = time.monotonic()
            step(machine)
            report(step.__name__.replace("_", " "), since)
    except AssertionError as fault:
        print(f"{suite}: FAILED: {fault}", file=sys.stderr)
        print(machine.run("systemctl --failed --no-pager; systemctl status --no-pager pillarbox; journalctl --no-pager -n 80", check=False),
              file=sys.stderr)  # fmt: skip
        return 1
    return 0


def main(suite: str, root: Path) -> int:
    machine = Machine(root)
    try:
        return follow(suite, machine, STEPS)
    finally:
        machine.power_off()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2])))
