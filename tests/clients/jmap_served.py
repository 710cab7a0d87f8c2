"""A running server whose JMAP libraries find under `localhost`, with a token for each account."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from appliance.web.jmap import bearer
from tests.support.server import Pillarbox, new_data, on_terminal, pillarbox

ADA, BEN = "ada@home.example", "ben@home.example"


@dataclass(slots=True)
class ServedToLibraries:
    server: Pillarbox
    authority: Path

    @property
    def host(self) -> str:
        return f"localhost:{self.server.ports['https']}"

    def token(self, address: str) -> str:
        """Of a new app password."""
        shown = on_terminal("app-password", "add", address, "library", data=self.server.data)
        found = re.search(r"\b(?:[a-z0-9]{4}-){2,}[a-z0-9]{4}\b", shown)
        assert found, shown
        return bearer(address, found[0])


@contextmanager
def served_to_libraries(place: Path) -> Iterator[ServedToLibraries]:
    data, settings, authority = new_data(place / "data", "ada", "ben"), place / "settings.toml", place / "authority.pem"
    settings.write_text('[server]\nhost_name = "localhost"\n')
    with Pillarbox(data, "--settings", str(settings), protocols=("smtp", "imaps", "https")) as server:
        pillarbox("certificate", "export", "--out", str(authority), data=data)
        yield ServedToLibraries(server, authority)
