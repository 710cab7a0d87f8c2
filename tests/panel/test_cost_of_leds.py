"""What blinking costs: CPU on the real clock, memory in a process that had none of it."""

import subprocess
import sys
import time

import trio
from gpiozero.pins.mock import MockFactory, MockPWMPin

from appliance.panel.led_config import open_leds, parse_led
from appliance.panel.led_display import LedDisplay, LedOptions
from appliance.runtime.clock import RealClock
from appliance.status.board import Board
from appliance.status.events import ServerState
from tests.support.figures import report_figure

SECONDS = 3.0
BAR = 0.005
"""Of a core, with a console open too; asserted at ten times."""


async def cost_of(leds: int, phase: str) -> float:
    board = Board(RealClock())
    board.publish(ServerState(phase))
    connected = open_leds([parse_led(f"pwm:{pin}") for pin in range(4, 4 + leds)], print, factory=MockFactory(pin_class=MockPWMPin))
    display = LedDisplay(board, lambda: connected, LedOptions(), clock=RealClock(), log=print)
    async with trio.open_nursery() as nursery:
        await nursery.start(display.run)
        await trio.sleep(0.5)
        before, began = time.process_time(), time.monotonic()
        await trio.sleep(SECONDS)
        used = (time.process_time() - before) / (time.monotonic() - began)
        nursery.cancel_scope.cancel()
    return used


async def test_ten_leds_blinking() -> None:
    quick, calm = await cost_of(10, "recovering"), await cost_of(10, "ready")
    report_figure("ten LEDs, the quickest pattern", f"{quick:.3%} of a core (with a console at most {BAR:.1%})")
    report_figure("ten LEDs, ready", f"{calm:.3%} of a core")
    assert quick < 10 * BAR


MEMORY = """
import gc, sys
def pss():
    gc.collect()
    return next(int(line.split()[1]) for line in open("/proc/self/smaps_rollup") if line.startswith("Pss:"))
import appliance.app.server, appliance.status.snapshot_builder
before = pss()
from appliance.panel import led_display, button, led_config
tables = pss()
from gpiozero.pins.mock import MockFactory, MockPWMPin
leds = led_config.open_leds([led_config.parse_led(f"pwm:{n}") for n in range(4, 14)], print, factory=MockFactory(pin_class=MockPWMPin))
print(tables - before, pss() - before, len(leds))
"""


def test_memory_of_ten_leds() -> None:
    found = subprocess.run([sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True)
    tables, pins, leds = map(int, found.stdout.split())
    report_figure(
        "LEDs at pins, gpiozero loaded", f"{pins / 1024:.1f} MB PSS, of it our own {tables / 1024:.1f} (with a console at most 8)"
    )
    assert leds == 10
    assert pins < 8 * 1024
