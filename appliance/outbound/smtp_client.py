"""One conversation with another server's server: greeting, EHLO, TLS, then transaction after transaction (RFC 5321 §3).

Promise: whatever the other side does, each recipient ends with one Outcome, and only the other side's own word makes it final:
5xx fails, everything else is a wait. What was not answered after the final dot is UNSURE: it may have arrived
(RFC 5321 §4.5.3.2.6). A server that answers before the whole message was sent has answered: nothing more is sent to it.
Time-outs: RFC 5321 §4.5.3.2. A lost or senseless conversation raises nothing from `transact`; `over` is then True.
"""

import ssl
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import trio

from appliance.mail.errors import MisuseError, PeerError, PeerSlow, StoreError
from appliance.mail.outcome import DeliveryStatus, Outcome, Reason
from appliance.mail.outgoing import OutgoingMessage
from appliance.mail.reply import Reply
from appliance.network.certificate_fault import BadCertificate
from appliance.protocol.dot_stuffing import DotStuffer
from appliance.protocol.smtp.client import Offer, ReplyReader, group, parse_offer, tidied

from .refusal import Step, refusal, too_many

if TYPE_CHECKING:
    from appliance.network.stream import Stream
    from appliance.protocol.sasl.client import ClientExchange

GREETING_S = MAIL_S = RCPT_S = 300.0
DATA_S = 120.0
BLOCK_S = 180.0
FINAL_S = 600.0
QUIT_S = 5.0
CHALLENGES = 4
"""No mechanism of ours is asked more."""
RECIPIENTS_AT_ONCE = 100
"""RFC 5321 §4.5.3.1.8: every server takes so many; one that says it takes fewer is believed (§4.5.3.1.10)."""
REFUSING_S = 5.0
"""How long the words of a server that broke off in the middle of the message are waited for."""


class ClientEnded(Exception):
    """The conversation cannot go on; `outcome` is what that means for whoever was not settled."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.text)
        self.outcome = outcome


class SmtpClient:
    """`host` is the server's name for people. Use `open`, `start_tls`, `transact`, `quit`."""

    def __init__(self, stream: "Stream", host: str) -> None:
        self.stream = stream
        self.host = host
        self.offer = Offer()
        self.over = False
        self._reader = ReplyReader()
        self._replies: list[Reply] = []
        self._at_once = RECIPIENTS_AT_ONCE

    async def open(self, our_name: str) -> None:
        """Greeting and EHLO. Raises Ended."""
        greeting = await self._reply(GREETING_S)
        if greeting.code != 220:
            raise ClientEnded(refusal(greeting, Step.CONNECT, self.host))
        await self.hello(our_name)

    async def hello(self, our_name: str) -> None:
        """EHLO, or HELO where that is not understood. Raises Ended."""
        reply = await self._ask(f"EHLO {our_name}\r\n".encode(), GREETING_S)
        if reply.code == 250:
            self.offer = parse_offer(reply)
            return
        if reply.permanent:
            reply = await self._ask(f"HELO {our_name}\r\n".encode(), GREETING_S)
        if reply.code != 250:
            raise ClientEnded(refusal(reply, Step.CONNECT, self.host))
        self.offer = Offer()

    async def start_tls(self, context: ssl.SSLContext, server_hostname: str, our_name: str) -> None:
        """STARTTLS and EHLO again. Raises Ended with Reason.TLS, BadCertificate."""
        reply = await self._ask(b"STARTTLS\r\n", MAIL_S)
        if reply.code != 220:
            raise ClientEnded(
                self._outcome(DeliveryStatus.DEFERRED, "4.7.4", Reason.TLS, "The other server offers TLS and then refuses it.", reply)
            )
        if self._reader.holds_octets or self._replies:
            raise ClientEnded(
                self._outcome(DeliveryStatus.DEFERRED, "4.7.5", Reason.TLS, "Somebody spoke between us and the other server.")
            )
        try:
            await self.stream.start_tls_as_client(context, server_hostname)
        except BadCertificate:
            self.over = True
            raise
        except PeerError as trouble:
            self.over = True
            raise ClientEnded(self._outcome(DeliveryStatus.DEFERRED, "4.7.5", Reason.TLS, f"{_sentence(str(trouble))}")) from None
        await self.hello(our_name)

    async def sign_in(self, exchange: "ClientExchange") -> None:
        """AUTH (RFC 4954 §4). Raises Ended with Reason.SIGN_IN; a temporary refusal is one too, with status 4.7.0."""
        first = exchange.first()
        command = f"AUTH {exchange.mechanism}"
        if first is not None:
            written = b64encode(first).decode() or "="
            # RFC 4954 §4: a line has an end; longer ones wait for the empty challenge
            if len(command) + len(written) < 500:
                command, first = f"{command} {written}", None
        reply = await self._ask(command.encode() + b"\r\n", MAIL_S)
        for _ in range(CHALLENGES):
            if reply.code != 334:
                break
            try:
                challenge = b64decode(reply.lines[0] if reply.lines else "", validate=True)
                response, first = (first, None) if first is not None and not challenge else (exchange.answer(challenge), first)
            except (MisuseError, ValueError) as trouble:
                with suppress(ClientEnded):
                    await self._ask(b"*\r\n", MAIL_S)
                raise ClientEnded(self._sign_in(f"Signing in at {self.host} failed: {trouble}.", reply)) from None
            reply = await self._ask(b64encode(response or b"") + b"\r\n", MAIL_S)
        if reply.code == 235 and exchange.satisfied():
            return
        if reply.code == 235:
            raise ClientEnded(self._sign_in(f"{self.host} did not prove that it knows the password.", reply))
        if reply.temporary:
            raise ClientEnded(self._sign_in(f"{self.host} could not check the password just now.", reply))
        raise ClientEnded(self._sign_in(f"{self.host} does not accept the name and password of the settings.", reply))

    def _sign_in(self, text: str, reply: Reply) -> Outcome:
        return self._outcome(DeliveryStatus.DEFERRED, "4.7.8" if reply.permanent else "4.7.0", Reason.SIGN_IN, text, reply)

    async def transact(self, outgoing: OutgoingMessage, octets: int, begun: Callable[[], None]) -> tuple[Outcome, ...]:
        """One message for all its recipients, in order. `octets` as announced; the message is read from `parcel.pieces`."""
        found: dict[int, Outcome] = {}
        left = list(range(len(outgoing.recipients)))
        while left:
            numbers, left = left[: self._at_once], left[self._at_once :]
            rest, again = self._cannot(outgoing, octets), []
            if rest is None:
                try:
                    again = await self._transaction(outgoing, octets, numbers, found, begun)
                except ClientEnded as end:
                    rest = end.outcome
            left = [*again, *left]
            for number in numbers:
                if number not in again:
                    found.setdefault(number, rest or self._broken())
        return tuple(found[number] for number in range(len(outgoing.recipients)))

    def _cannot(self, outgoing: OutgoingMessage, octets: int) -> Outcome | None:
        """Why the message cannot even be offered, or None."""
        if self.over:
            return self._broken()
        if self.offer.size_octets and octets > self.offer.size_octets:
            text = f"The other server takes messages of at most {self.offer.size_octets / 1e6:.1f} MB."
            return self._outcome(DeliveryStatus.FAILED, "5.3.4", Reason.TOO_BIG, text)
        # RFC 8689 §5: a bounce goes on without REQUIRETLS where the next server does not offer it
        if outgoing.require_tls and outgoing.sender is not None and not (self.offer.requiretls and self.stream.secure):
            text = "The sender asked for safe ways only (REQUIRETLS), and the other server does not promise one."
            return self._outcome(DeliveryStatus.FAILED, "5.7.30", Reason.TLS, text)
        return None

    def _broken(self) -> Outcome:
        return self._outcome(DeliveryStatus.DEFERRED, "4.4.2", Reason.LOST, "The connection broke off.")

    async def quit(self) -> None:
        """A good-bye that nobody waits for long. Raises nothing."""
        if not self.over:
            with suppress(ClientEnded):
                await self._ask(b"QUIT\r\n", QUIT_S)
        self.over = True

    # --- one transaction -------------------------------------------------------------------------

    async def _transaction(
        self, outgoing: OutgoingMessage, octets: int, numbers: Sequence[int], found: dict[int, Outcome], begun: Callable[[], None]
    ) -> list[int]:
        """One transaction for the recipients of these numbers. `found` gets their outcomes; those that are to go in the next
        transaction are returned and have none."""
        commands = group(outgoing, self.offer, octets, [outgoing.recipients[number] for number in numbers])
        replies = await self._replies_to(commands)
        mail, *rest = replies
        rcpt = dict(zip(numbers, rest, strict=False)) if mail.positive else {}
        accepted = [number for number, reply in rcpt.items() if reply.positive]
        again = [number for number, reply in rcpt.items() if accepted and not reply.positive and too_many(reply)]
        for number, reply in rcpt.items():
            if not reply.positive:
                found[number] = refusal(reply, Step.RCPT, self.host)
        data = replies[-1] if len(replies) == len(commands) else None
        if data is not None and data.code == 354 and accepted:
            await self._message(outgoing, accepted, found, begun)
            if again and not self.over:
                self._at_once = len(accepted)
                for number in again:
                    del found[number]
                return again
            return []
        if data is not None and data.code == 354:  # who takes a message for nobody gets an empty one (RFC 2920 §3.1)
            with suppress(ClientEnded):
                await self._ask(b".\r\n", FINAL_S)
        if not self.over:
            with suppress(ClientEnded):
                await self._ask(b"RSET\r\n", MAIL_S)
        if not mail.positive:
            raise ClientEnded(refusal(mail, Step.MAIL, self.host))
        if data is not None and accepted:
            raise ClientEnded(refusal(data, Step.DATA, self.host))
        return []

    async def _replies_to(self, commands: Sequence[bytes]) -> list[Reply]:
        """The replies to MAIL, RCPT and DATA; fewer where it makes no sense to go on."""
        replies: list[Reply] = []
        if self.offer.pipelining:
            await self._send(b"".join(commands), MAIL_S)
        for number, command in enumerate(commands):
            last = number == len(commands) - 1
            if not self.offer.pipelining:
                if number and not replies[0].positive:
                    break
                if last and not any(reply.positive for reply in replies[1:]):
                    break
                await self._send(command, MAIL_S)
            replies.append(await self._reply(DATA_S if last else RCPT_S))
            if replies[-1].code == 421:
                break  # the server closes: nothing that follows is answered (RFC 5321 §3.8)
        return replies

    async def _message(
        self, outgoing: OutgoingMessage, accepted: Sequence[int], found: dict[int, Outcome], begun: Callable[[], None]
    ) -> None:
        """The message and the reply to it, which is the outcome of all recipients in `accepted`."""
        stuffer = DotStuffer()
        early = await self._body(outgoing, stuffer)
        if early is None:
            begun()
            try:
                reply = await self._final(stuffer.finish())
            except ClientEnded as end:
                text = "The connection broke off before the other server confirmed the message; it may arrive twice."
                raise ClientEnded(self._outcome(DeliveryStatus.DEFERRED, end.outcome.status, Reason.UNSURE, text)) from None
        elif early.positive:  # it cannot have taken what it was not given
            raise ClientEnded(self._broken())
        else:
            reply = early
        outcome = self._taken(reply) if reply.positive else refusal(reply, Step.MESSAGE, self.host)
        for number in accepted:
            found.setdefault(number, outcome)

    async def _final(self, dot: bytes) -> Reply:
        """The reply to the final dot; also the refusal of a server that hung up before the dot reached it."""
        try:
            await self._send(dot, FINAL_S)
        except ClientEnded:
            reply = await self._reply(REFUSING_S)
            if reply.positive:
                raise
            return reply
        return await self._reply(FINAL_S)

    async def _body(self, outgoing: OutgoingMessage, stuffer: DotStuffer) -> Reply | None:
        """Send all but the final dot; the server's reply when it gave one before that, after which nothing is sent any more."""
        ended: list[ClientEnded] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._listen, nursery.cancel_scope)
            try:
                async with outgoing.chunks() as chunks:
                    async for chunk in chunks:
                        await self._send(stuffer.feed(chunk), BLOCK_S)
                        await trio.lowlevel.checkpoint()
            except StoreError:
                self.over = True  # without the final dot nothing arrives
                text = "The message could not be read from the storage."
                ended.append(ClientEnded(self._outcome(DeliveryStatus.DEFERRED, "4.3.0", Reason.LOST, text)))
            except ClientEnded as end:  # the connection is gone; what the server said before may still come
                ended.append(end)
                with trio.move_on_after(REFUSING_S):
                    await trio.sleep_forever()
            nursery.cancel_scope.cancel()
        if self._replies:
            self.over = True
            return self._replies.pop(0)
        if ended:
            raise ended[0]
        if self.over:
            raise ClientEnded(self._broken())
        return None

    async def _listen(self, sending: trio.CancelScope) -> None:
        """Stop what sends when the server says something, or is gone."""
        with suppress(ClientEnded):
            self._replies.insert(0, await self._reply(float("inf")))
        sending.cancel()

    # --- octets ----------------------------------------------------------------------------------

    async def _ask(self, command: bytes, timeout_s: float) -> Reply:
        await self._send(command, timeout_s)
        return await self._reply(timeout_s)

    async def _send(self, octets: bytes, timeout_s: float) -> None:
        try:
            await self.stream.send(octets, timeout_s)
        except PeerError as trouble:
            raise self._lost(trouble) from None

    async def _reply(self, timeout_s: float) -> Reply:
        try:
            while not self._replies:
                octets = await self.stream.receive(timeout_s)
                if not octets:
                    self.over = True
                    raise ClientEnded(self._outcome(DeliveryStatus.DEFERRED, "4.4.2", Reason.LOST, "The other server hung up."))
                self._replies += self._reader.feed(octets)
        except PeerError as trouble:
            raise self._lost(trouble) from None
        except MisuseError:
            self.over = True
            text = "The other server does not speak as a mail server should."
            raise ClientEnded(self._outcome(DeliveryStatus.DEFERRED, "4.5.0", Reason.LOST, text)) from None
        reply = self._replies.pop(0)
        if reply.code == 421:
            self.over = True
        return reply

    def _lost(self, trouble: PeerError) -> ClientEnded:
        self.over = True
        if isinstance(trouble, PeerSlow):
            return ClientEnded(
                self._outcome(DeliveryStatus.DEFERRED, "4.4.1", Reason.NO_ANSWER, "The other server did not answer in time.")
            )
        return ClientEnded(self._outcome(DeliveryStatus.DEFERRED, "4.4.2", Reason.LOST, "The connection broke off."))

    # --- outcomes --------------------------------------------------------------------------------

    def _outcome(self, delivery_status: DeliveryStatus, status: str, reason: Reason, text: str, reply: Reply | None = None) -> Outcome:
        return Outcome(delivery_status, status, reason, text, self.host, tidied(reply) if reply else None)

    def _taken(self, reply: Reply) -> Outcome:
        return self._outcome(DeliveryStatus.RELAYED, reply.status or "2.0.0", Reason.TAKEN, f"{self.host} took it.", reply)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."
