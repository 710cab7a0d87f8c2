"""Bcc fields of submitted messages: removed from every copy, and nothing else is (RFC 5322 §3.6.3)."""

from base64 import b64encode
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.delivery.bcc import NAME_OCTETS, BccRemover
from appliance.mail.header import fields, header_end
from appliance.mail.limits import HEADER_OCTETS
from tests.support.services import PASSWORD, Components, some_components
from tests.support.smtp import Client

FRED, MARY = "fred@example.org", "mary@example.org"
MIXED = b'Content-Type: multipart/mixed; boundary="b"\r\n'
ATTACHED = b"\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nBcc: kept\r\nSubject: in\r\n\r\nt\r\n--b--\r\n"
CASES = {
    b"From: f@e.org\r\nBcc: x@y.example\r\nSubject: a\r\n\r\nBcc: in the body\r\n":
        b"From: f@e.org\r\nSubject: a\r\n\r\nBcc: in the body\r\n",
    b"Bcc: x@y.example,\r\n z@y.example\r\n\tq@y.example\r\nSubject: a\r\n\r\nb\r\n": b"Subject: a\r\n\r\nb\r\n",
    b"Subject: a\r\nBCC \t : x\r\n \r\n x\r\nbCc:\r\nResent-Bcc: y\r\nRESENT-BCC\t:\r\n z\r\n\r\nb\r\n": b"Subject: a\r\n\r\nb\r\n",
    b"Subject: a\r\n Bcc: folded, so no field\r\nBccs: x\r\nX-Bcc: x\r\nResent-Bccx: x\r\nb: x\r\nResent-: x\r\nB\r\n\r\n": None,
    b"Subject: a\r\nBcc: x": b"Subject: a\r\n",
    b"Subject: a\r\nBcc": b"Subject: a\r\n",
    b"Subject: a\r\nBcc\r\n : x\r\n\r\nb\r\n": b"Subject: a\r\n\r\nb\r\n",
    b"Bcc: x\r\n": b"",
    b"\r\nBcc: in the body\r\n": None,
    b" Bcc: a first line that is folded\r\nBcc: x\r\n\r\nb": b" Bcc: a first line that is folded\r\n\r\nb",
    b"Bcc" + b" " * (NAME_OCTETS + 5) + b": x\r\nSubject: a\r\n\r\n": b"Subject: a\r\n\r\n",
    b"Subject: a\nBcc: x\nTo: b\n\nBcc: body\n": b"Subject: a\nTo: b\n\nBcc: body\n",
    MIXED + b"Bcc: x\r\n" + ATTACHED: MIXED + ATTACHED,
    b"Resent-Bcc: x\r\n\r\n\r\nBcc: y\r\n": b"\r\n\r\nBcc: y\r\n",
    b"R\r\nRe: x\r\nResent-B\r\n\r\n\r": None,
}  # fmt: skip


def removed(octets: bytes, size: int) -> bytes:
    remover = BccRemover()
    return b"".join(remover.feed(octets[at : at + size]) for at in range(0, len(octets), size)) + remover.end()


@pytest.mark.parametrize("size", [1, 2, 3, 7, 10_000])
@pytest.mark.parametrize("octets", CASES)
def test_what_is_removed(octets: bytes, size: int) -> None:
    wanted = CASES[octets]
    assert removed(octets, size) == (octets if wanted is None else wanted)


_LINE = st.sampled_from([b"Bcc:", b"bcc", b" x", b"\t", b"Resent-Bcc: a@b", b"Subject: s", b"B", b"", b"Bcc \r", b"To: \xff", b":"])


@given(st.lists(st.tuples(_LINE, st.sampled_from([b"\r\n", b"\n"])), max_size=12), st.integers(1, 9))
def test_the_header_reader_finds_none_left(lines: list[tuple[bytes, bytes]], size: int) -> None:
    """Held against `mail.header`: what is left has no such field, and every other field and the body as they stood."""
    octets = b"".join(line + end for line, end in lines)
    left = removed(octets, size)
    end, end_left = header_end(octets), header_end(left)
    names = (b"bcc", b"resent-bcc")
    kept = [octets[field.start : field.end] for field in fields(octets[:end]) if field.name.lower().rstrip(b" \t") not in names]
    assert [left[field.start : field.end] for field in fields(left[:end_left])] == kept
    assert left.endswith(octets[end:])


async def _signed_in(components: Components) -> Client:
    client = Client(components.connect("submission"))
    await client.greet()
    plain = b64encode(b"\0" + FRED.encode() + b"\0" + PASSWORD.encode()).decode()
    assert (await client.ask(f"AUTH PLAIN {plain}")).code == 235
    return client


MESSAGE = (
    b"From: fred@example.org\r\nBcc: secret@example.org,\r\n more@example.org\r\nDate: Mon, 6 Oct 2025 12:00:00 +0000\r\n"
    b"Message-ID: <1@example.org>\r\nSubject: a\r\n\r\nBcc: body\r\n"
)
LEFT = MESSAGE.replace(b"Bcc: secret@example.org,\r\n more@example.org\r\n", b"")


@pytest.mark.parametrize("how", ["data", "one chunk", "an octet a chunk", "binary"])
async def test_submitted_messages(tmp_path: Path, how: str) -> None:
    """Stored octets, RFC822.SIZE and offsets are those of what is left."""
    async with some_components(tmp_path) as components:
        client = await _signed_in(components)
        if how == "binary":
            assert (await client.ask(f"MAIL FROM:<{FRED}> BODY=BINARYMIME SIZE={len(MESSAGE)}")).code == 250
            assert (await client.ask(f"RCPT TO:<{MARY}>")).code == 250
        else:
            await client.envelope(FRED, MARY)
        if how == "data":
            reply = await client.data(MESSAGE)
        elif how == "an octet a chunk":
            reply = await client.chunks(*(MESSAGE[at : at + 1] for at in range(len(MESSAGE))))
        else:
            reply = await client.chunks(MESSAGE)
        assert reply.code == 250, reply
        opened = await components.store.open(components.account(MARY), "INBOX", read_only=True)
        message = await opened.open_message(opened.uids[0])
        octets = await message.read(0, 2**20)
        assert octets.endswith(b"\r\n" + LEFT) and len(octets) == message.octets
        assert octets[: message.header_octets].endswith(b"Subject: a\r\n\r\n")
        opened.close()


async def test_a_header_without_end_is_refused(tmp_path: Path) -> None:
    """Nothing is looked at beyond the limit, so nothing may be kept: a field after it could be a Bcc."""
    remover = BccRemover()
    for _ in range(HEADER_OCTETS // 6 + 1):
        remover.feed(b"bcc: x")
        remover.feed(b"\r\n")
    assert remover.oversized and remover.feed(b"bcc: y\r\n") == b"bcc: y\r\n"
    async with some_components(tmp_path) as components:
        client = await _signed_in(components)
        await client.envelope(FRED, MARY)
        reply = await client.data(b"From: fred@example.org\r\n" + b"Bcc: x@y.example\r\n" * (HEADER_OCTETS // 16) + b"Bcc: y\r\n\r\nb\r\n")
        assert (reply.code, reply.status) == (552, "5.3.4")


async def test_an_unauthenticated_message_keeps_every_octet(tmp_path: Path) -> None:
    async with some_components(tmp_path) as components:
        client = Client(components.connect("smtp"))
        await client.greet()
        await client.envelope("x@outside.example", MARY)
        assert (await client.data(MESSAGE.replace(b"fred@example.org", b"x@outside.example"))).code == 250
        opened = await components.store.open(components.account(MARY), "INBOX", read_only=True)
        message = await opened.open_message(opened.uids[0])
        assert b"\r\nBcc: secret@example.org,\r\n more@example.org\r\n" in await message.read(0, 2**20)
        opened.close()


async def test_a_copy_stored_by_the_client_keeps_it(tmp_path: Path) -> None:
    async with some_components(tmp_path) as components:
        await components.deliver(MESSAGE, "Sent", address=FRED)
        opened = await components.store.open(components.account(FRED), "Sent", read_only=True)
        assert await (await opened.open_message(opened.uids[0])).read(0, 2**20) == MESSAGE
        opened.close()
