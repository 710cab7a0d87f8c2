"""Short messages of the server's own: the first one in a new mailbox, and a test of how messages leave.

They take the way of every message (`delivery.intake`): one commit, the same queue, the same timeline. One to the owner may exceed the
quota, as a DSN may: a full mailbox hides no warning. One that goes out is the account's, so it counts against its send quota's limits of
the queue and bounces to it. Composed by hand: plain text in base64 (RFC 2045 §6.8).
"""

import os
from base64 import b64encode, encodebytes
from typing import TYPE_CHECKING

from appliance.control.requests import Response, SendServerMessage
from appliance.delivery.arrival import BEYOND_OCTETS, Arrival
from appliance.mail.address import Address, encode_address, parse_address
from appliance.mail.date import encode_date
from appliance.mail.envelope import Envelope, Recipient
from appliance.mail.errors import MisuseError, SetupError
from appliance.mail.limits import MB
from appliance.mail.sentence import Sentence

from .admin_request import Answers, account_of

if TYPE_CHECKING:
    from appliance.accounts.directory import Account
    from appliance.delivery.intake import Intake

    from .components import Components
    from .outbound import Outbound

TEXT_CHARACTERS = 20_000
SUBJECT_CHARACTERS = 200
WORD_OCTETS = 42
"""Octets of text in one encoded word, which has 75 characters at most (RFC 2047 §2)."""


def intake_of(components: "Components", outbound: "Outbound") -> "Intake":
    """The one way in for messages, with everything that may become of them."""
    from appliance.delivery.intake import Intake

    return Intake(
        store=components.store,
        board=components.board,
        clock=components.clock,
        dsn=outbound.dsn,
        queue=outbound.enqueuer,
        rules=outbound.rules,
    )


class ServerMessages:
    """Answers `SendServerMessage`."""

    def __init__(self, components: "Components", outbound: "Outbound") -> None:
        self._components = components
        self._outbound = outbound

    def answers(self) -> Answers:
        return ((SendServerMessage, self.send),)

    async def send(self, request: SendServerMessage) -> Response:
        """Durable when it returns. Raises SetupError, StoreError."""
        components = self._components
        account = account_of(components.accounts, request.address)
        if len(request.text) > TEXT_CHARACTERS or len(request.subject) > SUBJECT_CHARACTERS:
            raise SetupError("The text is too long.", "Make it shorter.")
        envelope = self._envelope(account, request.recipient)
        message, to = os.urandom(8).hex(), envelope.recipients[0].address or parse_address(account.address)
        octets = self._compose(request, message, to, account)
        intake = intake_of(components, self._outbound)
        async with intake.receive(MB) as incoming:
            await incoming.write(octets)
            body = await incoming.finish()
            author = account.address.rpartition("@")[2] if request.recipient else ""
            arrival = Arrival(
                message,
                envelope,
                b"",
                begun_mono=components.clock.mono_s(),
                account=account.id,
                author=author,
                beyond=0 if request.recipient else BEYOND_OCTETS,
            )
            await intake.accept(arrival, body)
        text = Sentence("The message %(message)s is on its way to %(to)s.", message=message, to=to)
        return Response(text, {"message": message, "recipient": str(to)})

    def _envelope(self, account: "Account", recipient: str) -> Envelope:
        directory = self._components.accounts.directory
        own = parse_address(account.address)
        if not recipient:
            return Envelope(None, [Recipient(own, (account.id,))])
        try:
            address = parse_address(recipient)
        except MisuseError:
            raise SetupError(
                Sentence("%(recipient)s is not an e-mail address.", recipient=recipient), "Write it as name@example.org."
            ) from None
        if directory.is_local(address.domain):
            found = directory.resolve(address)
            if not found.known:
                raise SetupError(Sentence("There is no address %(address)s here.", address=address), "Check the spelling.")
            return Envelope(own, [Recipient(address, found.accounts, found.outside)])
        if self._outbound.routes.destination(own, address.domain) is None:
            raise SetupError(self._outbound.routes.refusal_text)
        return Envelope(own, [Recipient(address, outside=(address,))])

    def _compose(self, request: SendServerMessage, message: str, to: Address, account: "Account") -> bytes:
        clock, host = self._components.clock, self._components.host_name()
        sender = account.address if request.recipient else f"postmaster@{account.address.rpartition('@')[2]}"
        date = encode_date(clock.wall_s(), clock.utc_offset_s())
        fields = [
            b"Date: " + date.encode(),
            b"From: " + (b"" if request.recipient else b"Pillarbox ") + b"<" + encode_address(parse_address(sender)) + b">",
            b"To: <" + encode_address(to) + b">",
            b"Subject: " + encode_words(request.subject),
            f"Message-ID: <{message}@{host}>".encode(),
            b"MIME-Version: 1.0",
            b"Content-Type: text/plain; charset=utf-8",
            b"Content-Transfer-Encoding: base64",
            b"Auto-Submitted: auto-generated",  # RFC 3834 §5
        ]
        text = "\r\n".join(request.text.splitlines()) + "\r\n"
        return b"\r\n".join([*fields, b"", encodebytes(text.encode()).replace(b"\n", b"\r\n")])


def encode_words(text: str) -> bytes:
    """A header text: as it is in ASCII, else in encoded words (RFC 2047 §2), none of which splits a character."""
    if text.isascii() and text.isprintable():
        return text.encode()
    words, part = [], b""
    for character in text:
        octets = (character if character.isprintable() else " ").encode()
        if len(part) + len(octets) > WORD_OCTETS:
            words.append(part)
            part = b""
        part += octets
    return b"\r\n ".join(b"=?utf-8?B?" + b64encode(word) + b"?=" for word in (*words, part))
