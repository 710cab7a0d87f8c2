"""The queue on a real store that commits inline: every recipient gets exactly one final outcome, whatever happens in between."""

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
from appliance.mail.options import EnvelopeOptions, RecipientOptions
from appliance.mail.outcome import DsnAction, HostAttempt, Outcome, Reason
from appliance.mail.reply import Reply
from appliance.queue.admin import QueueAdmin
from appliance.queue.entry import NewEntry, QueuedRecipient, QueueEntry
from appliance.queue.queue import OutboxView, Queue
from appliance.queue.rows import encode_recipients, parse_recipients
from appliance.queue.schedule import Intervals
from appliance.store.values import Placement
from tests.support.clock import HandClock
from tests.support.services import Components, some_components

SENDER = Address("fred", "example.org")
INTERVALS = Intervals(first_s=300, most_s=3600, give_up_s=20_000, warn_s=3000)
SENT = Outcome(DsnAction.RELAYED, "2.0.0", Reason.ACCEPTED, "The next server took it.", "mx.far.example", Reply.of(250, "2.0.0", "ok"))
LATER = Outcome(DsnAction.DEFERRED, "4.2.0", Reason.NOT_NOW, "Come back later.", "mx.far.example", Reply.of(450, "4.2.0", "greylisted"))
NEVER = Outcome(DsnAction.FAILED, "5.1.1", Reason.REFUSED, "Nobody there.", "mx.far.example", Reply.of(550, "5.1.1", "no such user"))
HOST_ATTEMPT = HostAttempt("mx.far.example", "192.0.2.9", 25, "TLSv1.3", "X", "none", 0.5)


def a_queue(components: Components, seed: int = 1, intervals: Intervals = INTERVALS, outbox: OutboxView | None = None) -> Queue:
    family, bodies = components.family, components.store.bodies
    return Queue(family.writer, bodies, family.clock, intervals=intervals, random=Random(seed), outbox=outbox)


def to(*names: str) -> tuple[Recipient, ...]:
    addresses = [Address(*name.split("@")) for name in names]
    return tuple(Recipient(address, outside=(address,)) for address in addresses)


async def accept(components: Components, queue: Queue, message: str, *names: str, here: bool = False, release_at: int = 0) -> None:
    """Queue a message as intake does, in one commit."""
    recipients = to(*names)
    new_entry = NewEntry(
        message,
        SENDER,
        SENDER,
        recipients,
        b"Received: x\r\n",
        30,
        20,
        components.account(),
        options=EnvelopeOptions(release_at=release_at),
    )
    async with components.store.receive(10_000) as incoming:
        await incoming.write(b"Subject: %b\r\n\r\nwords\r\n" % message.encode())
        staged = await incoming.finish()
        placements = [Placement(await components.store.inbox_of(components.account()), b"", (), 0)] if here else []
        await components.store.file(
            staged,
            placements,
            lambda transaction, body: queue.add(transaction, body, new_entry, lambda one: one.outside[0].domain, staged.describe),
        )
    await trio.lowlevel.checkpoint()
    await trio.lowlevel.checkpoint()


async def attempt(components: Components, queue: Queue, entry: QueueEntry, *outcomes: Outcome) -> None:
    result = queue.evaluate(entry, outcomes, (HOST_ATTEMPT,))
    describe = await components.store.scan(entry.body) if queue.will_show(result) else None
    await components.family.writer.write(lambda transaction: queue.record(transaction, result, describe))
    await trio.lowlevel.checkpoint()


@asynccontextmanager
async def opened(place: Path) -> AsyncIterator[tuple[Components, Queue]]:
    async with some_components(place) as components:
        components.family.clock = HandClock()  # type: ignore[assignment]
        queue = a_queue(components)
        await queue.open()
        yield components, queue


def faults(components: Components) -> list[str]:
    return check(components.family.writer.path).faults


async def bodies(components: Components) -> int:
    return await components.family.writer.read(lambda connection: connection.execute("SELECT count(*) FROM body").fetchone()[0])


async def test_one_body_a_row_for_each_destination_and_the_last_releases_the_body(tmp_path: Path) -> None:
    async with opened(tmp_path) as (components, queue):
        await accept(components, queue, "abc", "bob@far.example", "eve@far.example", "joe@other.example")
        assert await bodies(components) == 1 and len(queue.destinations) == 2
        (far,) = await queue.due("far.example", 10)
        (other,) = await queue.due("other.example", 10)
        assert [str(one.recipient.address) for one in far.waiting] == ["bob@far.example", "eve@far.example"]
        await attempt(components, queue, far, SENT, NEVER)
        assert await bodies(components) == 1 and not faults(components)
        await attempt(components, queue, other, SENT)
        assert await bodies(components) == 0 and not faults(components)
        await queue.refresh("far.example")
        assert await QueueAdmin(queue).entries() == []
        lines = await QueueAdmin(queue).timeline("abc")
        assert [line.event for line in lines] == ["accepted", "sent", "bounced", "sent"]
        assert lines[2].facts["reply"] == "550 5.1.1 no such user"
        assert lines[1].facts["met"][0][:4] == ["mx.far.example", "192.0.2.9", 25, "TLSv1.3"]


async def test_only_deferred_recipients_are_retried_and_the_interval_grows(tmp_path: Path) -> None:
    async with opened(tmp_path) as (components, queue):
        clock: Any = components.family.clock
        await accept(components, queue, "abc", "bob@far.example", "eve@far.example")
        (entry,) = await queue.due("far.example", 10)
        await attempt(components, queue, entry, LATER, SENT)
        assert await queue.due("far.example", 10) == []
        await queue.refresh("far.example")
        found = queue.destinations.next()
        assert found is not None and 250 < found[1] - queue.now() < 350
        waited = []
        for _ in range(5):
            (destination, due) = queue.destinations.next() or ("", 0.0)
            waited.append(due - queue.now())
            clock.forward(due - queue.now() + 1)
            (entry,) = await queue.due(destination, 10)
            assert [one.last.reply for one in entry.waiting] == ["450 4.2.0 greylisted"]
            await attempt(components, queue, entry, LATER)
            await queue.refresh(destination)
        assert all(later > earlier * 1.4 for earlier, later in pairwise(waited[:4]))


async def test_one_delay_dsn_then_expiry_by_its_own_intervals_not_by_the_clock(tmp_path: Path) -> None:
    async with opened(tmp_path) as (components, queue):
        clock: Any = components.family.clock
        await accept(components, queue, "abc", "bob@far.example")
        late, ended, tries = [], None, 0
        while ended is None:
            assert tries < 100
            clock.step(300 * 86_400)
            entries = await queue.due("far.example", 10)
            if not entries:
                destination = queue.destinations.next()
                assert destination is not None
                clock.forward(max(1.0, destination[1] - queue.now() + 1))
                continue
            tries += 1
            result = queue.evaluate(entries[0], [LATER], ())
            late += result.delayed
            if result.final:
                ended = result.final[0][1]
            await components.family.writer.write(lambda transaction, made=result: queue.record(transaction, made))  # type: ignore[misc]
            await trio.lowlevel.checkpoint()
        assert len(late) == 1 and ended.action is DsnAction.FAILED and ended.reason is Reason.EXPIRED and tries > 8
        assert str(ended.reply) == "450 4.2.0 greylisted", "the other server's last reply is kept"
        assert [line.event for line in await QueueAdmin(queue).timeline("abc")][-1] == "expired"


async def test_a_server_that_was_off_for_a_year_expires_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path) as (components, queue):
        await accept(components, queue, "abc", "bob@far.example")
        (entry,) = await queue.due("far.example", 10)
        await attempt(components, queue, entry, LATER)
        clock: Any = components.family.clock
        clock.step(365 * 86_400)
        again = a_queue(components)
        await again.open()
        (entry,) = await again.due("far.example", 10)
        assert again.evaluate(entry, [LATER], ()).deferred
        clock.step(-20_000 * 86_400)
        past = a_queue(components)
        await past.open()
        found = past.destinations.next()
        assert found is not None and found[1] - past.now() <= INTERVALS.longest_s


async def test_hold_release_retry_reroute_cancel_flush(tmp_path: Path) -> None:
    async with opened(tmp_path) as (components, queue):
        await accept(components, queue, "abc1", "bob@far.example")
        await accept(components, queue, "abd2", "joe@other.example")
        (entry,) = await queue.due("far.example", 10)
        await attempt(components, queue, entry, LATER)
        assert (await QueueAdmin(queue).hold("abc"))[0].held and await queue.due("far.example", 10) == []
        counts = await QueueAdmin(queue).counts()
        assert (counts.waiting, counts.held, counts.stuck) == (1, 1, 1)
        assert not (await QueueAdmin(queue).release("abc"))[0].held and len(await queue.due("far.example", 10)) == 1
        await attempt(components, queue, (await QueueAdmin(queue).find("abc"))[0], LATER)
        assert await QueueAdmin(queue).flush() == 1 and len(await queue.due("far.example", 10)) == 1
        assert (await QueueAdmin(queue).reroute("abc", lambda entry, recipient: "@relay"))[0].destination == "@relay"
        await QueueAdmin(queue).cancel(str(entry.id))
        assert [one.message for one in await QueueAdmin(queue).entries()] == ["abd2"] and not faults(components)
        assert [line.event for line in await QueueAdmin(queue).timeline("abc1")][-1] == "cancelled"
        for wrong in ("", "zzz", "99", "ab"):
            with pytest.raises(SetupError):
                await QueueAdmin(queue).find(wrong if wrong != "ab" else "zz")


async def test_a_message_cancelled_during_its_attempt_has_no_row(tmp_path: Path) -> None:
    async with opened(tmp_path) as (components, queue):
        await accept(components, queue, "abc", "bob@far.example")
        (entry,) = await queue.due("far.example", 10)
        await QueueAdmin(queue).cancel("abc")
        await attempt(components, queue, entry, LATER)
        assert await QueueAdmin(queue).entries() == [] and not faults(components) and await bodies(components) == 0


async def test_a_queue_id_is_found_by_a_beginning_of_digits_only(tmp_path: Path) -> None:
    async with opened(tmp_path) as (components, queue):
        await accept(components, queue, "299621cafe", "bob@far.example")
        admin = QueueAdmin(queue)
        (entry,) = await admin.entries()
        assert await admin.find("299621") == await admin.find(str(entry.id)) == [entry]
        await accept(components, queue, f"{entry.id}99", "bob@far.example")
        assert await admin.find(str(entry.id)) == [entry], "the number of a row comes first"


async def outbox_rows(components: Components) -> list[tuple[int, bytes]]:
    """(version of the scanner, envelope) of what the author's Outbox shows."""
    statement = """SELECT described_by, envelope FROM message JOIN message_data ON message_data.id = message_data
        JOIN mailbox ON mailbox.id = mailbox WHERE name = 'Outbox'"""
    return await components.family.writer.read(lambda connection: connection.execute(statement).fetchall())


async def test_a_message_in_the_outbox_is_described_in_the_commit_that_shows_it(tmp_path: Path) -> None:
    async with some_components(tmp_path) as components:
        components.family.clock = HandClock()  # type: ignore[assignment]
        queue = a_queue(components, outbox=components.store.outboxes)
        await queue.open()
        await accept(components, queue, "abc", "bob@far.example")
        assert await outbox_rows(components) == [], "one that is sent at once never costs that write"
        (entry,) = await queue.due("far.example", 10)
        await attempt(components, queue, entry, LATER)
        await accept(components, queue, "def", "bob@far.example", release_at=int(components.family.clock.wall_s()) + 7200)
        rows = await outbox_rows(components)
        assert [described_by for described_by, _ in rows] == [components.store.described_by] * 2
        assert b'"abc"' in rows[0][1] and b'"def"' in rows[1][1]


async def test_a_message_cancelled_during_its_attempt_is_not_shown_in_the_outbox(tmp_path: Path) -> None:
    async with some_components(tmp_path) as components:
        components.family.clock = HandClock()  # type: ignore[assignment]
        queue = a_queue(components, outbox=components.store.outboxes)
        await queue.open()
        await accept(components, queue, "abc", "bob@far.example")
        (entry,) = await queue.due("far.example", 10)
        describe = await components.store.scan(entry.body)
        await QueueAdmin(queue).cancel("abc")
        result = queue.evaluate(entry, (LATER,), (HOST_ATTEMPT,))
        await components.family.writer.write(lambda transaction: queue.record(transaction, result, describe))
        assert await outbox_rows(components) == [] and not faults(components) and await bodies(components) == 0


async def test_a_message_with_a_release_time_is_not_due_before(tmp_path: Path) -> None:
    async with opened(tmp_path) as (components, queue):
        clock: Any = components.family.clock
        await accept(components, queue, "abc", "bob@far.example", release_at=int(clock.wall_s()) + 7200)
        assert await queue.due("far.example", 10) == []
        assert await QueueAdmin(queue).flush() == 0 and await queue.due("far.example", 10) == []
        clock.forward(7201)
        assert len(await queue.due("far.example", 10)) == 1


LOCALS = st.text('abc.+"\\ é', min_size=1, max_size=8)
ADDRESSES = st.builds(Address, LOCALS, st.just("far.example"))
NOTIFY = st.none() | st.frozensets(st.sampled_from(["SUCCESS", "FAILURE", "DELAY"]))


@given(st.lists(st.tuples(ADDRESSES, NOTIFY, st.text(max_size=20)), max_size=5))
def test_recipients_survive_a_round_trip(rows: list[tuple[Address, frozenset[str] | None, str]]) -> None:
    waiting = tuple(
        QueuedRecipient(Recipient(address, outside=(address,), options=RecipientOptions(notify=notify, orcpt=orcpt)))
        for address, notify, orcpt in rows
    )
    assert parse_recipients(encode_recipients(waiting)) == waiting


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32))
def test_every_recipient_gets_exactly_one_final_outcome(seed: int) -> None:
    trio.run(play, seed)


async def play(seed: int) -> None:
    """Random messages, outcomes, admin operations, restarts; at the end no outcome is deferred any more."""
    random = Random(seed)
    with tempfile.TemporaryDirectory() as place:
        async with opened(Path(place)) as (components, queue):
            clock: Any = components.family.clock
            open_: set[tuple[str, str]] = set()
            over: list[tuple[str, str]] = []
            for number in range(4):
                names = [f"u{n}@{random.choice(['a', 'b', 'c'])}.example" for n in range(random.randint(1, 5))]
                await accept(components, queue, f"l{number}", *names, here=random.random() < 0.3)
                open_ |= {(f"l{number}", name) for name in names}
            for step in range(80):
                event = random.random()
                if event < 0.1:
                    queue = a_queue(components, seed + step)
                    await queue.open()
                elif event < 0.2:
                    clock.step(random.choice([-1, 1]) * random.randint(0, 10**8))
                elif event < 0.25 and (entries := await QueueAdmin(queue).entries()):
                    entry = random.choice(entries)
                    await random.choice([QueueAdmin(queue).hold, QueueAdmin(queue).release, QueueAdmin(queue).retry])(str(entry.id))
                elif event < 0.3 and (entries := await QueueAdmin(queue).entries()):
                    entry = random.choice(entries)
                    await QueueAdmin(queue).cancel(str(entry.id))
                    over += [(entry.message, str(one.recipient.address)) for one in entry.waiting]
                elif found := queue.destinations.next():
                    clock.forward(max(0.0, found[1] - queue.now()) + 1)
                    for entry in await queue.due(found[0], random.randint(1, 3)):
                        last = step > 60
                        outcomes = [random.choice([SENT, NEVER] if last else [SENT, LATER, LATER, NEVER]) for _ in entry.waiting]
                        result = queue.evaluate(entry, outcomes, ())
                        if random.random() < 0.1:
                            continue  # power loss before the commit
                        await components.family.writer.write(lambda transaction, made=result, of=queue: of.record(transaction, made))  # type: ignore[misc]
                        over += [(entry.message, str(waiting.recipient.address)) for waiting, _ in result.final]
                        await trio.lowlevel.checkpoint()
                    await queue.refresh(found[0])
            still = [(entry.message, str(one.recipient.address)) for entry in await QueueAdmin(queue).entries() for one in entry.waiting]
            assert sorted(still + over) == sorted(open_), "each recipient is queued or final, once"
            assert not faults(components)


async def test_a_message_queued_while_a_destination_is_refreshed_is_not_missed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(tmp_path) as (components, queue):
        await accept(components, queue, "abc", "bob@far.example")
        (entry,) = await queue.due("far.example", 10)
        await attempt(components, queue, entry, LATER)
        reads = components.family.writer.read

        async def overtaken(work: Any) -> Any:
            found = await reads(work)
            monkeypatch.undo()
            await QueueAdmin(queue).flush()
            await trio.testing.wait_all_tasks_blocked()
            return found

        monkeypatch.setattr(components.family.writer, "read", overtaken)
        await queue.refresh("far.example")
        following = queue.destinations.next()
        assert following is not None and following[1] <= queue.now()


@pytest.mark.parametrize("operation", ["flush", "retry"])
async def test_frequent_retries_make_no_message_expire_early_or_wait_longer(operation: str, tmp_path: Path) -> None:
    async with opened(tmp_path) as (components, queue):
        await accept(components, queue, "abc", "bob@far.example")
        clock: HandClock = components.family.clock  # type: ignore[assignment]
        for _ in range(200):
            (entry,) = await queue.due("far.example", 10)
            await attempt(components, queue, entry, LATER)
            clock.forward(10)
            await (QueueAdmin(queue).flush() if operation == "flush" else QueueAdmin(queue).retry("abc"))
            await trio.lowlevel.checkpoint()
        (entry,) = await queue.due("far.example", 10)
        assert entry.tries == 200 and 1900 <= entry.waited_s + entry.interval_s <= 2000
        result = queue.evaluate(entry, (LATER,), (HOST_ATTEMPT,))
        assert result.deferred and not result.final
        assert 0.9 * 2200 <= result.wait_s <= 1.1 * 2300, "as long as it has waited in all"
