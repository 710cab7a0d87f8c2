"""POP3 on the real store: nothing lost, nothing changed, one session at a time."""

import gc
import tempfile
from base64 import b64decode, b64encode
from contextlib import suppress
from pathlib import Path

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock

from appliance.mail.errors import StoreError, Trouble
from appliance.mail.flags import SEEN
from appliance.pop3d.maildrop import AHEAD_ROWS, Maildrop
from appliance.pop3d.service import Pop3Options
from appliance.protocol.pop3.server import Pop3ServerState
from appliance.store.mailbox import Mailbox
from appliance.store.values import Want
from tests.auth.scram_client import ScramClient
from tests.support.services import Components, some_components

from .pop_client import PASSWORD, PopClient

SMALL = b"Subject: small\r\n\r\nbody\r\n"


def message(number: int, octets: int = 0) -> bytes:
    return b"Subject: message %d\r\n\r\n.first line\r\n" % number + (b"%08d.\r\n.\r\n" % number) * (octets // 14)


async def flags(components: Components) -> dict[int, int]:
    mailbox = await components.store.open(components.account(), "INBOX", read_only=True)
    try:
        return {row.uid: row.flags for row in await mailbox.rows(1, 2**32 - 1, Want.FLAGS)}
    finally:
        mailbox.close()


async def test_many_messages_of_all_sizes(tmp_path: Path) -> None:
    async with some_components(tmp_path) as components:
        messages = [message(number, size) for number, size in enumerate((0, 10, 4000, 100_000, 1_000_000, 64 * 1024) * 4)]
        for octets in messages:
            await components.deliver(octets)
        async with PopClient(components.connect("pop3")) as client:
            assert await client.sign_in() == b"+OK Welcome, %d messages." % len(messages)
            await client.command(b"LIST")
            assert (await client.body()).split() == [b"%d" % n for i, octets in enumerate(messages, 1) for n in (i, len(octets))]
            for number in (*range(1, len(messages) + 1), 3, 1, 2, 24, 23):
                assert await client.retrieve(number) == messages[number - 1]
            for number, lines in ((5, 3), (4, 0), (6, 5000)):
                assert (await client.command(b"TOP %d %d" % (number, lines))).startswith(b"+OK")
                whole = messages[number - 1].split(b"\r\n")
                assert await client.body() == b"".join(line + b"\r\n" for line in whole[: 2 + lines] if whole.index(line) < len(whole) - 1)


async def test_pipelined_retrieval(tmp_path: Path) -> None:
    async with some_components(tmp_path) as components:
        messages = [message(number, 500) for number in range(2 * AHEAD_ROWS + 3)]
        for octets in messages:
            await components.deliver(octets)
        async with PopClient(components.connect("pop3")) as client:
            await client.sign_in()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(client.stream.send_all, b"".join(b"RETR %d\r\n" % number for number in range(1, len(messages) + 1)))
                for octets in messages:
                    assert await client.line() == b"+OK %d octets" % len(octets)
                    assert await client.body() == octets


@pytest.mark.parametrize(
    ("stored", "arrives"),
    [
        (b"Subject: a\n\nb\n.\nc", b"Subject: a\r\n\r\nb\r\n.\r\nc\r\n"),
        (b"Subject: a\r\n\r\nno last line end", b"Subject: a\r\n\r\nno last line end\r\n"),
        (b"Subject: a\r\n\r\nx\ry\r\r\n.\r\n..\r\n", b"Subject: a\r\n\r\nx\ry\r\r\n.\r\n..\r\n"),
        (b"\x00\xff\xfe\r\n", b"\x00\xff\xfe\r\n"),
        (b".\r\n", b".\r\n"),
    ],
)
async def test_odd_messages(tmp_path: Path, stored: bytes, arrives: bytes) -> None:
    async with some_components(tmp_path) as components:
        await components.deliver(stored)
        await components.deliver(SMALL)
        async with PopClient(components.connect("pop3")) as client:
            await client.sign_in()
            assert await client.command(b"LIST 1") == b"+OK 1 %d" % len(arrives)
            assert await client.retrieve(1) == arrives
            assert await client.retrieve(2) == SMALL


async def test_only_quit_deletes(tmp_path: Path) -> None:
    async with some_components(tmp_path) as components:
        for _ in range(3):
            await components.deliver(SMALL)
        async with PopClient(components.connect("pop3")) as client:
            await client.sign_in()
            await client.command(b"DELE 1")
            await client.command(b"DELE 3")
        await trio.testing.wait_all_tasks_blocked()
        assert set(await flags(components)) == {1, 2, 3}
        async with PopClient(components.connect("pop3")) as client:
            assert await client.sign_in() == b"+OK Welcome, 3 messages."
            first = (await client.command(b"UIDL 2")).split()[2]
            await client.command(b"DELE 1")
            assert await client.command(b"QUIT") == b"+OK Goodbye, 1 deleted."
        assert set(await flags(components)) == {2, 3}
        async with PopClient(components.connect("pop3")) as client:
            await client.sign_in()
            assert (await client.command(b"UIDL 1")).split()[2] == first


async def test_retrieved_is_seen_and_listed_is_not(tmp_path: Path) -> None:
    for mark_seen in (True, False):
        place = tmp_path / str(mark_seen)
        place.mkdir()
        async with some_components(place, pop3=Pop3Options(mark_seen=mark_seen)) as components:
            for _ in range(4):
                await components.deliver(SMALL)
            async with PopClient(components.connect("pop3")) as client:
                await client.sign_in()
                await client.retrieve(1)
                await client.retrieve(3)
                await client.command(b"TOP 2 1")
                await client.body()
                await client.command(b"DELE 3")
                await client.command(b"QUIT")
            assert await flags(components) == {1: SEEN if mark_seen else 0, 2: 0, 4: 0}


async def test_the_maildrop_is_a_snapshot(tmp_path: Path) -> None:
    async with some_components(tmp_path) as components:
        for number in range(3):
            await components.deliver(message(number))
        async with PopClient(components.connect("pop3")) as client:
            await client.sign_in()
            await components.deliver(SMALL)
            other = await components.store.open(components.account(), "INBOX")
            await other.remove([2])
            other.close()
            assert await client.command(b"STAT") == b"+OK 3 %d" % sum(len(message(number)) for number in range(3))
            assert await client.command(b"RETR 2") == b"-ERR The message no longer exists."
            assert await client.retrieve(3) == message(2)
            assert await client.command(b"RETR 4") == b"-ERR There is no message 4."
            await client.command(b"DELE 2")
            assert await client.command(b"QUIT") == b"+OK Goodbye, 1 deleted."
        assert set(await flags(components)) == {1, 3, 4}


@pytest.mark.parametrize("ending", ["quit", "disconnect", "break", "drain"])
async def test_the_lock_ends_with_the_session(tmp_path: Path, ending: str) -> None:
    async with some_components(tmp_path) as components:
        await components.deliver(SMALL)
        first = PopClient(components.connect("pop3"))
        await first.sign_in()
        async with PopClient(components.connect("pop3")) as second, PopClient(components.connect("pop3")) as other:
            assert (await second.sign_in()).startswith(b"-ERR [IN-USE]")
            assert (await other.sign_in(b"mary@example.org")).startswith(b"+OK")
            if ending == "quit":
                await first.command(b"QUIT")
            elif ending == "disconnect":
                await first.stream.aclose()
            elif ending == "break":
                await first.stream.send_all(b"RETR 1\r\nRETR")
                await first.stream.aclose()
            else:
                components.streams[0].drain()
            await trio.testing.wait_all_tasks_blocked()
            await second.command(b"USER fred")
            assert (await second.command(b"PASS " + PASSWORD.encode())).startswith(b"+OK")


async def test_a_store_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with some_components(tmp_path) as components:
        await components.deliver(SMALL)
        await components.deliver(message(2, 200_000))

        async def broken(*_: object, **__: object) -> None:
            raise StoreError(Trouble.BROKEN)

        async with PopClient(components.connect("pop3")) as client:
            await client.sign_in()
            with monkeypatch.context() as patch:
                patch.setattr(Mailbox, "rows", broken)
                assert (await client.command(b"RETR 1")).startswith(b"-ERR [SYS/TEMP]")
            assert await client.retrieve(1) == SMALL
            with monkeypatch.context() as patch:
                patch.setattr(Mailbox, "remove", broken)
                await client.command(b"DELE 1")
                assert (await client.command(b"QUIT")).startswith(b"-ERR [SYS/TEMP] Nothing was deleted.")
        assert set(await flags(components)) == {1, 2}
        with monkeypatch.context() as patch:
            patch.setattr(Mailbox, "rows", broken)
            async with PopClient(components.connect("pop3")) as client:
                assert (await client.sign_in()).startswith(b"-ERR [SYS/TEMP]")
        async with PopClient(components.connect("pop3")) as client:
            assert (await client.sign_in()).startswith(b"+OK")
            await client.stream.send_all(b"RETR 2\r\n")
            assert await client.line() == b"+OK %d octets" % len(message(2, 200_000))
            monkeypatch.setattr("appliance.store.body_readers.StoredMessage.read", broken)
            with pytest.raises(EOFError):
                await client.body()


async def test_autologout(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with some_components(tmp_path, pop3=Pop3Options(idle_s=600, before_login_s=60)) as components:
        await components.deliver(SMALL)
        async with PopClient(components.connect("pop3"), patience_s=10_000) as slow:
            await slow.line()
            for _ in range(5):
                await trio.sleep(11)
                await slow.command(b"NOOP")
            await trio.sleep(11)
            with pytest.raises(EOFError):
                await slow.line()
        async with PopClient(components.connect("pop3"), patience_s=10_000) as client:
            await client.sign_in()
            await client.command(b"DELE 1")
            for _ in range(3):
                await trio.sleep(599)
                assert await client.command(b"NOOP") == b"+OK"
            begun = trio.current_time()
            with pytest.raises(EOFError):
                await client.line()
            assert trio.current_time() - begun == pytest.approx(600)
        assert set(await flags(components)) == {1}


async def test_an_idle_session_holds_no_messages(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with some_components(tmp_path) as components:
        for number in range(20):
            await components.deliver(message(number, 4000))
        async with PopClient(components.connect("pop3"), patience_s=1000) as client:
            await client.sign_in()
            await client.retrieve(1)
            await trio.sleep(30)
            held = [found for found in gc.get_objects() if isinstance(found, Pop3ServerState)]
            assert [len(one._buffer) for one in held] == [0]
            assert [len(drop._ahead) for drop in gc.get_objects() if isinstance(drop, Maildrop)] == [0]
            for number in range(2, 21):
                assert await client.retrieve(number) == message(number - 1, 4000)


async def test_scram(tmp_path: Path) -> None:
    async with some_components(tmp_path) as components, PopClient(components.connect("pop3")) as client:
        await client.line()
        scram = ScramClient("fred", PASSWORD)
        first = await client.command(b"AUTH SCRAM-SHA-256 " + b64encode(scram.first()))
        final = await client.command(b64encode(scram.final(b64decode(first[2:]))))
        assert scram.proves(b64decode(final[2:]))
        assert (await client.command(b"")).startswith(b"+OK Welcome")
        assert components.streams[0].who == "fred@example.org"


async def test_endless_and_wrong_lines_end_the_session(tmp_path: Path) -> None:
    async with some_components(tmp_path) as components:
        for octets in (b"x" * 200_000, b"wrong\r\n" * 100):
            async with PopClient(components.connect("pop3")) as client:
                await client.line()
                with pytest.raises((EOFError, trio.BrokenResourceError)):
                    await client.stream.send_all(octets)
                    while True:
                        assert (await client.line()).startswith(b"-ERR")


commands = [b"USER fred", b"PASS x", b"AUTH PLAIN", b"*", b"CAPA", b"RETR 1", b"AUTH LOGIN =", b"STLS", b"QUIT"]
chunks_of = st.one_of(st.binary(max_size=80), st.sampled_from([command + b"\r\n" for command in commands]))


@settings(max_examples=30, deadline=None)
@given(st.lists(chunks_of, max_size=12))
def test_random_octets_get_responses(chunks: list[bytes]) -> None:
    async def main() -> None:
        with tempfile.TemporaryDirectory() as directory:
            async with some_components(Path(directory), "fred@example.org") as components, PopClient(components.connect("pop3")) as client:
                with suppress(trio.BrokenResourceError):
                    for chunk in chunks:
                        await client.stream.send_all(chunk)
                    await client.stream.send_eof()  # type: ignore[attr-defined]
                try:
                    while True:
                        line = await client.line()
                        assert line.startswith((b"+OK", b"-ERR", b"+ ")) or line.isupper() or line.split(b" ")[0].isupper() or line == b"."
                except EOFError as e:
                    assert e.args == (b"",)

    trio.run(main)
