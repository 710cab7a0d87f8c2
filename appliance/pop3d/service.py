"""POP3 on 110 and 995: what every session shares.

The locks of maildrops live here, in memory: they end with their session, or with the process. Whoever finds a maildrop
locked has the holder's connection probed: a client that lost its network gives the lock up in seconds, and none of its
deletes are done (`Session.give_up`).
"""

from dataclasses import dataclass

from appliance.auth.login import Login
from appliance.auth.mechanisms import Mechanisms
from appliance.mail.ids import AccountId
from appliance.mail.limits import POP3_IDLE_S
from appliance.network.stream import Stream
from appliance.store.store import Store

from .connection import Connection
from .session import Session


@dataclass(frozen=True, slots=True)
class Options:
    """`idle_s`: RFC 1939 §3 asks for ten minutes at least. `before_login_s`: all silences of a stranger together.
    `errors`: commands in a row that are none. `mark_seen`: what was fetched here shows as read over IMAP."""

    idle_s: float = POP3_IDLE_S
    before_login_s: float = 60.0
    errors: int = 20
    mark_seen: bool = True


class Service:
    """All POP3 sessions of the server."""

    def __init__(self, *, store: Store, login: Login, mechanisms: Mechanisms, options: Options | None = None) -> None:
        self._store = store
        self._login = login
        self._mechanisms = mechanisms
        self._options = options or Options()
        self._locks: dict[AccountId, Session] = {}

    async def handle(self, stream: Stream) -> None:
        """One session to its end; TLS of the implicit port is already on. Raises PeerGone, PeerSlow."""
        options = self._options
        connection = Connection(stream, idle_s=options.idle_s, before_login_s=options.before_login_s, errors=options.errors)
        session = Session(
            stream,
            connection,
            connection.conversation,
            store=self._store,
            login=self._login,
            mechanisms=self._mechanisms,
            locks=self._locks,
            mark_seen=options.mark_seen,
        )
        try:
            with session.scope:
                await connection.run(session)
        finally:
            session.close()
