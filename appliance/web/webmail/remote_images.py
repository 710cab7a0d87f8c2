"""Remote images of messages, fetched by the server: the sender learns this server's address and that the message was opened, never
which device, its cookies or where it is.

| check                | how                                                                                                       |
|----------------------|-----------------------------------------------------------------------------------------------------------|
| address              | http or https, port 80 or 443, no user name, a name with a dot or a public IP literal                      |
| name                 | resolved once; every address must be public (`network.addresses.is_public`); one of them is dialled        |
| own                  | addresses this server has or its name leads to (the router's, which leads back in), and those of its IPv6  |
|                      | network (a /56), are refused though public                                                                |
| redirects            | at most REDIRECTS, each as a new address                                                                   |
| response             | 200, at most IMAGE_OCTETS, a raster image by its first octets                                              |

Bounded: FETCHES at once in FETCH_S each, WAITING more; a cache in memory of CACHE_OCTETS for images of up to CACHED_OCTETS. The request
has no cookie, no referrer and the same User-Agent for everybody.
How it fails: `ImageRefused`.
"""

import ipaddress
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urljoin, urlsplit

import h11
import trio

from appliance.mail.errors import PeerError, PillarboxError
from appliance.network.addresses import is_public
from appliance.network.dial import dial

from .raster import raster_type

if TYPE_CHECKING:
    import ssl

    from appliance.network.stream import Stream

REDIRECTS = 4
FETCH_S = 15.0
CONNECT_S = 5.0
IMAGE_OCTETS = 5 * 2**20
FETCHES = 4
WAITING = 60
CACHE_OCTETS = 3 * 2**20
CACHED_OCTETS = 2**19
HEAD_OCTETS = 16 * 2**10
HOME_BITS = 56
"""Of the IPv6 prefix that providers usually give a home."""
PORTS = {"http": 80, "https": 443}

Resolve = Callable[[str], Awaitable[tuple[str, ...]]]
"""All addresses of a name. Raises PillarboxError."""


class ImageRefused(PillarboxError):
    """The image is not fetched, or was none."""


@dataclass(frozen=True, slots=True)
class RemoteImage:
    media_type: str
    octets: bytes


class _Place(NamedTuple):
    """Where a request goes; `target` is path and query."""

    scheme: str
    host: str
    target: str


class RemoteImages:
    """`own_addresses`: those of this server's interfaces and of its name. `ports` is another table only in tests."""

    def __init__(
        self,
        resolve: Resolve,
        own_addresses: Callable[[], Awaitable[tuple[str, ...]]],
        tls: "Callable[[], ssl.SSLContext]",
        *,
        may_dial: Callable[[str], bool] = is_public,
        ports: dict[str, int] | None = None,
    ) -> None:
        self._resolve, self._own, self._make_tls, self._may_dial = resolve, own_addresses, tls, may_dial
        self._ports = ports or PORTS
        self._tls: ssl.SSLContext | None = None
        self._slots = trio.CapacityLimiter(FETCHES)
        self._cache: OrderedDict[str, RemoteImage] = OrderedDict()

    async def get(self, address: str) -> RemoteImage:
        """Raises ImageRefused."""
        if address in self._cache:
            self._cache.move_to_end(address)
            return self._cache[address]
        if self._slots.statistics().tasks_waiting >= WAITING:
            raise ImageRefused("too many images are fetched just now")
        async with self._slots:
            with trio.move_on_after(FETCH_S):
                try:
                    found = await self._follow(address)
                except (PeerError, PillarboxError, h11.ProtocolError, ValueError) as error:
                    raise ImageRefused(str(error)) from None
                self._keep(address, found)
                return found
        raise ImageRefused("the image took too long")

    def _keep(self, address: str, image: RemoteImage) -> None:
        if len(image.octets) > CACHED_OCTETS:
            return
        self._cache[address] = image
        while sum(len(one.octets) for one in self._cache.values()) > CACHE_OCTETS:
            self._cache.popitem(last=False)

    async def _follow(self, address: str) -> RemoteImage:
        for _ in range(REDIRECTS + 1):
            place = self._place(address)
            stream = await self._dial(place)
            try:
                found = await self._ask(stream, place)
            finally:
                with trio.move_on_after(1, shield=True):
                    await stream.aclose()
            if isinstance(found, RemoteImage):
                return found
            address = urljoin(address, found)
        raise ImageRefused("too many redirects")

    def _place(self, address: str) -> _Place:
        parts = urlsplit(address)
        host = (parts.hostname or "").rstrip(".").lower()
        if parts.scheme not in self._ports or parts.username or parts.password or not host.isascii():
            raise ImageRefused("not an address of the web")
        if parts.port not in (None, self._ports[parts.scheme]):
            raise ImageRefused("not a port of the web")
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        if not target.isascii() or not target.isprintable() or " " in target:
            from urllib.parse import quote

            target = quote(target, safe="/?&=%:@!$'()*+,;~-._")
        return _Place(parts.scheme, host, target)

    async def _dial(self, place: _Place) -> "Stream":
        """A connection to an address that was checked, the same that is dialled."""
        try:
            addresses: tuple[str, ...] = (str(ipaddress.ip_address(place.host)),)
        except ValueError:
            if "." not in place.host:
                raise ImageRefused("not a public name") from None
            addresses = await self._resolve(place.host)
        own = await self._own()
        if not addresses or any(not self._may_dial(one) or _is_beside(one, own) for one in addresses):
            raise ImageRefused("not a public address")
        trouble: PeerError | None = None
        for one in sorted(addresses, key=lambda one: ":" in one)[:3]:
            try:
                stream = await dial(one, self._ports[place.scheme], timeout_s=CONNECT_S, protocol="https")
            except PeerError as error:
                trouble = error
                continue
            if place.scheme == "https":
                await self._secure(stream, place.host)
            return stream
        raise trouble or ImageRefused("no address")

    async def _secure(self, stream: "Stream", host: str) -> None:
        if self._tls is None:
            self._tls = await trio.to_thread.run_sync(self._make_tls)
        try:
            await stream.start_tls_as_client(self._tls, host, CONNECT_S)
        except BaseException:
            with trio.move_on_after(1, shield=True):
                await stream.aclose()
            raise

    async def _ask(self, stream: "Stream", place: _Place) -> RemoteImage | str:
        """The image, or where it has gone to."""
        client = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_OCTETS)
        fields = [("host", place.host), ("user-agent", "Mozilla/5.0"), ("accept", "image/*"), ("connection", "close")]
        sent = client.send(h11.Request(method="GET", target=place.target, headers=fields)) or b""
        await stream.send(sent + (client.send(h11.EndOfMessage()) or b""))
        response = await self._event(client, stream)
        while isinstance(response, h11.InformationalResponse):
            response = await self._event(client, stream)
        if not isinstance(response, h11.Response):
            raise ImageRefused("no response")
        fields_of = {bytes(name): bytes(value) for name, value in response.headers}
        if response.status_code in (301, 302, 303, 307, 308) and b"location" in fields_of:
            return fields_of[b"location"].decode("ascii", "replace")
        if response.status_code != 200:
            raise ImageRefused(f"status {response.status_code}")
        return await self._image(client, stream)

    async def _image(self, client: h11.Connection, stream: "Stream") -> RemoteImage:
        octets = bytearray()
        while isinstance(event := await self._event(client, stream), h11.Data):
            octets += event.data
            if len(octets) > IMAGE_OCTETS:
                raise ImageRefused("the image is too large")
            if len(octets) >= 16 and raster_type(bytes(octets[:16])) is None:
                raise ImageRefused("not a raster image")
        kind = raster_type(bytes(octets[:16]))
        if kind is None:
            raise ImageRefused("not a raster image")
        return RemoteImage(kind, bytes(octets))

    async def _event(self, client: h11.Connection, stream: "Stream") -> object:
        while (event := client.next_event()) is h11.NEED_DATA:
            client.receive_data(await stream.receive(FETCH_S))
        return event


def _is_beside(address: str, own: tuple[str, ...]) -> bool:
    """Is it one of ours, or of the IPv6 network that a home is given? Devices there take this server for one of them."""
    if address in own:
        return True
    network = ipaddress.ip_network(f"{address}/{HOME_BITS}", strict=False) if ":" in address else None
    return network is not None and any(ipaddress.ip_address(one) in network for one in own if ":" in one)
