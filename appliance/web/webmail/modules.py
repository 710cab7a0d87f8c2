"""The ES modules and styles of the webmail page: files of one version, at addresses that have the version in them.

The version is the digest of all files together, so modules import each other by plain relative names and a tab never mixes two
versions: what it has loaded it keeps, and a module of an older version that it asks for later is gone (404), which the page tells.
"""

import hashlib
import zlib
from pathlib import Path

from ..message import HttpRefusal, HttpRequest, HttpResponse
from ..static_files import DIGEST_CHARACTERS, GZIP, MEDIA_TYPES, StaticFile, file_response, packed

DIRECTORY = Path(__file__).parent / "modules"
PATH = "/mail/files"


class Modules:
    """All files, compressed, once the page is asked for."""

    def __init__(self, directory: Path = DIRECTORY) -> None:
        octets = {path.name: path.read_bytes() for path in sorted(directory.iterdir()) if path.suffix in MEDIA_TYPES}
        digest = hashlib.sha256()
        for name, content in octets.items():
            digest.update(f"{name} {len(content)} ".encode() + content)
        self.version = digest.hexdigest()[:DIGEST_CHARACTERS]
        self._files = {
            name: StaticFile(f"{name}.{self.version}.", MEDIA_TYPES[Path(name).suffix], packed(content)) for name, content in octets.items()
        }

    def address(self, name: str) -> str:
        """Raises KeyError for a file that is not there."""
        return f"{PATH}/{self.version}/{self._files[name] and name}"

    def addresses(self) -> list[str]:
        """Of all files."""
        return [self.address(name) for name in self._files]

    def source(self, name: str) -> bytes:
        return zlib.decompress(self._files[name].packed, GZIP)

    async def serve(self, request: HttpRequest) -> HttpResponse:
        found = self._files.get(request.values["name"])
        if found is None or request.values["version"] != self.version:
            raise HttpRefusal(404)
        return file_response(request, found)
