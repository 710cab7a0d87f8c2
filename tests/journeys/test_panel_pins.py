"""The running server on simulated pins: button presses act, and the LED's edges show the state of the server."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.panel.pins import read_in_real_time
from tests.support.cable import Cable
from tests.support.neighbours import Neighbours
from tests.support.peer import Peer
from tests.support.server import Pillarbox, new_data, pillarbox
from tests.support.wire_to_pins import PinWire

BUTTON, LED = "GPIO17", "GPIO18"
PANEL = '[panel]\nleds = ["led:18"]\nbutton = "17"\n'
FINGER_S = 0.5
"""Long enough on a busy machine, where both edges may arrive at once and be taken for contact bounce."""
HELD_S = 3.2
POWER_ON_S = 10.0


@pytest.fixture
def wire(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PinWire]:
    one = PinWire(tmp_path, monkeypatch)
    yield one
    one.close()


def server(place: Path, more: str = "") -> Pillarbox:
    settings = place / "settings.toml"
    settings.write_text(PANEL + more)
    return Pillarbox(new_data(place / "data"), "--settings", str(settings))


@contextmanager
def one_waits(place: Path, *replies: str) -> Iterator[tuple[Neighbours, Peer, str]]:
    """A server with a message that was deferred, the server it goes to, and the message's name."""
    with Neighbours(place, first=3600, most=3600, after=PANEL) as world:
        far = world.peer("far.example", script={"MAIL": [*replies]})
        with world.server:
            name = world.send("bob@far.example")
            world.until(lambda: world.track(name) == ["accepted", "deferred"])
            yield world, far, name


def test_the_led_shows_that_a_message_waits(tmp_path: Path, wire: PinWire) -> None:
    with one_waits(tmp_path, "451 4.3.0 not now"):
        wire.shows(LED, read_in_real_time, "waiting")


def test_a_press_retries_the_queue_and_the_led_is_ready_again(tmp_path: Path, wire: PinWire) -> None:
    with one_waits(tmp_path, "451 4.3.0 not now", "451 4.3.0 not yet", "250 ok") as (world, far, name):
        waiting = time.monotonic()
        for _ in range(2):
            wire.press(BUTTON)
            time.sleep(FINGER_S)
            wire.release(BUTTON)
            world.until(lambda: world.ask("queue", "list")["messages"] == [] or world.track(name).count("deferred") == 2)
        assert world.arrived(far)[0].recipients == ["bob@far.example"]
        wire.shows(LED, read_in_real_time, "ready", since=waiting)


def test_holding_three_seconds_stops_the_server_and_the_led_shows_when_it_is_safe(tmp_path: Path, wire: PinWire) -> None:
    with server(tmp_path) as running:
        wire.press(BUTTON)
        time.sleep(HELD_S)
        wire.shows(LED, read_in_real_time, "safe")
        wire.release(BUTTON)
        assert "is not running" in pillarbox("status", data=running.data, check=False).stdout
        os.kill(running.pid, signal.SIGTERM)
        assert running.process and running.process.wait(10) == 0


def test_holding_ten_seconds_at_power_on_shows_a_one_time_password_on_the_console(tmp_path: Path, wire: PinWire, cable: Cable) -> None:
    wire.hold_from_the_start(BUTTON)
    with server(tmp_path, f'console = "{cable.device}"\n') as running:
        began = time.monotonic()
        cable.until("9 Power")
        assert "One-time" not in cable.shown.decode()
        password = cable.match(r"One-time password: ([a-z0-9-]+)\x1b")[1]
        assert time.monotonic() - began > POWER_ON_S - 2
        wire.release(BUTTON)
        cable.type("4a")
        cable.until("One-time password:")
        cable.type(password + "\r")
        cable.until("Address of the new account:")
        cable.type("bob@home.example\r")
        cable.until("Password (empty")
        cable.type("correct horse battery\r")
        cable.until("bob@home.example")
        cable.type("q4a")  # q locks
        cable.until("Password of ada@home.example:")
        cable.type(password + "\r")
        cable.until("password is wrong")
        assert password not in running.log.read_text()
