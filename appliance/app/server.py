"""The composition root: with `servers`, `outgoing` and `panels` beside it, the only one that knows every room.

`open_rooms` builds what every use of a data directory needs (database, accounts, store, the hands that change them);
`serve` puts the servers, the local socket and the supervisor around it; `offline` lends the hands to one command.
Everything is handed what it needs here, so two houses can run in one process.

Order of start: lamps, lock, database, accounts, store, certificate, listeners, "ready". The end is the reverse; the
writer stops last but for the lamps, which then say that the plug may be pulled.
How it fails: SetupError before anything is served.
"""

import os
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import trio

from appliance.accounts.accounts import Accounts
from appliance.accounts.admin_password import Admin
from appliance.accounts.passwords import Passwords
from appliance.accounts.states import KEPT_DAYS
from appliance.certificates.certificates import OwnCertificates, Wanted, box_addresses, wanted
from appliance.config.settings import Settings
from appliance.control.local_socket import ControlServer
from appliance.database.database import Database
from appliance.database.migrations import is_outdated
from appliance.database.scrub import scrub
from appliance.mail.address import ascii_domain
from appliance.mail.errors import SetupError
from appliance.mail.limits import MB
from appliance.protocol.imap.bodystructure import make_describe
from appliance.runtime import clock as clocks
from appliance.runtime.data_directory import DataDirectory
from appliance.runtime.host import Machine
from appliance.runtime.identity import authority_made_before, keep_id, needed_to_start, refuse_lost_database, refuse_other_bodies
from appliance.runtime.memory import keep_for_good
from appliance.runtime.notify import Notifier
from appliance.runtime.serial_line import others_on, sentences
from appliance.runtime.supervisor import Ending, Part, Supervisor
from appliance.status.board import Board
from appliance.status.events import (
    BodiesAside,
    ConditionFound,
    HouseState,
    PeopleState,
    StorageDamage,
    StorageState,
    StorageTrouble,
    bodies_missing,
)
from appliance.status.journal import Journal
from appliance.store.bodies import Bodies
from appliance.store.mailbox import Store
from appliance.store.reclaim import Reclaim
from appliance.store.redescription import Redescription

from .listeners import certificate_of, listeners_of, sending_of
from .outbound import Outgoing
from .panel import Panel

if TYPE_CHECKING:
    from appliance.control.requests import Controls
    from appliance.mail.clock import Clock
    from appliance.mail.ids import PersonId
    from appliance.network.tls import ServerTls

    from .admin_api import Hands

T = TypeVar("T")

AGAIN = 75
"""What `serve` returns for a house that is to begin anew: a temporary failure (sysexits.h), where nobody begins it."""
HASHES_AT_ONCE = 2
"""Passwords hashed at once: each takes 7 MiB for its moment."""
POOL_THREADS = 3
"""Threads for compression and body files."""
FULL_PERCENT = 95
FULL_NAMED = 20
PURGE_LOOK_S = 3600.0
"""How often removed accounts are looked at; nothing is read from storage or written while none is due."""
BOX_LOOK_S = 60.0
"""How often the card's free space and the box are looked at; looking writes nothing."""


@dataclass(slots=True)
class Rooms:
    """What every use of a data directory stands on."""

    directory: DataDirectory
    clock: "Clock"
    board: Board
    journal: Journal
    database: Database
    accounts: Accounts
    store: Store
    bodies: Bodies
    certificates: OwnCertificates
    settings: Settings
    admin: Admin
    machine: Machine

    @property
    def domains(self) -> tuple[str, ...]:
        return self.accounts.directory.domains()

    def host_name(self) -> str:
        """What the box calls itself, in A-labels: greetings, Received and Message-ID are ASCII (RFC 5321 §2.3.5, RFC 5322 §3.6.4)."""
        named = self.settings.house.host_name
        return ascii_domain(named or (f"mail.{self.domains[0]}" if self.domains else socket.gethostname()))

    def wanted_certificate(self) -> Wanted:
        names = [*self.domains, *filter(None, (self.settings.house.host_name,))]
        return wanted(socket.gethostname(), names, box_addresses())


def limited(threads: int) -> Callable[[Callable[[], T]], Awaitable[T]]:
    """Run work in a thread, so many at once at most."""
    limiter = trio.CapacityLimiter(threads)

    async def in_thread(work: Callable[[], T]) -> T:
        return await trio.to_thread.run_sync(work, limiter=limiter)

    return in_thread


@dataclass(slots=True)
class Outside:
    """What there is before a data directory is open, and after: time, the one picture, the log."""

    clock: clocks.RealClock
    journal: Journal
    board: Board

    @classmethod
    def make(cls) -> "Outside":
        clock = clocks.RealClock()
        journal = Journal(clock, stamped=not os.environ.get("JOURNAL_STREAM"))
        return cls(clock, journal, Board(clock, journal.note))


@asynccontextmanager
async def open_rooms(data: Path, settings: Settings, outside: Outside | None = None) -> AsyncIterator[Rooms]:
    """Lock the data directory, open everything in it, close it again in order. Raises SetupError (InUse)."""
    around = outside or Outside.make()
    clock, journal, board = around.clock, around.journal, around.board

    def report(kind: str, text: str) -> None:
        if kind == "lazy":
            journal.say(text)
        elif kind in ("damaged", "mended"):
            board.publish(StorageDamage(kind, text))
        else:
            board.publish(StorageTrouble(kind, text))

    with DataDirectory.open(data) as directory:
        if directory.tightened:
            journal.say(directory.tightened)
        refuse_lost_database(data)
        if directory.ended_badly:
            board.publish(HouseState("recovering"))
        if is_outdated(data / "house.db"):
            board.publish(HouseState("updating"))
        async with await Database.open(data / "house.db", report=report, mend=outside is not None) as database:
            accounts = Accounts(
                database,
                Passwords(limited(HASHES_AT_ONCE), scram_for_all=settings.people.scram_for == "all"),
                clock,
                changed=lambda: board.publish(people_state(accounts)),
            )
            default_quota = settings.people.quota_mb * MB or None

            def quota_of(person: "PersonId") -> int | None:
                found = accounts.directory.person(person)
                return found.quota_octets or default_quota if found else default_quota

            with needed_to_start(data):
                await database.read(accounts.read)
                await refuse_other_bodies(database, data)
                bodies = await Bodies.open(database, data / "bodies", trio.CapacityLimiter(POOL_THREADS))
                await keep_id(database, data)
                made_before = await authority_made_before(database)
                store = await Store.start(database, bodies, describe=make_describe, quota_of=quota_of)
            rooms: Rooms
            certificates = OwnCertificates(
                data / "certificates", clock=clock, board=board, say=journal.say, want=lambda: rooms.wanted_certificate()
            )
            certificates.made_before = made_before
            admin, machine = Admin(database, limited(HASHES_AT_ONCE)), Machine(data, clock)
            rooms = Rooms(
                directory, clock, board, journal, database, accounts, store, bodies, certificates, settings, admin, machine
            )
            yield rooms


def people_state(accounts: Accounts) -> PeopleState:
    return PeopleState(len(accounts.directory.people()), accounts.directory.domains())


@asynccontextmanager
async def offline(data: Path) -> AsyncIterator["Controls"]:
    """The hands of a house that nobody runs, for one command."""
    async with open_rooms(data, Settings()) as rooms:
        if rooms.directory.tightened:
            print(f"pillarbox: {rooms.directory.tightened}", file=sys.stderr)
        with needed_to_start(data):
            outgoing = await Outgoing.open(rooms, moving=False)
        yield hands_of(rooms, outgoing, running=False)


def hands_of(
    rooms: Rooms,
    outgoing: Outgoing,
    *,
    running: bool,
    tls: "ServerTls | None" = None,
    stop: Callable[[Ending], None] | None = None,
    end_sessions: Callable[[], int] | None = None,
) -> "Hands":
    from .admin_api import Hands

    return Hands(
        data=rooms.directory.path,
        database=rooms.database,
        accounts=rooms.accounts,
        store=rooms.store,
        certificates=rooms.certificates,
        tls=tls,
        board=rooms.board if running else None,
        outgoing=outgoing,
        admin=rooms.admin,
        journal=rooms.journal,
        stop=stop,
        end_sessions=end_sessions,
    )


def serve(data: Path, settings: Settings, *, welcome: bool = False) -> int:
    """Be the house until told to stop; the exit status, AGAIN when it is to begin anew. Raises SetupError before anything is served."""
    clocks.set_time_zone(settings.house.time_zone)
    try:
        again = trio.run(_house, data, settings, welcome)
    except BaseExceptionGroup as group:  # the nursery's wrapping
        fault, rest = group.split(SetupError)
        if fault is None or rest is not None:
            raise
        first: BaseException = fault
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise first from None
    return AGAIN if again else 0


async def _house(data: Path, settings: Settings, welcome: bool) -> bool:
    """The lamps and the log around, the house within them; whether to begin again."""
    outside = Outside.make()
    tried_out = welcome and sys.stdout.isatty()
    outside.journal.quiet = tried_out  # until the welcome, which would be lost among twenty lines
    panel = Panel(outside, settings.panel, simulated=tried_out)
    async with trio.open_nursery() as around:
        around.start_soon(outside.journal.run)
        around.start_soon(panel.lights)
        async with open_rooms(data, settings, outside) as rooms:
            ending = await _opened_house(rooms, panel, welcome)
        outside.board.publish(HouseState("stopped"))
        if ending is not Ending.AGAIN:
            await panel.farewell(stays=ending is Ending.AT_THE_BOX)
        around.cancel_scope.cancel()
    return ending is Ending.AGAIN


async def _opened_house(rooms: Rooms, panel: Panel, welcome: bool) -> Ending:
    """Until it is told to stop, and how it was."""
    settings = rooms.settings
    if os.geteuid() == 0:
        rooms.journal.say(f"It runs as root, since {rooms.directory.path} belongs to root; better give it to a user of its own (chown -R).")
    if settings.house.domain:
        had = rooms.domains
        with needed_to_start(rooms.directory.path):
            added = await rooms.accounts.ensure_domain(settings.house.domain)
        if had and added not in had:
            rooms.journal.say(f"{added} is taken in as a further domain; addresses stay. To change one: pillarbox person rename OLD NEW")
    rooms.board.publish(people_state(rooms.accounts))
    tls = await certificate_of(rooms)
    sending = sending_of(rooms)
    with needed_to_start(rooms.directory.path):
        outgoing = await Outgoing.open(rooms)
    listeners = listeners_of(rooms, tls, sending, outgoing)
    outgoing.listening = listeners.places
    listeners.bind()

    @cache
    def hands() -> "Hands":
        """The one pair of hands, made when somebody first needs it."""
        return hands_of(rooms, outgoing, running=True, tls=tls, stop=stop, end_sessions=end_sessions)

    def end_sessions() -> int:
        """Of accounts and passwords that are gone."""
        return listeners.end_sessions(rooms.accounts.is_current)

    def stop(ending: Ending) -> None:
        supervisor.stop(ending)

    control = ControlServer(rooms.directory, hands, rooms.journal.say)

    async def clock_set() -> None:
        rooms.certificates.look_again()
        await outgoing.queue.clock_set()

    async def writer_answers() -> None:
        await rooms.database.write(lambda transaction: None)

    reclaim = Reclaim(
        rooms.database, rooms.bodies, rooms.clock,
        told=lambda files: rooms.board.publish(BodiesAside(files)), missing=lambda files: rooms.board.publish(bodies_missing(files)),
    )  # fmt: skip
    parts = [
        Part("clock", _standing(lambda: clocks.watch(rooms.clock, rooms.board, clock_set))),  # type: ignore[arg-type]
        Part("storage", _standing(lambda: _watch_box(rooms)), alive=writer_answers),
        Part("control", control.run),
        Part("queue", outgoing.run, drain=outgoing.drain),
        Part("listeners", listeners.run, drain=listeners.drain),
        Part("sending", _standing(lambda: sending.run(rooms.clock.mono_s))),
        Part("reclaim", _standing(reclaim.run)),
        Part("redescription", _standing(Redescription(rooms.store).run)),
        Part("removed accounts", _standing(lambda: _purge_removed(rooms))),
        Part("scrub", _standing(lambda: scrub(rooms.database))),
        *panel.parts(rooms, hands),
    ]
    if rooms.certificates.in_use():
        parts.insert(3, Part("certificates", lambda task_status: rooms.certificates.run(tls.reload, task_status=task_status)))
    supervisor = Supervisor(
        parts,
        board=rooms.board,
        say=rooms.journal.say,
        notifier=Notifier(os.environ),
        on_hangup=tls.reload if not welcome else lambda: supervisor.stop(),  # tried out, it ends with its terminal
        drain_s=settings.limits.drain_s + 10.0,
    )
    if welcome:
        from .first_run import first_person

        told = await first_person(hands(), settings.house.domain, sys.stdout)
    else:
        told = None

    def ready() -> None:
        rooms.journal.flush()
        if told is not None:
            from .first_run import guide

            guide(told, listeners.bound, rooms.directory.path, sys.stdout)
        rooms.journal.quiet = False
        keep_for_good()
        print("ready", flush=True)

    await supervisor.run(on_ready=ready)
    return supervisor.ending


def _standing(run: Callable[[], Awaitable[object]]) -> Callable[..., Awaitable[object]]:
    """A part that stands as soon as it runs."""

    async def part(task_status: "trio.TaskStatus[None]" = trio.TASK_STATUS_IGNORED) -> None:
        task_status.started()
        await run()

    return part


def nearly_full(rooms: Rooms) -> tuple[str, ...]:
    """A sentence for each account that has used FULL_PERCENT of its space; FULL_NAMED at most."""
    told = []
    for person in rooms.accounts.directory.people():
        used, limit = rooms.store.quota(person.id)
        if limit and used >= limit:
            told.append(f"The mailbox of {person.address} is full: new messages are put off, notices of failed delivery still come.")
        elif limit and used * 100 >= limit * FULL_PERCENT:
            told.append(f"The mailbox of {person.address} is nearly full: {used / MB:,.1f} of {limit / MB:,.1f} MB are used.")
    return tuple(told[:FULL_NAMED])


async def _purge_removed(rooms: Rooms) -> None:
    """Erase the mail of accounts that were removed long enough ago."""
    while True:
        for person in await rooms.accounts.purge_expired(rooms.store.remove_mailboxes):
            rooms.journal.say(f"{person.address} was removed {KEPT_DAYS} days ago: the mail is erased now.")
        await trio.sleep(PURGE_LOOK_S)


async def _watch_box(rooms: Rooms) -> None:
    """Announce the card's space now and then, and how the box itself is."""
    addresses: tuple[str, ...] | None = None
    full: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()
    console = rooms.settings.panel.console
    while True:
        about = os.statvfs(rooms.directory.descriptor)
        mail = sum(rooms.store.quota(person.id)[0] for person in rooms.accounts.directory.people())
        free, total = about.f_bavail * about.f_frsize, about.f_blocks * about.f_frsize
        rooms.board.publish(StorageState(free, total, mail, rooms.machine.worn_percent()))
        if full != (full := nearly_full(rooms)):
            rooms.board.publish(ConditionFound("mailbox-full", full))
        if console:
            others = sentences(console, await trio.to_thread.run_sync(others_on, console))
            if shared != (shared := others):
                rooms.board.publish(ConditionFound("console-shared", shared))
        box = rooms.machine.look()
        rooms.board.publish(box)
        if addresses != (addresses := box.addresses):
            rooms.journal.say(f"The box is at {', '.join(addresses)}." if addresses else "The box has no address: no network.")
        await trio.sleep(BOX_LOOK_S)
