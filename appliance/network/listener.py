"""The listeners: accept, admit or refuse connections, guard each session, and drain them in order.

| a session is | goes on to |
|---|---|
| accepted | refused (one sentence, closed) · handshake (implicit TLS) · served |
| handshake | served · closed (deadline, fault, shed, cancelled) |
| served | closed (its end, peer gone, drained, shed, cancelled) · failed (an exception: this session only) |

Invariants: a fault ends its own session only; no source takes more than its share; when the server is full the
unauthenticated session that was idle for longest is shed; out of descriptors it waits and never spins. How it fails: a
listening socket that breaks is published and opened again with growing pauses; SetupError at `bind`.
"""

import errno
import os
import resource
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import trio

from appliance.mail.errors import PeerError, PillarboxError, SetupError
from appliance.mail.ids import AccountId
from appliance.mail.limits import CONNECTIONS, CONNECTIONS_PER_ADDRESS, TLS_HANDSHAKE_S
from appliance.mail.protocols import IMPLICIT_TLS
from appliance.mail.sentence import Sentence
from appliance.status.board import Board
from appliance.status.events import ListenerDown, ListenerUp, SessionClosed, SessionFailed, SessionOpened, SessionRefused
from appliance.status.journal import frames_of

from .ratelimit import Buckets, is_loopback, source_of, subnet_of
from .sockets import Endpoint, ListeningSocket, open_listening_sockets, reopen, waiting_connections
from .stream import Attention, Draining, Stream, TlsSource

Handler = Callable[[Stream], Awaitable[None]]
"""A service's `handle`: one session to its end."""

SPARE_DESCRIPTORS = 128
"""Kept from sessions for the database, body files, journal and listeners."""
SHED_IDLE_S = 2.0
"""An unauthenticated session of a full server is shed only after this long without progress: no round trip takes longer."""
SHED_GRACE_S = 4.0
"""To send a last reply and close; then the session is cancelled."""
REVOKED_GRACE_S = 1.0
"""For a session whose password is gone: to finish the current command and send a last reply; then it is cancelled."""
SHED_AT_ONCE = 64
"""Sessions that may be closing while new ones already take their places."""
STARVED_S = (0.1, 1.6)
"""First and longest pause after accept found no descriptor or memory."""
REOPEN_S = (1.0, 60.0)
"""First and longest pause before a socket that failed is opened again."""
STARVED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
PASSING = frozenset({
    errno.ECONNABORTED, errno.EPERM, errno.EPROTO, errno.ENOPROTOOPT, errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTDOWN,
    errno.ENONET, errno.EHOSTUNREACH, errno.EOPNOTSUPP, errno.ETIMEDOUT, errno.ECONNRESET, errno.EINTR,
})  # fmt: skip
"""Faults of the one connection that was to be accepted (accept(2)); the next may be fine."""

REVOKED = "the password was changed or removed"
REFUSALS: tuple[tuple[str, str], ...] = (
    ("smtp", "421 4.7.0 {}\r\n"),  # RFC 5321 §3.8, RFC 3463
    ("submission", "421 4.7.0 {}\r\n"),
    ("imap", "* BYE {}\r\n"),  # RFC 9051 §7.1.5
    ("pop3", "-ERR [SYS/TEMP] {}\r\n"),  # RFC 3206
)
"""The refusal of each protocol; an implicit TLS port just closes, since a handshake is what a flood wants."""


@dataclass(frozen=True, slots=True)
class ListenerOptions:
    """`sources_per_s` and `source_burst` bound new connections of one address (IPv6: /64); a subnet has four times that."""

    connections: int = CONNECTIONS
    connections_per_source: int = CONNECTIONS_PER_ADDRESS
    sources_per_s: float = 10.0
    source_burst: int = 200
    spare_loopback: bool = True
    """Programs on this host may connect as often as they like; the limits of open connections hold for them too."""
    handshake_s: float = TLS_HANDSHAKE_S
    drain_s: float = 10.0
    shed_idle_s: float = SHED_IDLE_S
    reopen_s: tuple[float, float] = REOPEN_S


class _Session:
    """One open connection as the listeners see it."""

    __slots__ = ("scope", "shed", "source", "stream")

    def __init__(self, stream: Stream, source: bytes) -> None:
        self.stream = stream
        self.source = source
        self.scope = trio.CancelScope()
        self.shed = False


class Listeners:
    """All listening sockets of a server and the sessions behind them.

    `services` maps each protocol to its handler. `bind()`, then `run()`; `drain()` ends `run` in order.
    """

    def __init__(
        self,
        endpoints: Sequence[Endpoint],
        services: Mapping[str, Handler],
        *,
        board: Board,
        log: Callable[[str], None],
        tls: TlsSource | None = None,
        handed: Sequence[ListeningSocket] = (),
        options: ListenerOptions | None = None,
    ) -> None:
        self.options = options or ListenerOptions()
        self._endpoints = tuple(endpoints)
        self._handed = tuple(handed)
        self._services = dict(services)
        self._board = board
        self._log = log
        self._tls = tls
        self._listening_sockets: list[ListeningSocket] = []
        self._sessions: set[_Session] = set()
        self._attention = Attention()
        self._by_source: dict[bytes, int] = {}
        self._shedding = 0
        self._connections = self.options.connections
        self._sources = Buckets(self.options.sources_per_s, self.options.source_burst)
        self._subnets = Buckets(4 * self.options.sources_per_s, 4 * self.options.source_burst)
        self._accepting = trio.CancelScope()
        self._draining = False
        self._empty: trio.Event | None = None
        self._accepted = 0
        self._accepted_before = -1
        """As `alive` saw it last with a connection waiting; -1: none waited."""

    # --- sockets --------------------------------------------------------------------------------

    def bind(self) -> list[Endpoint]:
        """Open what is not open yet; the addresses bound, port 0 replaced by the real one. Raises SetupError."""
        if not self._listening_sockets:
            wanted = {e.protocol for e in self._endpoints} | {d.endpoint.protocol for d in self._handed}
            for protocol in sorted(wanted):
                if protocol not in self._services:
                    raise SetupError(
                        Sentence("No service speaks %(protocol)s.", protocol=protocol),
                        Sentence("Choose from %(services)s.", services=", ".join(sorted(self._services))),
                    )
                if protocol in IMPLICIT_TLS and self._tls is None:
                    raise SetupError(
                        Sentence("%(protocol)s needs a certificate.", protocol=protocol), "Name one, or let the server make its own."
                    )
            self._listening_sockets = [*self._handed, *open_listening_sockets(self._endpoints)]
            self._connections = min(self.options.connections, _descriptors(self.options.connections) - SPARE_DESCRIPTORS)
            if self._connections < self.options.connections:
                self._log(f"only {self._connections} connections at once: the limit of open files is low (LimitNOFILE=)")
        return self.bound

    @property
    def bound(self) -> list[Endpoint]:
        return [listening_socket.endpoint for listening_socket in self._listening_sockets]

    def places(self) -> list[tuple[str, int]]:
        """Address and port of every socket that listens now."""
        return [(listening_socket.endpoint.host, listening_socket.endpoint.port) for listening_socket in self._listening_sockets]

    def port(self, protocol: str) -> int:
        """The first port bound for `protocol`. Raises KeyError."""
        for endpoint in self.bound:
            if endpoint.protocol == protocol:
                return endpoint.port
        raise KeyError(protocol)

    @property
    def sessions(self) -> int:
        """Connections open now."""
        return len(self._sessions)

    # --- accepting ------------------------------------------------------------------------------

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until `drain` has ended every session, or until cancelled."""
        self.bind()
        try:
            async with trio.open_nursery() as sessions:
                with self._accepting:
                    async with trio.open_nursery() as listening_sockets:
                        for at in range(len(self._listening_sockets)):
                            listening_sockets.start_soon(self._keep_open, at, sessions)
                        listening_sockets.start_soon(self._attention.run)
                        task_status.started()
        finally:
            self._close()

    async def drain(self) -> None:
        """Stop accepting, signal every session, wait `drain_s` for them, then cancel those left."""
        self._draining = True
        self._accepting.cancel()
        self._close()
        for session in self._sessions:
            session.stream.drain()
        if self._sessions:
            self._empty = trio.Event()
            with trio.move_on_after(self.options.drain_s):
                await self._empty.wait()
        for session in self._sessions:
            session.scope.cancel()

    async def alive(self) -> None:
        """For the watchdog: raises when a connection waits to be accepted, and none was since the last call, which saw one wait too."""
        await trio.lowlevel.checkpoint()
        waiting = [one.endpoint for one in self._listening_sockets if waiting_connections(one.socket)]
        stuck = bool(waiting) and self._accepted == self._accepted_before
        self._accepted_before = self._accepted if waiting else -1
        if stuck:
            raise PillarboxError(f"connections to port {waiting[0].port} wait and none is accepted")

    def end_sessions(self, is_current: Callable[[AccountId, int], bool]) -> int:
        """End every signed-in session whose account or password (`Stream.login`) is no longer current; how many."""
        ended = 0
        for session in self._sessions:
            login = session.stream.login
            if login is not None and not session.stream.revoked and not is_current(*login):
                session.stream.revoke()
                session.scope.deadline = trio.current_time() + REVOKED_GRACE_S
                ended += 1
        return ended

    def _close(self) -> None:
        for listening_socket in self._listening_sockets:
            listening_socket.socket.close()
            self._board.publish(
                ListenerDown(listening_socket.endpoint.protocol, listening_socket.endpoint.host, listening_socket.endpoint.port, "")
            )
        self._listening_sockets = []

    async def _keep_open(self, at: int, nursery: trio.Nursery) -> None:
        """Accept at one listening socket for ever; one that breaks is opened again."""
        pause_s = self.options.reopen_s[0]
        while True:
            listening_socket = self._listening_sockets[at]
            name = listening_socket.endpoint
            self._board.publish(ListenerUp(name.protocol, name.host, name.port))
            since = trio.current_time()
            try:
                await self._accept(listening_socket, nursery)
            except OSError as e:
                fault = e.strerror or type(e).__name__
            if trio.current_time() - since > self.options.reopen_s[1]:
                pause_s = self.options.reopen_s[0]
            listening_socket.socket.close()
            while True:
                self._board.publish(ListenerDown(name.protocol, name.host, name.port, fault))
                await trio.sleep(pause_s)
                pause_s = min(2 * pause_s, self.options.reopen_s[1])
                try:
                    self._listening_sockets[at] = reopen(listening_socket)
                    break
                except SetupError as e:
                    fault = e.problem

    async def _accept(self, listening_socket: ListeningSocket, nursery: trio.Nursery) -> None:
        listening = trio.socket.from_stdlib_socket(listening_socket.socket)
        protocol = listening_socket.endpoint.protocol
        pause_s = STARVED_S[0]
        while True:
            try:
                accepted, address = await listening.accept()
            except OSError as e:
                if e.errno in PASSING:
                    continue
                if e.errno not in STARVED:
                    raise
                self._board.publish(SessionRefused(protocol, "", f"accept: {e.strerror}"))
                self._make_room(None)
                await trio.sleep(pause_s)
                pause_s = min(2 * pause_s, STARVED_S[1])
                continue
            pause_s = STARVED_S[0]
            self._accepted += 1
            peer = (_plain(address[0]), address[1])
            source = source_of(peer[0])
            reason = self._refusal(peer[0], source)
            if reason:
                self._refuse(accepted, protocol, peer[0], reason)
                continue
            local = accepted.getsockname()
            near = (_plain(local[0]), local[1])
            stream = Stream(trio.SocketStream(accepted), protocol, peer=peer, local=near, tls=self._tls, attention=self._attention)
            session = _Session(stream, source)
            self._sessions.add(session)
            self._by_source[source] = self._by_source.get(source, 0) + 1
            nursery.start_soon(self._serve, session)

    def _refusal(self, host: str, source: bytes) -> str:
        """Why this new connection is refused; "" when it is not (another session may have been shed for it)."""
        if not (self.options.spare_loopback and is_loopback(host)):
            now = trio.current_time()
            if not self._sources.take(source, now) or not self._subnets.take(subnet_of(host), now):
                return "Too many new connections from your address, try again later."
        crowded = self._by_source.get(source, 0) - self.options.connections_per_source >= 0
        if crowded and not self._make_room(source):
            return "Too many connections from your address."
        full = len(self._sessions) - self._shedding >= self._connections
        if (full and not self._make_room(None)) or self._shedding > SHED_AT_ONCE:
            return "Too many connections, try again later."
        return ""

    def _make_room(self, source: bytes | None) -> bool:
        """Shed the unauthenticated session (of `source`) that was idle for longest; False when none is idle."""
        before = trio.current_time() - self.options.shed_idle_s
        found: _Session | None = None
        shedding = 0
        for session in self._sessions:
            if source is not None and session.source != source:
                continue
            if session.shed:
                shedding += 1
            elif not session.stream.who and session.stream.progress_mono < before:
                before, found = session.stream.progress_mono, session
        if source is not None and self._by_source.get(source, 0) - shedding < self.options.connections_per_source:
            return True
        if found is None:
            return False
        found.shed = True
        self._shedding += 1
        found.stream.drain()
        found.scope.deadline = trio.current_time() + SHED_GRACE_S
        return True

    def _refuse(self, accepted: "trio.socket.SocketType", protocol: str, host: str, reason: str) -> None:
        """Send one sentence if it fits into the socket at once, then close; costs no task and no wait."""
        self._board.publish(SessionRefused(protocol, host, reason))
        words = dict(REFUSALS).get(protocol)
        with suppress(OSError):
            if words:
                os.write(accepted.fileno(), words.format(reason).encode("ascii"))  # never blocks: trio's sockets do not
                accepted.shutdown(socket.SHUT_WR)
        accepted.close()

    # --- one session ----------------------------------------------------------------------------

    async def _serve(self, session: _Session) -> None:
        """Run one session: whatever happens in it ends this session only."""
        stream = session.stream
        since = trio.current_time()
        self._board.publish(SessionOpened(stream.protocol, stream.peer_host))
        reason = ""
        try:
            with session.scope:
                reason = await self._guard(stream)
            if session.scope.cancelled_caught:
                reason = "too many connections" if session.shed else REVOKED if stream.revoked else "server shutting down"
            elif session.shed:
                reason = "too many connections"
        finally:
            await stream.aclose()
            self._forget(session)
            took_s = trio.current_time() - since
            self._board.publish(
                SessionClosed(stream.protocol, stream.peer_host, stream.who, stream.octets_in, stream.octets_out, took_s, reason)
            )

    def _forget(self, session: _Session) -> None:
        self._sessions.discard(session)
        self._shedding -= session.shed
        left = self._by_source[session.source] - 1
        if left:
            self._by_source[session.source] = left
        else:
            del self._by_source[session.source]
        if self._empty is not None and not self._sessions:
            self._empty.set()

    async def _guard(self, stream: Stream) -> str:
        """Serve; why it ended, "" in order."""
        try:
            if self._draining:
                stream.drain()
            if stream.protocol in IMPLICIT_TLS:
                await stream.start_tls(self.options.handshake_s)
            await self._services[stream.protocol](stream)
        except Draining:
            return REVOKED if stream.revoked else "server shutting down"
        except PeerError as e:
            return str(e)
        except BaseExceptionGroup as group:
            ours, rest = group.split(Exception)
            reason = self._judge(stream, ours) if ours else ""
            if rest:  # Cancelled and its like belong to trio
                raise rest from None
            return reason
        except Exception as e:
            return self._judge(stream, e)
        return ""

    def _judge(self, stream: Stream, fault: Exception) -> str:
        """A peer's end inside exception groups, or a bug: published, its traceback to the journal."""
        first = fault
        while isinstance(first, ExceptionGroup):
            first = next((e for e in first.exceptions if not _peers(e)), first.exceptions[0])
        if isinstance(first, PeerError):
            return "server shutting down" if isinstance(first, Draining) else str(first)
        fault_text = str(first) if isinstance(first, PillarboxError) else f"{type(first).__name__}: {first}"
        self._board.publish(SessionFailed(stream.protocol, stream.peer_host, stream.who, fault_text))
        for place in frames_of(first) or frames_of(fault):
            self._log(place)
        return "internal error"


def _peers(fault: BaseException) -> bool:
    """Nothing in it but PeerError."""
    if isinstance(fault, BaseExceptionGroup):
        return all(_peers(e) for e in fault.exceptions)
    return isinstance(fault, PeerError)


def _plain(host: str) -> str:
    """An IPv4 client of a socket for both families is an IPv4 client."""
    return host[7:] if host.startswith("::ffff:") and "." in host else host


def _descriptors(connections: int) -> int:
    """Descriptors this process may open, the soft limit raised as far as it is useful and allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + SPARE_DESCRIPTORS
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return 10**9 if soft == resource.RLIM_INFINITY else soft
