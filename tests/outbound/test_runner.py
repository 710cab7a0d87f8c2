"""The runner on virtual time: a real queue and store, and a scripted transport."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from appliance.delivery.route import Route
from appliance.delivery.transport import DeliveryResult
from appliance.dsn.report import RecipientReport, Record, Subject
from appliance.mail.address import Address
from appliance.mail.errors import StoreError, Trouble
from appliance.mail.outcome import DsnAction, HostAttempt, Outcome, Reason
from appliance.mail.outgoing import OutgoingMessage
from appliance.outbound.queue_state import QueueStatePublisher
from appliance.outbound.recorder import OutcomeRecorder
from appliance.outbound.runner import Limits, Runner
from appliance.queue.admin import QueueAdmin
from appliance.queue.attempt_result import stay
from appliance.queue.queue import Queue
from appliance.queue.schedule import Intervals
from appliance.status import events
from tests.queue.test_queue import LATER, NEVER, SENT, accept
from tests.support.services import Components, some_components

UNREACHABLE = Outcome(DsnAction.DEFERRED, "4.4.1", Reason.UNREACHABLE, "No connection to the other server.")
Answer = Callable[[str, OutgoingMessage], Any]


class Scripted:
    """A Transport: `answers[destination](message)` is an Outcome or a coroutine that gives one; counts sessions and messages."""

    def __init__(self) -> None:
        self.answers: dict[str, Callable[[str], Any]] = {}
        self.sessions: Counter[str] = Counter()
        self.open: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.outgoing_messages: list[tuple[str, str, bytes]] = []
        self.taken_at: dict[str, float] = {}

    @asynccontextmanager
    async def session(self, destination: str, route: Route) -> AsyncIterator["Scripted.Session"]:
        self.sessions[destination] += 1
        self.open[destination] += 1
        self.most[destination] = max(self.most[destination], self.open[destination])
        self.most[""] = max(self.most[""], sum(self.open.values()))
        try:
            yield Scripted.Session(self, destination)
        finally:
            self.open[destination] -= 1

    class Session:
        def __init__(self, transport: "Scripted", destination: str) -> None:
            self._transport, self._destination = transport, destination

        async def deliver(self, outgoing: OutgoingMessage) -> DeliveryResult:
            transport = self._transport
            async with outgoing.chunks() as chunks:
                octets = b"".join([chunk async for chunk in chunks])
            transport.outgoing_messages.append((self._destination, outgoing.message, octets))
            answer = transport.answers.get(self._destination, lambda message: SENT)(outgoing.message)
            outcome = answer if isinstance(answer, Outcome) else await answer
            if outcome is SENT:
                transport.taken_at[outgoing.message] = trio.current_time()
            host_attempt = HostAttempt("mx", "192.0.2.1", 25, "", "", "", 0.1)
            return DeliveryResult(
                tuple(outcome for _ in outgoing.recipients), (host_attempt,), reusable=outcome.reason is not Reason.UNREACHABLE
            )


class DsnLog:
    """A DsnSender that commits and keeps the reports."""

    def __init__(self, components: Components) -> None:
        self._components = components
        self.reports: list[tuple[str, RecipientReport]] = []
        self.troubles: list[Trouble] = []

    async def send(self, subject: Subject, reports: Sequence[RecipientReport], record: Record) -> bool:
        if self.troubles:
            raise StoreError(self.troubles.pop())
        await self._components.family.writer.write(lambda transaction: record(transaction))
        self.reports += [(subject.message, report) for report in reports]
        return bool(reports)


class Direct:
    def route_to(self, destination: str, sender: Address | None) -> Route:
        return Route()


class Board:
    def __init__(self) -> None:
        self.events: list[Any] = []

    def publish(self, event: Any) -> None:
        self.events.append(event)


class World:
    def __init__(self, components: Components, intervals: Intervals, limits: Limits) -> None:
        self.components = components
        self.queue = Queue(
            components.family.writer, components.store.bodies, components.family.clock, intervals=intervals, random=Random(1)
        )
        self.transport, self.dsn, self.board = Scripted(), DsnLog(components), Board()
        clock = components.family.clock
        recorder = OutcomeRecorder(
            queue=self.queue, other_destination=stay, dsn=lambda: self.dsn, store=components.store, board=self.board, clock=clock,
        )  # fmt: skip
        self.runner = Runner(
            queue=self.queue, routes=Direct(), transport=lambda: self.transport, recorder=recorder,
            state=QueueStatePublisher(self.queue, self.board, clock), store=components.store, limits=limits,
        )  # fmt: skip

    async def accept(self, message: str, *names: str) -> None:
        await accept(self.components, self.queue, message, *names)

    async def empty(self) -> None:
        while await QueueAdmin(self.queue).entries(1):  # noqa: ASYNC110 - virtual time
            await trio.sleep(1)

    def heard(self, kind: type) -> list[Any]:
        return [event for event in self.board.events if isinstance(event, kind)]


INTERVALS = Intervals(first_s=300, most_s=3600, give_up_s=36_000, warn_s=7200)


@asynccontextmanager
async def a_world(
    place: Path, *, intervals: Intervals = INTERVALS, limits: Limits | None = None, before: Sequence[tuple[str, ...]] = ()
) -> AsyncIterator[World]:
    async with some_components(place) as components:
        world = World(components, intervals, limits or Limits())
        await world.queue.open()
        for message, *names in before:
            await world.accept(message, *names)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(world.runner.run)
            yield world
            nursery.cancel_scope.cancel()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path


async def test_a_message_is_sent_whole_and_events_are_published(place: Path, autojump_clock: MockClock) -> None:
    async with a_world(place) as world:
        await world.accept("abc", "bob@far.example", "eve@far.example", "joe@other.example")
        await world.empty()
        await trio.sleep(2)
        assert sorted(destination for destination, _, _ in world.transport.outgoing_messages) == ["far.example", "other.example"]
        assert world.transport.outgoing_messages[0][2] == b"Received: x\r\nSubject: abc\r\n\r\nwords\r\n"
        assert sum(event.recipients for event in world.heard(events.MessageSent)) == 3
        state = world.heard(events.QueueState)[-1]
        assert (state.waiting, state.trying, state.destinations, state.next_s) == (0, 0, 0, None)


async def test_a_greylisted_message_is_retried_and_sent(place: Path, autojump_clock: MockClock) -> None:
    async with a_world(place) as world:
        tries: list[float] = []

        def answer(message: str) -> Outcome:
            tries.append(trio.current_time())
            return LATER if len(tries) < 3 else SENT

        world.transport.answers["far.example"] = answer
        await world.accept("abc", "bob@far.example")
        await world.empty()
        assert len(tries) == 3 and 270 <= tries[1] - tries[0] <= 335 and 540 <= tries[2] - tries[1] <= 665
        assert [event.reason for event in world.heard(events.MessageDelayed)] == [LATER.text] * 2


async def test_one_delay_dsn_then_expiry_with_a_failure_dsn(place: Path, autojump_clock: MockClock) -> None:
    async with a_world(place) as world:
        world.transport.answers["far.example"] = lambda message: LATER
        await world.accept("abc", "bob@far.example")
        await world.empty()
        reported = [(report.outcome.action, report.outcome.reason) for _, report in world.dsn.reports]
        assert reported == [(DsnAction.DEFERRED, Reason.NOT_NOW), (DsnAction.FAILED, Reason.EXPIRED)]
        assert len(world.heard(events.MessageFailed)) == 1


async def test_a_refusal_is_reported_at_once(place: Path, autojump_clock: MockClock) -> None:
    async with a_world(place) as world:
        world.transport.answers["far.example"] = lambda message: NEVER
        await world.accept("abc", "bob@far.example")
        await world.empty()
        assert [(message, report.outcome) for message, report in world.dsn.reports] == [("abc", NEVER)]


async def test_connections_are_reused_and_few_for_each_destination(place: Path, autojump_clock: MockClock) -> None:
    messages = [(f"l{number}", "bob@far.example") for number in range(60)]
    async with a_world(place, before=messages) as world:
        await world.empty()
        assert (
            len(world.transport.outgoing_messages) == 60
            and world.transport.sessions["far.example"] <= 8
            and world.transport.most["far.example"] <= 4
        )


async def test_a_dead_destination_is_tried_once_for_all_its_messages(place: Path, autojump_clock: MockClock) -> None:
    messages = [(f"l{number}", "bob@dead.example") for number in range(20)]
    async with a_world(place, before=messages, limits=Limits(sessions_per_destination=1)) as world:
        world.transport.answers["dead.example"] = lambda message: UNREACHABLE
        await trio.sleep(10)
        assert len(world.transport.outgoing_messages) == 1
        rows = await QueueAdmin(world.queue).entries()
        assert [row.tries for row in rows] == [1] * 20 and not world.queue.active


async def test_dead_and_slow_servers_delay_no_other_destination(place: Path, autojump_clock: MockClock) -> None:
    """One dead and one that answers after ten minutes among fifty: the others are sent as fast as without them."""
    names = [f"h{number}.example" for number in range(50)]
    messages = [(f"{name}-{number}", f"bob@{name}") for number in range(3) for name in names]
    took = []
    for spoiled in (False, True):
        where = place / str(spoiled)
        where.mkdir()
        async with a_world(where, before=messages) as world:
            start = trio.current_time()

            async def quick() -> Outcome:
                await trio.sleep(2)
                return SENT

            async def slow() -> Outcome:
                await trio.sleep(600)
                return LATER

            for name in names:
                world.transport.answers[name] = lambda message: quick()
            if spoiled:
                world.transport.answers[names[0]] = lambda message: slow()
                world.transport.answers[names[1]] = lambda message: UNREACHABLE
            good = {message for message, _ in messages if not message.startswith((names[0] + "-", names[1] + "-"))}
            while not good <= world.transport.taken_at.keys():  # noqa: ASYNC110 - virtual time
                await trio.sleep(0.05)
            took.append(trio.current_time() - start)
            assert world.transport.most[""] <= Limits().sessions
    assert took[1] <= took[0] * 1.01 + 2.0, took


async def test_an_outcome_that_cannot_be_written_is_written_later_and_nothing_is_sent_twice(place: Path, autojump_clock: MockClock) -> None:
    async with a_world(place) as world:
        world.dsn.troubles = [Trouble.FULL, Trouble.BROKEN]
        await world.accept("abc", "bob@far.example")
        await world.empty()
        assert len(world.transport.outgoing_messages) == 1


async def test_drain_finishes_what_has_begun_and_starts_nothing(place: Path, autojump_clock: MockClock) -> None:
    async with a_world(place) as world:

        async def slow() -> Outcome:
            await trio.sleep(30)
            return SENT

        world.transport.answers["far.example"] = lambda message: slow()
        await world.accept("abc", "bob@far.example")
        await trio.sleep(1)
        world.runner.drain()
        await world.accept("def", "joe@other.example")
        await trio.sleep(60)
        assert [message for _, message, _ in world.transport.outgoing_messages] == ["abc"]
        assert [row.message for row in await QueueAdmin(world.queue).entries()] == ["def"]


async def test_nothing_is_done_while_nothing_is_due(place: Path, autojump_clock: MockClock) -> None:
    async with a_world(place) as world:
        world.transport.answers["far.example"] = lambda message: LATER
        await world.accept("abc", "bob@far.example")
        await trio.sleep(100)
        reads = 0
        read = world.components.family.writer.read

        async def counted(work: Any) -> Any:
            nonlocal reads
            reads += 1
            return await read(work)

        world.components.family.writer.read = counted  # type: ignore[method-assign]
        await trio.sleep(150)
        assert reads == 0


async def test_sent_messages_are_settled_together_and_even_when_the_server_stops(place: Path, autojump_clock: MockClock) -> None:
    """The next message does not wait for the commit of the one before; none is sent again after a stop."""
    before = [(f"m{number}", "bob@far.example") for number in range(5)]
    async with some_components(place) as components:
        world = World(components, INTERVALS, Limits())
        writer = components.family.writer
        plain, held = writer.write, 0

        async def write(work: Any, *, octets: int = 0, hold_s: float = 0.0) -> Any:
            nonlocal held
            if hold_s:
                held += 1
                await trio.sleep(hold_s)
            return await plain(work, octets=octets)

        await world.queue.open()
        for message, *names in before:
            await world.accept(message, *names)
        writer.write = write  # type: ignore[method-assign]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(world.runner.run)
            while held < 5:
                await trio.lowlevel.checkpoint()
            assert len(world.transport.outgoing_messages) == 5 and not world.heard(events.MessageSent)
            nursery.cancel_scope.cancel()
        assert await QueueAdmin(world.queue).entries(9) == []
        assert len(world.heard(events.MessageSent)) == 5
