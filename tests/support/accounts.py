"""Accounts on a real database that commits inline, and what login checks need around them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import trio

from appliance.accounts.accounts import Accounts
from appliance.accounts.passwords import Passwords
from appliance.accounts.throttle import Throttle
from appliance.auth.login import Login
from appliance.auth.mechanisms import Mechanisms
from appliance.database.database import InlineWriter
from appliance.status.events import Event

T = TypeVar("T")


class TrioClock:
    """The Clock port on trio's clock, so that virtual time moves everything."""

    def __init__(self) -> None:
        self.wall_from_s = 1_700_000_000.0
        self.is_trusted = True

    def wall_s(self) -> float:
        return self.wall_from_s + self.mono_s()

    def mono_s(self) -> float:
        try:
            return trio.current_time()
        except RuntimeError:
            return 0.0

    def trusted(self) -> bool:
        return self.is_trusted

    def utc_offset_s(self) -> int:
        return 0


class Listener:
    """A board that keeps the published events."""

    def __init__(self) -> None:
        self.heard: list[Event] = []

    def publish(self, event: Event) -> None:
        self.heard.append(event)


@dataclass
class Counted:
    """Runs a thread's work inline and counts it; virtual time and threads do not mix."""

    runs: int = 0

    async def __call__(self, work: Callable[[], T], /) -> T:
        self.runs += 1
        await trio.lowlevel.checkpoint()
        return work()


@dataclass
class Family:
    writer: InlineWriter
    clock: TrioClock
    accounts: Accounts
    threads: Counted
    board: Listener = field(default_factory=Listener)
    failure_s: float = 2.0

    def __post_init__(self) -> None:
        self.throttle = Throttle()
        self.login = Login(self.accounts, self.throttle, self.board, self.clock, failure_s=self.failure_s)
        self.mechanisms = Mechanisms(self.login)

    async def add_second_admin(self) -> None:
        """So that the first account may be removed or disabled."""
        await self.accounts.add_account("second@home.example", "Second-Horse-8")
        await self.accounts.set_admin("second@home.example", True)


@contextmanager
def a_family(directory: Path, *, scram_for_all: bool = True, failure_s: float = 2.0) -> Iterator[Family]:
    """A server without accounts. SCRAM's iterations are the least RFC 7677 §4 allows, to save the tests' time."""
    writer = InlineWriter(directory / "accounts.db")
    threads, clock = Counted(), TrioClock()
    passwords = Passwords(threads, scram_for_all=scram_for_all)
    passwords.scram_iterations = 4096
    accounts = Accounts(writer, passwords, clock)
    writer.read_now(accounts.read)
    try:
        yield Family(writer, clock, accounts, threads, failure_s=failure_s)
    finally:
        writer.close()
