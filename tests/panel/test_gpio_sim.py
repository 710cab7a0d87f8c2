"""LEDs and button on a GPIO chip the kernel simulates (gpio-sim), with the real lgpio under gpiozero: `make test-gpio`.

What an LED does is read from the simulator's own files, and a finger on the button is written there. Skipped where the
kernel has no simulator, which is nearly everywhere.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import mean
from types import SimpleNamespace
from typing import Any

import pytest
import trio
from gpiozero import Device
from gpiozero.pins.local import LocalPiFactory

from appliance.panel.button import HOLD_S, Actions, run
from appliance.panel.gpio import POLL_S, Coloured, Dimmed, PinButton, Switched, factory_or_default
from appliance.panel.led_config import open_leds, parse_led
from appliance.panel.led_display import LOOK_S, LedDisplay, LedOptions
from appliance.panel.leds import duty_of
from appliance.panel.patterns import ORANGE, PATTERNS, WHITE
from appliance.status.board import Board
from appliance.status.events import AccountsState, ServerState, StorageTrouble
from tests.support.clock import HandClock

from .pins import read, runs_of

SIMULATOR = Path("/sys/kernel/config/gpio-sim")
if not (SIMULATOR.is_dir() and os.access(SIMULATOR, os.W_OK) and find_spec("lgpio")):
    pytest.skip("no simulated GPIO chip here; `make test-gpio` boots a kernel that has them", allow_module_level=True)

PI_4B = 0xC03111
TAKEN = 17
"""A line that another program holds, as a kernel driver would."""
CLOSE = 0.08
"""How far a measured part of the time may be off: this is no machine of real time, and may be a busy one."""
TOLERANCE = 0.3
"""The same for the lengths of a pattern."""
BUCKET_S = 0.01
"""One pulse of a dimmed LED; a pattern is read from the light of as long."""
BEGUN = 5
"""So many pulses later a new level is reached."""


class Chip:
    """One simulated chip of 54 lines, as a Raspberry Pi 4 has them; there until `remove`."""

    def __init__(self) -> None:
        self._place = SIMULATOR / f"pillarbox-{os.getpid()}"
        hog = self._place / "bank" / f"line{TAKEN}" / "hog"
        hog.mkdir(parents=True)
        self._parts = (hog, hog.parent, self._place / "bank", self._place)
        for part, words in (("num_lines", "54"), ("label", "pinctrl-bcm2711")):
            (self._place / "bank" / part).write_text(words)
        for part, words in (("name", "somebody else"), ("direction", "input")):
            (hog / part).write_text(words)
        (self._place / "live").write_text("1")
        name = (self._place / "bank" / "chip_name").read_text().strip()
        self.number = int(name.removeprefix("gpiochip"))
        self._lines = Path("/sys/devices/platform") / (self._place / "dev_name").read_text().strip() / name

    def remove(self) -> None:
        (self._place / "live").write_text("0")
        for part in self._parts:
            part.rmdir()

    def value(self, line: int) -> int:
        return int((self._lines / f"sim_gpio{line}" / "value").read_text())

    def pull(self, line: int, level: int) -> None:
        """What is at the other end of the wire."""
        (self._lines / f"sim_gpio{line}" / "pull").write_text("pull-up" if level else "pull-down")

    def given_back(self, line: int) -> bool:
        """Whether nobody drives the line: it is what the wire makes it."""
        found = []
        for level in (1, 0, 1):
            self.pull(line, level)
            found.append(self.value(line))
        return found == [1, 0, 1]

    def high(self, lines: Sequence[int], seconds: float) -> list[list[float]]:
        """The part of each `BUCKET_S` that each line was high."""
        files = [os.open(self._lines / f"sim_gpio{line}" / "value", os.O_RDONLY) for line in lines]
        buckets: list[list[float]] = [[] for _ in lines]
        end = time.monotonic()
        for _ in range(round(seconds / BUCKET_S)):
            high, seen, end = [0] * len(files), 0, end + BUCKET_S
            while not seen or time.monotonic() < end:
                for n, file in enumerate(files):
                    high[n] += os.pread(file, 1, 0) == b"1"
                seen += 1
                time.sleep(0.0001)
            for n in range(len(files)):
                buckets[n].append(high[n] / seen)
        for file in files:
            os.close(file)
        return buckets


@pytest.fixture(scope="module")
def chip() -> Iterator[Chip]:
    made = Chip()
    yield made
    made.remove()


@pytest.fixture(scope="module")
def factory(chip: Chip, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The one the server finds; with a fixed board revision and chip, so that no chip of the host itself is touched."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("lgpio"))
        patch.setattr(LocalPiFactory, "_get_revision", lambda self: PI_4B)
        patch.setattr(Device, "pin_factory", None)
        from gpiozero.pins.lgpio import LGPIOFactory

        patch.setattr(LGPIOFactory.__init__, "__defaults__", (chip.number,))
        made = factory_or_default()
        assert isinstance(made, LGPIOFactory)
        yield made
        made.close()


@pytest.mark.parametrize("inverted", [False, True])
def test_switched(chip: Chip, factory: Any, inverted: bool) -> None:
    with closing(Switched(5, inverted=inverted, factory=factory)) as led:
        assert chip.value(5) == inverted  # dark until it is set
        for level in (1.0, 0.0, 0.3, 0.0):
            led.set(level, WHITE)
            assert chip.value(5) == (level > 0) ^ inverted
    assert chip.given_back(5)


@pytest.mark.parametrize("inverted", [False, True])
def test_dimmed(chip: Chip, factory: Any, inverted: bool) -> None:
    with closing(Dimmed(6, inverted=inverted, factory=factory)) as led:
        for level in (1.0, 0.7, 0.0, 0.5, 1.0, 0.9, 0.5):
            led.set(level, WHITE)
            lit = [abs(part - inverted) for part in chip.high([6], 1.0)[0]]
            if level in (0, 1):
                assert set(lit) == {level}  # at once, and not one pulse more
            else:
                assert mean(lit[BEGUN:]) == pytest.approx(duty_of(level), abs=CLOSE)
    assert chip.given_back(6)


def test_a_faint_led_is_not_dark(chip: Chip, factory: Any) -> None:
    with closing(Dimmed(6, factory=factory)) as led:
        led.set(0.05, WHITE)
        assert 0 < mean(chip.high([6], 1.0)[0]) < CLOSE


def test_no_pulse_comes_after_the_last(chip: Chip, factory: Any) -> None:
    with closing(Dimmed(6, factory=factory)) as led:
        for n in range(50):
            led.set(0.8, WHITE)
            time.sleep(0.001 * n)
            led.set(n % 2, WHITE)
            assert set(chip.high([6], 0.03)[0]) == {n % 2}


@pytest.mark.parametrize("inverted", [False, True])
def test_coloured(chip: Chip, factory: Any, inverted: bool) -> None:
    with closing(Coloured((19, 20, 21), inverted=inverted, factory=factory)) as led:
        for level in (1.0, 0.6, 0.0):
            led.set(level, ORANGE)
            lit = [abs(mean(parts[BEGUN:]) - inverted) for parts in chip.high([19, 20, 21], 1.0)]
            assert lit == pytest.approx([duty_of(level * part) for part in ORANGE], abs=CLOSE)
    assert all(chip.given_back(line) for line in (19, 20, 21))


@pytest.mark.parametrize("pull_up", [True, False])
def test_the_button_is_seen(chip: Chip, factory: Any, pull_up: bool) -> None:
    with closing(PinButton(22, pull_up=pull_up, factory=factory)) as port:
        assert port.poll_s == POLL_S, "listening would cost 1,550 wake-ups a second"
        assert not port.pressed()
        for pressed in (True, False) * 3:
            chip.pull(22, pressed ^ pull_up)
            assert port.pressed() is pressed
    assert chip.given_back(22)


class Real:
    def mono_s(self) -> float:
        return time.monotonic()


async def test_the_button_is_pressed_and_held(chip: Chip, factory: Any) -> None:
    sent, received = trio.open_memory_channel[str](10)
    actions = Actions(*(partial(sent.send, name) for name in ("try_now", "shut_down", "password")))
    said: list[str] = []
    port = PinButton(22, factory=factory)
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(run, port, actions, clock=Real(), log=said.append))
        with trio.fail_after(30):
            for level in (0, 1, 0):  # a contact bounces
                chip.pull(22, level)
            await trio.sleep(0.3)
            chip.pull(22, 1)
            assert await received.receive() == "try_now"
            begun = time.monotonic()
            chip.pull(22, 0)
            assert await received.receive() == "shut_down"
            assert HOLD_S <= time.monotonic() - begun < HOLD_S + 1
            chip.pull(22, 1)
            await trio.sleep(0.3)
        nursery.cancel_scope.cancel()
    assert received.statistics().current_buffer_used == 0
    assert said == []
    assert chip.given_back(22)


def test_a_line_held_by_another_program_is_left_out_and_the_others_are_opened(chip: Chip, factory: Any) -> None:
    said: list[str] = []
    taken = (f"led:{TAKEN}", f"pwm:{TAKEN}", f"rgb:19,20,{TAKEN}")
    with ExitStack() as stack:
        connected = open_leds([parse_led(words) for words in (*taken, "led:5", "pwm:6", "led:19 inverted")], said.append, factory=factory)
        for led in connected:
            stack.callback(led.led.close)
            led.set(1.0, WHITE)
        assert [led.name for led in connected] == ["The LED led:5", "The LED pwm:6", "The LED led:19"]
        assert [chip.value(line) for line in (5, 6, 19)] == [1, 1, 0]
    assert said == [f"The LED {words} cannot be used and is left out: GPIO busy." for words in taken]
    with pytest.raises(Exception, match="GPIO busy"):
        PinButton(TAKEN, factory=factory)


def pin_like(lit: list[float]) -> Any:
    """As a mock pin remembers: each state, and how long the one before it was."""
    return SimpleNamespace(states=[SimpleNamespace(state=part, timestamp=BUCKET_S) for part in [*lit, 0.0]])


async def test_the_leds_show_the_state_of_the_server(chip: Chip, factory: Any) -> None:
    said: list[str] = []
    board = Board(HandClock())
    configs = [parse_led(words) for words in ("led:5 inverted", "pwm:6")]
    display = LedDisplay(board, lambda: open_leds(configs, said.append, factory=factory), LedOptions(), clock=HandClock(), log=said.append)
    async with trio.open_nursery() as nursery:
        await nursery.start(display.run)
        for meaning, event in (
            ("starting", AccountsState(1, ("smith.example",))),
            ("ready", ServerState("ready")),
            ("storage", StorageTrouble("full", "The storage is full.")),
            ("stopping", ServerState("draining")),
        ):
            board.publish(event)
            await trio.sleep(2 * LOOK_S)
            assert {shown for _, shown in display.shown()} == {meaning}
            pattern = next(p for p in PATTERNS if p.meaning == meaning)
            switched, dimmed = await trio.to_thread.run_sync(chip.high, [5, 6], 1 + 2 * pattern.period_s)
            assert read(runs_of(pin_like([1 - part for part in switched]), 0.5), TOLERANCE) == [meaning]
            assert read(runs_of(pin_like(dimmed), 0.5), TOLERANCE) == [meaning]
        nursery.cancel_scope.cancel()
    assert said == []
    assert chip.given_back(5)
    assert chip.given_back(6)


LOADING = """
import os, sys, threading
from contextlib import suppress
from appliance.panel.gpio import factory_or_default
def load():
    with suppress(Exception):  # no Raspberry Pi
        factory_or_default()
(thread := threading.Thread(target=load)).start()
seen = {os.getcwd()}
while thread.is_alive():
    seen.add(os.getcwd())
print("lgpio" in sys.modules, *seen, os.getcwd())
"""


def test_the_server_stays_in_its_directory(tmp_path: Path) -> None:
    """lgpio goes to the directory of its pipe."""
    for place in ("here", "scratch"):
        (tmp_path / place).mkdir()
    environment = {"PYTHONPATH": os.pathsep.join(sys.path), "RUNTIME_DIRECTORY": f"{tmp_path}/scratch"}
    command = [sys.executable, "-c", LOADING]
    found = subprocess.run(command, cwd=tmp_path / "here", env=environment, capture_output=True, text=True, check=True)
    assert [path.name for path in (tmp_path / "scratch").iterdir()] == [".lgd-nfy0"]
    assert found.stdout.split() == ["True", *[f"{tmp_path}/here"] * 2]
