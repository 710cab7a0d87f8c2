"""The player alone, with the time as an argument."""

import math

import pytest

from appliance.panel.leds import ConnectedLed, Player, duty_of
from appliance.panel.patterns import PATTERNS
from appliance.panel.rules import ALL

from .test_led_display import RecordedLed


def test_one_timing_for_all_leds_that_show_it() -> None:
    leds = [RecordedLed(), RecordedLed()]
    player = Player([ConnectedLed("a", leds[0], ALL), ConnectedLed("b", leds[1], frozenset({"waiting", "ready"}))], print)
    player.show(("storage", "ready"), 0.0)
    assert player.next_at == pytest.approx(0.2)
    player.show(("ready",), 1.0)
    assert player.next_at == pytest.approx(4.8)  # b's pattern goes on, a has joined it
    player.advance(4.81)
    assert [led.levels[-1] for led in leds] == [0.3, 0.3]


def test_a_level_is_set_once() -> None:
    led = RecordedLed()
    player = Player([ConnectedLed("a", led, ALL)], print)
    for now in (0.0, 0.05, 0.1):
        player.show(("starting",), now)
        player.advance(now)
    assert led.levels == [1.0]


def test_a_small_delay_keeps_the_phase_and_a_large_one_restarts() -> None:
    led = RecordedLed()
    player = Player([ConnectedLed("a", led, ALL)], print)
    player.show(("starting",), 0.0)
    player.advance(1.4)
    assert player.next_at == 2.0
    player.advance(500.3)
    assert player.next_at == 501.3
    assert led.levels == [1.0, 0.0, 1.0]


def test_nothing_to_show_is_dark_and_needs_no_wake_up() -> None:
    led = RecordedLed()
    player = Player([ConnectedLed("a", led, ALL)], print)
    player.show((), 0.0)
    assert (led.levels, player.next_at) == ([0.0], math.inf)


def test_whole_rounds() -> None:
    player = Player([ConnectedLed("a", RecordedLed(), ALL)], print)
    assert player.whole_cycles_at("starting", 7.0, 2) == 11.0
    player.show(("starting",), 7.0)
    assert player.whole_cycles_at("starting", 7.0, 2) == 11.0
    assert player.whole_cycles_at("starting", 8.5, 1) == 11.0


def test_light_for_the_eye() -> None:
    assert [duty_of(level) for level in (-1, 0, 1, 2)] == [0, 0, 1, 1]
    assert duty_of(0.5) == pytest.approx(0.2176, abs=1e-3)


def test_every_meaning_has_a_colour_of_its_family() -> None:
    led = RecordedLed()
    player = Player([ConnectedLed("a", led, ALL)], print)
    for at, pattern in enumerate(PATTERNS):
        player.show((pattern.meaning,), float(at * 100))
        assert led.colours[-1] == pattern.colour
