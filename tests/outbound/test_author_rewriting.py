"""outbound/author_rewriting: a relay's account under its own address; other authors, names and the body stay as they are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.mail.address import Address
from appliance.mail.limits import HEADER_OCTETS
from appliance.outbound.author_rewriting import rewrite_author, rewrite_header

from .test_conversion import chunks_of

OWN = frozenset({Address("anna", "home.example"), Address("info", "home.example")})
PROVIDER = Address("anna.k", "provider.example")
OUT = b"anna.k@provider.example"


def rewritten(head: bytes) -> bytes:
    return rewrite_header(head, OUT, OWN.__contains__)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"From: anna@home.example\r\n", b"From: anna.k@provider.example\r\n"),
        (b"From: Anna K <anna@home.example>\r\n", b"From: Anna K <anna.k@provider.example>\r\n"),
        (b'From: "K, Anna" <anna@home.example>\r\n', b'From: "K, Anna" <anna.k@provider.example>\r\n'),
        (b"From: =?utf-8?q?Ann=C3=A4?= <anna@home.example>\r\n", b"From: =?utf-8?q?Ann=C3=A4?= <anna.k@provider.example>\r\n"),
        (b"FROM:\r\n Anna\r\n <anna@home.example>\r\n", b"FROM:\r\n Anna\r\n <anna.k@provider.example>\r\n"),
        (b"Sender: info@home.example\r\n", b"Sender: anna.k@provider.example\r\n"),
        (b"Reply-To: info@home.example, x@far.example\r\n", b"Reply-To: anna.k@provider.example, x@far.example\r\n"),
        (b"From: Us: anna@home.example, ben@home.example;\r\n", b"From: Us: anna.k@provider.example, ben@home.example;\r\n"),
        (b"From: anna@home.example (at home)\r\n", b"From: anna.k@provider.example (at home)\r\n"),
    ],
)
def test_own_addresses_of_the_author_fields_are_replaced(before: bytes, after: bytes) -> None:
    assert rewritten(before + b"Subject: x\r\n\r\n") == after + b"Subject: x\r\n\r\n"


@pytest.mark.parametrize(
    "field",
    [
        b"From: ben@home.example\r\n", b"From: Ben <ben@far.example>\r\n", b"To: anna@home.example\r\n", b"Cc: anna@home.example\r\n",
        b"Resent-From: anna@home.example\r\n", b"X-From: anna@home.example\r\n", b"Message-ID: <anna@home.example>\r\n",
        b"From: anna\r\n", b"From: <>\r\n", b"From:\r\n", b"From: anna@\r\n", b"From: joanna@home.example\r\n",
        b"From: anna@home.example.evil.example\r\n", b"From: \xff\xfe@home.example\r\n",
    ],
)  # fmt: skip
def test_everything_else_stays(field: bytes) -> None:
    message = field + b"Subject: x\r\n\r\nFrom: anna@home.example\r\n"
    assert rewritten(message) == message, "the body is never looked at"


@given(st.binary(max_size=300))
def test_any_octets_are_read_and_only_addresses_of_the_account_change(octets: bytes) -> None:
    assert rewrite_header(octets, OUT, lambda address: False) == octets
    assert rewritten(octets).count(OUT) <= octets.count(b"@")


@pytest.mark.parametrize("size", [1, 7, 50, 4096])
async def test_the_message_is_the_same_each_time_and_in_any_chunks(size: int) -> None:
    body = b"From: anna@home.example\r\n" * 100
    message = b"Subject: x\r\nFrom: Anna <anna@home.example>\r\nSender: anna@home.example\r\n\r\n" + body
    chunks = rewrite_author(chunks_of(message, size), PROVIDER, OWN.__contains__)
    for _ in range(2):
        async with chunks() as octets:
            made = b"".join([chunk async for chunk in octets])
        assert made == b"Subject: x\r\nFrom: Anna <" + OUT + b">\r\nSender: " + OUT + b"\r\n\r\n" + body


async def test_a_message_without_a_body_and_a_header_without_end() -> None:
    async with rewrite_author(chunks_of(b"From: anna@home.example\r\n"), PROVIDER, OWN.__contains__)() as octets:
        assert b"".join([chunk async for chunk in octets]) == b"From: " + OUT + b"\r\n"
    endless = b"From: anna@home.example\r\n" + b"X-Filler: " + b"y" * 60 + b"\r\n"
    endless += (b"X-Filler: " + b"y" * 60 + b"\r\n") * (2 * HEADER_OCTETS // 72)
    async with rewrite_author(chunks_of(endless, 4096), PROVIDER, OWN.__contains__)() as octets:
        pieces = [chunk async for chunk in octets]
    assert b"".join(pieces) == endless.replace(b"anna@home.example", OUT)
    assert max(map(len, pieces)) <= HEADER_OCTETS + 4096 + len(OUT), "what is held in memory ends with the limit"
