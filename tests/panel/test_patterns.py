"""Every meaning differs from every other by its pattern alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.panel.patterns import ON_LEVEL, PATTERNS, Pattern
from appliance.panel.rules import ALL

from .pins import read, timing_of

BY_MEANING = pytest.mark.parametrize("pattern", PATTERNS, ids=lambda p: p.meaning)


def test_each_meaning_has_one_timing_and_each_timing_a_meaning() -> None:
    assert len({p.meaning for p in PATTERNS}) == len(PATTERNS)
    assert {p.meaning for p in PATTERNS} == ALL
    assert len({p.timing for p in PATTERNS}) == len(PATTERNS)


@BY_MEANING
def test_steps_are_such_as_eyes_can_follow(pattern: Pattern) -> None:
    assert all(0 <= level <= 1 and 0.1 <= seconds <= 5 for level, seconds in pattern.steps)
    assert all(a[0] != b[0] for a, b in zip(pattern.steps, pattern.steps[1:], strict=False))
    assert {level >= ON_LEVEL for level, _ in pattern.steps} == {True, False}
    assert pattern.period_s <= 6
    flashes = sum(1 for level, _ in pattern.steps if level >= ON_LEVEL)
    assert flashes / pattern.period_s <= 4


@given(st.sampled_from(PATTERNS), st.integers(0, 40), st.lists(st.floats(0.88, 1.12), min_size=16, max_size=16))
def test_recognised_from_any_start_with_reading_errors(pattern: Pattern, first: int, errors: list[float]) -> None:
    timing = timing_of(pattern)
    rounds = [timing[(first + i) % len(timing)] for i in range(3 * len(timing))]
    seen = [(lit, seconds * errors[i % len(errors)]) for i, (lit, seconds) in enumerate(rounds)]
    assert read(seen) == [pattern.meaning]
