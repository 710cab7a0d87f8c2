"""LEDs of the settings, pins that fail, and what is never loaded."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from gpiozero import Device
from gpiozero.exc import BadPinFactory
from gpiozero.pins.mock import MockFactory, MockPin, MockPWMPin

from appliance.panel.led_config import LedConfig, open_leds, parse_led, parse_leds
from appliance.panel.leds import duty_of
from appliance.panel.rules import ALL

RED = (1.0, 0.0, 0.5)


@pytest.mark.parametrize(
    ("words", "config"),
    [
        ("led:17", LedConfig("led", ("17",))),
        ("pwm:GPIO18 inverted", LedConfig("pwm", ("GPIO18",), ALL, inverted=True)),
        ("rgb:5,6,13 safe,stuck", LedConfig("rgb", ("5", "6", "13"), frozenset({"safe", "stuck"}))),
        ("led:4 inverted safe", LedConfig("led", ("4",), frozenset({"safe"}), inverted=True)),
        ("board:ACT all", LedConfig("board", ("ACT",))),
    ],
)
def test_words(words: str, config: LedConfig) -> None:
    assert parse_led(words) == config


@pytest.mark.parametrize(
    ("words", "why"),
    [("", "is not an LED"), ("17", "is not an LED"), ("led:", "is not an LED"), ("neon:4", "is not an LED"), ("rgb:1,2", "three pins"),
     ("rgb:1,,3", "is not an LED"), ("led:1,2", "three pins"), ("led:4 soon", "can show"),
     ("board:../../etc", "a name in"), ("board:..", "a name in")],
)  # fmt: skip
def test_invalid_words(words: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_led(words)


def test_all_leds_of_the_settings(tmp_path: Path) -> None:
    assert parse_leds((), tmp_path) == ()
    assert len(parse_leds(("led:4", "board:ACT"), tmp_path)) == 2
    with pytest.raises(ValueError, match="same pin"):
        parse_leds(("led:4", "rgb:3,4,5"), tmp_path)
    with pytest.raises(ValueError, match="At most 32"):
        parse_leds([f"led:{n}" for n in range(33)], tmp_path)


def test_levels_at_the_pins() -> None:
    factory = MockFactory(pin_class=MockPWMPin)
    pwm, inverted, rgb = open_leds([parse_led(words) for words in ("pwm:4", "pwm:5 inverted", "rgb:6,7,8")], print, factory=factory)
    for connected in (pwm, inverted, rgb):
        connected.set(0.5, RED)
    assert factory.pin(4).state == pytest.approx(duty_of(0.5))
    assert factory.pin(5).state == pytest.approx(1 - duty_of(0.5))
    assert [factory.pin(n).state for n in (6, 7, 8)] == pytest.approx([duty_of(0.5), 0, duty_of(0.25)])
    assert factory.pin(4).frequency == 100
    for connected, on in ((pwm, 1.0), (inverted, 0.0)):
        connected.set(1.0, RED)
        pin = factory.pin(4 if connected is pwm else 5)
        assert (pin.state, pin.frequency) == (on, None)  # no pulses while nothing is dimmed
        connected.set(0.0, RED)
        assert (pin.state, pin.frequency) == (1 - on, None)
    for connected in (pwm, inverted, rgb):
        connected.led.close()
    assert factory.pin(4).function == "input"


def test_a_pin_that_fails_is_one_log_line_and_the_others_are_opened() -> None:
    said: list[str] = []
    configs = [parse_led(words) for words in ("led:99", "pwm:4", "led:5", "led:6", "led:5 safe")]
    connected = open_leds(configs, said.append, factory=MockFactory(pin_class=MockPin))  # these know no PWM
    assert [led.name for led in connected] == ["The LED led:5", "The LED led:6"]
    assert len(said) == 3
    assert all(" cannot be used and is left out: " in sentence for sentence in said)


def test_a_host_without_pins_is_one_log_line(monkeypatch: pytest.MonkeyPatch, capfd: Any) -> None:
    def nothing() -> None:
        raise BadPinFactory("Unable to load any default pin factory!")

    monkeypatch.setattr(Device, "pin_factory", None)
    monkeypatch.setattr(Device, "_default_pin_factory", staticmethod(nothing))
    said: list[str] = []
    assert open_leds([parse_led("led:4")], said.append) == []
    assert said == ["The LED led:4 cannot be used and is left out: Unable to load any default pin factory."]
    assert capfd.readouterr() == ("", "")


LOADED = """
import sys
from pathlib import Path
from appliance.panel.led_config import open_leds, parse_leds
from appliance.panel import led_display, button, rules, board_leds, gpio
leds = open_leds(parse_leds((), Path(sys.argv[1])), print, root=Path(sys.argv[1]))
for one in leds: one.set(1.0, (1.0, 1.0, 1.0))
print(len(leds), *sorted(name for name in sys.modules if name.partition(".")[0] in ("gpiozero", "colorzero", "lgpio", "html", "termios")))
"""


@pytest.mark.parametrize("board", [False, True])
def test_nothing_of_gpiozero_is_loaded_when_no_pin_is_set(board: bool, tmp_path: Path) -> None:
    if board:
        (tmp_path / "ACT").mkdir()
        for name, words in (("trigger", "none [mmc0]"), ("brightness", "0"), ("max_brightness", "1")):
            (tmp_path / "ACT" / name).write_text(words)
    found = subprocess.run([sys.executable, "-c", LOADED, str(tmp_path)], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["1" if board else "0"]
