"""Connections to servers on the Internet that somebody else named: public addresses only, whatever their names lead to.

| check   | how                                                                                          |
|---------|----------------------------------------------------------------------------------------------|
| name    | has a dot, or is a public IP literal                                                         |
| address | resolved once; every address must be public (`addresses.is_public`); one of them is dialled  |
| own     | addresses this server has or its name leads to (the router's, which leads back in), and      |
|         | those of its IPv6 network (a /56), are refused though public                                 |

How it fails: AddressRefused; PeerError where nobody answers or the certificate is not the name's.
"""

import ipaddress
import ssl
from collections.abc import Awaitable, Callable

import trio

from appliance.mail.errors import PeerError, PillarboxError

from .addresses import is_public
from .dial import dial
from .stream import Stream

CONNECT_S = 5.0
TRIED = 3
"""Addresses of a name."""
HOME_BITS = 56
"""Of the IPv6 prefix that providers usually give a home."""

Resolve = Callable[[str], Awaitable[tuple[str, ...]]]
"""All addresses of a name. Raises PillarboxError."""


class AddressRefused(PillarboxError):
    """It is not dialled."""


def is_public_host(host: str) -> bool:
    """Could this name or IP literal be one of the Internet? What a name leads to is not asked."""
    try:
        return is_public(host)
    except ValueError:
        name, dot, last = host.rstrip(".").rpartition(".")
        return bool(name and dot) and not last.isdigit()  # 127.1 is an address to some


class PublicDialer:
    """`own_addresses`: those of this server's interfaces and of its name. `may_dial` and `ports` (the port dialled in place of another)
    differ in tests."""

    def __init__(
        self,
        resolve: Resolve,
        own_addresses: Callable[[], Awaitable[tuple[str, ...]]],
        tls: Callable[[], ssl.SSLContext],
        *,
        may_dial: Callable[[str], bool] = is_public,
        ports: dict[int, int] | None = None,
    ) -> None:
        self._resolve, self._own, self._make_tls, self._may_dial = resolve, own_addresses, tls, may_dial
        self._ports = ports or {}
        self._tls: ssl.SSLContext | None = None

    async def connect(self, host: str, port: int, *, tls: bool) -> Stream:
        """A connection to an address that was checked, the same that is dialled. `tls`: implicit, the certificate is the host's."""
        addresses = await self._addresses(host)
        own = await self._own()
        if not addresses or any(not self._may_dial(one) or _is_beside(one, own) for one in addresses):
            raise AddressRefused("not a public address")
        trouble: PeerError | None = None
        for one in sorted(addresses, key=lambda one: ":" in one)[:TRIED]:
            try:
                stream = await dial(one, self._ports.get(port, port), timeout_s=CONNECT_S, protocol="https")
            except PeerError as error:
                trouble = error
                continue
            if tls:
                await self._secure(stream, host)
            return stream
        raise trouble or AddressRefused("no address")

    async def _addresses(self, host: str) -> tuple[str, ...]:
        try:
            return (str(ipaddress.ip_address(host)),)
        except ValueError:
            if "." not in host:
                raise AddressRefused("not a public name") from None
            return await self._resolve(host)

    async def _secure(self, stream: Stream, host: str) -> None:
        try:
            if self._tls is None:
                self._tls = await trio.to_thread.run_sync(self._make_tls)
            await stream.start_tls_as_client(self._tls, host, CONNECT_S)
        except BaseException:
            with trio.move_on_after(1, shield=True):
                await stream.aclose()
            raise


def _is_beside(address: str, own: tuple[str, ...]) -> bool:
    """Is it one of ours, or of the IPv6 network that a home is given? Devices there take this server for one of them."""
    if address in own:
        return True
    network = ipaddress.ip_network(f"{address}/{HOME_BITS}", strict=False) if ":" in address else None
    return network is not None and any(ipaddress.ip_address(one) in network for one in own if ":" in one)
