"""What the console is given: snapshots, the admin API, options, and the access guard, which remembers wrong passwords."""

from dataclasses import dataclass
from typing import Protocol

import trio

from appliance.control.requests import Request, Response
from appliance.status.snapshot import Snapshot

WRONG_S = (1.0, 60.0)
"""First and longest pause after a wrong password; it doubles."""


class SnapshotSource(Protocol):
    """The board, or the one of another process."""

    def snapshot(self) -> Snapshot: ...

    async def changed(self, since: int) -> Snapshot: ...


class ControlPort(Protocol):
    """As much of `Control` as the panel uses."""

    async def ask(self, request: Request) -> Response: ...


@dataclass(frozen=True, slots=True)
class ConsoleOptions:
    """`lock_s`: idle time after which the password is required again. `plain`: lines for a terminal without commands.

    `can_quit`: q ends the console. `octets_per_s`: the speed of the line.
    """

    lock_s: float = 300.0
    plain: bool = False
    utf8: bool = False
    can_quit: bool = False
    octets_per_s: float = 11_520.0


class AdminPasswordPort(Protocol):
    """Checks the admin password."""

    async def known(self) -> bool:
        """Whether a password is set at all."""
        ...

    async def check(self, password: str) -> bool: ...

    @property
    def changes(self) -> int:
        """How often the password was set since the start: who was let in with a former one is locked out again."""
        ...

    @property
    def prompt(self) -> str:
        """What is asked for."""
        ...

    @property
    def notice(self) -> str:
        """A line for the first screen, such as a password for one use; "" for none."""
        ...


class AccessGuard:
    """Who may change something at one port; without an `admin` everybody. Remembers wrong passwords across dialogues."""

    def __init__(self, admin: AdminPasswordPort | None) -> None:
        self._admin = admin
        self._wrong = 0
        self._again_mono = 0.0

    @property
    def requires_password(self) -> bool:
        return self._admin is not None

    @property
    def changes(self) -> int:
        """As AdminPasswordPort."""
        return self._admin.changes if self._admin else 0

    @property
    def notice(self) -> str:
        """A line for the first screen, or ""."""
        return self._admin.notice if self._admin else ""

    @property
    def prompt(self) -> str:
        """What is asked for before something is changed."""
        return self._admin.prompt if self._admin else ""

    @property
    def wait_s(self) -> float:
        """Until the next password may be tried."""
        return max(0.0, self._again_mono - trio.current_time())

    async def refusal(self, password: str) -> str:
        """Why `password` is not accepted, in a sentence; "" when it is."""
        if self._admin is None:
            return ""
        if not await self._admin.known():
            return "No admin password has been set yet: pillarbox admin password"
        if await self._admin.check(password):
            self._wrong = 0
            return ""
        pause_s = min(WRONG_S[1], WRONG_S[0] * float(2**self._wrong))
        self._wrong = min(self._wrong + 1, 16)
        self._again_mono = trio.current_time() + pause_s
        return f"That is not the {self.prompt.rstrip(':').lower()}. The next try in {pause_s:.0f} s."
