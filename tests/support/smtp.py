"""A plain SMTP client for tests, over any trio stream."""

from collections.abc import Callable

import trio

from appliance.mail.reply import Reply
from appliance.protocol.smtp.replies import is_last_line, parse_reply

from .streams import ClientStream


def stuff(message: bytes) -> bytes:
    """What a client sends after DATA for a message with CRLF line ends (RFC 5321 §4.5.2): dots doubled, the end added.

    Written apart from the server's code, and leaves bare CR and LF as they are, for tests of smuggling.
    """
    stuffed = message.replace(b"\r\n.", b"\r\n..")
    if stuffed[:1] == b".":
        stuffed = b"." + stuffed
    return stuffed + (b".\r\n" if stuffed[-2:] == b"\r\n" or not stuffed else b"\r\n.\r\n")


class Client:
    """`say` sends, `reply` reads one reply; `ask` does both. `reads` counts reads that returned octets."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.stream = stream
        self.reads = 0
        self._held = b""

    async def send(self, *lines: str | bytes) -> None:
        """Command lines, all in one send."""
        await self.stream.send_all(b"".join((line if isinstance(line, bytes) else line.encode()) + b"\r\n" for line in lines))

    async def line(self) -> bytes | None:
        """None at the end."""
        while b"\r\n" not in self._held:
            try:
                more = bytes(await self.stream.receive_some(65536))
            except trio.BrokenResourceError:
                more = b""
            if not more:
                assert not self._held, f"the server stopped in a line: {self._held!r}"
                return None
            self.reads += 1
            self._held += more
        line, _, self._held = self._held.partition(b"\r\n")
        return line

    async def reply(self) -> Reply:
        lines: list[bytes] = []
        with trio.fail_after(100_000):
            while not lines or not is_last_line(lines[-1]):
                line = await self.line()
                assert line is not None, "the server closed the connection"
                lines.append(line)
        return parse_reply(lines)

    async def ask(self, *lines: str | bytes) -> Reply:
        """The last reply; one for each line."""
        await self.send(*lines)
        for _ in lines:
            reply = await self.reply()
        return reply

    async def closed(self) -> bool:
        with trio.fail_after(60):
            return await self.line() is None

    async def greet(self, name: str = "client.example") -> Reply:
        assert (await self.reply()).code == 220
        return await self.ask(f"EHLO {name}")

    async def envelope(self, sender: str, *recipients: str) -> None:
        for line in (f"MAIL FROM:<{sender}>", *(f"RCPT TO:<{recipient}>" for recipient in recipients)):
            reply = await self.ask(line)
            assert reply.code == 250, (line, reply)

    async def data(self, message: bytes) -> Reply:
        reply = await self.ask("DATA")
        if reply.code != 354:
            return reply
        await self.stream.send_all(stuff(message))
        return await self.reply()

    async def chunks(self, *chunks: bytes) -> Reply:
        """BDAT for each, the last one LAST; the last reply, or the first refusal."""
        for number, chunk in enumerate(chunks):
            await self.stream.send_all(b"BDAT %d%b\r\n" % (len(chunk), b" LAST" if number == len(chunks) - 1 else b"") + chunk)
            reply = await self.reply()
            if reply.code != 250:
                break
        return reply

    async def upgraded(self, wrap: "Callable[[trio.abc.Stream], trio.abc.Stream]") -> "Client":
        """The same session inside TLS."""
        assert not self._held
        return Client(wrap(self.stream))


async def conversation(client: ClientStream, octets: bytes) -> list[int]:
    """Send all of it, then close; the codes of the replies. A fault of the server fails the test's nursery."""
    answer = b""

    async def read() -> None:
        nonlocal answer
        try:
            while more := await client.receive_some(65536):
                answer += more
        except trio.BrokenResourceError:
            pass

    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(read)
            try:
                await client.send_all(octets)
                await client.send_stream.aclose()
            except trio.BrokenResourceError:
                pass
    lines = answer.split(b"\r\n")
    assert lines.pop() == b"", "the last reply was cut off"
    codes, gathered = [], []
    for line in lines:
        gathered.append(line)
        if is_last_line(line):
            codes.append(parse_reply(gathered).code)
            gathered = []
    assert not gathered
    return codes
