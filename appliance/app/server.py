"""The composition root: with `servers`, `outgoing` and `panels` beside it, the only one that knows every room.

`open_rooms` builds what every use of a data directory needs (database, accounts, store, the hands that change them);
`serve` puts the servers, the local socket and the supervisor around it; `offline` lends the hands to one command.
Everything is handed what it needs here, so two servers can run in one process.

Order of start: LEDs, lock, database, accounts, store, certificate, listeners, "ready". The end is the reverse; the
writer stops last but for the LEDs, which then say that the plug may be pulled.
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
from appliance.certificates.certificates import OwnCertificates, WantedCertificate, host_addresses, wanted
from appliance.config.settings import Settings
from appliance.control.local_socket import ControlServer, is_left_behind
from appliance.database.database import Database
from appliance.database.migrations import is_outdated
from appliance.database.scrub import scrub
from appliance.mail.address import ascii_domain
from appliance.mail.errors import SetupError
from appliance.mail.limits import MB
from appliance.protocol.imap.bodystructure import make_describe
from appliance.runtime import clock as clocks
from appliance.runtime.data_directory import DataDirectory
from appliance.runtime.host import Host
from appliance.runtime.identity import authority_made_before, keep_id, needed_to_start, refuse_lost_database, refuse_other_bodies
from appliance.runtime.memory import keep_for_good
from appliance.runtime.notify import Notifier
from appliance.runtime.serial_line import others_on, sentences
from appliance.runtime.supervisor import Ending, Supervisor, Task
from appliance.status.board import Board
from appliance.status.events import (
    AccountsState,
    ConditionFound,
    OrphanedBodies,
    ServerState,
    StorageDamage,
    StorageState,
    StorageTrouble,
    bodies_missing,
)
from appliance.status.journal import Journal
from appliance.store.bodies import Bodies
from appliance.store.reclaim import Reclaim
from appliance.store.redescription import Redescription
from appliance.store.store import Store

from .listeners import certificate_of, listeners_of, sending_of
from .outbound import Outbound
from .panel import Panel

if TYPE_CHECKING:
    from appliance.control.requests import Control
    from appliance.mail.clock import Clock
    from appliance.mail.ids import AccountId
    from appliance.network.tls import ServerTls

    from .admin_api import AdminApi

T = TypeVar("T")

AGAIN = 75
"""What `serve` returns for a server that is to begin anew: a temporary failure (sysexits.h), where nobody begins it."""
HASHES_AT_ONCE = 2
"""Passwords hashed at once: each takes 7 MiB for its moment."""
POOL_THREADS = 3
"""Threads for compression and body files."""
FULL_PERCENT = 95
FULL_NAMED = 20
PURGE_LOOK_S = 3600.0
"""How often removed accounts are looked at; nothing is read from storage or written while none is due."""
HOST_LOOK_S = 60.0
"""How often the card's free space and the box are looked at; looking writes nothing."""


@dataclass(slots=True)
class Components:
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
    machine: Host

    @property
    def domains(self) -> tuple[str, ...]:
        return self.accounts.directory.domains()

    def host_name(self) -> str:
        """What the box calls itself, in A-labels: greetings, Received and Message-ID are ASCII (RFC 5321 §2.3.5, RFC 5322 §3.6.4)."""
        named = self.settings.server.host_name
        return ascii_domain(named or (f"mail.{self.domains[0]}" if self.domains else socket.gethostname()))

    def wanted_certificate(self) -> WantedCertificate:
        names = [*self.domains, *filter(None, (self.settings.server.host_name,))]
        return wanted(socket.gethostname(), names, host_addresses())


def limited(threads: int) -> Callable[[Callable[[], T]], Awaitable[T]]:
    """Run work in a thread, so many at once at most."""
    limiter = trio.CapacityLimiter(threads)

    async def in_thread(work: Callable[[], T]) -> T:
        return await trio.to_thread.run_sync(work, limiter=limiter)

    return in_thread


@dataclass(slots=True)
class Basics:
    """What there is before a data directory is open, and after: time, the one picture, the log."""

    clock: clocks.RealClock
    journal: Journal
    board: Board

    @classmethod
    def make(cls) -> "Basics":
        clock = clocks.RealClock()
        journal = Journal(clock, stamped=not os.environ.get("JOURNAL_STREAM"))
        return cls(clock, journal, Board(clock, journal.note))


@asynccontextmanager
async def open_components(data: Path, settings: Settings, outside: Basics | None = None) -> AsyncIterator[Components]:
    """Lock the data directory, open everything in it, close it again in order. Raises SetupError (InUse)."""
    around = outside or Basics.make()
    clock, journal, board = around.clock, around.journal, around.board

    def report(kind: str, text: str) -> None:
        if kind == "lazy":
            journal.say(text)
        elif kind in ("damaged", "repaired"):
            board.publish(StorageDamage(kind, text))
        else:
            board.publish(StorageTrouble(kind, text))

    with DataDirectory.open(data) as directory:
        if directory.tightened:
            journal.say(directory.tightened)
        refuse_lost_database(data)
        if is_left_behind(directory.descriptor):
            board.publish(ServerState("recovering"))
        if is_outdated(data / "pillarbox.db"):
            board.publish(ServerState("updating"))
        async with await Database.open(data / "pillarbox.db", report=report, mend=outside is not None) as database:
            accounts = Accounts(
                database,
                Passwords(limited(HASHES_AT_ONCE), scram_for_all=settings.accounts.scram_for == "all"),
                clock,
                changed=lambda: board.publish(accounts_state(accounts)),
            )
            default_quota = settings.accounts.quota_mb * MB or None

            def quota_of(account: "AccountId") -> int | None:
                found = accounts.directory.account(account)
                return found.quota_octets or default_quota if found else default_quota

            with needed_to_start(data):
                await database.read(accounts.read)
                await refuse_other_bodies(database, data)
                bodies = await Bodies.open(database, data / "bodies", trio.CapacityLimiter(POOL_THREADS))
                await keep_id(database, data)
                made_before = await authority_made_before(database)
                store = await Store.start(database, bodies, describe=make_describe, quota_of=quota_of)
            components: Components
            certificates = OwnCertificates(
                data / "certificates", clock=clock, board=board, say=journal.say, want=lambda: components.wanted_certificate()
            )
            certificates.made_before = made_before
            admin, machine = Admin(database, limited(HASHES_AT_ONCE)), Host(data, clock)
            components = Components(
                directory, clock, board, journal, database, accounts, store, bodies, certificates, settings, admin, machine
            )
            yield components


def accounts_state(accounts: Accounts) -> AccountsState:
    return AccountsState(len(accounts.directory.accounts()), accounts.directory.domains())


@asynccontextmanager
async def offline(data: Path) -> AsyncIterator["Control"]:
    """The hands of a server that nobody runs, for one command."""
    async with open_components(data, Settings()) as components:
        if components.directory.tightened:
            print(f"pillarbox: {components.directory.tightened}", file=sys.stderr)
        with needed_to_start(data):
            outbound = await Outbound.open(components, moving=False)
        yield admin_api_of(components, outbound, running=False)


def admin_api_of(
    components: Components,
    outbound: Outbound,
    *,
    running: bool,
    tls: "ServerTls | None" = None,
    stop: Callable[[Ending], None] | None = None,
    end_sessions: Callable[[], int] | None = None,
) -> "AdminApi":
    from .admin_api import AdminApi

    return AdminApi(
        data=components.directory.path,
        database=components.database,
        accounts=components.accounts,
        store=components.store,
        certificates=components.certificates,
        tls=tls,
        board=components.board if running else None,
        outbound=outbound,
        admin=components.admin,
        journal=components.journal,
        stop=stop,
        end_sessions=end_sessions,
    )


def serve(data: Path, settings: Settings, *, welcome: bool = False) -> int:
    """Be the server until told to stop; the exit status, AGAIN when it is to begin anew. Raises SetupError before anything is served."""
    clocks.set_time_zone(settings.server.time_zone)
    try:
        again = trio.run(_server, data, settings, welcome)
    except BaseExceptionGroup as group:  # the nursery's wrapping
        fault, rest = group.split(SetupError)
        if fault is None or rest is not None:
            raise
        first: BaseException = fault
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise first from None
    return AGAIN if again else 0


async def _server(data: Path, settings: Settings, welcome: bool) -> bool:
    """The LEDs and the log around, the server within them; whether to begin again."""
    outside = Basics.make()
    tried_out = welcome and sys.stdout.isatty()
    outside.journal.quiet = tried_out  # until the welcome, which would be lost among twenty lines
    panel = Panel(outside, settings.panel, simulated=tried_out)
    async with trio.open_nursery() as around:
        around.start_soon(outside.journal.run)
        around.start_soon(panel.lights)
        async with open_components(data, settings, outside) as components:
            ending = await _opened_server(components, panel, welcome)
        outside.board.publish(ServerState("stopped"))
        if ending is not Ending.AGAIN:
            await panel.farewell(stays=ending is Ending.AT_THE_BOX)
        around.cancel_scope.cancel()
    return ending is Ending.AGAIN


async def _opened_server(components: Components, panel: Panel, welcome: bool) -> Ending:
    """Until it is told to stop, and how it was."""
    settings = components.settings
    if os.geteuid() == 0:
        components.journal.say(
            f"It runs as root, since {components.directory.path} belongs to root; better give it to a user of its own (chown -R)."
        )
    if settings.server.domain:
        had = components.domains
        with needed_to_start(components.directory.path):
            added = await components.accounts.ensure_domain(settings.server.domain)
        if had and added not in had:
            components.journal.say(
                f"{added} is taken in as a further domain; addresses stay. To change one: pillarbox account rename OLD NEW"
            )
    components.board.publish(accounts_state(components.accounts))
    tls = await certificate_of(components)
    sending = sending_of(components)
    with needed_to_start(components.directory.path):
        outbound = await Outbound.open(components)
    listeners = listeners_of(components, tls, sending, outbound)
    outbound.listening = listeners.places
    listeners.bind()

    @cache
    def admin_api() -> "AdminApi":
        """The one pair of hands, made when somebody first needs it."""
        return admin_api_of(components, outbound, running=True, tls=tls, stop=stop, end_sessions=end_sessions)

    def end_sessions() -> int:
        """Of accounts and passwords that are gone."""
        return listeners.end_sessions(components.accounts.is_current)

    def stop(ending: Ending) -> None:
        supervisor.stop(ending)

    control = ControlServer(components.directory.descriptor, admin_api, components.journal.say)

    async def clock_set() -> None:
        components.certificates.look_again()
        await outbound.queue.clock_set()

    async def writer_answers() -> None:
        await components.database.write(lambda transaction: None)

    reclaim = Reclaim(
        components.database, components.bodies, components.clock,
        told=lambda files: components.board.publish(OrphanedBodies(files)), missing=lambda files: components.board.publish(bodies_missing(files)),
    )  # fmt: skip
    parts = [
        Task("clock", _standing(lambda: clocks.watch(components.clock, components.board, clock_set))),  # type: ignore[arg-type]
        Task("storage", _standing(lambda: _watch_host(components)), alive=writer_answers),
        Task("control", control.run),
        Task("queue", outbound.run, drain=outbound.drain),
        Task("listeners", listeners.run, drain=listeners.drain),
        Task("sending", _standing(lambda: sending.run(components.clock.mono_s))),
        Task("reclaim", _standing(reclaim.run)),
        Task("redescription", _standing(Redescription(components.store).run)),
        Task("removed accounts", _standing(lambda: _purge_removed(components))),
        Task("scrub", _standing(lambda: scrub(components.database))),
        *panel.parts(components, admin_api),
    ]
    if components.certificates.in_use():
        parts.insert(3, Task("certificates", lambda task_status: components.certificates.run(tls.reload, task_status=task_status)))
    supervisor = Supervisor(
        parts,
        board=components.board,
        say=components.journal.say,
        notifier=Notifier(os.environ),
        on_hangup=tls.reload if not welcome else lambda: supervisor.stop(),  # tried out, it ends with its terminal
        drain_s=settings.limits.drain_s + 10.0,
    )
    if welcome:
        from .first_run import first_account

        told = await first_account(admin_api(), settings.server.domain, sys.stdout)
    else:
        told = None

    def ready() -> None:
        components.journal.flush()
        if told is not None:
            from .first_run import guide

            guide(told, listeners.bound, components.directory.path, sys.stdout)
        components.journal.quiet = False
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


def nearly_full(components: Components) -> tuple[str, ...]:
    """A sentence for each account that has used FULL_PERCENT of its space; FULL_NAMED at most."""
    told = []
    for account in components.accounts.directory.accounts():
        used, limit = components.store.quota(account.id)
        if limit and used >= limit:
            told.append(f"The mailbox of {account.address} is full: new messages are put off, notices of failed delivery still come.")
        elif limit and used * 100 >= limit * FULL_PERCENT:
            told.append(f"The mailbox of {account.address} is nearly full: {used / MB:,.1f} of {limit / MB:,.1f} MB are used.")
    return tuple(told[:FULL_NAMED])


async def _purge_removed(components: Components) -> None:
    """Erase the mail of accounts that were removed long enough ago."""
    while True:
        for account in await components.accounts.purge_expired(components.store.remove_mailboxes):
            components.journal.say(f"{account.address} was removed {KEPT_DAYS} days ago: the mail is erased now.")
        await trio.sleep(PURGE_LOOK_S)


async def _watch_host(components: Components) -> None:
    """Announce the card's space now and then, and how the box itself is."""
    addresses: tuple[str, ...] | None = None
    full: tuple[str, ...] = ()
    shared: tuple[str, ...] = ()
    console = components.settings.panel.console
    while True:
        about = os.statvfs(components.directory.descriptor)
        mail = sum(components.store.quota(account.id)[0] for account in components.accounts.directory.accounts())
        free, total = about.f_bavail * about.f_frsize, about.f_blocks * about.f_frsize
        components.board.publish(StorageState(free, total, mail, components.machine.worn_percent()))
        if full != (full := nearly_full(components)):
            components.board.publish(ConditionFound("mailbox-full", full))
        if console:
            others = sentences(console, await trio.to_thread.run_sync(others_on, console))
            if shared != (shared := others):
                components.board.publish(ConditionFound("console-shared", shared))
        box = components.machine.look()
        components.board.publish(box)
        if addresses != (addresses := box.addresses):
            components.journal.say(f"The box is at {', '.join(addresses)}." if addresses else "The box has no address: no network.")
        await trio.sleep(HOST_LOOK_S)
