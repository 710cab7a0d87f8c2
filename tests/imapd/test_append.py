"""APPEND: streamed, all or nothing, refused before its octets are requested where possible."""

import tracemalloc
from contextlib import suppress
from pathlib import Path

import pytest
import trio

from appliance.imapd.appending import MESSAGES
from appliance.imapd.service import ImapOptions
from appliance.mail.errors import PeerError, StoreError, Trouble
from appliance.network.stream import Stream
from tests.support.services import PASSWORD, Components, some_components

from .client import Client, signed_in

MESSAGE = b"Subject: hello\r\nFrom: a@example.org\r\n\r\nGood day.\r\n"


async def messages(components: Components, mailbox: bytes = b"INBOX") -> bytes:
    return (await (await signed_in(components)).command(b"STATUS %s (MESSAGES)" % mailbox))[0][0].rpartition(b"MESSAGES ")[2].rstrip(b")")


async def append(client: Client, *messages: bytes, mailbox: bytes = b"INBOX") -> bytes:
    octets = b" ".join(b"{%d+}\r\n%s" % (len(message), message) for message in messages)
    return (await client.command(b"APPEND %s %s" % (mailbox, octets)))[1]


async def test_octets_come_back_as_they_were(tmp_path: Path) -> None:
    """Also what no message should contain: NUL, bare CR and LF, no header at all, octets that look like commands.

    A plain literal cannot contain NUL (RFC 9051 §4.3.1), which is sent as 0x80; BINARY sends the octets as stored.
    """
    messages = (MESSAGE, b"\0\r\n", b"a\nb\rc", b"x LOGOUT\r\n", b"{5}\r\n", bytes(range(256)) * 300)
    async with some_components(tmp_path) as components:
        client = await signed_in(components)
        assert (await append(client, *messages)).startswith(b"OK [APPENDUID ")
        await client.command(b"SELECT INBOX")
        for number, message in enumerate(messages, 1):
            untagged, _ = await client.command(b"FETCH %d (RFC822.SIZE BODY.PEEK[])" % number)
            plain = message.replace(b"\0", b"\x80")
            assert untagged[0].endswith(b"RFC822.SIZE %d BODY[] {%d}\r\n%s)" % (len(message), len(message), plain))
            untagged, _ = await client.command(b"FETCH %d BINARY.PEEK[]" % number)
            assert untagged[0].endswith(b"{%d}\r\n%s)" % (len(message), message))


@pytest.mark.parametrize("plus", [b"", b"+"])
async def test_over_quota(plus: bytes, tmp_path: Path) -> None:
    async with some_components(tmp_path, quota_octets=1000) as components:
        client = await signed_in(components)
        await client.send(b"x APPEND INBOX {2000%s}\r\n" % plus + (b"y" * 2000 + b"\r\n" if plus else b""))
        untagged, answer = await client.until_tag(b"x")
        assert answer.startswith(b"NO [OVERQUOTA] ")
        assert not untagged  # no continuation
        assert (await append(client, MESSAGE)).startswith(b"OK")
        assert (await append(client, *[MESSAGE] * 30)).startswith(b"NO [OVERQUOTA] ")
        assert await messages(components) == b"1"


async def test_too_many_messages(tmp_path: Path) -> None:
    """RFC 9738 §3.1: an APPEND of more messages than is announced stores none; one of as many stores all."""
    async with some_components(tmp_path) as components:
        client = await signed_in(components)
        untagged, _ = await client.command(b"CAPABILITY")
        assert b" SAVELIMIT=%d " % MESSAGES in untagged[0]
        assert (await append(client, *[b"x"] * (MESSAGES + 1))).startswith(b"NO [MESSAGELIMIT %d] " % MESSAGES)
        assert await messages(components) == b"0"
        assert (await append(client, *[b"x"] * MESSAGES)).startswith(b"OK [APPENDUID ")
        assert await messages(components) == b"%d" % MESSAGES


async def test_a_store_that_fails_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The remaining octets are read and discarded; what follows is a command again; nothing was stored."""
    from appliance.store.incoming import Incoming

    async with some_components(tmp_path) as components:
        client = await signed_in(components)
        for name in ("write", "finish"):
            with monkeypatch.context() as patch:

                async def fail(self: object, *arguments: object) -> None:
                    raise StoreError(Trouble.FULL)

                patch.setattr(Incoming, name, fail)
                assert (await append(client, MESSAGE * 3000)).startswith(b"NO [LIMIT] ")
                assert (await append(client, MESSAGE, MESSAGE)).startswith(b"NO [LIMIT] ")
        assert (await client.command(b"NOOP"))[1].startswith(b"OK")
        assert await messages(components) == b"0"


async def test_all_or_none_is_stored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from appliance.store import append as store_append

    real, calls = store_append.append, []

    def second_fails(*arguments: object) -> object:
        calls.append(arguments)
        if len(calls) == 2:
            raise StoreError(Trouble.OVER_QUOTA)
        return real(*arguments)  # type: ignore[arg-type]

    async with some_components(tmp_path) as components:
        client = await signed_in(components)
        with monkeypatch.context() as patch:
            patch.setattr(store_append, "append", second_fails)
            assert (await append(client, MESSAGE, MESSAGE * 2, MESSAGE)).startswith(b"NO [OVERQUOTA]")
        assert len(calls) == 2
        assert await messages(components) == b"0"
        assert (await append(client, MESSAGE, MESSAGE * 2, MESSAGE)).startswith(b"OK [APPENDUID ")
        assert await messages(components) == b"3"


async def test_a_large_message_passes_in_little_memory(tmp_path: Path) -> None:
    """The message is never held in memory: 24 MB pass while Python's own memory grows by less than 4 MB."""
    async with some_components(tmp_path, imap=ImapOptions(message_octets=2**26)) as components:
        one, other = trio.socket.socketpair()  # with back-pressure, which streams in memory lack
        components.nursery.start_soon(serve, components, Stream(trio.SocketStream(one), "imap"))
        client = Client(trio.SocketStream(other))
        assert (await client.command(b"LOGIN fred@example.org " + PASSWORD.encode()))[1].startswith(b"OK")
        chunks = ((b"0123456789abcdef" * 4)[:-2] + b"\r\n") * 1024
        count = 24 * 16
        await client.send(b"x APPEND INBOX {%d}\r\n" % (len(chunks) * count))
        assert await client.response() == b"+ Ready."
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(count):
            await client.send(chunks)
        await client.send(b"\r\n")
        answer = (await client.until_tag(b"x"))[1]
        peak = tracemalloc.get_traced_memory()[1] - before
        tracemalloc.stop()
        assert answer.startswith(b"OK [APPENDUID ")
        assert peak < 4 * 2**20, peak
        await client.stream.aclose()


async def serve(components: Components, stream: Stream) -> None:
    with suppress(PeerError):
        await components.service("imap").handle(stream)
    await stream.aclose()
