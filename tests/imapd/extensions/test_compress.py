"""COMPRESS=DEFLATE: compressed sessions are the same sessions; memory and hostile input are bounded (RFC 4978)."""

import gc
import zlib
from pathlib import Path

import pytest
import trio
import trio.testing

from appliance.imapd import compression, connection
from appliance.imapd.compression import INFLATED_OCTETS, Compression
from appliance.mail.errors import PeerGone
from tests.imapd import tls
from tests.imapd.client import Client, signed_in
from tests.support.services import PASSWORD, Components, some_components


class Deflated(trio.abc.Stream):
    """A client's end of a compressed connection; `received` counts the octets on the wire."""

    def __init__(self, inner: trio.abc.Stream) -> None:
        self.inner = inner
        self.deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
        self.inflater = zlib.decompressobj(-15)
        self.received = 0

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self.inner.send_all(self.deflater.compress(data) + self.deflater.flush(zlib.Z_SYNC_FLUSH))

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        while True:
            octets = await self.inner.receive_some()
            self.received += len(octets)
            plain = self.inflater.decompress(octets)
            if plain or not octets:
                return plain

    async def wait_send_all_might_not_block(self) -> None:
        await self.inner.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        await self.inner.aclose()


async def compressed(client: Client) -> Deflated:
    assert (await client.command(b"COMPRESS DEFLATE"))[1].startswith(b"OK")
    client.stream = Deflated(client.stream)
    return client.stream


async def fill(components: Components, messages: int) -> bytes:
    body = b"Subject: x\r\n\r\n" + b"The quick brown fox jumps over the lazy dog.\r\n" * 4000
    for _ in range(messages):
        await components.deliver(body)
    return body


async def test_a_compressed_session_is_the_same_and_smaller(tmp_path: Path) -> None:
    async with some_components(tmp_path) as components:
        body = await fill(components, 3)
        client = await signed_in(components)
        stream = await compressed(client)
        assert (await client.command(b"COMPRESS DEFLATE"))[1].startswith(b"NO [COMPRESSIONACTIVE]")
        untagged, _ = await client.command(b"SELECT INBOX")
        assert b"* 3 EXISTS" in untagged
        before = stream.received
        untagged, _tagged = await client.command(b"FETCH 1:3 BODY.PEEK[]")
        assert [line.partition(b"}\r\n")[2] for line in untagged] == [body + b")"] * 3
        assert stream.received - before < 3 * len(body) // 20
        await client.send(b"p1 NOOP\r\np2 NOOP\r\n")
        assert (await client.until_tag(b"p1"))[1].startswith(b"OK") and (await client.until_tag(b"p2"))[1].startswith(b"OK")
        await client.send(b"a APPEND INBOX {%d+}\r\n%b\r\n" % (len(body), body))
        assert (await client.until_tag(b"a"))[1].startswith(b"OK [APPENDUID")
        assert (await client.command(b"FETCH 4 RFC822.SIZE"))[0] == [b"* 4 FETCH (RFC822.SIZE %d)" % len(body)]
        await client.send(b"x LOGOUT\r\n")
        assert (await client.until_tag(b"x"))[0] == [b"* BYE Goodbye."]


async def test_over_tls(tmp_path: Path) -> None:
    made = tls.make(tmp_path / "tls")
    async with some_components(tmp_path, plaintext=False, tls=made.server) as components:
        client = Client(components.connect())
        await client.response()
        assert (await client.command(b"STARTTLS"))[1].startswith(b"OK")
        secure = trio.SSLStream(client.stream, made.client, server_hostname="example.test")  # type: ignore[arg-type]
        await secure.do_handshake()
        client.stream = secure
        assert (await client.command(b"LOGIN fred@example.org %b" % PASSWORD.encode()))[1].startswith(b"OK")
        await compressed(client)
        assert (await client.command(b"SELECT INBOX"))[1].startswith(b"OK")


async def test_the_deflater_is_released_while_nothing_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also in IDLE, where responses go out while the client sends nothing."""
    monkeypatch.setattr(connection, "RELEASE_S", 0.02)

    class Watched(Compression):
        def __init__(self) -> None:
            super().__init__()
            self.released = trio.Event()
            made.append(self)

        def release(self) -> None:
            super().release()
            self.released.set()

    made: list[Watched] = []
    monkeypatch.setattr(compression, "Compression", Watched)
    async with some_components(tmp_path) as components:
        client = await signed_in(components, b"INBOX")
        await compressed(client)
        assert (await client.command(b"NOOP"))[1].startswith(b"OK")

        async def released() -> None:
            with trio.fail_after(10):
                await made[0].released.wait()
            made[0].released = trio.Event()
            assert not made[0].deflating

        await released()
        assert (await client.command(b"FETCH 1:* FLAGS"))[1].startswith(b"BAD"), "the client reads on behind a release"
        await client.send(b"i IDLE\r\n")
        assert (await client.response() or b"").startswith(b"+")
        await released()
        await components.deliver(b"Subject: x\r\n\r\n")
        assert await client.response() == b"* 1 EXISTS"
        await released()
        await client.send(b"DONE\r\n")
        assert (await client.until_tag(b"i"))[1].startswith(b"OK")


async def test_octets_that_are_no_deflate_end_the_session_alone(tmp_path: Path) -> None:
    async with some_components(tmp_path) as components:
        client, other = await signed_in(components), await signed_in(components)
        stream = await compressed(client)
        await stream.inner.send_all(b"\xff\xff\xff NOOP\r\n")
        assert await client.response() is None
        assert (await other.command(b"NOOP"))[1].startswith(b"OK")


async def test_a_bomb_is_read_a_piece_at_a_time_and_refused(tmp_path: Path) -> None:
    """64 MB of one command in 64 KB: the session ends by the limit of a command, other sessions run meanwhile."""
    async with some_components(tmp_path) as components:
        client, other = await signed_in(components), await signed_in(components)
        stream = await compressed(client)
        bomb = zlib.compressobj(9, zlib.DEFLATED, -15)
        octets = b"".join(bomb.compress(b"a" * 2**20) for _ in range(64)) + bomb.flush(zlib.Z_SYNC_FLUSH)
        assert len(octets) < 2**17
        async with trio.open_nursery() as nursery:
            nursery.start_soon(stream.inner.send_all, octets)
            for _ in range(20):
                assert (await other.command(b"NOOP"))[1].startswith(b"OK")
            assert (await client.response() or b"").startswith(b"* BYE [TOOBIG]")


def test_inflating_is_bounded_whatever_comes() -> None:
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    octets = deflater.compress(b"\0" * 10_000_000) + deflater.flush(zlib.Z_SYNC_FLUSH)
    side, total = Compression(), 0
    plain = side.inflated(octets)
    while plain or side.held:
        assert len(plain) <= INFLATED_OCTETS
        total += len(plain)
        plain = side.inflated(b"")
    assert total == 10_000_000
    ended = zlib.compressobj(9, zlib.DEFLATED, -15)
    side = Compression()
    assert side.inflated(ended.compress(b"a NOOP\r\n") + ended.flush()) == b"a NOOP\r\n"
    with pytest.raises(PeerGone):
        side.inflated(b"more")


def pss_kb() -> int:
    rollup = Path("/proc/self/smaps_rollup").read_text()
    return next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))


def test_an_idle_session_costs_at_most_60_kb() -> None:
    """What a client sent has filled the inflater's window; the deflater is released."""
    deflater = zlib.compressobj(6, zlib.DEFLATED, -15)
    octets = deflater.compress(bytes(range(256)) * 400) + deflater.flush(zlib.Z_SYNC_FLUSH)
    gc.collect()
    before, kept = pss_kb(), []
    for _ in range(400):
        side = Compression()
        side.inflated(octets)
        while side.held:
            side.inflated(b"")
        assert b"".join(side.deflated([b"* OK " + b"x" * 5000]))
        side.release()
        kept.append(side)
    assert (pss_kb() - before) / len(kept) <= 60
