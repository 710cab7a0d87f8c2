"""Mock pins on the virtual clock, and an eye that reads the rhythm from their recorded edges alone."""

from collections.abc import Iterator, Sequence
from typing import Any

import gpiozero.pins.mock
import pytest
import trio
from gpiozero.pins.mock import MockFactory, MockPin, MockPWMPin

from appliance.panel.patterns import PATTERNS, Pattern

Runs = list[tuple[bool, float]]
"""(lit, seconds), one after the other, never two of a kind."""


def virtual_pins(monkeypatch: pytest.MonkeyPatch, *, pwm: bool) -> Any:
    """A factory whose pins record trio's time."""
    monkeypatch.setattr(gpiozero.pins.mock, "monotonic", trio.current_time)
    return MockFactory(pin_class=MockPWMPin if pwm else MockPin)


def runs_of(pin: Any, border: float) -> Runs:
    """What the pin recorded: lit from `border` on; the first and the last run are cut off and left out."""
    spans: list[list[Any]] = []
    for state, following in zip(pin.states, pin.states[1:], strict=False):
        lit = float(state.state) >= border
        if spans and (spans[-1][0] == lit or following.timestamp < 1e-6):
            spans[-1][1] += following.timestamp
        else:
            spans.append([lit, following.timestamp])
    merged: list[list[Any]] = []
    for lit, seconds in spans:
        if merged and merged[-1][0] == lit:
            merged[-1][1] += seconds
        else:
            merged.append([lit, seconds])
    return [(lit, seconds) for lit, seconds in merged[1:-1]]


def rhythm_of(pattern: Pattern) -> Runs:
    """A pattern as a lamp of on and off plays it, once around."""
    spans: list[list[Any]] = []
    for level, seconds in pattern.steps:
        if spans and spans[-1][0] == (level >= 0.5):
            spans[-1][1] += seconds
        else:
            spans.append([level >= 0.5, seconds])
    if len(spans) > 1 and spans[0][0] == spans[-1][0]:
        spans[0][1] += spans.pop()[1]
    return [(lit, seconds) for lit, seconds in spans]


def read(runs: Sequence[tuple[bool, float]], tolerance: float = 0.2, slack_s: float = 0.0) -> list[str]:
    """Every meaning whose rhythm these runs could be, begun anywhere in it, each length right within `tolerance` and `slack_s`."""
    return [p.meaning for p in PATTERNS if any(_fits(runs, turn, tolerance, slack_s) for turn in _turns(rhythm_of(p)))]


def read_in_real_time(runs: Sequence[tuple[bool, float]]) -> list[str]:
    """As `read`, from a process that a busy machine wakes some hundredths of a second late."""
    return read(runs, slack_s=0.04)


def _turns(rhythm: Runs) -> Iterator[Runs]:
    for first in range(len(rhythm)):
        yield rhythm[first:] + rhythm[:first]


def _fits(runs: Sequence[tuple[bool, float]], rhythm: Runs, tolerance: float, slack_s: float) -> bool:
    if len(runs) < len(rhythm):
        return False
    wanted = (rhythm[i % len(rhythm)] for i in range(len(runs)))
    return all(a == b and abs(s - t) <= tolerance * t + slack_s for (a, s), (b, t) in zip(runs, wanted, strict=False))
