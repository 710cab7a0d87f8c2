"""The send quota: two buckets, a limit that ends by itself, virtual time (the table in accounts/send_quota)."""

import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from appliance.accounts.send_quota import ACCOUNTS, DAY_S, HOUR_S, SendQuota
from appliance.mail.ids import AccountId

FRED, MARY = AccountId(1), AccountId(2)


def some(messages: int = 100, recipients: int = 500) -> tuple[SendQuota, list[tuple[AccountId, bool]]]:
    reported: list[tuple[AccountId, bool]] = []
    return SendQuota(
        messages_per_hour=messages, recipients_per_day=recipients, report=lambda who, limited: reported.append((who, limited))
    ), reported


def test_a_hundred_messages_then_a_wait_then_more() -> None:
    sending, reported = some()
    assert all(sending.take(FRED, 1, 1000.0) == 0 for _ in range(100))
    wait_s = sending.take(FRED, 1, 1000.0)
    assert 30 < wait_s < 40 and reported == [(FRED, True)] and sending.limited() == (FRED,)
    assert sending.take(MARY, 1, 1000.0) == 0, "one account's limit is no other's"
    assert sending.take(FRED, 1, 1000.0 + wait_s) == 0
    assert sending.take(FRED, 1, 1000.0 + wait_s) > 0 and reported == [(FRED, True)], "reported once"
    assert sending.release(1000.0 + wait_s) is not None
    assert sending.release(1000.0 + 2 * HOUR_S) is None and reported == [(FRED, True), (FRED, False)]


def test_recipients_of_a_day() -> None:
    sending, _ = some()
    assert sending.take(FRED, 300, 0.0) == 0
    assert sending.wait_s(FRED, 200, 0.0) == 0
    assert sending.wait_s(FRED, 201, 0.0) > 100
    assert sending.take(FRED, 200, 0.0) == 0
    assert abs(sending.wait_s(FRED, 250, 0.0) - DAY_S / 2) < 1
    assert sending.take(FRED, 500, DAY_S) == 0
    assert sending.wait_s(MARY, 501, 0.0) >= DAY_S, "more than a day's recipients never go in one message"


@given(st.lists(st.tuples(st.floats(0, 5000), st.integers(1, 700)), max_size=60), st.integers(1, 50), st.integers(1, 300))
def test_never_more_than_twice_the_limit_within_the_span(steps: list[tuple[float, int]], messages: int, recipients: int) -> None:
    sending, _ = some(messages, recipients)
    now, sent = 0.0, []
    for passed, many in steps:
        now += passed
        wait_s = sending.wait_s(FRED, many, now)
        if sending.take(FRED, many, now) == 0:
            assert wait_s == 0
            sent.append((now, many))
        else:
            assert wait_s > 0
    for start, _ in sent:
        assert sum(1 for at, _ in sent if start <= at < start + HOUR_S) <= 2 * messages
        assert sum(many for at, many in sent if start <= at < start + DAY_S) <= 2 * recipients


def test_memory_is_bounded() -> None:
    sending, _ = some()
    for number in range(ACCOUNTS * 3):
        sending.take(AccountId(number), 1, 0.0)
    assert len(sending._accounts) == ACCOUNTS


async def test_a_limit_ends_by_itself(autojump_clock: MockClock) -> None:
    sending, reported = some(10, 500)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(sending.run, trio.current_time)
        await trio.testing.wait_all_tasks_blocked()
        for _ in range(11):
            sending.take(FRED, 1, trio.current_time())
        assert reported == [(FRED, True)]
        await trio.sleep(HOUR_S)
        assert reported == [(FRED, True), (FRED, False)]
        assert sending.take(FRED, 1, trio.current_time()) == 0
        nursery.cancel_scope.cancel()
