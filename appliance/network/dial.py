"""Connections of our own to servers of others. Raises PeerGone, PeerSlow."""

import trio

from appliance.mail.errors import PeerGone, PeerSlow

from .stream import Stream


async def dial(address: str, port: int, *, timeout_s: float, protocol: str = "smtp") -> Stream:
    """A connection to an address (no name) within `timeout_s`."""
    family = trio.socket.AF_INET6 if ":" in address else trio.socket.AF_INET
    sock = trio.socket.socket(family, trio.socket.SOCK_STREAM)
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
        raise PeerGone(f"{address}: {error.strerror or error}") from None
    except BaseException:
        sock.close()
        raise
