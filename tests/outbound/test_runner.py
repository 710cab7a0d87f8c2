"""The runner on virtual time: a real queue and store, a carrier that does as it is told."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from appliance.delivery.route import Way
from appliance.delivery.transport import Delivery
from appliance.dsn.report import Entry, Settle, Subject
from appliance.mail.address import Address
from appliance.mail.errors import StoreError, Trouble
from appliance.mail.outcome import Fate, Meeting, Outcome, Reason
from appliance.mail.outgoing import Parcel
from appliance.outbound.runner import Limits, Runner
from appliance.queue.entry import Item
from appliance.queue.queue import Queue
from appliance.queue.schedule import Intervals
from appliance.status import events
from tests.queue.test_queue import LATER, NEVER, SENT, accept
from tests.support.services import Rooms, some_rooms

UNREACHABLE = Outcome(Fate.DEFERRED, "4.4.1", Reason.UNREACHABLE, "No connection to the other house.")
Answer = Callable[[str, Parcel], Any]


class Scripted:
    """A Carrier: `answers[lane](letter)` is an Outcome or a coroutine that gives one; counts trips and parcels."""

    def __init__(self) -> None:
        self.answers: dict[str, Callable[[str], Any]] = {}
        self.trips: Counter[str] = Counter()
        self.open: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.parcels: list[tuple[str, str, bytes]] = []
        self.taken_at: dict[str, float] = {}

    @asynccontextmanager
    async def trip(self, lane: str, way: Way) -> AsyncIterator["Scripted.Trip"]:
        self.trips[lane] += 1
        self.open[lane] += 1
        self.most[lane] = max(self.most[lane], self.open[lane])
        self.most[""] = max(self.most[""], sum(self.open.values()))
        try:
            yield Scripted.Trip(self, lane)
        finally:
            self.open[lane] -= 1

    class Trip:
        def __init__(self, carrier: "Scripted", lane: str) -> None:
            self._carrier, self._lane = carrier, lane

        async def deliver(self, parcel: Parcel, begun: Callable[[], None]) -> Delivery:
            carrier = self._carrier
            async with parcel.pieces() as pieces:
                octets = b"".join([piece async for piece in pieces])
            carrier.parcels.append((self._lane, parcel.letter, octets))
            answer = carrier.answers.get(self._lane, lambda letter: SENT)(parcel.letter)
            outcome = answer if isinstance(answer, Outcome) else await answer
            begun()
            if outcome is SENT:
                carrier.taken_at[parcel.letter] = trio.current_time()
            meeting = Meeting("mx", "192.0.2.1", 25, "", "", "", 0.1)
            return Delivery(tuple(outcome for _ in parcel.recipients), (meeting,), again=outcome.reason is not Reason.UNREACHABLE)


class Told:
    """Notices that keep what was told, and commit."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self.entries: list[tuple[str, Entry]] = []
        self.troubles: list[Trouble] = []

    async def tell(self, subject: Subject, entries: Sequence[Entry], settle: Settle) -> bool:
        if self.troubles:
            raise StoreError(self.troubles.pop())
        await self._rooms.family.writer.write(lambda transaction: settle(transaction))
        self.entries += [(subject.letter, entry) for entry in entries]
        return bool(entries)


class Straight:
    def way(self, lane: str, sender: Address | None) -> Way:
        return Way()

    def other_lane(self, item: Item, outcomes: Sequence[Outcome], refusals: int) -> str | None:
        return None


class Board:
    def __init__(self) -> None:
        self.events: list[Any] = []

    def publish(self, event: Any) -> None:
        self.events.append(event)


class World:
    def __init__(self, rooms: Rooms, intervals: Intervals, limits: Limits) -> None:
        self.rooms = rooms
        self.queue = Queue(rooms.family.writer, rooms.store.bodies, rooms.family.clock, intervals=intervals, random=Random(1))
        self.carrier, self.told, self.board = Scripted(), Told(rooms), Board()
        self.runner = Runner(
            queue=self.queue, ways=Straight(), carrier=lambda: self.carrier, notices=lambda: self.told, store=rooms.store,
            board=self.board, clock=rooms.family.clock, limits=limits,
        )  # fmt: skip

    async def accept(self, letter: str, *names: str) -> None:
        await accept(self.rooms, self.queue, letter, *names)

    async def empty(self) -> None:
        while await self.queue.listed(1):  # noqa: ASYNC110 - virtual time
            await trio.sleep(1)

    def heard(self, kind: type) -> list[Any]:
        return [event for event in self.board.events if isinstance(event, kind)]


INTERVALS = Intervals(first_s=300, most_s=3600, give_up_s=36_000, warn_s=7200)


@asynccontextmanager
async def a_world(
    place: Path, *, intervals: Intervals = INTERVALS, limits: Limits | None = None, before: Sequence[tuple[str, ...]] = ()
) -> AsyncIterator[World]:
    async with some_rooms(place) as rooms:
        world = World(rooms, intervals, limits or Limits())
        await world.queue.open()
        for letter, *names in before:
            await world.accept(letter, *names)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(world.runner.run)
            yield world
            nursery.cancel_scope.cancel()


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path


async def test_a_letter_leaves_whole_and_everybody_hears(place: Path, autojump_clock: MockClock) -> None:
    async with a_world(place) as world:
        await world.accept("abc", "bob@far.example", "eve@far.example", "joe@other.example")
        await world.empty()
        await trio.sleep(2)
        assert sorted(lane for lane, _, _ in world.carrier.parcels) == ["far.example", "other.example"]
        assert world.carrier.parcels[0][2] == b"Received: x\r\nSubject: abc\r\n\r\nwords\r\n"
        assert sum(event.recipients for event in world.heard(events.LetterSent)) == 3
        state = world.heard(events.QueueState)[-1]
        assert (state.waiting, state.trying, state.lanes, state.next_s) == (0, 0, 0, None)


async def test_greylisted_waits_and_comes_through(place: Path, autojump_clock: MockClock) -> None:
    async with a_world(place) as world:
        tries: list[float] = []

        def answer(letter: str) -> Outcome:
            tries.append(trio.current_time())
            return LATER if len(tries) < 3 else SENT

        world.carrier.answers["far.example"] = answer
        await world.accept("abc", "bob@far.example")
        await world.empty()
        assert len(tries) == 3 and 270 <= tries[1] - tries[0] <= 335 and 540 <= tries[2] - tries[1] <= 665
        assert [event.reason for event in world.heard(events.LetterDelayed)] == [LATER.text] * 2


async def test_late_once_then_given_up_and_told(place: Path, autojump_clock: MockClock) -> None:
    async with a_world(place) as world:
        world.carrier.answers["far.example"] = lambda letter: LATER
        await world.accept("abc", "bob@far.example")
        await world.empty()
        told = [(entry.outcome.fate, entry.outcome.reason) for _, entry in world.told.entries]
        assert told == [(Fate.DEFERRED, Reason.NOT_NOW), (Fate.FAILED, Reason.EXPIRED)]
        assert len(world.heard(events.LetterFailed)) == 1


async def test_refused_is_told_at_once(place: Path, autojump_clock: MockClock) -> None:
    async with a_world(place) as world:
        world.carrier.answers["far.example"] = lambda letter: NEVER
        await world.accept("abc", "bob@far.example")
        await world.empty()
        assert [(letter, entry.outcome) for letter, entry in world.told.entries] == [("abc", NEVER)]


async def test_one_connection_carries_many_letters_and_a_lane_has_few(place: Path, autojump_clock: MockClock) -> None:
    letters = [(f"l{number}", "bob@far.example") for number in range(60)]
    async with a_world(place, before=letters) as world:
        await world.empty()
        assert len(world.carrier.parcels) == 60 and world.carrier.trips["far.example"] <= 8 and world.carrier.most["far.example"] <= 4


async def test_a_dead_lane_is_met_once_for_all_its_letters(place: Path, autojump_clock: MockClock) -> None:
    letters = [(f"l{number}", "bob@dead.example") for number in range(20)]
    async with a_world(place, before=letters, limits=Limits(sessions_per_lane=1)) as world:
        world.carrier.answers["dead.example"] = lambda letter: UNREACHABLE
        await trio.sleep(10)
        assert len(world.carrier.parcels) == 1
        rows = await world.queue.listed()
        assert [row.tries for row in rows] == [1] * 20 and not world.queue.trying


async def test_dead_and_slow_houses_delay_nobody_else(place: Path, autojump_clock: MockClock) -> None:
    """One dead and one that answers after ten minutes among fifty: the others leave as fast as without them."""
    names = [f"h{number}.example" for number in range(50)]
    letters = [(f"{name}-{number}", f"bob@{name}") for number in range(3) for name in names]
    took = []
    for spoiled in (False, True):
        where = place / str(spoiled)
        where.mkdir()
        async with a_world(where, before=letters) as world:
            start = trio.current_time()

            async def quick() -> Outcome:
                await trio.sleep(2)
                return SENT

            async def slow() -> Outcome:
                await trio.sleep(600)
                return LATER

            for name in names:
                world.carrier.answers[name] = lambda letter: quick()
            if spoiled:
                world.carrier.answers[names[0]] = lambda letter: slow()
                world.carrier.answers[names[1]] = lambda letter: UNREACHABLE
            good = {letter for letter, _ in letters if not letter.startswith((names[0] + "-", names[1] + "-"))}
            while not good <= world.carrier.taken_at.keys():  # noqa: ASYNC110 - virtual time
                await trio.sleep(0.05)
            took.append(trio.current_time() - start)
            assert world.carrier.most[""] <= Limits().sessions
    assert took[1] <= took[0] * 1.01 + 2.0, took


async def test_an_outcome_that_cannot_be_written_is_written_later_and_nothing_is_sent_twice(place: Path, autojump_clock: MockClock) -> None:
    async with a_world(place) as world:
        world.told.troubles = [Trouble.FULL, Trouble.BROKEN]
        await world.accept("abc", "bob@far.example")
        await world.empty()
        assert len(world.carrier.parcels) == 1


async def test_draining_ends_what_has_begun_and_begins_nothing(place: Path, autojump_clock: MockClock) -> None:
    async with a_world(place) as world:

        async def slow() -> Outcome:
            await trio.sleep(30)
            return SENT

        world.carrier.answers["far.example"] = lambda letter: slow()
        await world.accept("abc", "bob@far.example")
        await trio.sleep(1)
        world.runner.drain()
        await world.accept("def", "joe@other.example")
        await trio.sleep(60)
        assert [letter for _, letter, _ in world.carrier.parcels] == ["abc"]
        assert [row.letter for row in await world.queue.listed()] == ["def"]


async def test_nothing_is_done_while_nothing_is_due(place: Path, autojump_clock: MockClock) -> None:
    async with a_world(place) as world:
        world.carrier.answers["far.example"] = lambda letter: LATER
        await world.accept("abc", "bob@far.example")
        await trio.sleep(100)
        reads = 0
        read = world.rooms.family.writer.read

        async def counted(work: Any) -> Any:
            nonlocal reads
            reads += 1
            return await read(work)

        world.rooms.family.writer.read = counted  # type: ignore[method-assign]
        await trio.sleep(150)
        assert reads == 0
