"""Stable sorts in steps are what a sort at once gives."""

import random

import pytest

from appliance.mail.ordering import CHUNK, sorted_places


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("count", [0, 1, 100, CHUNK + 1, 3 * CHUNK + 7])
def test_stable_and_in_steps(count: int, reverse: bool) -> None:
    values = [random.Random(count).randrange(50) for _ in range(count)]
    steps, result = 0, None
    running = sorted_places(values, reverse=reverse)
    while result is None:
        try:
            next(running)
            steps += 1
        except StopIteration as end:
            result = end.value
    assert result == sorted(range(count), key=values.__getitem__, reverse=reverse)
    assert steps == (0 if count <= CHUNK else -(-count // CHUNK))
