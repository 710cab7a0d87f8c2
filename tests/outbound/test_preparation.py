"""outbound/preparation: author first, conversion next, signature last; each only where it applies."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from appliance.delivery.route import Route
from appliance.mail.address import Address
from appliance.mail.outcome import DsnAction, Outcome
from appliance.mail.outgoing import Chunks, OutgoingMessage
from appliance.outbound.preparation import Preparation, prepend
from appliance.protocol.smtp.client import Offer

from .test_conversion import chunks_of, message_to

PLAIN = b"From: Ada <ada@home.example>\r\nSubject: x\r\n\r\nhello\r\n"
EIGHT = "From: ada@home.example\r\nSubject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nGrüße\r\n".encode()
DIRECT = Route()
PROVIDER = Address("ada.k", "provider.example")


async def read(chunks: Chunks) -> bytes:
    async with chunks() as octets:
        return b"".join([chunk async for chunk in octets])


class Signer:
    """Keeps what it signed."""

    def __init__(self, signature: bytes = b"DKIM-Signature: v=1\r\n") -> None:
        self.signature = signature
        self.signed: list[tuple[str, bytes]] = []

    async def sign(self, domain: str, chunks: Chunks) -> bytes:
        self.signed.append((domain, await read(chunks)))
        return self.signature


async def prepared(message: bytes, preparation: Preparation, route: Route = DIRECT, author: str = "home.example") -> OutgoingMessage:
    made = await preparation.prepare(message_to(message, author=author), Offer(), route)
    assert isinstance(made, OutgoingMessage), made
    assert made.octets == len(await read(made.chunks)), "SIZE announces what is sent"
    return made


async def test_without_a_signer_and_a_relay_nothing_changes() -> None:
    made = await prepared(PLAIN, Preparation())
    assert await read(made.chunks) == PLAIN and made.sender == Address("ada", "home.example")


async def test_the_signature_covers_the_message_as_it_is_sent() -> None:
    signer = Signer()
    made = await prepared(EIGHT, Preparation(signer), author="straße.example")
    ((domain, signed),) = signer.signed
    assert domain == "xn--strae-oqa.example", "d= is an A-label (RFC 6376 §3.5)"
    assert b"quoted-printable" in signed and b"Gr=C3=BC=C3=9Fe" in signed, "converted before it is signed"
    assert await read(made.chunks) == signer.signature + signed == await read(made.chunks)


@pytest.mark.parametrize(("author", "signature"), [("", b"DKIM-Signature: v=1\r\n"), ("home.example", b"")])
async def test_forwarded_messages_and_those_that_cannot_be_signed_are_sent_unsigned(author: str, signature: bytes) -> None:
    signer = Signer(signature)
    made = await prepared(PLAIN, Preparation(signer), author=author)
    assert await read(made.chunks) == PLAIN and len(signer.signed) == (author != "")


async def test_a_relay_that_knows_the_account_by_another_address_gets_that_one_unsigned() -> None:
    signer = Signer()
    made = await prepared(PLAIN, Preparation(signer), route=Route(author=PROVIDER))
    assert made.sender == PROVIDER and await read(made.chunks) == PLAIN.replace(b"ada@home.example", b"ada.k@provider.example")
    assert signer.signed == [], "the provider signs for its own domain"


async def test_only_addresses_of_the_sending_account_are_rewritten() -> None:
    asked: list[tuple[Address, Address]] = []

    def same_account(sender: Address, address: Address) -> bool:
        asked.append((sender, address))
        return address.local == "info"

    message = PLAIN.replace(b"\r\nSubject", b"\r\nReply-To: info@home.example\r\nSubject")
    made = await prepared(message, Preparation(same_account=same_account), route=Route(author=PROVIDER))
    octets = await read(made.chunks)
    assert b"Ada <ada@home.example>" in octets and b"Reply-To: ada.k@provider.example" in octets
    assert {sender for sender, _ in asked} == {Address("ada", "home.example")}


async def test_a_bounce_through_that_relay_keeps_its_null_sender() -> None:
    outgoing = replace(message_to(PLAIN), sender=None)
    made = await Preparation().prepare(outgoing, Offer(), Route(author=PROVIDER))
    assert isinstance(made, OutgoingMessage) and made.sender is None and await read(made.chunks) == PLAIN


async def test_a_message_that_the_server_cannot_take_is_an_outcome_and_is_not_signed() -> None:
    signer = Signer()
    outgoing = message_to(PLAIN, to="üser", smtputf8=True)
    made = await Preparation(signer).prepare(outgoing, Offer(eightbitmime=True), DIRECT)
    assert isinstance(made, Outcome) and made.action is DsnAction.FAILED and made.status == "5.6.7" and signer.signed == []


async def test_prepended_lines_come_first_each_time() -> None:
    chunks = prepend(b"A: b\r\n", chunks_of(PLAIN, 3))
    assert await read(chunks) == await read(chunks) == b"A: b\r\n" + PLAIN


async def test_a_reader_that_stops_early_closes_what_it_read_from() -> None:
    closed: list[str] = []

    class Source:
        def __call__(self) -> "Source":
            return self

        async def __aenter__(self) -> AsyncIterator[bytes]:
            return chunks_once()

        async def __aexit__(self, *_: object) -> None:
            closed.append("closed")

    async def chunks_once() -> AsyncIterator[bytes]:
        yield PLAIN

    async with prepend(b"A: b\r\n", Source())() as octets:
        assert await anext(octets) == b"A: b\r\n"
    assert closed == ["closed"]
