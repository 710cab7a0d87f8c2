"""Guessing is slow, real users are not slowed: on a clock of the test's own."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.accounts.throttle import ACCOUNT_CAP_S, ACCOUNTS_KEPT, BUCKETS, BUCKETS_KEPT, FAMILIAR_KEPT, TRIES, WRONG_KEPT, Throttle

HOME, STRANGER = "192.0.2.7", "203.0.113.9"


def guess(throttle: Throttle, account: str, peer: str, now: float) -> bool:
    """One wrong try, if it may be made now."""
    trying = throttle.start(account, peer.encode())
    if throttle.wait_s(trying, now) > 0:
        return False
    throttle.admit(trying, now)
    throttle.wrong(trying, now)
    return True


def sign_in(throttle: Throttle, account: str, peer: str, now: float) -> float:
    """One right try; how long it had to wait."""
    trying = throttle.start(account, peer.encode())
    wait_s = throttle.wait_s(trying, now)
    slowed_s = throttle.admit(trying, now + wait_s)
    throttle.right(trying)
    return wait_s + slowed_s


def ticks(seconds: int) -> Iterator[float]:
    for tenth in range(seconds * 10):
        yield 1000 + tenth / 10


@pytest.fixture
def throttle() -> Throttle:
    return Throttle()


def test_ten_a_minute_from_one_source_over_many_names(throttle: Throttle) -> None:
    made = sum(guess(throttle, f"name{number % 50}@h", STRANGER, now) for number, now in enumerate(ticks(600)))
    assert TRIES * 10 <= made <= TRIES * 11


def test_no_try_is_delayed_without_failures(throttle: Throttle) -> None:
    assert all(sign_in(throttle, f"name{number % 9}@h", HOME, now) == 0 for number, now in enumerate(ticks(60)))


def test_a_familiar_pair_is_never_delayed_by_others(throttle: Throttle) -> None:
    sign_in(throttle, "anna@h", HOME, 999)
    for number, now in enumerate(ticks(120)):
        for account in ("anna@h", "ben@h", f"name{number}@h"):
            guess(throttle, account, STRANGER, now)
            guess(throttle, account, f"198.51.100.{number % 250}", now)
        guess(throttle, f"name{number}@h", HOME, now)
        if number % 40 == 0:
            assert sign_in(throttle, "anna@h", HOME, now) == 0


def test_a_familiar_pair_is_itself_held_to_ten_a_minute(throttle: Throttle) -> None:
    sign_in(throttle, "anna@h", HOME, 999)
    made = sum(guess(throttle, "anna@h", HOME, now) for now in ticks(600))
    assert TRIES * 10 <= made <= TRIES * 11


def test_one_accounts_guesses_leave_buckets_to_the_other_accounts(throttle: Throttle) -> None:
    sign_in(throttle, "anna@h", HOME, 999)
    while guess(throttle, "ben@h", HOME, 1000):
        pass
    waits = [throttle.wait_s(throttle.start(f"child{number}@h", HOME.encode()), 1000) for number in range(60)]
    assert waits.count(0.0) > len(waits) // 2
    made = sum(guess(throttle, f"name{number}@h", HOME, 1000) for number in range(1000))
    assert made < BUCKETS * TRIES


def test_guesses_from_everywhere_slow_an_account_up_to_a_cap(throttle: Throttle) -> None:
    delays = []
    for number in range(300):
        peer = f"198.51.{number // 200}.{number % 200}"
        trying = throttle.start("anna@h", peer.encode())
        delays.append(throttle.admit(trying, 1000))
        throttle.wrong(trying, 1000)
    assert delays[:10] == [0.0] * 10
    assert delays == sorted(delays)
    assert delays[-1] == ACCOUNT_CAP_S
    assert sign_in(throttle, "anna@h", "192.0.2.200", 1000) == ACCOUNT_CAP_S
    assert sign_in(throttle, "anna@h", "192.0.2.200", 1000) == 0
    assert sign_in(throttle, "ben@h", "192.0.2.201", 1000) == 0
    assert sign_in(throttle, "anna@h", "192.0.2.202", 1000 + 9000) == 0


def test_a_right_try_costs_nothing_and_a_withdrawn_one_is_given_back(throttle: Throttle) -> None:
    for _ in range(100):
        trying = throttle.start("anna@h", STRANGER.encode())
        assert throttle.wait_s(trying, 1000) == 0
        throttle.admit(trying, 1000)
        throttle.withdrawn(trying)


def test_wrong_passwords_are_known_again(throttle: Throttle) -> None:
    seen = throttle.digest("anna@h", "wrong", 4)
    throttle.remember_wrong(seen)
    assert throttle.known_wrong(throttle.digest("anna@h", "wrong", 4))
    assert not throttle.known_wrong(throttle.digest("anna@h", "wrong", 5))
    assert not throttle.known_wrong(throttle.digest("ben@h", "wrong", 4))
    assert not throttle.known_wrong(throttle.digest("anna@hw", "rong", 4))
    assert Throttle().digest("anna@h", "wrong", 4) != seen


def test_memory_is_bounded(throttle: Throttle) -> None:
    for number in range(5000):
        sign_in(throttle, f"name{number}@h", f"10.0.{number // 250}.{number % 250}", 1000)
        guess(throttle, f"name{number}@h", f"10.1.{number // 250}.{number % 250}", 1000)
        throttle.remember_wrong(number)
    assert throttle.sizes() == (BUCKETS_KEPT, ACCOUNTS_KEPT, FAMILIAR_KEPT, WRONG_KEPT)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.booleans(), st.floats(0, 30)), max_size=60))
def test_waits_are_finite_and_end(steps: list[tuple[int, int, bool, float]]) -> None:
    throttle, now = Throttle(), 0.0
    for account, peer, right, pause_s in steps:
        now += pause_s
        trying = throttle.start(str(account), bytes([peer]))
        wait_s = throttle.wait_s(trying, now)
        assert 0 <= wait_s <= 60
        now += wait_s
        assert throttle.wait_s(trying, now) == 0
        assert 0 <= throttle.admit(trying, now) <= ACCOUNT_CAP_S
        if right:
            throttle.right(trying)
        else:
            throttle.wrong(trying, now)
