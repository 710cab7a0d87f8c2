"""A small IMAP client for the tests of this package: whole responses, literals included."""

import re

import trio

from tests.support.services import PASSWORD, Components
from tests.support.streams import ClientStream

_LITERAL = re.compile(rb"\{([0-9]+)\}\r\n\Z")
PATIENCE_S = 10


class Client:
    """One connection. `command` gives (untagged responses, tagged answer)."""

    def __init__(self, stream: ClientStream) -> None:
        self.stream: trio.abc.Stream = stream
        self._held = bytearray()
        self._count = 0

    async def _more(self) -> bool:
        try:
            with trio.fail_after(PATIENCE_S):
                octets = await self.stream.receive_some()
        except trio.BrokenResourceError:
            return False
        self._held += octets
        return bool(octets)

    async def _take(self, octets: int) -> bytes:
        while len(self._held) < octets:
            assert await self._more(), "the server closed the connection"
        taken = bytes(self._held[:octets])
        del self._held[:octets]
        return taken

    async def line(self) -> bytes | None:
        """A line with its CRLF, or None at the end."""
        while b"\n" not in self._held:
            if not await self._more():
                assert not self._held
                return None
        return await self._take(self._held.index(b"\n") + 1)

    async def response(self) -> bytes | None:
        """A whole response without its last CRLF, or None at the end."""
        whole = b""
        while True:
            line = await self.line()
            if line is None:
                return None
            whole += line
            found = _LITERAL.search(whole)
            if found is None:
                return whole[:-2]
            whole += await self._take(int(found[1]))

    async def send(self, octets: bytes) -> None:
        await self.stream.send_all(octets)

    async def until_tag(self, tag: bytes) -> tuple[list[bytes], bytes]:
        untagged = []
        while True:
            response = await self.response()
            assert response is not None, f"closed before {tag!r} was answered: {untagged}"
            if response.startswith(tag + b" "):
                return untagged, response[len(tag) + 1 :]
            untagged.append(response)

    async def command(self, text: bytes) -> tuple[list[bytes], bytes]:
        self._count += 1
        tag = b"t%d" % self._count
        await self.send(tag + b" " + text + b"\r\n")
        return await self.until_tag(tag)


async def greeted(components: Components, protocol: str = "imap") -> Client:
    client = Client(components.connect(protocol))
    assert (await client.response() or b"").startswith(b"* OK ")
    return client


async def signed_in(components: Components, mailbox: bytes = b"", name: bytes = b"fred@example.org") -> Client:
    client = await greeted(components)
    assert (await client.command(b"LOGIN %s %s" % (name, PASSWORD.encode())))[1].startswith(b"OK")
    if mailbox:
        assert (await client.command(b"SELECT " + mailbox))[1].startswith(b"OK")
    return client
