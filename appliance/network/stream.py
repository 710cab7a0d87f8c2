"""One client's connection: octets with deadlines, TLS, counters, and a signal when the server drains.

Invariants: every broken pipe, reset and TLS fault is PeerGone; every deadline that passes, also while sending
to a client that stopped reading, is PeerSlow; a session waiting for its client gets Draining. No task and no
buffer belongs to a connection at rest; `receive` may be cancelled without losing an octet.
How it fails: after a failed or cancelled `send` nothing more is sent (PeerGone), since half a
reply may be out.
"""

import ssl
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from socket import AF_INET, AF_INET6, IPPROTO_TCP, TCP_INFO
from typing import Any, Final, Protocol, TypeVar

import trio

from appliance.mail.errors import MisuseError, PeerError, PeerGone, PeerSlow
from appliance.mail.ids import AccountId
from appliance.mail.limits import CLOSE_DRAINING_S, CLOSE_S, LOOK_S, READ_OCTETS, TLS_HANDSHAKE_S

from . import liveness
from .wire import TLS_CHUNK_OCTETS, Wire

T = TypeVar("T")

SEND_S = 300
"""How long one chunk may take to be sent: as long as SMTP gives a client (RFC 5321 §4.5.3.2.7)."""
CHUNK_OCTETS = 64 * 2**10
"""A chunk of a larger send without TLS; each has its own deadline, so slow and steady is served."""
SMALL_OCTETS = 16 * 2**10
"""Parts below this are joined before they are sent: copying is cheaper than a system call."""
PROGRESS_OCTETS = 512
"""Octets received at once that count as progress; a client that trickles makes none."""
STILL_THERE_S = liveness.STALLED_S
"""The longest time `Stream.still_there` takes."""


class Draining(PeerError):
    """The server is draining: send the last reply and return."""


class ServedCertificate(Protocol):
    """A certificate as it is served: one context, never changed after it was made."""

    context: ssl.SSLContext
    end_point: bytes
    """tls-server-end-point of the certificate (RFC 5929 §4.1)."""


class TlsSource(Protocol):
    """Where a connection gets the current certificate: `tls.ServerTls`."""

    def current(self) -> ServedCertificate: ...


class Attention:
    """Looks every LOOK_S, with one task, whether the clients that wait in `Stream.attend` are still there. None waits: it sleeps.

    (A task for each would cost every request of JMAP 0.15 ms.)
    """

    def __init__(self) -> None:
        self._waiting: dict[Stream, tuple[float, trio.CancelScope]] = {}
        self._begun = trio.Event()

    def add(self, stream: "Stream", scope: trio.CancelScope) -> None:
        self._waiting[stream] = trio.current_time(), scope
        self._begun.set()

    def remove(self, stream: "Stream") -> None:
        self._waiting.pop(stream, None)

    async def run(self) -> None:
        """For ever."""
        while True:
            await self._begun.wait()
            self._begun = trio.Event()
            while self._waiting:
                await trio.sleep(LOOK_S)
                latest = trio.current_time() - LOOK_S
                for stream, (since, scope) in self._waiting.items():
                    if since <= latest and stream.has_hung_up():
                        scope.cancel()


class Stream:
    """One client. The listener makes it; a service reads and writes it from one task (or one each way)."""

    __slots__ = (
        "_attention", "_broken", "_closed", "_drained", "_end_point", "_source", "_stream", "_tls", "_waiting", "_wire",
        "draining", "kept", "local_host", "local_port", "login", "octets_in", "octets_out", "peer_host", "peer_port", "progress_mono",
        "protocol", "revoked", "uninterrupted", "who",
    )  # fmt: skip

    def __init__(
        self,
        below: trio.abc.HalfCloseableStream,
        protocol: str,
        *,
        peer: tuple[str, int] = ("", 0),
        local: tuple[str, int] = ("", 0),
        tls: TlsSource | None = None,
        attention: "Attention | None" = None,
    ) -> None:
        self._attention = attention
        self._wire = Wire(below)
        self._stream: Wire | trio.SSLStream[Wire] = self._wire
        self._tls: trio.SSLStream[Wire] | None = None
        self._source = tls
        self._end_point = b""
        self._waiting: trio.CancelScope | None = None
        self._drained: trio.Event | None = None
        self._broken = False
        self._closed = False
        self.protocol: Final = protocol
        self.peer_host, self.peer_port = peer
        self.local_host, self.local_port = local
        self.who = ""
        """The account's address, set by the service at sign-in."""
        self.login: tuple[AccountId, int] | None = None
        """Account and password (their numbers) this session signed in with, set by the service."""
        self.revoked = False
        """The password of `login` is gone: the session does nothing more and ends."""
        self.kept: object = None
        """What the service keeps for the client's next request."""
        self.octets_in = 0
        self.octets_out = 0
        """Octets of the protocol, without TLS's own."""
        self.draining = False
        self.uninterrupted = False
        """A service sets it while a message comes in: `receive` then goes on although the server is draining."""
        self.progress_mono = trio.current_time()
        """When the client last made progress (trio's clock); trickled octets do not count."""

    # --- octets ---------------------------------------------------------------------------------

    async def receive(self, timeout_s: float, max_octets: int = READ_OCTETS) -> bytes:
        """The next octets, at most `max_octets`; b"" at an orderly end.

        Raises PeerSlow after `timeout_s` without any, PeerGone, Draining (also at once when the server is already closing).
        """
        if self.revoked or (self.draining and not self.uninterrupted):
            raise Draining
        if self._tls and max_octets > TLS_CHUNK_OCTETS:
            max_octets = TLS_CHUNK_OCTETS  # a record has no more, and asking for more scatters the heap
        with trio.move_on_after(timeout_s) as scope:
            self._waiting = scope
            try:
                data = bytes(await self._stream.receive_some(max_octets))
            except (trio.BrokenResourceError, trio.ClosedResourceError) as e:
                self._broken = True
                raise PeerGone(f"connection lost: {_cause(e)}") from None
            finally:
                self._waiting = None
            self.octets_in += len(data)
            if len(data) >= PROGRESS_OCTETS:
                self.progress_mono = trio.current_time()
            return data
        if self.revoked or (self.draining and not self.uninterrupted):
            raise Draining
        raise PeerSlow(f"nothing came for {timeout_s:g} s")

    async def send(self, data: bytes | bytearray | memoryview, timeout_s: float = SEND_S) -> None:
        """Send all of it, each chunk within `timeout_s`. Raises PeerGone, PeerSlow."""
        chunk_octets = TLS_CHUNK_OCTETS if self._tls else CHUNK_OCTETS
        if len(data) <= chunk_octets:
            await self._send(data, timeout_s)
            return
        with memoryview(data).cast("B") as view:
            for start in range(0, len(view), chunk_octets):
                with view[start : start + chunk_octets] as chunk:
                    await self._send(chunk, timeout_s)

    async def _send(self, chunk: bytes | bytearray | memoryview, timeout_s: float) -> None:
        if self._broken:
            raise PeerGone("connection lost before")
        self._broken = True  # until all of it went: half a chunk can never be completed
        if self._tls is None:
            await trio.lowlevel.checkpoint_if_cancelled()
            try:
                sent = self._wire.send_now(chunk)
            except OSError as e:
                raise PeerGone(f"connection lost: {e.strerror or type(e).__name__}") from None
            self.octets_out += sent
            if sent == len(chunk):
                self._broken = False
                self.progress_mono = trio.current_time()
                return
            chunk = memoryview(chunk)[sent:]
        with trio.move_on_after(timeout_s):
            try:
                await self._stream.send_all(chunk)
            except (trio.BrokenResourceError, trio.ClosedResourceError) as e:
                raise PeerGone(f"connection lost: {_cause(e)}") from None
            self._broken = False
            self.octets_out += len(chunk)
            self.progress_mono = trio.current_time()
            return
        raise PeerSlow(f"the client read nothing for {timeout_s:g} s")

    async def send_parts(self, parts: Sequence[bytes]) -> None:
        """Send parts in order: small neighbours joined, large ones as they are. Raises PeerGone, PeerSlow."""
        small: list[bytes] = []
        octets = 0
        for part in parts:
            large = len(part) >= SMALL_OCTETS
            if not large:
                small.append(part)
                octets += len(part)
            if small and (large or octets >= CHUNK_OCTETS):
                await self.send(b"".join(small))
                small, octets = [], 0
            if large:
                await self.send(part)
        if small:
            await self.send(b"".join(small))

    # --- TLS ------------------------------------------------------------------------------------

    @property
    def secure(self) -> bool:
        """TLS is on."""
        return self._tls is not None

    @property
    def can_start_tls(self) -> bool:
        return self._source is not None and self._tls is None

    @property
    def tls_version(self) -> str:
        """Such as "TLSv1.3"; "" without TLS."""
        return (self._tls.version() or "") if self._tls else ""

    @property
    def tls_cipher(self) -> str:
        if not self._tls:
            return ""
        cipher = self._tls.cipher()
        return cipher[0] if cipher else ""

    async def start_tls(self, timeout_s: float = TLS_HANDSHAKE_S) -> None:
        """Turn TLS on with the current certificate; the caller's buffer of plain octets must be empty.

        Raises MisuseError when TLS is on already or this listener has none, PeerGone when the handshake fails
        (plain octets sent after STARTTLS make it fail), PeerSlow, Draining.
        """
        if self._tls:
            raise MisuseError("TLS is already on.")
        if self._source is None:
            raise MisuseError("This connection has no TLS to offer.")
        if self.draining:
            raise Draining
        served = self._source.current()
        self._wire.read_octets = TLS_CHUNK_OCTETS
        tls = trio.SSLStream(self._wire, served.context, server_side=True)
        with trio.move_on_after(timeout_s) as scope:
            self._waiting = scope
            self._broken = True  # a handshake that ends half way leaves no usable connection
            try:
                await tls.do_handshake()
            except (trio.BrokenResourceError, trio.ClosedResourceError) as e:
                raise PeerGone(f"TLS handshake failed: {_cause(e)}") from None
            finally:
                self._waiting = None
            self._broken = False
            self._stream = self._tls = tls
            self._end_point = served.end_point
            self.progress_mono = trio.current_time()
            return
        if self.draining:
            raise Draining
        raise PeerSlow(f"no TLS handshake within {timeout_s:g} s")

    async def start_tls_as_client(self, context: ssl.SSLContext, server_hostname: str, timeout_s: float = TLS_HANDSHAKE_S) -> None:
        """Turn TLS on as a client; the caller holds no plain octets that came before. Where the context verifies names, they are
        those of the certificate's subjectAltName, never its common name (RFC 9525 §2). Raises BadCertificate, PeerGone, PeerSlow."""
        context.hostname_checks_common_name = False
        self._wire.read_octets = TLS_CHUNK_OCTETS
        tls = trio.SSLStream(self._wire, context, server_hostname=server_hostname)
        self._broken = True
        with trio.move_on_after(timeout_s):
            try:
                await tls.do_handshake()
            except (trio.BrokenResourceError, trio.ClosedResourceError) as e:
                cause = e.__cause__
                if isinstance(cause, ssl.SSLCertVerificationError):
                    from .certificate_fault import BadCertificate

                    raise BadCertificate(cause.verify_code, cause.verify_message, _chain_of(tls)) from None
                raise PeerGone(f"TLS handshake failed: {_cause(e)}") from None
            self._broken = False
            self._stream = self._tls = tls
            return
        raise PeerSlow(f"no TLS handshake within {timeout_s:g} s")

    @property
    def peer_chain(self) -> tuple[bytes, ...]:
        """The certificates the other end sent, in DER, its own first; () without TLS."""
        return _chain_of(self._tls) if self._tls else ()

    def channel_binding(self) -> dict[str, bytes]:
        """What ties a SASL exchange to this very TLS (RFC 5929 §4, RFC 9266); {} without TLS."""
        if not self._tls:
            return {}
        bindings = {"tls-server-end-point": self._end_point}
        if "tls-exporter" in ssl.CHANNEL_BINDING_TYPES:
            exporter = self._tls.get_channel_binding("tls-exporter")
            if exporter:
                bindings["tls-exporter"] = exporter
        return bindings

    # --- the end --------------------------------------------------------------------------------

    async def attend(self, work: Callable[[], Awaitable[T]]) -> T:
        """Run what may take long while the client waits, such as a throttled sign-in.

        Raises Draining when the server closes meanwhile, PeerGone when the client does (not looked at before LOOK_S, so that one that
        sends all at once and half-closes gets its answer unless it is throttled), and what `work` raises.
        """
        if self.draining:
            raise Draining
        with trio.CancelScope() as scope:
            self._waiting = scope
            if self._attention is not None:
                self._attention.add(self, scope)
            try:
                return await work()
            finally:
                self._waiting = None
                if self._attention is not None:
                    self._attention.remove(self)
        if self.draining:
            raise Draining
        raise PeerGone("the client closed while it waited")

    def has_hung_up(self) -> bool:
        """Did the client close its side? False where it is no TCP."""
        below = self._wire.below
        with suppress(OSError):  # not every socket is TCP
            return isinstance(below, trio.SocketStream) and below.socket.getsockopt(IPPROTO_TCP, TCP_INFO, 1)[0] in liveness.HUNG_UP
        return False

    async def still_there(self) -> bool:
        """Does the client's host still have this connection? Takes seconds when it is silent (`liveness`); True where it is no TCP."""
        below = self._wire.below
        if self._closed or not isinstance(below, trio.SocketStream) or below.socket.family not in (AF_INET, AF_INET6):
            return not self._closed
        return await liveness.answers(below.socket)

    def drain(self) -> None:
        """The listener's signal that the server is draining: a waiting `receive` raises Draining now, a later one at once."""
        self.draining = True
        if self._waiting and not self.uninterrupted:
            self._waiting.cancel()
        if self._drained is not None:
            self._drained.set()

    def revoke(self) -> None:
        """`drain` for a session whose password is gone: now, also in the middle of a message."""
        self.revoked = True
        self.uninterrupted = False
        self.drain()

    async def wait_draining(self) -> None:
        """Return when the server is closing."""
        if self.draining:
            return
        if self._drained is None:
            self._drained = trio.Event()
        await self._drained.wait()

    async def aclose(self) -> None:
        """Close in order within CLOSE_S, sooner when the server closes (at once when this task is already cancelled); never raises."""
        if self._closed:
            return
        self._closed = True
        now = trio.current_time()
        hurry = trio.current_effective_deadline() <= now
        deadline = -float("inf") if hurry else now + (CLOSE_DRAINING_S if self.draining else CLOSE_S)
        with trio.CancelScope(deadline=deadline, shield=True), suppress(trio.BrokenResourceError, trio.ClosedResourceError, OSError):
            await self._stream.aclose()


def _chain_of(tls: "trio.SSLStream[Wire]") -> tuple[bytes, ...]:
    """The certificates the other end sent, also when the handshake failed because of them."""
    below: Any = tls._ssl_object  # trio passes everything on but this
    below = below if hasattr(below, "get_unverified_chain") else below._sslobj  # public since Python 3.13
    chain = below.get_unverified_chain() or ()
    return tuple(one if isinstance(one, bytes) else one.public_bytes(1 << 1) for one in chain)


def _cause(fault: BaseException) -> str:
    """The plain reason below trio's wrapper, such as "WRONG_VERSION_NUMBER" or "Connection reset by peer"."""
    cause = fault.__cause__
    if isinstance(cause, ssl.SSLError):
        return cause.reason or "closed without close_notify"
    if isinstance(cause, OSError):
        return cause.strerror or type(cause).__name__
    return "closed"
