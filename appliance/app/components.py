"""What every use of a data directory stands on: clock, status board, journal, database, accounts, store, certificates.

`open_components` locks the data directory, opens all of it and closes it again in order. The running server, a server
opened for one command and the tests use the same. Nothing here knows a protocol.
How it fails: SetupError (InUse when another process holds the lock), and nothing stays open.
"""

import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import trio

from appliance.accounts.accounts import Accounts
from appliance.accounts.passwords import Passwords
from appliance.certificates.certificates import OwnCertificates
from appliance.certificates.contents import WantedCertificate, wanted
from appliance.config.settings import Settings
from appliance.control.local_socket import is_left_behind
from appliance.database.database import Database
from appliance.database.migrations import is_outdated
from appliance.mail.address import ascii_domain
from appliance.mail.limits import MB
from appliance.protocol.imap.bodystructure import make_describe
from appliance.queue.submissions import report_came
from appliance.runtime.clock import RealClock
from appliance.runtime.data_directory import DataDirectory
from appliance.runtime.host import Host, host_addresses
from appliance.runtime.identity import (
    BODIES,
    DATABASE,
    authority_made_before,
    keep_id,
    needed_to_start,
    refuse_lost_database,
    refuse_other_bodies,
)
from appliance.status.board import Board
from appliance.status.events import AccountsState, ServerState, StorageDamage, StorageTrouble
from appliance.status.journal import Journal
from appliance.store.bodies import Bodies
from appliance.store.observers import Observers
from appliance.store.search_index import SearchIndex
from appliance.store.store import Store

from .transfers import Transfers

if TYPE_CHECKING:
    from appliance.accounts.second_factor import SecondFactors
    from appliance.accounts.setup_code import SetupCode
    from appliance.auth.login import Login
    from appliance.mail.clock import Clock
    from appliance.mail.ids import AccountId

T = TypeVar("T")

HASHES_AT_ONCE = 2
"""Passwords hashed at once: each takes 7 MiB while it is hashed."""
SEARCH_INDEX = "search"
"""Directory of the search index: it may be removed while no server runs, and is made anew."""
POOL_THREADS = 3
"""Threads for compression and body files."""
OBSERVERS = Observers(appended=(report_came,))
"""What joins the commits that change mail."""


@dataclass(slots=True)
class Components:
    """Everything of one open data directory."""

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
    host: Host
    login: "Callable[[], Login]"
    """The one Login that all services share, so that its throttle counts across them; made when it is first needed."""
    second_factors: "Callable[[], SecondFactors]"
    """The same of second factors."""
    search_index: SearchIndex | None = None
    """None for an opening that answers no search."""
    transfers: Transfers = field(init=False)
    """Exports and imports by browsers."""
    setup_code: "SetupCode | None" = None
    """What opens a running server without accounts; None where there are accounts, or no server runs."""
    settings_file: Path | None = None
    """Where the settings were read from; None for the place in the data directory (`config.settings_edit`)."""

    @property
    def domains(self) -> tuple[str, ...]:
        return self.accounts.directory.domains()

    def host_name(self) -> str:
        """The server's host name in A-labels: greetings, Received and Message-ID are ASCII (RFC 5321 §2.3.5, RFC 5322 §3.6.4)."""
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
    """What exists before a data directory is open and after it is closed: clock, log, status board."""

    clock: RealClock
    journal: Journal
    board: Board

    @classmethod
    def make(cls) -> "Basics":
        clock = RealClock()
        journal = Journal(clock, stamped=not os.environ.get("JOURNAL_STREAM"))
        return cls(clock, journal, Board(clock, journal.note))


@asynccontextmanager
async def open_components(data: Path, settings: Settings, outside: Basics | None = None) -> AsyncIterator[Components]:
    """Lock the data directory, open everything in it, close it again in order. Raises SetupError (InUse).

    With `outside` it is opened to be served, and a damaged index is rebuilt.
    """
    basics = outside or Basics.make()
    with DataDirectory.open(data) as directory:
        if directory.tightened:
            basics.journal.log(directory.tightened)
        refuse_lost_database(data)
        if is_left_behind(directory.descriptor):
            basics.board.publish(ServerState("recovering"))
        if is_outdated(data / DATABASE):
            basics.board.publish(ServerState("updating"))
        async with await Database.open(data / DATABASE, report=_reporter(basics), mend=outside is not None) as database:
            yield await _components(directory, database, settings, basics)


def _reporter(basics: Basics) -> Callable[[str, str], None]:
    """Where the database reports trouble: (kind, sentence)."""

    def report(kind: str, text: str) -> None:
        if kind == "lazy":
            basics.journal.log(text)
        elif kind in ("damaged", "repaired"):
            basics.board.publish(StorageDamage(kind, text))
        else:
            basics.board.publish(StorageTrouble(kind, text))

    return report


async def _components(directory: DataDirectory, database: Database, settings: Settings, basics: Basics) -> Components:
    data, clock, board = directory.path, basics.clock, basics.board
    accounts = Accounts(
        database,
        Passwords(limited(HASHES_AT_ONCE), scram_for_all=settings.accounts.scram_for == "all"),
        clock,
        changed=lambda: board.publish(accounts_state(accounts)),
    )
    quota_of = quota_lookup(accounts, lambda: components.settings.accounts.quota_mb * MB or None)
    with needed_to_start(data):
        await database.read(accounts.read)
        await refuse_other_bodies(database, data)
        bodies = await Bodies.open(database, data / BODIES, trio.CapacityLimiter(POOL_THREADS))
        await keep_id(database, data)
        made_before = await authority_made_before(database)
        store = await Store.start(database, bodies, describe=make_describe, quota_of=quota_of, clock=clock, observers=OBSERVERS)
    components = assembled(directory, database, settings, basics, accounts, store, bodies)
    components.search_index = store.search_index = SearchIndex(
        store, data / SEARCH_INDEX, read_hop=limited(1), write_hop=limited(1), report=basics.journal.log
    )
    components.certificates.made_before = made_before
    return components


def assembled(
    directory: DataDirectory, database: Database, settings: Settings, basics: Basics, accounts: Accounts, store: Store, bodies: Bodies
) -> Components:
    """Components of what was opened, with certificates, sign-in and host facts beside it."""
    clock, board, journal = basics.clock, basics.board, basics.journal
    certificates = OwnCertificates(
        directory.path / "certificates", clock=clock, board=board, log=journal.log, want=lambda: components.wanted_certificate()
    )
    host = Host(directory.path, clock)
    login, factors = cache(lambda: make_login(components)), cache(lambda: make_second_factors(components))
    components = Components(
        directory, clock, board, journal, database, accounts, store, bodies, certificates, settings, host, login, factors
    )  # fmt: skip
    components.transfers = Transfers(store, directory.path, clock)
    return components


def make_login(components: Components) -> "Login":
    from appliance.accounts.throttle import Throttle
    from appliance.auth.login import Login

    return Login(components.accounts, Throttle(), components.board, components.clock)


def make_second_factors(components: Components) -> "SecondFactors":
    from appliance.accounts.second_factor import SecondFactors

    return SecondFactors(components.accounts, components.clock)


def quota_lookup(accounts: Accounts, default: "Callable[[], int | None]") -> "Callable[[AccountId], int | None]":
    """The quota of an account in octets: its own, or the default; None for no limit."""

    def quota_of(account: "AccountId") -> int | None:
        found = accounts.directory.account(account)
        return (found.quota_octets if found else None) or default()

    return quota_of


def accounts_state(accounts: Accounts) -> AccountsState:
    return AccountsState(len(accounts.directory.accounts()), accounts.directory.domains())
