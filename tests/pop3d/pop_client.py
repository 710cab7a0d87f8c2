"""A plain POP3 client over a trio stream, for tests: counts octets exactly and asserts the format."""

from types import TracebackType

import trio

PASSWORD = "Blurdybloop-7"


class PopClient:
    """`async with` closes it; every response must come within `patience_s`."""

    def __init__(self, stream: trio.abc.Stream, patience_s: float = 20) -> None:
        self.stream = stream
        self._patience_s = patience_s
        self._held = bytearray()

    async def line(self) -> bytes:
        """One line without CRLF; EOFError at the end of the connection."""
        while (end := self._held.find(b"\r\n")) < 0:
            with trio.fail_after(self._patience_s):
                try:
                    more = await self.stream.receive_some(65536)
                except trio.BrokenResourceError:
                    more = b""
            if not more:
                raise EOFError(bytes(self._held))
            self._held += more
        line = bytes(self._held[:end])
        del self._held[: end + 2]
        return line

    async def command(self, command: bytes) -> bytes:
        """A command and the first line of its response."""
        await self.stream.send_all(command + b"\r\n")
        return await self.line()

    async def body(self) -> bytes:
        """The rest of a multi-line response, unstuffed (RFC 1939 §3)."""
        lines = []
        while (line := await self.line()) != b".":
            lines.append(line[1:] if line.startswith(b".") else line)
        return b"".join(line + b"\r\n" for line in lines)

    async def retrieve(self, number: int) -> bytes:
        first = await self.command(b"RETR %d" % number)
        assert first.startswith(b"+OK"), first
        return await self.body()

    async def sign_in(self, name: bytes = b"fred@example.org", password: str = PASSWORD) -> bytes:
        assert (await self.line()).startswith(b"+OK")
        assert (await self.command(b"USER " + name)).startswith(b"+OK")
        return await self.command(b"PASS " + password.encode())

    async def __aenter__(self) -> "PopClient":
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.stream.aclose()
