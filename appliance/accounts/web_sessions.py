"""Sessions of browsers: who signed in where, until when, and how to end it.

| a session ends                                  | when                                                              |
|-------------------------------------------------|-------------------------------------------------------------------|
| it is signed out, or its password changes       | at once (`Accounts.is_current`, asked at each request)            |
| it is not used for IDLE_S, or is ABSOLUTE_S old | at the next request                                               |
| its account has PER_ACCOUNT newer ones          | with the sign-in that is one too many: the longest unused goes    |

Invariants: storage has the SHA-256 of a session's secret, never the secret; a secret has 256 random bits, so a plain digest is
enough. Looking writes nothing: the last use is in memory, and written lazily once a day. All sessions are in memory
after `open`; there are at most PER_ACCOUNT for each account.
While the clock is not trusted nothing expires. How it fails: StoreError.
"""

import hashlib
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import trio

from appliance.database.database import AnyDatabase
from appliance.database.group import Transaction
from appliance.mail.clock import Clock
from appliance.mail.ids import AccountId

from .directory import Executes

SECRET_OCTETS = 32
IDLE_S = 7 * 86_400
ABSOLUTE_S = 30 * 86_400
PER_ACCOUNT = 20
NOTED_S = 86_400
"""How old the written last use may be before it is written again."""
CONFIRMED_S = 300.0
"""For so long after the password was typed the session may do what needs it again."""
TEXT_CHARACTERS = 200
"""Kept of what a browser says it is."""
NOTES = 5
COLUMNS = "digest, account, password, made_at, used_at, peer, agent, language"

IsCurrent = Callable[[AccountId, int], bool]


@dataclass(slots=True)
class WebSession:
    """One browser's session. `confirmed_mono`: when the password was last typed (monotonic; not kept over a restart)."""

    digest: bytes = field(repr=False)
    account: AccountId
    password: int
    made_at: int
    used_at: int
    peer: str
    agent: str
    language: str = ""
    noted_at: int = 0
    confirmed_mono: float = float("-inf")
    notes: list[str] = field(default_factory=list)
    """Sentences about what was done, for the next page; in memory only."""
    offered_secret: bytes = field(default=b"", repr=False)
    """Of a second factor that is being set up; in memory only."""
    ended: bool = False
    """Signed out, or gone for a newer one."""
    _endings: list[Callable[[], object]] = field(default_factory=list, repr=False)

    @property
    def key(self) -> str:
        """Names the session in a list; tells nothing about its secret."""
        return self.digest[:8].hex()

    def note(self, text: str) -> None:
        self.notes = [*self.notes[1 - NOTES :], text]

    @contextmanager
    def calls_at_its_end(self, ending: Callable[[], object]) -> Iterator[None]:
        """`ending` is called when the session ends within, at once when it has ended already."""
        self._endings.append(ending)
        try:
            if self.ended:
                ending()
            yield
        finally:
            self._endings.remove(ending)

    def end(self) -> None:
        self.ended = True
        for ending in tuple(self._endings):
            ending()


class WebSessions:
    """All sessions of the server. `is_current`: `Accounts.is_current`."""

    def __init__(self, database: AnyDatabase, clock: Clock, is_current: IsCurrent) -> None:
        self._database = database
        self._clock = clock
        self._is_current = is_current
        self._sessions: dict[bytes, WebSession] = {}
        self._opening = trio.Lock()
        self._is_open = False
        self.ended: Callable[[], object] = lambda: None
        """Called when a session was signed out, or went for a newer one."""

    async def open(self) -> None:
        """Read what is stored, once."""
        async with self._opening:
            if not self._is_open:
                self._sessions = {session.digest: session for session in await self._database.read(_read)}
                self._is_open = True

    async def begin(self, account: AccountId, password: int, *, peer: str, agent: str, language: str = "", confirmed: bool = True) -> str:
        """A new session of whoever just signed in; its secret, for the cookie. `confirmed`: the password was typed for it."""
        secret, now = secrets.token_urlsafe(SECRET_OCTETS), int(self._clock.wall_s())
        shown = "".join(character if character.isprintable() else " " for character in agent[:TEXT_CHARACTERS])
        session = WebSession(_digest(secret), account, password, now, now, peer, shown, language, now)
        if confirmed:
            self.confirm(session)
        stale = [one.digest for one in self._sessions.values() if not self._is_live(one)]
        mine = sorted((one for one in self.of(account) if one.digest not in stale), key=lambda one: one.used_at)
        stale += [one.digest for one in mine[: max(0, len(mine) - PER_ACCOUNT + 1)]]

        def keep(transaction: Transaction) -> None:
            for digest in stale:
                transaction.execute("DELETE FROM web_session WHERE digest = ?", (digest,))
            transaction.execute(
                f"INSERT INTO web_session({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - a constant
                (session.digest, account, password, now, now, peer, shown, language),
            )

        await self._database.write(keep)
        for digest in stale:
            self._forget(digest)
        self._sessions[session.digest] = session
        return secret

    def find(self, secret: str) -> WebSession | None:
        """The live session with this secret; that is a use of it."""
        session = self._sessions.get(_digest(secret)) if secret else None
        if session is None or not self._is_live(session):
            return None
        if self._clock.trusted():
            session.used_at = int(self._clock.wall_s())
            if not 0 <= session.used_at - session.noted_at <= NOTED_S:
                self._note_use(session)
        return session

    def of(self, account: AccountId) -> list[WebSession]:
        """The live sessions of an account, the last used first."""
        found = [one for one in self._sessions.values() if one.account == account and self._is_live(one)]
        return sorted(found, key=lambda one: -one.used_at)

    def is_known(self, digest: bytes) -> bool:
        """Is there a live session with this digest of its secret?"""
        session = self._sessions.get(digest)
        return session is not None and self._is_live(session)

    def is_live(self, session: WebSession) -> bool:
        """May it go on? For responses that last longer than the request that asked for them."""
        return self._sessions.get(session.digest) is session and self._is_live(session)

    async def end(self, *ended: WebSession) -> None:
        """Sign out; from now on the cookie is worth nothing."""
        for session in ended:
            self._forget(session.digest)
        digests = [session.digest for session in ended]

        def forget(transaction: Transaction) -> None:
            for digest in digests:
                transaction.execute("DELETE FROM web_session WHERE digest = ?", (digest,))

        await self._database.write(forget)

    def _forget(self, digest: bytes) -> None:
        if (session := self._sessions.pop(digest, None)) is not None:
            session.end()
            self.ended()

    async def move(self, session: WebSession, password: int) -> None:
        """The account's password was changed in this session: it goes on with the new one (its row's number)."""
        session.password = password
        statement = "UPDATE web_session SET password = ? WHERE digest = ?"
        await self._database.write(lambda transaction: transaction.execute(statement, (password, session.digest)))

    async def set_language(self, session: WebSession, language: str) -> None:
        session.language = language
        statement = "UPDATE web_session SET language = ? WHERE digest = ?"
        await self._database.write(lambda transaction: transaction.execute(statement, (language, session.digest)))

    def confirm(self, session: WebSession) -> None:
        """The password was typed just now."""
        session.confirmed_mono = self._clock.mono_s()

    def is_confirmed(self, session: WebSession) -> bool:
        """Was the password typed within CONFIRMED_S?"""
        return self._clock.mono_s() - session.confirmed_mono <= CONFIRMED_S

    def _is_live(self, session: WebSession) -> bool:
        if not self._is_current(session.account, session.password):
            return False
        now = self._clock.wall_s()
        return not self._clock.trusted() or (now - session.used_at <= IDLE_S and now - session.made_at <= ABSOLUTE_S)

    def _note_use(self, session: WebSession) -> None:
        used_at = session.noted_at = session.used_at
        statement = "UPDATE web_session SET used_at = ? WHERE digest = ?"
        self._database.write_lazily(lambda transaction: transaction.execute(statement, (used_at, session.digest)))


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()


def _read(reads: Executes) -> list[WebSession]:
    rows = reads.execute(f"SELECT {COLUMNS} FROM web_session")  # noqa: S608 - a constant
    return [
        WebSession(bytes(digest), AccountId(account), password, made_at, used_at, peer, agent, language, used_at)
        for digest, account, password, made_at, used_at, peer, agent, language in rows
    ]
