"""Whether the client of an open TCP connection is still there; checked when another session waits for a lock it holds.

TCP itself does not notice a client that lost its network. For the check keepalive is set to seconds (RFC 9293 §3.8.4): a
host that still has the connection acknowledges the probe, whatever its program does; one that has not resets it; a lost
one is silent. `TCP_INFO` tells when the last acknowledgement came, so nothing is read from or written to the connection.
While octets are in flight the kernel sends no probes, but then they are acknowledged within a round trip, or sent again.
A client that reads nothing has a closed window, and then the kernel probes it ever more rarely: after a stall of a minute,
once in a minute, and nothing makes it probe earlier. Whether such a host is still there cannot be known in time, so:

| window | within PROBE_S                     | within STALLED_S                                 | verdict |
|--------|------------------------------------|--------------------------------------------------|---------|
| open   | an acknowledgement                 |                                                  | there   |
| open   | silence                            |                                                  | gone    |
| closed | an acknowledgement                 |                                                  | there   |
| closed | silence, a probe is unanswered     |                                                  | gone    |
| closed | silence, no probe was sent         | an acknowledgement: it stalled only lately       | there   |
| closed | silence, no probe was sent         | silence: it has taken nothing for as long before | gone    |
"""

import struct
from contextlib import suppress
from socket import IPPROTO_TCP, SO_KEEPALIVE, SOL_SOCKET, TCP_INFO, TCP_KEEPCNT, TCP_KEEPIDLE, TCP_KEEPINTVL

import trio

PROBE_S = 8.0
"""How long silence must last to mean that the client is lost; below the 15 s in which a maildrop is to be free again."""
STALLED_S = 12.0
"""The same for a client that has stopped reading. Intervals of window probes double, so silence of this length means that it had
taken nothing for about as long before it, and now somebody else waits."""
LOOK_EVERY_S = 0.05
PROBE_IDLE_S, PROBE_EVERY_S, PROBE_TRIES = 1, 2, 10
"""One second is the least the kernel takes. More tries than fit into PROBE_S: the deadline here decides."""
MARGIN_MS = 20
"""The kernel's clock of acknowledgements is coarse (4 ms, 10 ms)."""
HUNG_UP = frozenset({7, 8})
"""TCP_CLOSE and TCP_CLOSE_WAIT in tcp_info: closed, reset or timed out; the client has sent FIN."""
_INFO_OCTETS = 148
_U32_FROM = 8
_UNACKED, _LAST_ACK = 4, 12
"""Indexes of tcpi_unacked and tcpi_last_ack_recv (in ms) among the 32-bit fields after the first eight octets."""
_NOT_SENT_AT = 144


async def answers(sock: "trio.socket.SocketType", within_s: float = PROBE_S, stalled_s: float = STALLED_S) -> bool:
    """Does the other host still have this connection? True as soon as it acknowledges, False when it is gone or silent (table above)."""
    before = _keepalive(sock)
    if before is None:
        return False
    try:
        begun = trio.current_time()
        while True:
            info = _info(sock)
            if info is None or info[0] in HUNG_UP:
                return False
            elapsed_s = trio.current_time() - begun
            if _acknowledged_ms(info) + MARGIN_MS < elapsed_s * 1000:
                return True
            if elapsed_s >= (stalled_s if _window_closed(info) else within_s):
                return False
            await trio.sleep(LOOK_EVERY_S)
    finally:
        _set_keepalive(sock, before)


def _keepalive(sock: "trio.socket.SocketType") -> tuple[int, int, int] | None:
    """Set keepalive to seconds; returns the values before. None when the socket is closed."""
    try:
        before = tuple(sock.getsockopt(IPPROTO_TCP, option) for option in (TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT))
        sock.setsockopt(SOL_SOCKET, SO_KEEPALIVE, 1)
    except OSError:
        return None
    _set_keepalive(sock, (PROBE_IDLE_S, PROBE_EVERY_S, PROBE_TRIES))
    return before[0], before[1], before[2]


def _set_keepalive(sock: "trio.socket.SocketType", to: tuple[int, int, int]) -> None:
    with suppress(OSError):  # closed meanwhile
        for option, value in zip((TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT), to, strict=True):
            sock.setsockopt(IPPROTO_TCP, option, value)


def _info(sock: "trio.socket.SocketType") -> bytes | None:
    try:
        return sock.getsockopt(IPPROTO_TCP, TCP_INFO, _INFO_OCTETS)
    except OSError:
        return None


def _field(info: bytes, place: int) -> int:
    found: int = struct.unpack_from("=I", info, _U32_FROM + 4 * place)[0]
    return found


def _acknowledged_ms(info: bytes) -> int:
    """How long ago the client's host acknowledged anything."""
    return _field(info, _LAST_ACK)


def _window_closed(info: bytes) -> bool:
    """Unsent octets wait for the client's receive window, and no window probe is unanswered."""
    waiting = len(info) >= _INFO_OCTETS and struct.unpack_from("=I", info, _NOT_SENT_AT)[0] > 0
    return waiting and not _field(info, _UNACKED) and not info[3]
