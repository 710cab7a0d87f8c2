"""The scanner over our own messages: expected wire forms, the same in any chunks; and the cost of hostile messages."""

import time
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.mail.description import Description
from appliance.mail.limits import HEADER_OCTETS, MIME_PARTS, NESTING_LEVELS
from appliance.mail.partmap import find
from appliance.protocol.imap.bodystructure import body_of, make_describe
from tests.support import messages as messages
from tests.support.messages import MESSAGES

NO_ENVELOPE = b"(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"
US_ASCII = b'("charset" "us-ascii")'


def from_only(local: bytes) -> bytes:
    who = b'((NIL NIL "%b" "example.org"))' % local
    return b"(NIL NIL " + b" ".join([who] * 3) + b" NIL NIL NIL NIL NIL)"


ALICE = b'((NIL NIL "alice" "example.org"))'
NAMED = b'(("Alice Example" NIL "alice" "example.org"))'
JOERG = b'(("=?utf-8?q?J=C3=B6rg?=" NIL "joerg" "example.org"))'
CAROL = b'((NIL NIL "carol" "example.com"))'
RAW = b'(({2}\r\n\xe4\xf6 NIL "x" "example.org"))'
NOBODY = b'((NIL NIL "MISSING_MAILBOX" "MISSING_DOMAIN"))'
TEXT_WITHOUT_OCTETS = b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL)'

ENVELOPES: dict[str, bytes] = {
    "plain": b'("Tue, 02 Jan 2024 10:11:12 +0100" "A plain message" '
    + b" ".join([NAMED] * 3)
    + b' (({25}\r\nBob "the Builder" Example NIL "bob" "example.net")("Carol" NIL "carol" "example.net"))'
    b' NIL NIL NIL "<plain@example.org>")',
    "latin": b"(NIL {51}\r\n=?utf-8?b?R3LDvMOf?= =?utf-8?b?ZQ==?= aus der Ferne "
    + b" ".join([JOERG] * 3)
    + b' ((NIL NIL "team" NIL)(NIL NIL "ann" "example.org")("Ben" NIL "ben" "example.org")(NIL NIL NIL NIL))'
    b' ((NIL NIL "undisclosed-recipients" NIL)(NIL NIL NIL NIL)) NIL "<one@example.org>" NIL)',
    "mixed": b'(NIL "With two attachments" ' + b" ".join([ALICE] * 3) + b' ((NIL NIL "bob" "example.net")) NIL NIL NIL NIL)',
    "forwarded": b'(NIL "Fwd: hello" ' + b" ".join([ALICE] * 3) + b" NIL NIL NIL NIL NIL)",
    "message alone": from_only(b"a"),
    "no parts": from_only(b"a"),
    "broken": b'("yesterday at noon" "" '
    + b" ".join([NOBODY] * 3)
    + b' ((NIL NIL "only" "MISSING_DOMAIN")(NIL NIL "alone" "MISSING_DOMAIN")'
    b'("quoted alone" NIL "MISSING_MAILBOX" "MISSING_DOMAIN")(NIL "@route.example" "user" "example.org"))'
    b' ((NIL NIL "a" "b")("c d e" NIL "MISSING_MAILBOX" "MISSING_DOMAIN")(NIL NIL "f" "g")) NIL NIL NIL)',
    "raw octets": b'(NIL {10}\r\ncaf\xc3\xa9\x80 "x" ' + b" ".join([RAW] * 3) + b" NIL NIL NIL NIL NIL)",
    "empty": NO_ENVELOPE,
}
STRUCTURES: dict[str, bytes] = {
    "plain": b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 43 3 NIL NIL NIL NIL)',
    "latin": b'("text" "plain" ("charset" "iso-8859-1" "format" "flowed") "<part@example.org>" NIL "quoted-printable" 54 2'
    b' NIL NIL ("de" "en") NIL)',
    "mixed": b'((("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 6 0 NIL NIL NIL NIL)'
    b'("text" "html" ("charset" "utf-8") NIL NIL "7bit" 30 0 NIL NIL NIL NIL) "alternative" ("boundary" "outer inner") NIL NIL NIL)'
    b'("application" "octet-stream" ("name" "data.bin") NIL "Some data" "base64" 274 "Q2hlY2sgSW50ZWdyaXR5IQ=="'
    b' ("attachment" ("filename" "a very long name.bin")) NIL NIL)'
    b'("image" "png" NIL NIL NIL "BASE64" 12 NIL ("inline" ("filename*" "utf-8\'\'na%C3%AFve.png")) NIL "http://example.org/ picture.png")'
    b' "mixed" ("boundary" "outer") NIL NIL NIL)',
    "forwarded": b'(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 10 0 NIL NIL NIL NIL)'
    b'("message" "rfc822" NIL NIL NIL "7bit" 266 (NIL "hello" ' + b" ".join([CAROL] * 3) + b" NIL NIL NIL NIL NIL)"
    b' (("text" "plain" ("charset" "us-ascii") NIL NIL "quoted-printable" 9 0 NIL NIL NIL NIL)'
    b'("message" "rfc822" NIL NIL NIL "7bit" 26 (NIL "innermost" NIL NIL NIL NIL NIL NIL NIL NIL)'
    b' ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 4 0 NIL NIL NIL NIL) 2 NIL NIL NIL NIL)'
    b' "mixed" ("boundary" "c") NIL NIL NIL) 17 NIL NIL NIL NIL) "mixed" ("boundary" "b") NIL NIL NIL)',
    "message alone": b'("message" "rfc822" NIL NIL NIL "7bit" 46 (NIL "inside" '
    + b" ".join([b'((NIL NIL "b" "example.org"))'] * 3)
    + b' NIL NIL NIL NIL NIL) ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 6 1 NIL NIL NIL NIL) 4 NIL NIL NIL NIL)',
    "no parts": b'(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 14 1 NIL NIL NIL NIL) "mixed" NIL NIL NIL NIL)',
    "unclosed": b'((("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 3 0 NIL NIL NIL NIL) "mixed" ("boundary" "inner") NIL NIL NIL)'
    b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 5 1 NIL NIL NIL NIL) "mixed" ("boundary" "open") NIL NIL NIL)',
    "cut header": b'(("text" "plain" ("charset" "utf-8") NIL NIL "7bit" 0 0 NIL NIL NIL NIL)("message" "rfc822" NIL NIL NIL "7bit" 0 '
    + NO_ENVELOPE
    + b" "
    + TEXT_WITHOUT_OCTETS
    + b' 0 NIL NIL NIL NIL) "mixed" ("boundary" "x") NIL NIL NIL)',
    "not MIME": b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 10 1 NIL NIL NIL NIL)',
    "broken": b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 3 1 NIL ("attachment" ("filename" "x")) NIL NIL)',
    "only a header": TEXT_WITHOUT_OCTETS,
    "empty": TEXT_WITHOUT_OCTETS,
    "long lines": b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 8002 1 NIL NIL NIL NIL)',
}


def describe(octets: bytes, *, prefix: bytes = b"", cuts: Iterator[int] | None = None) -> Description:
    scanner = make_describe()
    at = 0
    while at < len(octets):
        size = next(cuts) if cuts else len(octets)
        scanner.feed(octets[at : at + size])
        at += size
    return scanner.finish(prefix)


@pytest.mark.parametrize("name", ENVELOPES)
def test_envelope(name: str) -> None:
    assert describe(dict(MESSAGES)[name]).envelope == ENVELOPES[name]


@pytest.mark.parametrize("name", STRUCTURES)
def test_bodystructure(name: str) -> None:
    assert describe(dict(MESSAGES)[name]).bodystructure == STRUCTURES[name]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 64])
@pytest.mark.parametrize("name", [name for name, _ in MESSAGES])
def test_chunks_change_nothing(name: str, size: int) -> None:
    octets = dict(MESSAGES)[name]
    assert describe(octets, cuts=iter(lambda: size, 0)) == describe(octets)


MARKS = (
    b"--",
    b"b",
    b"\r\n",
    b"\r",
    b"\n",
    b"\r\n--b\r\n",
    b"\r\n--b--\r\n",
    b"--c\r\n",
    b" ",
    b"\0",
    b"\xe9",
    b"From: a@b",
    b"text/plain",
)
TYPES = (b"Content-Type: ", b"multipart/mixed; boundary=b", b"multipart/digest; boundary=c", b"message/rfc822")


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(MARKS + TYPES)), st.lists(st.integers(1, 9), min_size=1))
def test_any_octets_in_any_chunks_have_the_same_answer(words: list[bytes], sizes: list[int]) -> None:
    def around() -> Iterator[int]:
        while True:
            yield from sizes

    octets = b"MIME-Version: 1.0\r\n" + b"".join(words)
    whole = describe(octets)
    assert describe(octets, cuts=around()) == whole
    assert whole.octets == len(octets)
    assert body_of(body_of(whole.bodystructure)) == body_of(whole.bodystructure)


def test_body_leaves_the_extension_data_out() -> None:
    assert body_of(STRUCTURES["plain"]) == b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 43 3)'
    assert body_of(STRUCTURES["message alone"]).endswith(b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 6 1) 4)')
    assert body_of(STRUCTURES["mixed"]) == (
        b'((("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 6 0)("text" "html" ("charset" "utf-8") NIL NIL "7bit" 30 0)'
        b' "alternative")'
        b'("application" "octet-stream" ("name" "data.bin") NIL "Some data" "base64" 274)("image" "png" NIL NIL NIL "BASE64" 12) "mixed")'
    )


@pytest.mark.parametrize(
    "wire", [b"", b"(", b"nothing", b'("text"', b'("text" "plain" NIL {99}\r\nx', b"((((", b'("text" "plain" NIL NIL NIL "7bit" 1 1']
)
def test_body_of_anything_else_is_what_it_was(wire: bytes) -> None:
    assert body_of(wire) == wire


def test_the_server_s_own_fields_are_part_of_the_message() -> None:
    prefix = b"Return-Path: <a@b>\r\nReceived: from x\r\n\tby y\r\nDate: Tue, 02 Jan 2024 00:00:00 +0000\r\nMessage-ID: <ours@server>\r\n"
    scanner = make_describe()
    scanner.feed(messages.FORWARDED)
    alone, together = scanner.finish(), scanner.finish(prefix)
    assert (
        together.envelope
        == b'("Tue, 02 Jan 2024 00:00:00 +0000" ' + alone.envelope.removeprefix(b"(NIL ").removesuffix(b"NIL)") + b'"<ours@server>")'
    )
    assert (alone.has_date, alone.has_message_id, alone.hops) == (False, False, 0)
    assert (together.has_date, together.has_message_id, together.hops) == (True, True, 1)
    assert (alone.sent_at, together.sent_at) == (None, 1704153600)
    for field in ("octets", "header_octets", "parts", "bodystructure", "preview"):
        assert getattr(alone, field) == getattr(together, field)
    assert scanner.finish() == alone


def test_the_message_s_own_date_wins_over_ours() -> None:
    described = describe(messages.PLAIN, prefix=b"Received: a\r\nDate: Mon, 01 Jan 2001 00:00:00 +0000\r\n")
    assert described.envelope == ENVELOPES["plain"]
    assert (described.sent_at, described.hops) == (1704186672, 2)


@pytest.mark.parametrize(
    ("octets", "longest"),
    [
        (messages.PLAIN, 998),
        (messages.BARE_ENDS, 998),
        (messages.RAW_OCTETS, 998),
        (messages.LONG_LINES, 5000),
        (b"a\r", 998),
        (b"\n", 998),
        (b"\r\r\n", 998),
        (b"x" * 999 + b"\r\n", 999),
        (b"x" * 998 + b"\r\n", 998),
        (b"\r\n" + b"x" * 1500, 1500),
    ],
)
@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_the_longest_line(octets: bytes, longest: int, size: int) -> None:
    described = describe(octets, cuts=iter(lambda: size, 0))
    assert described.longest_line_octets == longest


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("plain", "Hello Bob, this is all."),
        ("latin", "Schöne Grüße, eine lange Zeile geht weiter."),
        ("mixed", "Words."),
        ("forwarded", "See below."),
        ("long lines", "x" * 200),
        ("empty", ""),
    ],
)
def test_preview(name: str, words: str) -> None:
    assert describe(dict(MESSAGES)[name]).preview == words


def test_a_plain_message_s_map_is_a_few_octets() -> None:
    assert len(describe(messages.PLAIN).parts) <= 8


# --- what hostile messages cost: 5 s of CPU at most ---------------

MIME = b"MIME-Version: 1.0\r\n"
MULTIPART_B = MIME + b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
DEEP = MIME + b"".join([b"Content-Type: multipart/mixed; boundary=b%03d\r\n\r\n--b%03d\r\n" % (n, n) for n in range(500)]) + b"\r\nx"
HOSTILE: tuple[tuple[str, bytes], ...] = (
    ("12,000 parts", MULTIPART_B + b"--b\r\n\r\nx\r\n" * 12_000 + b"--b--\r\n"),
    ("500 multiparts deep", DEEP),
    ("500 messages deep", b"Content-Type: message/rfc822\r\n\r\n" * 500 + b"\r\nx"),
    ("200 KB header", MIME + b"".join([b"X-%d: yyyyyyyyyyyyyyyyyy\r\n" % n for n in range(8000)]) + b"\r\nx"),
    ("8 MB header", MIME + b"X-Some-Name: yyyyyyyyyyyyyyyyyy\r\n" * 250_000 + b"\r\nx"),
    ("100,000 From lines", b"From: a@b.c\r\n" * 100_000 + b"\r\nx"),
    ("100,000 Received lines", b"Received: a\r\n" * 100_000 + b"\r\nx"),
    (
        "10,000 RFC 2231 pieces",
        MIME + b"Content-Type: text/plain" + b"".join([b";\r\n n*%d*=a%%20" % n for n in range(10_000)]) + b"\r\n\r\nx",
    ),
    (
        "10,000 RFC 2231 names",
        MIME + b"Content-Type: text/plain" + b"".join([b";\r\n n%d*=a%%20" % n for n in range(10_000)]) + b"\r\n\r\nx",
    ),
    ("60,000 parameters", MIME + b"Content-Type: text/plain" + b";a=b" * 60_000 + b"\r\n\r\nx"),
    ("60,000 addresses", b"To: " + b"a@b," * 60_000 + b"\r\n\r\nx"),
    ("250,000 open comments", b"To: " + b"(" * 250_000 + b"\r\n\r\nx"),
    ("60,000 quoted words", b"To: " + b'"a" ' * 60_000 + b"\r\n\r\nx"),
    ("50,000 groups", b"To: " + b"a:b;," * 50_000 + b"\r\n\r\nx"),
    ("120,000 folds", b"Subject: " + b"\r\n " * 120_000 + b"\r\n\r\nx"),
    ("a header line of 20 MB", b"Subject: " + b"x" * 20_000_000),
    ("10 million empty lines", b"\r\n" + b"\r\n" * 10_000_000),
    ("7 million dashed lines", MULTIPART_B + b"\n--" * 7_000_000),
    ("2 million dashed lines in 99 multiparts", DEEP.removesuffix(b"x") + b"\n--" * 2_000_000),
    ("dashes at a line's head", MULTIPART_B + b"--b" * 5_000_000),
)


@pytest.mark.parametrize("name", [name for name, _ in HOSTILE])
def test_a_hostile_message_costs_little(name: str) -> None:
    octets = dict(HOSTILE)[name]
    start = time.process_time()
    described = describe(octets, cuts=iter(lambda: 65_536, 0))
    body_of(described.bodystructure)
    took_s = time.process_time() - start
    assert took_s < 5, f"{name}: {took_s:.1f} s of CPU"
    assert len(described.envelope) + len(described.bodystructure) + len(described.parts) < 8 * 2**20


def test_parts_beyond_the_limit_are_one_leaf() -> None:
    octets = dict(HOSTILE)["12,000 parts"]
    described = describe(octets)
    last = find(described.parts, (MIME_PARTS - 1,))
    assert last is not None
    assert last.end == len(octets)
    assert find(described.parts, (MIME_PARTS,)) is None


def test_levels_beyond_the_limit_are_one_leaf() -> None:
    described = describe(DEEP)
    assert described.bodystructure.count(b'"mixed"') == NESTING_LEVELS - 1
    assert b'("application" "octet-stream" ("boundary" "b099")' in described.bodystructure
    deepest = find(described.parts, (1,) * (NESTING_LEVELS - 1))
    assert deepest is not None
    assert deepest.end == len(DEEP)


@pytest.mark.parametrize("size", [100, 1000, 65_536, 1 << 30])
def test_an_endless_header_line_is_cut_at_the_same_octet(size: int) -> None:
    octets = b"Subject: " + b"x" * (2 * HEADER_OCTETS) + b"\r\nFrom: a@b\r\n\r\n"
    described = describe(octets, cuts=iter(lambda: size, 0))
    assert described.envelope.startswith(b'(NIL "' + b"x" * (HEADER_OCTETS - 9) + b'" ((NIL NIL "a" "b"))')
    assert described.header_octets == len(octets)
