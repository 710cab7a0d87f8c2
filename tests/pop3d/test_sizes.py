"""STAT, LIST and RETR report the octets that RETR sends: every line ends in CRLF (RFC 1939 §11)."""

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from appliance.mail.crlf import MissingCrlf
from appliance.protocol.dot_stuffing import DotStuffer
from tests.support.services import Components, some_components

from .pop_client import PopClient

LARGE = b"Subject: large\r\n\r\n" + b"x" * 70 + (b"\r\n" + b"line\n") * 20_000
MESSAGES = [
    b"Subject: a\r\n\r\nbody\r\n", b"Subject: a\r\n\r\nbody", b"Subject: a\n\nbody\n", b"Subject: a\n\nbo\ndy", b"Subject: a\r\n\r\n\r",
    b"\n", b"x", b"\r\n", b"a\rb\r\n", b".\n.", b"Subject: d\r\n\r\n..\n.\r\n.", LARGE, LARGE + b".", LARGE * 6 + b"\r", b"no end\r\r\n\n",
]  # fmt: skip


def unstuffed(octets: bytes) -> bytes:
    """A response as a client decodes it."""
    assert octets.endswith(b"\r\n.\r\n") or octets == b".\r\n"
    text = b"\r\n" + octets[: -len(b".\r\n")]
    return text.replace(b"\r\n.", b"\r\n")[2:]


@given(st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b".", b"a", b"bc\r\n", b"\n.", b""]), max_size=20), st.integers(1, 7))
def test_the_count_matches_the_response(parts: list[bytes], size: int) -> None:
    octets = b"".join(parts)
    crlf, stuffer = MissingCrlf(), DotStuffer()
    sent = b""
    for at in range(0, len(octets), size):
        crlf.feed(octets[at : at + size])
        sent += stuffer.feed(octets[at : at + size])
    sent += stuffer.finish()
    assert len(octets) + crlf.octets == len(unstuffed(sent))


async def _check(components: Components, count: int) -> None:
    async with PopClient(components.connect("pop3")) as client:
        await client.sign_in()
        total = 0
        for number in range(1, count + 1):
            listed = int((await client.command(b"LIST %d" % number)).split()[2])
            first = await client.command(b"RETR %d" % number)
            assert first == b"+OK %d octets" % listed
            assert len(await client.body()) == listed, number
            total += listed
        assert await client.command(b"STAT") == b"+OK %d %d" % (count, total)
        await client.command(b"DELE 2")
        second = int((await client.command(b"LIST 3")).split()[2])
        await client.command(b"LIST")
        rows = [tuple(map(int, row.split())) for row in (await client.body()).splitlines()]
        assert len(rows) == count - 1 and rows[1] == (3, second)
        assert await client.command(b"STAT") == b"+OK %d %d" % (count - 1, sum(octets for _, octets in rows))
        await client.command(b"RSET")


async def test_messages_of_every_kind(tmp_path: Path) -> None:
    async with some_components(tmp_path) as components:
        for octets in MESSAGES:
            await components.deliver(octets)
        await _check(components, len(MESSAGES))


async def test_rows_of_expunged_messages_are_deleted(tmp_path: Path) -> None:
    async with some_components(tmp_path) as components:
        for octets in MESSAGES[:5]:
            await components.deliver(octets)
        async with PopClient(components.connect("pop3")) as client:
            await client.sign_in()
            for number in range(1, 6):
                await client.command(b"DELE %d" % number)
            assert (await client.command(b"QUIT")).startswith(b"+OK")
        assert (
            await components.store.database.read(lambda connection: connection.execute("SELECT count(*) FROM body_crlf").fetchone()[0]) == 0
        )
