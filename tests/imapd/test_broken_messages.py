"""Malformed messages in ENVELOPE, BODYSTRUCTURE, sections, BINARY and SEARCH: all agree."""

from pathlib import Path

import pytest

from tests.support.services import some_components

from .client import signed_in
from .picture import ok


async def found(client: object, keys: bytes) -> list[bytes]:
    """The UIDs a search finds."""
    return (await ok(client, b"UID SEARCH " + keys))[0].split()[2:]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("header", "addresses"),
    [
        (b"To: Ann [Home] <f@x.example>, z@x.example", (b"f@x.example", b"z@x.example")),
        (b"To: ann@home.test <f@x.example>, z@x.example", (b"f@x.example", b"z@x.example")),
        (b"To: Ann (Home <f@x.example>, z@x.example", (b"f@x.example", b"z@x.example")),
        (b'To: "Ann <f@x.example>,\r\n z@x.example', (b"f@x.example", b"z@x.example")),
        (b"To: friends: Ann [x] <f@x.example>; , z@x.example", (b"f@x.example", b"z@x.example")),
    ],
)
async def test_an_address_after_a_broken_name_is_in_the_envelope_and_found(
    tmp_path: Path, header: bytes, addresses: tuple[bytes, ...]
) -> None:
    async with some_components(tmp_path) as components:
        await components.deliver(header + b"\r\n\r\nx\r\n")
        client = await signed_in(components, b"INBOX")
        (sent,) = await ok(client, b"FETCH 1 ENVELOPE")
        for address in addresses:
            mailbox, _, domain = address.partition(b"@")
            assert b'NIL "%b" "%b")' % (mailbox, domain) in sent
            assert await found(client, b"TO " + address) == [b"1"]


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        (b"Content-Type: text/html charset=utf-8", b'"text" "html" ("charset" "utf-8")'),
        (b"Content-Type: text", b'"text" "plain" ("charset" "us-ascii")'),
        (b"Content-Type: text/; charset=utf-8", b'"text" "plain" ("charset" "utf-8")'),
        (b"Content-Type: ;", b'"text" "plain" ("charset" "us-ascii")'),
        (b"Content-Type:", b'"text" "plain" ("charset" "us-ascii")'),
        (b"Content-Type: ;\r\nContent-Type: text/html; charset=utf-8", b'"text" "html" ("charset" "utf-8")'),
        (b"Content-Type: text/html; charset=utf-8\r\nContent-Type: image/png", b'"text" "html" ("charset" "utf-8")'),
    ],
)
@pytest.mark.parametrize(
    "encoding", [b"base64;", b'"base64"', b"base64, 7bit", b"base64\r\nContent-Transfer-Encoding: 7bit", b" (x) BASE64"]
)
async def test_type_and_encoding_are_the_same_to_everybody(tmp_path: Path, fields: bytes, kind: bytes, encoding: bytes) -> None:
    """BODYSTRUCTURE, BINARY and SEARCH, of a message and of a part of one."""
    part = b"%b\r\nContent-Transfer-Encoding: %b\r\n\r\naGlkZGVuIHdvcmRz\r\n" % (fields, encoding)
    async with some_components(tmp_path) as components:
        await components.deliver(b"MIME-Version: 1.0\r\n" + part)
        await components.deliver(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" + part + b"--b--\r\n")
        client = await signed_in(components, b"INBOX")
        for number in (b"1", b"2"):
            (sent,) = await ok(client, b"FETCH %b (BODYSTRUCTURE BINARY.SIZE[1] BINARY.PEEK[1])" % number)
            assert kind in sent and b'NIL NIL "base64"' in sent.replace(b"BASE64", b"base64")
            assert b"BINARY.SIZE[1] 12" in sent and b"hidden words" in sent
        assert await found(client, b'BODY "hidden words"') == [b"1", b"2"]


async def test_without_mime_nothing_is_decoded_by_anybody(tmp_path: Path) -> None:
    """RFC 2045 §4: without MIME-Version and Content-Type a transfer encoding means nothing, to BODYSTRUCTURE, BINARY and SEARCH alike."""
    async with some_components(tmp_path) as components:
        await components.deliver(b"Content-Transfer-Encoding: base64\r\n\r\naGlkZGVuIHdvcmRz\r\n")
        client = await signed_in(components, b"INBOX")
        (sent,) = await ok(client, b"FETCH 1 (BODYSTRUCTURE BINARY.PEEK[1])")
        assert b'"7bit" 18' in sent and b"aGlkZGVuIHdvcmRz" in sent
        assert await found(client, b"BODY hidden") == []
        assert await found(client, b"BODY aGlkZGVuIHdvcmRz") == [b"1"]


@pytest.mark.parametrize(
    "parameter",
    [b"", b'; boundary=""', b'; boundary="b', b"; boundary=other", b"; boundary=b\r\n--b\r\nContent-Type: text/html"],
    ids=["none", "empty", "unclosed", "another", "no blank line"],
)
async def test_a_multipart_in_which_no_part_begins_is_one_text(tmp_path: Path, parameter: bytes) -> None:
    body = b"hidden words\r\n--b--\r\nbehind\r\n"
    async with some_components(tmp_path) as components:
        await components.deliver(b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed" + parameter + b"\r\n\r\n" + body)
        client = await signed_in(components, b"INBOX")
        (sent,) = await ok(client, b"FETCH 1 (BODYSTRUCTURE BODY.PEEK[1] BINARY.SIZE[1])")
        assert b'(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" %d 3 NIL NIL NIL NIL) "mixed"' % len(body) in sent
        assert b"BODY[1] {%d}\r\n%b" % (len(body), body) in sent
        assert b"BINARY.SIZE[1] %d" % len(body) in sent
        assert await found(client, b"BODY behind") == [b"1"]


async def test_a_first_delimiter_in_the_header_loses_no_text(tmp_path: Path) -> None:
    """No blank line before the first part, but later parts do begin: the first is a part all the same, as its fields say."""
    head = b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n"
    first = b"--b\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\naGlkZGVuIHdvcmRz"
    async with some_components(tmp_path) as components:
        await components.deliver(head + first + b"\r\n--b\r\n\r\nseen\r\n--b--\r\n")
        client = await signed_in(components, b"INBOX")
        (sent,) = await ok(client, b"FETCH 1 (BODY BINARY.PEEK[1] BODY.PEEK[2])")
        assert b'(("text" "html" ("charset" "us-ascii") NIL NIL "base64" 16 0)("text" "plain"' in sent
        assert b"hidden words" in sent and b"BODY[2] {4}\r\nseen" in sent
        assert await found(client, b'BODY "hidden words"') == [b"1"]


NUL_HEADER = b"Subject: a\0b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
NUL_PART = b"Content-Description: c\0\r\n\r\n"
NUL_TEXT = b"--b\r\n" + NUL_PART + b"d\0e\0\r\n--b\r\nContent-Transfer-Encoding: base64\r\n\r\nAGEA\r\n--b--\r\n"


@pytest.mark.parametrize(
    ("item", "octets"),
    [
        (b"BODY.PEEK[]", NUL_HEADER + NUL_TEXT),
        (b"RFC822", NUL_HEADER + NUL_TEXT),
        (b"BODY.PEEK[HEADER]", NUL_HEADER),
        (b"RFC822.HEADER", NUL_HEADER),
        (b"BODY.PEEK[HEADER.FIELDS (SUBJECT)]", b"Subject: a\0b\r\n\r\n"),
        (b"BODY.PEEK[HEADER.FIELDS.NOT (CONTENT-TYPE)]", b"Subject: a\0b\r\n\r\n"),
        (b"BODY.PEEK[TEXT]", NUL_TEXT),
        (b"RFC822.TEXT", NUL_TEXT),
        (b"BODY.PEEK[1]", b"d\0e\0"),
        (b"BODY.PEEK[1.MIME]", NUL_PART),
        (b"BODY.PEEK[]<8.5>", NUL_HEADER[8:13]),
        (b"BODY.PEEK[HEADER.FIELDS (SUBJECT)]<10.1>", b"\0"),
        (b"BODY.PEEK[1]<1.2>", b"\0e"),
    ],
)
async def test_nul_is_sent_as_one_other_octet_in_every_plain_form(tmp_path: Path, item: bytes, octets: bytes) -> None:
    """RFC 9051 §4.3.1; sizes and ranges count it as stored, and BINARY sends it as it is (RFC 3516 §4.2)."""
    async with some_components(tmp_path) as components:
        await components.deliver(NUL_HEADER + NUL_TEXT)
        client = await signed_in(components, b"INBOX")
        sent = b"".join(await ok(client, b"FETCH 1 (RFC822.SIZE %b)" % item))
        assert b"RFC822.SIZE %d" % len(NUL_HEADER + NUL_TEXT) in sent
        assert b" {%d}\r\n%b)" % (len(octets), octets.replace(b"\0", b"\x80")) in sent


async def test_binary_sends_nul_as_it_is(tmp_path: Path) -> None:
    async with some_components(tmp_path) as components:
        await components.deliver(NUL_HEADER + NUL_TEXT)
        client = await signed_in(components, b"INBOX")
        sent = b"".join(await ok(client, b"FETCH 1 (BINARY.PEEK[1] BINARY.SIZE[2] BINARY.PEEK[2] BINARY.PEEK[2]<1.1>)"))
        assert b"BINARY[1] ~{4}\r\nd\0e\0 BINARY.SIZE[2] 3 BINARY[2] ~{3}\r\n\0a\0 BINARY[2]<1> ~{1}\r\na)" in sent
        sent = b"".join(await ok(client, b"FETCH 1 BINARY.PEEK[]"))
        assert b"~{" in sent and NUL_HEADER in sent and b"d\0e\0" in sent
