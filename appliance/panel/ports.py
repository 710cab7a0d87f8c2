"""What the console is given: snapshots, the admin API, options, and the access guard, which remembers wrong answers."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

import trio

from appliance.control.requests import Request, Response
from appliance.languages.catalogues import ENGLISH, Language, in_ascii
from appliance.mail.sentence import Sentence, joined
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

    `can_quit`: q ends the console. `octets_per_s`: the speed of the line. `language`: of who looks; it may change.
    """

    lock_s: float = 300.0
    plain: bool = False
    utf8: bool = False
    can_quit: bool = False
    octets_per_s: float = 11_520.0
    language: Callable[[], Language] = lambda: ENGLISH


def spoken(options: ConsoleOptions) -> Language:
    """The language of who looks, in characters that the terminal has."""
    return options.language() if options.utf8 else in_ascii(options.language())


class AdminGrant(Protocol):
    """Somebody signed in as an administrator."""

    def holds(self) -> bool:
        """No once the password or the role is gone."""
        ...


@dataclass(frozen=True, slots=True)
class SignInStep:
    """One thing that is asked for: `label`, and `answer` to what was typed: a further step, the grant, or why not in a sentence."""

    label: str
    answer: Callable[[str], Awaitable["SignInResult"]]
    hidden: bool = True


SignInResult = SignInStep | AdminGrant | str


class AdminSignIn(Protocol):
    """How an administrator signs in at the console."""

    def begin(self) -> SignInStep | str:
        """What is asked for first; or in a sentence why nobody can sign in."""
        ...

    @property
    def notice(self) -> str:
        """A line for the first screen, such as a password for one use; "" for none."""
        ...


class AccessGuard:
    """Who may change something at one port; without an `admin` everybody. Remembers wrong answers across dialogues."""

    def __init__(self, admin: AdminSignIn | None) -> None:
        self._admin = admin
        self._wrong = 0
        self._again_mono = 0.0

    @property
    def requires_password(self) -> bool:
        return self._admin is not None

    @property
    def notice(self) -> str:
        """A line for the first screen, or ""."""
        return self._admin.notice if self._admin else ""

    @property
    def wait_s(self) -> float:
        """Until the next try."""
        return max(0.0, self._again_mono - trio.current_time())

    def begin(self) -> SignInStep | str:
        """As AdminSignIn."""
        return self._admin.begin() if self._admin else Sentence("Nothing is asked for here.")

    async def answered(self, step: SignInStep, typed: str) -> SignInResult:
        """The step's answer; after a wrong one the next try has to wait."""
        result = await step.answer(typed)
        if isinstance(result, str):
            pause_s = min(WRONG_S[1], WRONG_S[0] * float(2**self._wrong))
            self._wrong = min(self._wrong + 1, 16)
            self._again_mono = trio.current_time() + pause_s
            return joined(result, Sentence("The next try in %(pause)s s.", pause=f"{pause_s:.0f}"))
        if not isinstance(result, SignInStep):
            self._wrong = 0
        return result
