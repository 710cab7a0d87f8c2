"""APPEND: streamed, all or nothing, refused before its octets are asked for where that is possible."""

import tracemalloc
from contextlib import suppress
from pathlib import Path

import pytest
import trio

from appliance.imapd.service import Options
from appliance.mail.errors import PeerError, StoreError, Trouble
from appliance.network.stream import Stream
from tests.support.services import PASSWORD, Rooms, some_rooms

from .client import Client, signed_in

LETTER = b"Subject: hello\r\nFrom: a@example.org\r\n\r\nGood day.\r\n"


async def messages(rooms: Rooms, mailbox: bytes = b"INBOX") -> bytes:
    return (await (await signed_in(rooms)).command(b"STATUS %s (MESSAGES)" % mailbox))[0][0].rpartition(b"MESSAGES ")[2].rstrip(b")")


async def append(client: Client, *letters: bytes, mailbox: bytes = b"INBOX") -> bytes:
    octets = b" ".join(b"{%d+}\r\n%s" % (len(letter), letter) for letter in letters)
    return (await client.command(b"APPEND %s %s" % (mailbox, octets)))[1]


async def test_octets_come_back_as_they_were(tmp_path: Path) -> None:
    """Also what no letter should hold: NUL, bare CR and LF, no header at all, octets that look like commands.

    NUL has no place in a plain literal (RFC 9051 §4.3.1) and comes as 0x80 there; BINARY gives the octets as they are stored.
    """
    letters = (LETTER, b"\0\r\n", b"a\nb\rc", b"x LOGOUT\r\n", b"{5}\r\n", bytes(range(256)) * 300)
    async with some_rooms(tmp_path) as rooms:
        client = await signed_in(rooms)
        assert (await append(client, *letters)).startswith(b"OK [APPENDUID ")
        await client.command(b"SELECT INBOX")
        for number, letter in enumerate(letters, 1):
            untagged, _ = await client.command(b"FETCH %d (RFC822.SIZE BODY.PEEK[])" % number)
            plain = letter.replace(b"\0", b"\x80")
            assert untagged[0].endswith(b"RFC822.SIZE %d BODY[] {%d}\r\n%s)" % (len(letter), len(letter), plain))
            untagged, _ = await client.command(b"FETCH %d BINARY.PEEK[]" % number)
            assert untagged[0].endswith(b"{%d}\r\n%s)" % (len(letter), letter))


@pytest.mark.parametrize("mark", [b"", b"+"])
async def test_over_quota(mark: bytes, tmp_path: Path) -> None:
    async with some_rooms(tmp_path, quota_octets=1000) as rooms:
        client = await signed_in(rooms)
        await client.send(b"x APPEND INBOX {2000%s}\r\n" % mark + (b"y" * 2000 + b"\r\n" if mark else b""))
        untagged, answer = await client.until_tag(b"x")
        assert answer.startswith(b"NO [OVERQUOTA] ")
        assert not untagged  # no continuation
        assert (await append(client, LETTER)).startswith(b"OK")
        assert (await append(client, *[LETTER] * 30)).startswith(b"NO [OVERQUOTA] ")
        assert await messages(rooms) == b"1"


async def test_a_store_that_fails_on_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest of the octets is read and thrown away; what follows is a command again; nothing was filed."""
    from appliance.store.bodies import Incoming

    async with some_rooms(tmp_path) as rooms:
        client = await signed_in(rooms)
        for name in ("write", "finish"):
            with monkeypatch.context() as patch:

                async def fail(self: object, *arguments: object) -> None:
                    raise StoreError(Trouble.FULL)

                patch.setattr(Incoming, name, fail)
                assert (await append(client, LETTER * 3000)).startswith(b"NO [LIMIT] ")
                assert (await append(client, LETTER, LETTER)).startswith(b"NO [LIMIT] ")
        assert (await client.command(b"NOOP"))[1].startswith(b"OK")
        assert await messages(rooms) == b"0"


async def test_all_or_none_is_filed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from appliance.store import append as filing

    real, calls = filing.file, []

    def second_fails(*arguments: object) -> object:
        calls.append(arguments)
        if len(calls) == 2:
            raise StoreError(Trouble.OVER_QUOTA)
        return real(*arguments)  # type: ignore[arg-type]

    async with some_rooms(tmp_path) as rooms:
        client = await signed_in(rooms)
        with monkeypatch.context() as patch:
            patch.setattr(filing, "file", second_fails)
            assert (await append(client, LETTER, LETTER * 2, LETTER)).startswith(b"NO [OVERQUOTA]")
        assert len(calls) == 2
        assert await messages(rooms) == b"0"
        assert (await append(client, LETTER, LETTER * 2, LETTER)).startswith(b"OK [APPENDUID ")
        assert await messages(rooms) == b"3"


async def test_a_large_letter_passes_in_little_memory(tmp_path: Path) -> None:
    """Nothing here holds the letter: 24 MB pass while Python's own memory grows by less than 4 MB."""
    async with some_rooms(tmp_path, imap=Options(message_octets=2**26)) as rooms:
        one, other = trio.socket.socketpair()  # with back-pressure, which streams in memory lack
        rooms.nursery.start_soon(serve, rooms, Stream(trio.SocketStream(one), "imap"))
        client = Client(trio.SocketStream(other))
        assert (await client.command(b"LOGIN fred@example.org " + PASSWORD.encode()))[1].startswith(b"OK")
        pieces = ((b"0123456789abcdef" * 4)[:-2] + b"\r\n") * 1024
        count = 24 * 16
        await client.send(b"x APPEND INBOX {%d}\r\n" % (len(pieces) * count))
        assert await client.response() == b"+ Go on."
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(count):
            await client.send(pieces)
        await client.send(b"\r\n")
        answer = (await client.until_tag(b"x"))[1]
        peak = tracemalloc.get_traced_memory()[1] - before
        tracemalloc.stop()
        assert answer.startswith(b"OK [APPENDUID ")
        assert peak < 4 * 2**20, peak
        await client.stream.aclose()


async def serve(rooms: Rooms, stream: Stream) -> None:
    with suppress(PeerError):
        await rooms.service("imap").handle(stream)
    await stream.aclose()
