"""Remote images of messages, fetched by the server: the sender learns this server's address and that the message was opened, never
which device, its cookies or where it is.

| check      | how                                                                                            |
|------------|------------------------------------------------------------------------------------------------|
| address    | http or https, port 80 or 443, no user name, a public name or address (`network.public_dial`)  |
| redirects  | at most REDIRECTS, each as a new address                                                       |
| response   | 200, at most IMAGE_OCTETS in PIECES, a raster image by its first octets                        |

Bounded: FETCHES at once in FETCH_S each, of which an account has SHARE, and WAITING more; a cache in memory of CACHE_OCTETS for images of
up to CACHED_OCTETS, each for who fetched it: how soon an image comes tells nobody what others have opened. The request has no cookie, no
referrer and the same User-Agent for everybody.
How it fails: `ImageRefused`.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urljoin, urlsplit

import h11
import trio

from appliance.mail.errors import PeerError, PillarboxError
from appliance.mail.ids import AccountId

from .raster import raster_type

if TYPE_CHECKING:
    from appliance.network.public_dial import PublicDialer
    from appliance.network.stream import Stream

REDIRECTS = 4
FETCH_S = 15.0
IMAGE_OCTETS = 5 * 2**20
PIECES = IMAGE_OCTETS // 512
"""Chunks of one octet cost 40 us of CPU each; no packet is smaller than this."""
INFORMATIONAL = 8
"""Responses before the one that counts (RFC 9110 §15.2)."""
FETCHES = 4
SHARE = 3
"""A message of many slow images does not hold up what others read."""
WAITING = 60
CACHE_OCTETS = 3 * 2**20
CACHED_OCTETS = 2**19
HEAD_OCTETS = 16 * 2**10
PORTS = {"http": 80, "https": 443}


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
    """All fetches of the server."""

    def __init__(self, dialer: "PublicDialer") -> None:
        self._dialer = dialer
        self._slots = trio.CapacityLimiter(FETCHES)
        self._shares: dict[AccountId, trio.CapacityLimiter] = {}
        self._cache: OrderedDict[tuple[AccountId, str], RemoteImage] = OrderedDict()

    async def get(self, reader: AccountId, address: str) -> RemoteImage:
        """Raises ImageRefused."""
        key = reader, address
        if key in self._cache:
            self._cache.move_to_end(key)
            return self._cache[key]
        share = self._shares.setdefault(reader, trio.CapacityLimiter(SHARE))
        if share.statistics().tasks_waiting >= WAITING:
            raise ImageRefused("too many images are fetched just now")
        async with share, self._slots:
            with trio.move_on_after(FETCH_S):
                try:
                    found = await self._follow(address)
                except (PeerError, PillarboxError, h11.ProtocolError, ValueError) as error:
                    raise ImageRefused(str(error)) from None
                self._keep(key, found)
                return found
        raise ImageRefused("the image took too long")

    def _keep(self, key: tuple[AccountId, str], image: RemoteImage) -> None:
        if len(image.octets) > CACHED_OCTETS:
            return
        self._cache[key] = image
        while sum(len(one.octets) for one in self._cache.values()) > CACHE_OCTETS:
            self._cache.popitem(last=False)

    async def _follow(self, address: str) -> RemoteImage:
        for _ in range(REDIRECTS + 1):
            place = self._place(address)
            stream = await self._dialer.connect(place.host, PORTS[place.scheme], tls=place.scheme == "https")
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
        if parts.scheme not in PORTS or parts.username or parts.password or not host.isascii():
            raise ImageRefused("not an address of the web")
        if parts.port not in (None, PORTS[parts.scheme]):
            raise ImageRefused("not a port of the web")
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        if not target.isascii() or not target.isprintable() or " " in target:
            from urllib.parse import quote

            target = quote(target, safe="/?&=%:@!$'()*+,;~-._")
        return _Place(parts.scheme, host, target)

    async def _ask(self, stream: "Stream", place: _Place) -> RemoteImage | str:
        """The image, or where it has gone to."""
        client = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_OCTETS)
        fields = [("host", place.host), ("user-agent", "Mozilla/5.0"), ("accept", "image/*"), ("connection", "close")]
        sent = client.send(h11.Request(method="GET", target=place.target, headers=fields)) or b""
        await stream.send(sent + (client.send(h11.EndOfMessage()) or b""))
        for _ in range(INFORMATIONAL):
            response = await self._event(client, stream)
            if not isinstance(response, h11.InformationalResponse):
                break
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
        pieces = 0
        while isinstance(event := await self._event(client, stream), h11.Data):
            await trio.lowlevel.checkpoint()
            octets += event.data
            pieces += 1
            if len(octets) > IMAGE_OCTETS or pieces > PIECES:
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
