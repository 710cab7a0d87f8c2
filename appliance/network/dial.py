"""Outgoing TCP connections. Raises PeerGone, PeerSlow."""

import errno
import os
import ssl

import trio

from appliance.mail.errors import PeerError, PeerGone, PeerSlow

from .stream import Stream
from .tls_end import require_close_notify

GREETING_OCTETS = 512
NO_ROUTE_ERRNOS = frozenset({errno.ENETUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})
"""Errors of a host that has no network of that address family."""


def no_route_out(trouble: PeerError) -> bool:
    """Did this host itself have no route to the address that could not be dialled?"""
    cause = trouble.__context__
    return isinstance(cause, OSError) and cause.errno in NO_ROUTE_ERRNOS


def _reason(error: OSError) -> str:
    """The system's words for the error: those of trio name the address once more."""
    return os.strerror(error.errno) if error.errno else str(error)


async def dial(address: str, port: int, *, timeout_s: float, protocol: str = "smtp") -> Stream:
    """A connection to an address (no name) within `timeout_s`."""
    family = trio.socket.AF_INET6 if ":" in address else trio.socket.AF_INET
    try:
        sock = trio.socket.socket(family, trio.socket.SOCK_STREAM)
    except OSError as error:  # a kernel without IPv6
        raise PeerGone(f"{address}: {_reason(error)}") from None
    try:
        with trio.fail_after(timeout_s):
            await sock.connect((address, port))
        sock.setsockopt(trio.socket.IPPROTO_TCP, trio.socket.TCP_NODELAY, 1)
        peer, local = sock.getpeername(), sock.getsockname()
        return Stream(trio.SocketStream(sock), protocol, peer=(peer[0], peer[1]), local=(local[0], local[1]))
    except trio.TooSlowError:
        sock.close()
        raise PeerSlow(f"{address} did not answer within {timeout_s:g} s") from None
    except OSError as error:
        sock.close()
        raise PeerGone(f"{address}: {_reason(error)}") from None
    except BaseException:
        sock.close()
        raise


def any_certificate() -> ssl.SSLContext:
    """A TLS client context without verification: opportunistic TLS, 1.2 at least (RFC 7435 §3)."""
    context = require_close_notify(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


async def read_greeting(address: str, port: int, *, timeout_s: float, tls: bool = False, speaks_first: bool = True) -> bytes:
    """The server's greeting, at least four octets; b"" when it closes without one, or waits for its client to speak first. `tls`:
    implicit TLS.

    For a probe whether a server is there: the certificate is not verified.
    """
    deadline = trio.current_time() + timeout_s
    stream = await dial(address, port, timeout_s=timeout_s)
    try:
        if tls:
            await stream.start_tls_as_client(any_certificate(), address, max(0.0, deadline - trio.current_time()))
        greeting = b""
        while speaks_first and len(greeting) < 4:
            more = await stream.receive(max(0.0, deadline - trio.current_time()), GREETING_OCTETS)
            if not more:
                return b""
            greeting += more
        if speaks_first:
            await stream.send(b"QUIT\r\n")
        return greeting
    finally:
        with trio.move_on_after(1, shield=True):
            await stream.aclose()
