"""Components with a search index, and the same searches asked with it and without it."""

from pathlib import Path
from typing import Any

import trio

from appliance.protocol.imap.envelope_fields import searched_texts
from appliance.store.search_filling import SearchFilling
from appliance.store.search_index import SearchIndex
from tests.support.services import Components

from .client import Client
from .picture import ok


class Indexed:
    """Components with an index; `compare` asks with it and without it."""

    def __init__(self, components: Components, directory: Path) -> None:
        self.components = components
        self.said: list[str] = []

        async def hop(call: Any) -> Any:
            return await trio.to_thread.run_sync(call)

        self.index = SearchIndex(components.store, directory, read_hop=hop, write_hop=hop, report=self.said.append)
        self.filling = SearchFilling(
            components.store, self.index, components.family.clock, described=searched_texts, octets_a_s=float("inf")
        )
        components.store.search_index = self.index

    async def compare(self, client: Client, asked: list[bytes]) -> int:
        found = 0
        for query in asked:
            command = b"UID SEARCH CHARSET UTF-8 " + query
            with_index = _found(await ok(client, command))
            self.components.store.search_index = None
            scanned = _found(await ok(client, command))
            self.components.store.search_index = self.index
            assert with_index == scanned, query
            found += len(scanned.split()) - 2
        return found


def _found(lines: list[bytes]) -> bytes:
    return next(line for line in lines if line.startswith(b"* SEARCH"))
