"""config/panel_rules: the table of panel words agrees with what the panel itself accepts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.config.panel_rules import BOARD_NAMES, GROUPS, KINDS, MEANINGS, MOST_LEDS, is_pin, panel_faults
from appliance.panel import board_leds, led_config
from appliance.panel.led_display import parse_night
from appliance.panel.rules import GROUPS as PANEL_GROUPS
from appliance.panel.rules import RULES


def test_the_tables_are_the_panel_s() -> None:
    assert KINDS == led_config.KINDS and MOST_LEDS == led_config.MOST_LEDS and BOARD_NAMES == board_leds.ALIASES
    assert ("all", *(name for name, _ in PANEL_GROUPS)) == GROUPS and tuple(rule.meaning for rule in RULES) == MEANINGS


WORDS = st.sampled_from(["inverted", "all", "mail", "trouble,mail", "safe", "safe,", "candle", "all,nothing", "INVERTED"])
PLACES = st.sampled_from(
    [
        "led:17",
        "led:",
        "led",
        "pwm:GPIO18",
        "rgb:5,6,13",
        "rgb:5,6",
        "board:ACT",
        "board:led0",
        "board:..",
        "board:a/b",
        "lamp:4",
        "",
        "led:5",
        "led:4,5",
    ]
)
LEDS = st.lists(st.builds(lambda place, words: " ".join([place, *words]), PLACES, st.lists(WORDS, max_size=3)), max_size=4)


def panel_accepts(leds: list[str]) -> bool:
    try:
        led_config.parse_leds(leds)
    except ValueError:
        return False
    return True


@given(LEDS)
def test_leds_that_pass_are_those_the_panel_accepts(leds: list[str]) -> None:
    assert (not list(panel_faults(leds, "", ""))) == panel_accepts(leds)


@pytest.mark.parametrize(
    "night", ["", "22:00-06:30", "0:0-23:59", "24:00-6:00", "22-6", "22:00", "22:60-6:00", "-", "x:y-1:2", " 22:00 - 6:00 "]
)
def test_nights_that_pass_are_those_the_panel_accepts(night: str) -> None:
    try:
        parse_night(night)
        accepted = True
    except ValueError:
        accepted = False
    assert (not list(panel_faults((), night, ""))) == accepted


@pytest.mark.parametrize(
    ("pin", "exists"),
    [
        ("17", True), ("53", True), ("54", False), ("GPIO27", True), ("bcm4", True), ("BOARD40", True), ("BOARD41", False),
        ("J8:1", True), ("BOARD0", False), ("WPI31", True), ("WPI32", False), ("left", False), ("", False), ("\u0661", False),
    ],
)  # fmt: skip
def test_pins(pin: str, exists: bool) -> None:
    assert is_pin(pin) is exists


def test_a_pin_is_used_once() -> None:
    assert [key for key, _ in panel_faults(("led:5", "pwm:5"), "", "")] == ["leds"]
    assert [key for key, _ in panel_faults(("led:5",), "", "5")] == ["button"]
    assert not list(panel_faults(("board:5",), "", "5"))
