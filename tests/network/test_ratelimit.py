"""network/ratelimit: bursts, refill, bounded memory, and what counts as one source."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.network.ratelimit import Buckets, is_loopback, source_of, subnet_of


def test_a_burst_then_a_steady_rate() -> None:
    buckets = Buckets(per_s=2, burst=5)
    assert [buckets.take("a", 100.0) for _ in range(7)] == [True] * 5 + [False] * 2
    assert buckets.take("b", 100.0)
    assert not buckets.take("a", 100.4)
    assert buckets.take("a", 100.5)
    assert not buckets.take("a", 100.6)
    assert [buckets.take("a", 200.0) for _ in range(6)] == [True] * 5 + [False]


@given(st.lists(st.floats(0, 3), max_size=80), st.integers(1, 6))
def test_never_more_than_a_token_bucket_allows(gaps: list[float], burst: int) -> None:
    """Against the plain bucket with a count of tokens."""
    buckets, per_s = Buckets(per_s=2.0, burst=burst), 2.0
    now, tokens = 50.0, float(burst)
    for gap in gaps:
        now += gap
        tokens = min(float(burst), tokens + gap * per_s)
        if abs(tokens - 1) < 1e-6:
            return  # rounding decides
        allowed = tokens >= 1
        assert buckets.take("x", now) == allowed
        tokens -= allowed


def test_memory_is_bounded_and_forgets_the_least_lately_seen() -> None:
    buckets = Buckets(per_s=0.001, burst=1, kept=10)
    assert buckets.take("loud", 0.0)
    for n in range(1000):
        buckets.take(n, 0.0)
        assert not buckets.take("loud", 0.0)
    assert len(buckets) == 10
    for n in range(2000, 2020):
        buckets.take(n, 0.0)
    assert buckets.take("loud", 0.0)


@pytest.mark.parametrize(
    ("one", "other", "same_source", "same_subnet"),
    [
        ("192.0.2.1", "192.0.2.2", False, True),
        ("192.0.2.1", "192.0.3.1", False, False),
        ("192.0.2.1", "::ffff:192.0.2.1", True, True),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True, True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False, True),
        ("2001:db8:1:2::1", "2001:db8:2:2::1", False, False),
        ("fe80::1%eth0", "fe80::1%eth1", True, True),
        ("", "", True, True),
    ],
)
def test_sources_and_subnets(one: str, other: str, same_source: bool, same_subnet: bool) -> None:
    assert (source_of(one) == source_of(other)) is same_source
    assert (subnet_of(one) == subnet_of(other)) is same_subnet
    assert source_of(one) != subnet_of(one)


def test_tokens_of_the_future_come_one_by_one_and_not_too_late() -> None:
    buckets = Buckets(10, 3)
    waits = [round(buckets.reserve("a", 100.0, 0.5), 6) for _ in range(12)]
    assert waits == [0, 0, 0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.5, 0.5, 0.5, 0.5]
    assert buckets.reserve("b", 100.0, 0.5) == 0 and not buckets.take("a", 100.0)
    assert buckets.reserve("a", 110.0, 0.5) == 0


def test_loopback() -> None:
    for host in ("127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"):
        assert is_loopback(host)
    for host in ("10.0.0.1", "::2", "", "fe80::1"):
        assert not is_loopback(host)
