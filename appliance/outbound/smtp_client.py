"""The SMTP client: one session with another server, from greeting, EHLO and STARTTLS to one transaction after another (RFC 5321 §3).

Promise: whatever the other server does, each recipient gets one Outcome, and only its own reply makes it final: 5xx fails, everything
else is deferred. A message without a reply after the final dot is UNSURE: it may have arrived (RFC 5321 §4.5.3.2.6). A server that
replies before the whole message was sent has decided: nothing more is sent to it.
Timeouts: RFC 5321 §4.5.3.2. A lost connection or a protocol error raises nothing from `transact`; `closed` is then True.
"""

import ssl
from base64 import b64decode, b64encode
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import trio

from appliance.mail.errors import MisuseError, PeerError, PeerSlow, StoreError
from appliance.mail.outcome import DsnAction, Outcome, Reason
from appliance.mail.outgoing import OutgoingMessage
from appliance.mail.reply import Reply
from appliance.mail.sentence import Sentence
from appliance.network.certificate_fault import BadCertificate
from appliance.protocol.dot_stuffing import DotStuffer
from appliance.protocol.smtp.client import Offer, ReplyReader, group, parse_offer, tidied
from appliance.status.text import size

from .refusal import Stage, refusal, too_many

if TYPE_CHECKING:
    from appliance.network.stream import Stream
    from appliance.protocol.sasl.client import ClientExchange

CHALLENGES = 4
"""Most challenges of one AUTH; none of our mechanisms needs more."""
RECIPIENTS_AT_ONCE = 100
"""RFC 5321 §4.5.3.1.8: every server accepts so many; a lower limit it reports is kept for the session (§4.5.3.1.10)."""


@dataclass(frozen=True, slots=True)
class SmtpTimes:
    """How long the other server may take, in seconds (RFC 5321 §4.5.3.2): for the greeting and EHLO, for MAIL, RCPT and other
    commands, for DATA, for a block of the message, and for the reply after the final dot. `connect_s` is for one address, where the
    RFC names no figure and working servers answer sooner. `refusing_s`: for the reply of a server that closed the connection in the
    middle of the message."""

    connect_s: float = 30.0
    greeting_s: float = 300.0
    command_s: float = 300.0
    data_s: float = 120.0
    block_s: float = 180.0
    final_s: float = 600.0
    quit_s: float = 5.0
    refusing_s: float = 5.0


SMTP_TIMES = SmtpTimes()


class ClientEnded(Exception):
    """The session cannot go on; `outcome` is that of every recipient without one."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.text)
        self.outcome = outcome


class SmtpClient:
    """`host` is the server's name in outcomes. Use `open`, `start_tls`, `sign_in`, `transact`, `quit`."""

    def __init__(self, stream: "Stream", host: str, times: SmtpTimes = SMTP_TIMES) -> None:
        self.stream = stream
        self._times = times
        self.host = host
        self.offer = Offer()
        self.closed = False
        self._reader = ReplyReader()
        self._replies: list[Reply] = []
        self._at_once = RECIPIENTS_AT_ONCE

    async def open(self, our_name: str) -> None:
        """Greeting and EHLO. Raises ClientEnded."""
        greeting = await self._reply(self._times.greeting_s)
        if greeting.code != 220:
            raise ClientEnded(refusal(greeting, Stage.CONNECT, self.host))
        await self.ehlo(our_name)

    async def ehlo(self, our_name: str) -> None:
        """EHLO, or HELO where that is refused. Raises ClientEnded."""
        reply = await self._command(f"EHLO {our_name}\r\n".encode(), self._times.greeting_s)
        if reply.code == 250:
            self.offer = parse_offer(reply)
            return
        if reply.permanent:
            reply = await self._command(f"HELO {our_name}\r\n".encode(), self._times.greeting_s)
        if reply.code != 250:
            raise ClientEnded(refusal(reply, Stage.CONNECT, self.host))
        self.offer = Offer()

    async def start_tls(self, context: ssl.SSLContext, server_hostname: str, our_name: str) -> None:
        """STARTTLS and EHLO again. Raises ClientEnded with Reason.TLS, BadCertificate."""
        reply = await self._command(b"STARTTLS\r\n", self._times.command_s)
        if reply.code != 220:
            raise ClientEnded(
                self._outcome(DsnAction.DEFERRED, "4.7.4", Reason.TLS, "The other server offers TLS and then refuses it.", reply)
            )
        if self._reader.holds_octets or self._replies:
            raise ClientEnded(self._outcome(DsnAction.DEFERRED, "4.7.5", Reason.TLS, "Data was injected before TLS started (RFC 3207 §6)."))
        try:
            await self.stream.start_tls_as_client(context, server_hostname)
        except BadCertificate:
            self.closed = True
            raise
        except PeerError as trouble:
            self.closed = True
            raise ClientEnded(self._outcome(DsnAction.DEFERRED, "4.7.5", Reason.TLS, f"{_sentence(str(trouble))}")) from None
        await self.ehlo(our_name)

    async def sign_in(self, exchange: "ClientExchange") -> None:
        """AUTH (RFC 4954 §4). Raises ClientEnded with Reason.SIGN_IN; a temporary refusal is one too, with status 4.7.0."""
        first = exchange.first()
        command = f"AUTH {exchange.mechanism}"
        if first is not None:
            written = b64encode(first).decode() or "="
            # RFC 4954 §4: an initial response too long for the command line waits for the empty challenge
            if len(command) + len(written) < 500:
                command, first = f"{command} {written}", None
        reply = await self._command(command.encode() + b"\r\n", self._times.command_s)
        for _ in range(CHALLENGES):
            if reply.code != 334:
                break
            try:
                challenge = b64decode(reply.lines[0] if reply.lines else "", validate=True)
                response, first = (first, None) if first is not None and not challenge else (exchange.answer(challenge), first)
            except (MisuseError, ValueError) as trouble:
                with suppress(ClientEnded):
                    await self._command(b"*\r\n", self._times.command_s)
                raise ClientEnded(
                    self._sign_in(Sentence("Signing in at %(host)s failed: %(trouble)s.", host=self.host, trouble=trouble), reply)
                ) from None
            reply = await self._command(b64encode(response or b"") + b"\r\n", self._times.command_s)
        if reply.code == 235 and exchange.satisfied():
            return
        if reply.code == 235:
            raise ClientEnded(self._sign_in(Sentence("%(host)s did not prove that it knows the password.", host=self.host), reply))
        if reply.temporary:
            raise ClientEnded(self._sign_in(Sentence("%(host)s could not check the password just now.", host=self.host), reply))
        wrong = Sentence("%(host)s does not accept the user name and password of the settings.", host=self.host)
        raise ClientEnded(self._sign_in(wrong, reply))

    def _sign_in(self, text: str, reply: Reply) -> Outcome:
        return self._outcome(DsnAction.DEFERRED, "4.7.8" if reply.permanent else "4.7.0", Reason.SIGN_IN, text, reply)

    async def transact(self, outgoing: OutgoingMessage) -> tuple[Outcome, ...]:
        """Send one message to all its recipients; their outcomes in order. The message is read from `outgoing.chunks`."""
        found: dict[int, Outcome] = {}
        left = list(range(len(outgoing.recipients)))
        while left:
            numbers, left = left[: self._at_once], left[self._at_once :]
            rest, again = self._refused_before_mail(outgoing), []
            if rest is None:
                try:
                    again = await self._transaction(outgoing, numbers, found)
                except ClientEnded as end:
                    rest = end.outcome
            left = [*again, *left]
            for number in numbers:
                if number not in again:
                    found.setdefault(number, rest or self._broken())
        return tuple(found[number] for number in range(len(outgoing.recipients)))

    def _refused_before_mail(self, outgoing: OutgoingMessage) -> Outcome | None:
        """Why no transaction can be started for the message, or None."""
        if self.closed:
            return self._broken()
        if self.offer.size_octets and outgoing.octets > self.offer.size_octets:
            text = Sentence("The other server accepts messages of at most %(size)s.", size=size(self.offer.size_octets))
            return self._outcome(DsnAction.FAILED, "5.3.4", Reason.TOO_BIG, text)
        # RFC 8689 §5: a bounce is sent without REQUIRETLS where the next server does not offer it
        if outgoing.options.require_tls and outgoing.sender is not None and not (self.offer.requiretls and self.stream.secure):
            text = Sentence("The message requires TLS on every hop (REQUIRETLS), and the other server does not offer that.")
            return self._outcome(DsnAction.FAILED, "5.7.30", Reason.TLS, text)
        return None

    def _broken(self) -> Outcome:
        return self._outcome(DsnAction.DEFERRED, "4.4.2", Reason.LOST, "The connection broke off.")

    async def quit(self) -> None:
        """QUIT, without waiting long for the reply. Raises nothing."""
        if not self.closed:
            with suppress(ClientEnded):
                await self._command(b"QUIT\r\n", self._times.quit_s)
        self.closed = True

    # --- one transaction -------------------------------------------------------------------------

    async def _transaction(self, outgoing: OutgoingMessage, numbers: Sequence[int], found: dict[int, Outcome]) -> list[int]:
        """One transaction for the recipients of these numbers. Their outcomes go into `found`; the numbers of those for the next
        transaction are returned and have none."""
        commands = group(outgoing, self.offer, outgoing.octets, [outgoing.recipients[number] for number in numbers])
        replies = await self._replies_to(commands)
        mail, *rest = replies
        rcpt = dict(zip(numbers, rest, strict=False)) if mail.positive else {}
        accepted = [number for number, reply in rcpt.items() if reply.positive]
        again = [number for number, reply in rcpt.items() if accepted and not reply.positive and too_many(reply)]
        for number, reply in rcpt.items():
            if not reply.positive:
                found[number] = refusal(reply, Stage.RCPT, self.host)
        data = replies[-1] if len(replies) == len(commands) else None
        if data is not None and data.code == 354 and accepted:
            await self._message(outgoing, accepted, found)
            if again and not self.closed:
                self._at_once = len(accepted)
                for number in again:
                    del found[number]
                return again
            return []
        if data is not None and data.code == 354:  # no recipient was accepted: send an empty message (RFC 2920 §3.1)
            with suppress(ClientEnded):
                await self._command(b".\r\n", self._times.final_s)
        if not self.closed:
            with suppress(ClientEnded):
                await self._command(b"RSET\r\n", self._times.command_s)
        if not mail.positive:
            raise ClientEnded(refusal(mail, Stage.MAIL, self.host))
        if data is not None and accepted:
            raise ClientEnded(refusal(data, Stage.DATA, self.host))
        return []

    async def _replies_to(self, commands: Sequence[bytes]) -> list[Reply]:
        """The replies to MAIL, RCPT and DATA; fewer where the transaction is pointless to continue."""
        replies: list[Reply] = []
        if self.offer.pipelining:
            await self._send(b"".join(commands), self._times.command_s)
        for number, command in enumerate(commands):
            last = number == len(commands) - 1
            if not self.offer.pipelining:
                if number and not replies[0].positive:
                    break
                if last and not any(reply.positive for reply in replies[1:]):
                    break
                await self._send(command, self._times.command_s)
            replies.append(await self._reply(self._times.data_s if last else self._times.command_s))
            if replies[-1].code == 421:
                break  # the server closes the connection: no further replies (RFC 5321 §3.8)
        return replies

    async def _message(self, outgoing: OutgoingMessage, accepted: Sequence[int], found: dict[int, Outcome]) -> None:
        """The message and the reply to it, which is the outcome of all recipients in `accepted`."""
        stuffer = DotStuffer()
        early = await self._body(outgoing, stuffer)
        if early is None:
            try:
                reply = await self._final(stuffer.finish())
            except ClientEnded as end:
                text = Sentence("The connection broke off before the other server confirmed the message; it may arrive twice.")
                raise ClientEnded(self._outcome(DsnAction.DEFERRED, end.outcome.status, Reason.UNSURE, text)) from None
        elif early.positive:  # a positive reply to a message that was not sent completely
            raise ClientEnded(self._broken())
        else:
            reply = early
        outcome = self._accepted(reply) if reply.positive else refusal(reply, Stage.MESSAGE, self.host)
        for number in accepted:
            found.setdefault(number, outcome)

    async def _final(self, dot: bytes) -> Reply:
        """The reply to the final dot; also the refusal of a server that closed the connection before the dot reached it."""
        try:
            await self._send(dot, self._times.final_s)
        except ClientEnded:
            reply = await self._reply(self._times.refusing_s)
            if reply.positive:
                raise
            return reply
        return await self._reply(self._times.final_s)

    async def _body(self, outgoing: OutgoingMessage, stuffer: DotStuffer) -> Reply | None:
        """Send all but the final dot; the server's reply if it sends one before that, after which nothing more is sent."""
        ended: list[ClientEnded] = []
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._watch_for_reply, nursery.cancel_scope)
            try:
                async with outgoing.chunks() as chunks:
                    async for chunk in chunks:
                        await self._send(stuffer.feed(chunk), self._times.block_s)
                        await trio.lowlevel.checkpoint()
            except StoreError:
                self.closed = True  # without the final dot the message is not delivered
                text = Sentence("The message could not be read from the storage.")
                ended.append(ClientEnded(self._outcome(DsnAction.DEFERRED, "4.3.0", Reason.LOST, text)))
            except ClientEnded as end:  # the connection is lost; a reply sent before may still be read
                ended.append(end)
                with trio.move_on_after(self._times.refusing_s):
                    await trio.sleep_forever()
            nursery.cancel_scope.cancel()
        if self._replies:
            self.closed = True
            return self._replies.pop(0)
        if ended:
            raise ended[0]
        if self.closed:
            raise ClientEnded(self._broken())
        return None

    async def _watch_for_reply(self, sending: trio.CancelScope) -> None:
        """Stop sending when the server replies or the connection is lost."""
        with suppress(ClientEnded):
            self._replies.insert(0, await self._reply(float("inf")))
        sending.cancel()

    # --- commands and replies ----------------------------------------------------------------------------------

    async def _command(self, command: bytes, timeout_s: float) -> Reply:
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
                    self.closed = True
                    raise ClientEnded(self._outcome(DsnAction.DEFERRED, "4.4.2", Reason.LOST, "The other server closed the connection."))
                self._replies += self._reader.feed(octets)
        except PeerError as trouble:
            raise self._lost(trouble) from None
        except MisuseError:
            self.closed = True
            text = Sentence("The other server does not follow the SMTP protocol.")
            raise ClientEnded(self._outcome(DsnAction.DEFERRED, "4.5.0", Reason.LOST, text)) from None
        reply = self._replies.pop(0)
        if reply.code == 421:
            self.closed = True
        return reply

    def _lost(self, trouble: PeerError) -> ClientEnded:
        self.closed = True
        if isinstance(trouble, PeerSlow):
            return ClientEnded(self._outcome(DsnAction.DEFERRED, "4.4.1", Reason.NO_ANSWER, "The other server did not answer in time."))
        return ClientEnded(self._outcome(DsnAction.DEFERRED, "4.4.2", Reason.LOST, "The connection broke off."))

    # --- outcomes --------------------------------------------------------------------------------

    def _outcome(self, action: DsnAction, status: str, reason: Reason, text: str, reply: Reply | None = None) -> Outcome:
        return Outcome(action, status, reason, text, self.host, tidied(reply) if reply else None)

    def _accepted(self, reply: Reply) -> Outcome:
        return self._outcome(
            DsnAction.RELAYED, reply.status or "2.0.0", Reason.ACCEPTED, Sentence("%(host)s accepted it.", host=self.host), reply
        )


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."
