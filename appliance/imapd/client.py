"""The client as FETCH items and the selected mailbox see it: what it enabled, and where its responses go."""

from typing import Protocol


class ImapClient(Protocol):
    """Part of a session; a test gives a list instead."""

    enabled: set[bytes]
    """Words of ENABLE in upper case."""

    async def send(self, *parts: bytes) -> None:
        """Untagged output with its CRLF, in parts; waits while the client reads slowly. Raises PeerGone, PeerSlow."""
