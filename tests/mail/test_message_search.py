"""What of a message SEARCH sees: fed whole or in small pieces, the same facts; reading stops when the result is known."""

from collections.abc import Generator

import pytest

from appliance.mail.message_search import TextQuery
from appliance.mail.query import BodyHas, HeaderHas, Query, ShownHas, TextHas
from appliance.protocol.imap.bodystructure import make_describe
from appliance.store.body_readers import header_octets

PREFIX = b"Return-Path: <bounce@example.org>\r\n"
MESSAGE = (
    b"Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?= aus Wien\r\nX-Word: Alpha\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    b"preamble\r\n--b\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    b"Caf=E9 and a long=\r\nword\r\n--b\r\nContent-Type: image/png; name=picture.png\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    b"aGlkZGVu\r\n--b\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\nPHA+VG9reW8g5p2x5LqsPC9wPg==\r\n--b--\r\n"
)


def facts_of(leaf: Query, octets: bytes, known: dict[Query, bool] | None = None) -> tuple[bool, int]:
    """The result, and how many octets were read."""
    scanner = make_describe()
    scanner.feed(octets)
    parts = scanner.finish().parts
    whole = PREFIX + octets
    reading: Generator[tuple[int, int], bytes, bool] = TextQuery([leaf]).matches(
        parts, len(PREFIX), len(PREFIX) + header_octets(parts), lambda facts: facts.get(leaf), known or {}
    )
    read = 0
    try:
        offset, size = next(reading)
        while True:
            read += size
            offset, size = reading.send(whole[offset : offset + size])
    except StopIteration as end:
        return bool(end.value), read


@pytest.mark.parametrize(
    ("leaf", "found"),
    [
        (HeaderHas("x-word", "alPHA"), True),
        (HeaderHas("x-word", ""), True),
        (HeaderHas("x-none", ""), False),
        (TextHas("grüsse aus"), True),
        (TextHas("bounce@example"), True),
        (TextHas("picture.png"), True),
        (BodyHas("picture.png"), False),
        (BodyHas("grüsse"), False),
        (BodyHas("café and a longword"), True),
        (BodyHas("東京"), True),
        (TextHas("hidden"), False),
        (BodyHas("preamble"), False),
        (BodyHas("longword<p>"), False),
        (ShownHas("picture.png"), True),
        (ShownHas("café and a longword"), True),
        (ShownHas("image/png"), False),
        (ShownHas("bounce@example"), False),
        (ShownHas("alpha"), False),
    ],
)
def test_facts_of_header_body_and_text(leaf: Query, found: bool) -> None:
    assert facts_of(leaf, MESSAGE)[0] is found


INNER = (
    b"Subject: outer\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n"
    b"From: Eve <eve@inner.example>\r\nReceived: from relay.example\r\nSubject: =?utf-8?Q?Caf=C3=A9?=\r\n\r\nHello\r\n--b\r\n"
    b"Content-Type: application/pdf\r\nContent-Disposition: attachment; filename*=utf-8''Rechnung%20M%C3%A4rz.pdf\r\n\r\nx\r\n--b--\r\n"
)


HTML = (
    b"Content-Type: text/html; charset=utf-8\r\n\r\n<html><head><title>Window</title><style>p { margin: 0 }</style></head>\r\n"
    b'<body><!-- secret --><p class="lead">Gr&uuml;ne <b>Bohnen</b>,\r\nand&nbsp;peas</p><script>run()</script></body></html>\r\n'
)


def test_what_a_reader_sees_of_html() -> None:
    needles = ("grüne bohnen ,", "bohnen", "and peas", "class", "lead", "margin", "window", "secret", "run()", "&uuml;", "<p", "<")
    assert [needle for needle in needles if facts_of(ShownHas(needle), HTML)[0]] == ["grüne bohnen ,", "bohnen", "and peas"]
    assert all(facts_of(BodyHas(needle), HTML)[0] for needle in needles[1:2] + needles[3:])


def test_what_a_reader_sees_of_a_message_within_the_message() -> None:
    found = [
        needle
        for needle in ("eve@inner", "café", "rechnung märz", "relay.example", "outer", "hello")
        if facts_of(ShownHas(needle), INNER)[0]
    ]
    assert found == ["eve@inner", "café", "rechnung märz", "hello"], "the ENVELOPE of the message itself is known elsewhere"
    file = b"Content-Type: application/pdf; name=plan.pdf\r\n\r\nx\r\n"
    assert facts_of(ShownHas("plan.pdf"), file)[0]


def test_reading_stops_when_the_result_is_known() -> None:
    large = MESSAGE + b"x" * 2_000_000
    assert facts_of(TextHas("wien"), large)[1] < 1000
    assert facts_of(BodyHas("wien"), large, {BodyHas("wien"): False})[1] < 1000


HEADERS = (
    b"Content-Type: text/plain; charset=utf-8\r\n", b"Content-Type: text/html; charset=ISO-8859-1\r\n", b"", b"Content-Type: image/png\r\n",
    b"Content-Type: text/plain; charset=utf-16\r\n", b"Content-Type: text/plain; charset=utf-7\r\n",
    b"Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n", b"Content-Type: multipart/mixed; boundary=x\r\n",
    b"Subject: =?utf-8?Q?caf=C3=A9?=\r\n", b"Content-Type: message/rfc822\r\n",
)  # fmt: skip
BODIES = (
    b"Some WORDS here\r\n",
    b"",
    b"caf\xc3\xa9\r\n",
    b"a=20b\r\n",
    b"--x\r\n\r\npart\r\n--x--\r\n",
    b"Subject: inner\r\n\r\nWORDS\r\n",
)
NEEDLES = ("words", "SOME w", "café", "caf", "a b", "part", "inner", "subject", "return-path", "s here\r\n", "", "\ud800")


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("body", BODIES)
def test_plain_messages_have_the_same_facts_by_the_short_way(header: bytes, body: bytes) -> None:
    octets = b"Subject: a\r\n folded line\r\n" + header + b"\r\n" + body
    scanner = make_describe()
    scanner.feed(octets)
    parts = scanner.finish().parts
    leaves: list[Query] = [kind(needle) for kind in (BodyHas, TextHas) for needle in NEEDLES]
    facts = TextQuery(leaves).plain_facts(parts, len(PREFIX), PREFIX + octets)
    if facts is not None:
        assert facts == {leaf: facts_of(leaf, octets)[0] for leaf in leaves}
    assert (facts is not None) == (header in HEADERS[:4] and (PREFIX + octets).isascii())
