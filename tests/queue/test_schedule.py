"""Retry intervals grow, are randomized and bounded; the queue clock follows no step."""

from itertools import pairwise
from random import Random

from appliance.queue.schedule import SPREAD, Destinations, Intervals, QueueClock
from tests.support.clock import HandClock


def test_intervals_grow_to_the_longest_and_are_spread() -> None:
    intervals, random = Intervals(first_s=300, most_s=14_400), Random(1)
    middles = [sum(intervals.after(300 * (2**tries - 1), random) for _ in range(200)) / 200 for tries in range(11)]
    assert abs(middles[0] - 300) < 10 and all(later >= earlier * 0.97 for earlier, later in pairwise(middles))
    assert all(abs(later / earlier - 2) < 0.05 for earlier, later in pairwise(middles[:5])), "they double"
    assert abs(middles[-1] - 14_400) < 300
    spread = {intervals.after(900, random) for _ in range(50)}
    assert len(spread) == 50 and max(spread) <= 1200 * (1 + SPREAD) and min(spread) >= 1200 * (1 - SPREAD)
    assert intervals.after(10**9, random) <= intervals.longest_s


def test_the_clock_follows_running_time_only() -> None:
    clock = HandClock()
    ticks = QueueClock(clock, 0)
    before = ticks.now()
    clock.step(300 * 86_400)
    assert ticks.now() == before
    clock.forward(60)
    assert ticks.now() == before + 60


def test_a_board_that_starts_in_1970_continues_from_the_newest_instant() -> None:
    clock = HandClock()
    clock.step(-clock.wall_s())
    assert QueueClock(clock, 1_800_000_000).now() == 1_800_000_000


def test_the_destination_due_first() -> None:
    destinations = Destinations()
    assert destinations.next() is None
    destinations.set_due("b.example", 20.0)
    destinations.set_due("a.example", 10.0)
    destinations.advance("b.example", 30.0)
    assert destinations.next() == ("a.example", 10.0) and destinations.next({"a.example"}) == ("b.example", 20.0)
    destinations.set_due("a.example", None)
    assert len(destinations) == 1 and destinations.next() == ("b.example", 20.0)
