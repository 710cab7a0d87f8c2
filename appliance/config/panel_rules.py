"""Faults of the [panel] section beyond the form of each value: LEDs, pins, the night; and the table of words it may use.

The panel reads the same words when it starts; a test holds that it accepts exactly what passes here.
"""

import re
from collections.abc import Iterator, Sequence

from appliance.mail.sentence import Sentence

KINDS = ("led", "pwm", "rgb", "board")
"""An LED on a pin, one that can be dimmed, one of three colours, or one of the board's own in /sys/class/leds."""
BOARD_NAMES = (("ACT", "led0"), ("PWR", "led1"))
"""Two names of one LED: the kernel's before Linux 6.1 stands second."""
GROUPS = ("all", "server", "trouble", "mail")
MEANINGS = (
    "recovering", "starting", "updating", "stopping", "safe", "storage", "broken", "stuck", "certificate", "network", "clock", "other",
    "arrived", "sending", "waiting", "ready",
)  # fmt: skip
"""What one LED may show."""
PINS = ((r"(?:GPIO|BCM)?(\d{1,2})", 0, 53), (r"(?:BOARD|J8:)(\d{1,2})", 1, 40), (r"WPI(\d{1,2})", 0, 31))
"""How a pin may be named: by the chip's number (54 of them, 28 on the header), by the header's, or by wiringPi's."""
MOST_LEDS = 32


def panel_faults(leds: Sequence[str], night: str, button: str) -> Iterator[tuple[str, str]]:
    """(setting, sentence) for each fault."""
    pins: list[tuple[bool, str]] = []
    for led in leds:
        problem, found = _led(led)
        if problem:
            yield "leds", problem
        pins += found
    if len(leds) > MOST_LEDS:
        yield "leds", Sentence("At most %(most)s LEDs.", most=MOST_LEDS)
    if len(pins) != len(set(pins)):
        yield "leds", Sentence("Two LEDs have the same pin.")
    used = [pin for is_board, pin in pins if not is_board]
    for pin in dict.fromkeys(pin for pin in used if not is_pin(pin)):
        yield "leds", Sentence("There is no pin %(pin)s.", pin=f"{pin!r}")
    if button and not is_pin(button):
        yield "button", Sentence("There is no pin %(button)s.", button=f"{button!r}")
    if button in used:
        yield "button", Sentence("The pin %(button)s is an LED's.", button=button)
    if night and not _is_night(night):
        yield "night", Sentence("%(night)s is not a night; write it like 22:00-06:30.", night=f"{night!r}")


def _led(text: str) -> tuple[str, list[tuple[bool, str]]]:
    """(what is wrong with one LED, or ""; its pins, each with whether it is the name of a board LED)."""
    place, *rest = text.split() or [""]
    kind, _, listed = place.partition(":")
    names = listed.split(",")
    if kind not in KINDS or not all(names):
        return Sentence("%(text)s is not an LED; write led:PIN, pwm:PIN, rgb:RED,GREEN,BLUE or board:NAME.", text=f"{text!r}"), []
    if len(names) != (3 if kind == "rgb" else 1):
        return Sentence("%(text)s: rgb has three pins, every other LED one.", text=f"{text!r}"), []
    if kind == "board" and (names[0] in (".", "..") or "/" in names[0]):
        return Sentence("%(text)s: a name in /sys/class/leds, such as ACT.", text=f"{text!r}"), []
    for word in ",".join(one for one in rest if one != "inverted").split(",") if set(rest) - {"inverted"} else ():
        if word not in (*GROUPS, *MEANINGS):
            return Sentence(
                "An LED cannot show %(word)s; it can show %(value)s.", word=f"{word!r}", value=", ".join((*GROUPS, *MEANINGS))
            ), []
    return "", [(kind == "board", _board_name(name) if kind == "board" else name) for name in names]


def _board_name(name: str) -> str:
    return next((names[0] for names in BOARD_NAMES if name in names), name)


def is_pin(text: str) -> bool:
    """Can there be such a pin on a board?"""
    found = [(re.fullmatch(pattern, text.upper(), re.ASCII), least, most) for pattern, least, most in PINS]
    return any(one is not None and least <= int(one[1]) <= most for one, least, most in found)


def _is_night(text: str) -> bool:
    begin, _, end = text.partition("-")
    return _is_time(begin) and _is_time(end)


def _is_time(text: str) -> bool:
    hour, _, minute = text.strip().partition(":")
    try:
        return int(hour) in range(24) and int(minute) in range(60)
    except ValueError:
        return False
