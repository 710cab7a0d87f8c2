"""The queue on a real store that commits inline: every recipient ends exactly once, whatever happens in between."""

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

import pytest
import trio
import trio.lowlevel
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.database.check import check
from appliance.mail.address import Address
from appliance.mail.envelope import Recipient
from appliance.mail.errors import SetupError
from appliance.mail.outcome import Fate, Meeting, Outcome, Reason
from appliance.mail.reply import Reply
from appliance.queue.entry import Item, Leaving, Waiting, encode_waiting, parse_waiting
from appliance.queue.queue import Queue
from appliance.queue.schedule import Intervals
from appliance.store.mailbox import Filing
from tests.support.clock import HandClock
from tests.support.services import Rooms, some_rooms

SENDER = Address("fred", "example.org")
INTERVALS = Intervals(first_s=300, most_s=3600, give_up_s=20_000, warn_s=3000)
SENT = Outcome(Fate.RELAYED, "2.0.0", Reason.TAKEN, "The next house took it.", "mx.far.example", Reply.of(250, "2.0.0", "ok"))
LATER = Outcome(Fate.DEFERRED, "4.2.0", Reason.NOT_NOW, "Come back later.", "mx.far.example", Reply.of(450, "4.2.0", "greylisted"))
NEVER = Outcome(Fate.FAILED, "5.1.1", Reason.REFUSED, "Nobody there.", "mx.far.example", Reply.of(550, "5.1.1", "no such user"))
MEETING = Meeting("mx.far.example", "192.0.2.9", 25, "TLSv1.3", "X", "none", 0.5)


def a_queue(rooms: Rooms, seed: int = 1, intervals: Intervals = INTERVALS) -> Queue:
    return Queue(rooms.family.writer, rooms.store.bodies, rooms.family.clock, intervals=intervals, random=Random(seed))


def to(*names: str) -> tuple[Recipient, ...]:
    addresses = [Address(*name.split("@")) for name in names]
    return tuple(Recipient(address, outside=(address,)) for address in addresses)


async def accept(rooms: Rooms, queue: Queue, letter: str, *names: str, here: bool = False, release_at: int = 0) -> None:
    """As intake does: one commit."""
    recipients = to(*names)
    leaving = Leaving(letter, SENDER, SENDER, recipients, b"Received: x\r\n", 30, 20, rooms.person(), release_at=release_at)
    async with rooms.store.receive(10_000) as incoming:
        await incoming.write(b"Subject: %b\r\n\r\nwords\r\n" % letter.encode())
        staged = await incoming.finish()
        filings = [Filing(await rooms.store.inbox_of(rooms.person()), b"", (), 0)] if here else []
        await rooms.store.file(
            staged, filings, lambda transaction, body: queue.add(transaction, body, leaving, lambda one: one.outside[0].domain)
        )
    await trio.lowlevel.checkpoint()
    await trio.lowlevel.checkpoint()


async def attempt(rooms: Rooms, queue: Queue, item: Item, *outcomes: Outcome) -> None:
    settlement = queue.judge(item, outcomes, (MEETING,))
    await rooms.family.writer.write(lambda transaction: queue.settle(transaction, settlement))
    await trio.lowlevel.checkpoint()


@asynccontextmanager
async def opened(place: Path) -> AsyncIterator[tuple[Rooms, Queue]]:
    async with some_rooms(place) as rooms:
        rooms.family.clock = HandClock()  # type: ignore[assignment]
        queue = a_queue(rooms)
        await queue.open()
        yield rooms, queue


def faults(rooms: Rooms) -> list[str]:
    return check(rooms.family.writer.path).faults


async def bodies(rooms: Rooms) -> int:
    return await rooms.family.writer.read(lambda connection: connection.execute("SELECT count(*) FROM body").fetchone()[0])


async def test_one_body_one_row_a_lane_and_the_body_goes_with_the_last(tmp_path: Path) -> None:
    async with opened(tmp_path) as (rooms, queue):
        await accept(rooms, queue, "abc", "bob@far.example", "eve@far.example", "joe@other.example")
        assert await bodies(rooms) == 1 and len(queue.lanes) == 2
        (far,) = await queue.due("far.example", 10)
        (other,) = await queue.due("other.example", 10)
        assert [str(one.recipient.address) for one in far.waiting] == ["bob@far.example", "eve@far.example"]
        await attempt(rooms, queue, far, SENT, NEVER)
        assert await bodies(rooms) == 1 and not faults(rooms)
        await attempt(rooms, queue, other, SENT)
        assert await bodies(rooms) == 0 and not faults(rooms)
        await queue.look("far.example")
        assert await queue.listed() == []
        lines = await queue.timeline("abc")
        assert [line.what for line in lines] == ["accepted", "sent", "failed", "sent"]
        assert lines[2].facts["reply"] == "550 5.1.1 no such user"
        assert lines[1].facts["met"][0][:4] == ["mx.far.example", "192.0.2.9", 25, "TLSv1.3"]


async def test_partly_deferred_waits_for_those_alone_and_longer_each_time(tmp_path: Path) -> None:
    async with opened(tmp_path) as (rooms, queue):
        clock: Any = rooms.family.clock
        await accept(rooms, queue, "abc", "bob@far.example", "eve@far.example")
        (item,) = await queue.due("far.example", 10)
        await attempt(rooms, queue, item, LATER, SENT)
        assert await queue.due("far.example", 10) == []
        await queue.look("far.example")
        found = queue.lanes.next()
        assert found is not None and 250 < found[1] - queue.now() < 350
        waited = []
        for _ in range(5):
            (lane, due) = queue.lanes.next() or ("", 0.0)
            waited.append(due - queue.now())
            clock.forward(due - queue.now() + 1)
            (item,) = await queue.due(lane, 10)
            assert [one.last.reply for one in item.waiting] == ["450 4.2.0 greylisted"]
            await attempt(rooms, queue, item, LATER)
            await queue.look(lane)
        assert all(later > earlier * 1.4 for earlier, later in pairwise(waited[:4]))


async def test_late_once_then_given_up_by_its_own_waiting_not_by_the_clock(tmp_path: Path) -> None:
    async with opened(tmp_path) as (rooms, queue):
        clock: Any = rooms.family.clock
        await accept(rooms, queue, "abc", "bob@far.example")
        late, ended, tries = [], None, 0
        while ended is None:
            assert tries < 100
            clock.step(300 * 86_400)
            items = await queue.due("far.example", 10)
            if not items:
                lane = queue.lanes.next()
                assert lane is not None
                clock.forward(max(1.0, lane[1] - queue.now() + 1))
                continue
            tries += 1
            settlement = queue.judge(items[0], [LATER], ())
            late += settlement.late
            if settlement.ended:
                ended = settlement.ended[0][1]
            await rooms.family.writer.write(lambda transaction, made=settlement: queue.settle(transaction, made))  # type: ignore[misc]
            await trio.lowlevel.checkpoint()
        assert len(late) == 1 and ended.fate is Fate.FAILED and ended.reason is Reason.EXPIRED and tries > 8
        assert str(ended.reply) == "450 4.2.0 greylisted", "the other house's last words stay"
        assert [line.what for line in await queue.timeline("abc")][-1] == "expired"


async def test_a_house_that_was_off_for_a_year_expires_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path) as (rooms, queue):
        await accept(rooms, queue, "abc", "bob@far.example")
        (item,) = await queue.due("far.example", 10)
        await attempt(rooms, queue, item, LATER)
        clock: Any = rooms.family.clock
        clock.step(365 * 86_400)
        again = a_queue(rooms)
        await again.open()
        (item,) = await again.due("far.example", 10)
        assert again.judge(item, [LATER], ()).kept
        clock.step(-20_000 * 86_400)
        past = a_queue(rooms)
        await past.open()
        found = past.lanes.next()
        assert found is not None and found[1] - past.now() <= INTERVALS.longest_s


async def test_hands_hold_release_retry_reroute_cancel_flush(tmp_path: Path) -> None:
    async with opened(tmp_path) as (rooms, queue):
        await accept(rooms, queue, "abc1", "bob@far.example")
        await accept(rooms, queue, "abd2", "joe@other.example")
        (item,) = await queue.due("far.example", 10)
        await attempt(rooms, queue, item, LATER)
        assert (await queue.hold("abc"))[0].held and await queue.due("far.example", 10) == []
        counts = await queue.counts()
        assert (counts.waiting, counts.held, counts.stuck) == (1, 1, 1)
        assert not (await queue.release("abc"))[0].held and len(await queue.due("far.example", 10)) == 1
        await attempt(rooms, queue, (await queue.find("abc"))[0], LATER)
        assert await queue.flush() == 1 and len(await queue.due("far.example", 10)) == 1
        assert (await queue.reroute("abc", lambda item, recipient: "@relay"))[0].lane == "@relay"
        await queue.cancel(str(item.id))
        assert [one.letter for one in await queue.listed()] == ["abd2"] and not faults(rooms)
        assert [line.what for line in await queue.timeline("abc1")][-1] == "cancelled"
        for wrong in ("", "zzz", "99", "ab"):
            with pytest.raises(SetupError):
                await queue.find(wrong if wrong != "ab" else "zz")


async def test_what_is_called_back_during_its_attempt_leaves_no_row(tmp_path: Path) -> None:
    async with opened(tmp_path) as (rooms, queue):
        await accept(rooms, queue, "abc", "bob@far.example")
        (item,) = await queue.due("far.example", 10)
        await queue.cancel("abc")
        await attempt(rooms, queue, item, LATER)
        assert await queue.listed() == [] and not faults(rooms) and await bodies(rooms) == 0


async def test_a_letter_held_for_later_is_not_due_before(tmp_path: Path) -> None:
    async with opened(tmp_path) as (rooms, queue):
        clock: Any = rooms.family.clock
        await accept(rooms, queue, "abc", "bob@far.example", release_at=int(clock.wall_s()) + 7200)
        assert await queue.due("far.example", 10) == []
        clock.forward(7201)
        assert len(await queue.due("far.example", 10)) == 1


LOCALS = st.text('abc.+"\\ é', min_size=1, max_size=8)
ADDRESSES = st.builds(Address, LOCALS, st.just("far.example"))
NOTIFY = st.none() | st.frozensets(st.sampled_from(["SUCCESS", "FAILURE", "DELAY"]))


@given(st.lists(st.tuples(ADDRESSES, NOTIFY, st.text(max_size=20)), max_size=5))
def test_recipients_come_back_as_they_were(rows: list[tuple[Address, frozenset[str] | None, str]]) -> None:
    waiting = tuple(Waiting(Recipient(address, outside=(address,), notify=notify, orcpt=orcpt)) for address, notify, orcpt in rows)
    assert parse_waiting(encode_waiting(waiting)) == waiting


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32))
def test_every_recipient_ends_exactly_once(seed: int) -> None:
    trio.run(play, seed)


async def play(seed: int) -> None:
    """Random letters, outcomes, hands, restarts; at the end everything is made to leave."""
    random = Random(seed)
    with tempfile.TemporaryDirectory() as place:
        async with opened(Path(place)) as (rooms, queue):
            clock: Any = rooms.family.clock
            open_: set[tuple[str, str]] = set()
            over: list[tuple[str, str]] = []
            for number in range(4):
                names = [f"u{n}@{random.choice(['a', 'b', 'c'])}.example" for n in range(random.randint(1, 5))]
                await accept(rooms, queue, f"l{number}", *names, here=random.random() < 0.3)
                open_ |= {(f"l{number}", name) for name in names}
            for step in range(80):
                what = random.random()
                if what < 0.1:
                    queue = a_queue(rooms, seed + step)
                    await queue.open()
                elif what < 0.2:
                    clock.step(random.choice([-1, 1]) * random.randint(0, 10**8))
                elif what < 0.25 and (items := await queue.listed()):
                    item = random.choice(items)
                    await random.choice([queue.hold, queue.release, queue.retry])(str(item.id))
                elif what < 0.3 and (items := await queue.listed()):
                    item = random.choice(items)
                    await queue.cancel(str(item.id))
                    over += [(item.letter, str(one.recipient.address)) for one in item.waiting]
                elif found := queue.lanes.next():
                    clock.forward(max(0.0, found[1] - queue.now()) + 1)
                    for item in await queue.due(found[0], random.randint(1, 3)):
                        last = step > 60
                        outcomes = [random.choice([SENT, NEVER] if last else [SENT, LATER, LATER, NEVER]) for _ in item.waiting]
                        settlement = queue.judge(item, outcomes, ())
                        if random.random() < 0.1:
                            continue  # the power went before the commit
                        await rooms.family.writer.write(lambda transaction, made=settlement, of=queue: of.settle(transaction, made))  # type: ignore[misc]
                        over += [(item.letter, str(waiting.recipient.address)) for waiting, _ in settlement.ended]
                        await trio.lowlevel.checkpoint()
                    await queue.look(found[0])
            still = [(item.letter, str(one.recipient.address)) for item in await queue.listed() for one in item.waiting]
            assert sorted(still + over) == sorted(open_), "each recipient waits or is over, once"
            assert not faults(rooms)


async def test_what_comes_while_a_lane_is_looked_at_is_not_overlooked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(tmp_path) as (rooms, queue):
        await accept(rooms, queue, "abc", "bob@far.example")
        (item,) = await queue.due("far.example", 10)
        await attempt(rooms, queue, item, LATER)
        reads = rooms.family.writer.read

        async def overtaken(work: Any) -> Any:
            found = await reads(work)
            monkeypatch.undo()
            await queue.flush()
            await trio.testing.wait_all_tasks_blocked()
            return found

        monkeypatch.setattr(rooms.family.writer, "read", overtaken)
        await queue.look("far.example")
        following = queue.lanes.next()
        assert following is not None and following[1] <= queue.now()


@pytest.mark.parametrize("hand", ["flush", "retry"])
async def test_an_impatient_person_brings_no_letter_back_early_and_none_later(hand: str, tmp_path: Path) -> None:
    async with opened(tmp_path) as (rooms, queue):
        await accept(rooms, queue, "abc", "bob@far.example")
        clock: HandClock = rooms.family.clock  # type: ignore[assignment]
        for _ in range(200):
            (item,) = await queue.due("far.example", 10)
            await attempt(rooms, queue, item, LATER)
            clock.forward(10)
            await (queue.flush() if hand == "flush" else queue.retry("abc"))
            await trio.lowlevel.checkpoint()
        (item,) = await queue.due("far.example", 10)
        assert item.tries == 200 and 1900 <= item.waited_s + item.interval_s <= 2000
        settlement = queue.judge(item, (LATER,), (MEETING,))
        assert settlement.kept and not settlement.ended
        assert 0.9 * 2200 <= settlement.wait_s <= 1.1 * 2300, "as long again as it has waited"
