"""The POP3 service on 110 and 995: what all sessions share.

The locks of maildrops are kept here, in memory: they end with their session, or with the process. A session that finds a maildrop
locked has the lock owner's connection probed: a client that lost its network loses the lock in seconds, and none of its
deletions are done (`Pop3Session.give_up`).
"""

from dataclasses import dataclass, replace

from appliance.auth.login import Login
from appliance.auth.mechanisms import Mechanisms
from appliance.mail.limits import POP3_IDLE_S
from appliance.network.stream import Stream
from appliance.store.store import Store

from .connection import Pop3Connection
from .session import Pop3Context, Pop3Session


@dataclass(frozen=True, slots=True)
class Pop3Options:
    """`idle_s`: autologout, at least ten minutes (RFC 1939 §3). `before_login_s`: all waiting before sign-in together.
    `errors`: wrong commands in a row that end a session. `mark_seen`: RETR sets \\Seen, which IMAP clients show."""

    idle_s: float = POP3_IDLE_S
    before_login_s: float = 60.0
    errors: int = 20
    mark_seen: bool = True


class Pop3Service:
    """All POP3 sessions of the server."""

    def __init__(self, *, store: Store, login: Login, mechanisms: Mechanisms, options: Pop3Options | None = None) -> None:
        self._options = options or Pop3Options()
        self._context = Pop3Context(store, login, mechanisms, {}, self._options.mark_seen)

    def use(self, options: Pop3Options) -> None:
        """For sessions that begin from now on."""
        self._options = options
        self._context = replace(self._context, mark_seen=options.mark_seen)

    async def handle(self, stream: Stream) -> None:
        """One session to its end; TLS of the implicit port is already on. Raises PeerGone, PeerSlow."""
        options = self._options
        connection = Pop3Connection(stream, idle_s=options.idle_s, before_login_s=options.before_login_s, errors=options.errors)
        session = Pop3Session(self._context, stream, connection, connection.protocol)
        try:
            with session.scope:
                await connection.run(session)
        finally:
            session.close()
