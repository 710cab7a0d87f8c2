"""Static files: each has the digest of its contents in its address, so a browser keeps it for ever and never mixes two versions.

The files of the package directory `static` are read, digested and compressed when the first of them is needed. Only the
compressed form stays in memory; a client that takes none gets it unpacked.
"""

import hashlib
import zlib
from dataclasses import dataclass
from pathlib import Path

from appliance.protocol.http.negotiation import accepts_coding

from .message import TEXT, HttpRefusal, HttpRequest, HttpResponse

DIRECTORY = Path(__file__).parent / "static"
IMMUTABLE = "public, max-age=31536000, immutable"
DIGEST_CHARACTERS = 12
GZIP = 16 + zlib.MAX_WBITS
MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}


@dataclass(frozen=True, slots=True)
class StaticFile:
    """One file: its name with the digest, and its octets compressed with gzip."""

    name: str
    media_type: str
    packed: bytes

    @property
    def tag(self) -> str:
        return f'"{self.name.split(".")[-2]}"'


class StaticFiles:
    """`address("pillarbox.css")` is where a page finds it; `serve` is the handler of /static/{name}."""

    def __init__(self, directory: Path = DIRECTORY) -> None:
        self._directory = directory
        self._files: dict[str, StaticFile] = {}
        self._names: dict[str, str] = {}
        for path in sorted(directory.iterdir()):
            if path.suffix in MEDIA_TYPES:
                self._add(path)

    def _add(self, path: Path) -> None:
        octets = path.read_bytes()
        name = f"{path.stem}.{hashlib.sha256(octets).hexdigest()[:DIGEST_CHARACTERS]}{path.suffix}"
        self._names[path.name] = name
        self._files[name] = StaticFile(name, MEDIA_TYPES[path.suffix], packed(octets))

    def address(self, name: str) -> str:
        """Raises KeyError for a file that is not there."""
        return f"/static/{self._names[name]}"

    async def serve(self, request: HttpRequest) -> HttpResponse:
        """The file of the address; an older version's address is gone: 404."""
        found = self._files.get(request.values["name"])
        if found is None:
            raise HttpRefusal(404)
        return file_response(request, found)


def packed(octets: bytes) -> bytes:
    packer = zlib.compressobj(9, wbits=GZIP)
    return packer.compress(octets) + packer.flush()


def file_response(request: HttpRequest, found: StaticFile) -> HttpResponse:
    """The file, compressed where the client takes that."""
    response = HttpResponse(200, media_type=found.media_type, cached=IMMUTABLE, tag=found.tag, fields=[("vary", "accept-encoding")])
    if accepts_coding(request.fields.get("accept-encoding"), "gzip"):
        response.body = found.packed
        response.fields.append(("content-encoding", "gzip"))
    else:
        response.body, response.ranges = zlib.decompress(found.packed, GZIP), True
    return response


async def robots(request: HttpRequest) -> HttpResponse:
    """Search engines have no business here."""
    return HttpResponse(200, b"User-agent: *\nDisallow: /\n", TEXT, cached="public, max-age=86400")
