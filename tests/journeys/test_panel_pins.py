"""The running house at its pins: a real press of the button does what it says, and the lamp's edges alone tell how the house is."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.panel.pins import read_in_real_time
from tests.support.cable import Cable
from tests.support.house import House, new_data, pillarbox
from tests.support.neighbours import Neighbours
from tests.support.wire_to_pins import PinWire

BUTTON, LAMP = "GPIO17", "GPIO18"
PANEL = '[panel]\nlamps = ["led:18"]\nbutton = "17"\n'
FINGER_S = 0.5
"""Longer than a finger needs: a busy machine may hand on both edges at once, which is a bounce."""
HELD_S = 3.2
POWER_ON_S = 10.0


@pytest.fixture
def wire(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PinWire]:
    one = PinWire(tmp_path, monkeypatch)
    yield one
    one.close()


def house(place: Path, more: str = "") -> House:
    settings = place / "settings.toml"
    settings.write_text(PANEL + more)
    return House(new_data(place / "data"), "--settings", str(settings))


def test_a_press_tries_waiting_letters_and_the_lamp_tells(tmp_path: Path, wire: PinWire) -> None:
    with Neighbours(tmp_path, first=3600, most=3600, after=PANEL) as world:
        far = world.peer("far.example", script={"MAIL": ["451 4.3.0 not now", "451 4.3.0 not yet", "250 ok"]})
        with world.house:
            wire.shows(LAMP, read_in_real_time, "ready")
            name = world.send("bob@far.example")
            world.until(lambda: world.track(name) == ["accepted", "delayed"])
            wire.shows(LAMP, read_in_real_time, "waiting")
            for _ in range(2):
                wire.press(BUTTON)
                time.sleep(FINGER_S)
                wire.release(BUTTON)
                world.until(lambda: world.ask("queue", "list")["letters"] == [] or world.track(name).count("delayed") == 2)
            assert world.arrived(far)[0].recipients == ["bob@far.example"]
            wire.shows(LAMP, read_in_real_time, "ready")


def test_three_seconds_close_the_house_and_the_lamp_says_when_the_plug_may_be_pulled(tmp_path: Path, wire: PinWire) -> None:
    with house(tmp_path) as running:
        wire.press(BUTTON)
        time.sleep(HELD_S)
        wire.shows(LAMP, read_in_real_time, "safe")
        wire.release(BUTTON)
        assert "is not running" in pillarbox("status", data=running.data, check=False).stdout
        os.kill(running.pid, signal.SIGTERM)
        assert running.process and running.process.wait(10) == 0


def test_ten_seconds_at_power_on_show_a_password_on_the_cable_for_one_use(tmp_path: Path, wire: PinWire, cable: Cable) -> None:
    wire.hold_from_the_start(BUTTON)
    with house(tmp_path, f'console = "{cable.device}"\n') as running:
        began = time.monotonic()
        cable.until("9 Power")
        assert "One-time" not in cable.shown.decode()
        password = cable.match(r"One-time admin password: ([a-z0-9-]+)\x1b")[1]
        assert time.monotonic() - began > POWER_ON_S - 2
        wire.release(BUTTON)
        cable.type("4a")
        cable.until("Admin password:")
        cable.type(password + "\r")
        cable.until("Address of the new person:")
        cable.type("bob@home.example\r")
        cable.until("Password (nothing")
        cable.type("correct horse battery\r")
        cable.until("bob@home.example")
        cable.type("q4a")  # q locks
        cable.until("Admin password:")
        cable.type(password + "\r")
        cable.until("No admin password has been set yet")
        assert password not in running.log.read_text()
