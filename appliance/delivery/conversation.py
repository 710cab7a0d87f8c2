"""One conversation with another house's server: greeting, EHLO, TLS, then transaction after transaction (RFC 5321 §3).

Promise: whatever the other side does, each recipient ends with one Outcome, and only the other side's own word makes it final:
5xx fails, everything else is a wait. What was not answered after the final dot is UNSURE: it may have arrived
(RFC 5321 §4.5.3.2.6).
Time-outs: RFC 5321 §4.5.3.2. A lost or senseless conversation raises nothing from `transact`; `over` is then True.
"""

import re
import ssl
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from appliance.mail.envelope import Recipient
from appliance.mail.errors import MisuseError, PeerError, PeerSlow, StoreError
from appliance.mail.outcome import Fate, Outcome, Reason
from appliance.mail.parcel import Parcel
from appliance.mail.reply import Reply
from appliance.protocol.pop3.multiline import DotStuffer
from appliance.protocol.smtp.client import Offer, ReplyReader, group, parse_offer, tidied

if TYPE_CHECKING:
    from appliance.network.stream import Stream
    from appliance.protocol.sasl.client import Exchange

GREETING_S = MAIL_S = RCPT_S = 300.0
DATA_S = 120.0
BLOCK_S = 180.0
FINAL_S = 600.0
QUIT_S = 5.0
CHALLENGES = 4
"""No mechanism of ours is asked more."""
RECIPIENTS_AT_ONCE = 100
"""RFC 5321 §4.5.3.1.8: every server takes so many."""
_REPUTATION = re.compile(
    r"\b(?:block ?list|black ?list|blocked|spamhaus|dnsbl|rbl|reputation|spam|policy reasons|dynamic|residential|generic ptr|"
    r"reverse dns)\b",
    re.IGNORECASE,
)
# 4.7.1 is what greylisting says
_REPUTATION_STATUS = frozenset({"7.1", "7.25", "7.26", "7.27", "7.606", "7.511", "7.9"})


class Ended(Exception):
    """The conversation cannot go on; `outcome` is what that means for whoever was not settled."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.text)
        self.outcome = outcome


class Conversation:
    """`host` is the server's name for people. Use `open`, `start_tls`, `transact`, `quit`."""

    def __init__(self, stream: "Stream", host: str) -> None:
        self.stream = stream
        self.host = host
        self.offer = Offer()
        self.over = False
        self._reader = ReplyReader()
        self._replies: list[Reply] = []

    async def open(self, our_name: str) -> None:
        """Greeting and EHLO. Raises Ended."""
        greeting = await self._reply(GREETING_S)
        if greeting.code != 220:
            raise Ended(self._refused(greeting))
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
            raise Ended(self._refused(reply))
        self.offer = Offer()

    async def start_tls(self, context: ssl.SSLContext, server_hostname: str, our_name: str) -> None:
        """STARTTLS and EHLO again. Raises Ended with Reason.TLS."""
        reply = await self._ask(b"STARTTLS\r\n", MAIL_S)
        if reply.code != 220:
            raise Ended(self._outcome(Fate.DEFERRED, "4.7.4", Reason.TLS, "The other house offers TLS and then refuses it.", reply))
        if self._reader.holds_octets or self._replies:
            raise Ended(self._outcome(Fate.DEFERRED, "4.7.5", Reason.TLS, "Somebody spoke between us and the other house."))
        try:
            await self.stream.start_tls_as_client(context, server_hostname)
        except PeerError as trouble:
            self.over = True
            raise Ended(self._outcome(Fate.DEFERRED, "4.7.5", Reason.TLS, f"{_sentence(str(trouble))}")) from None
        await self.hello(our_name)

    async def sign_in(self, exchange: "Exchange") -> None:
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
                with suppress(Ended):
                    await self._ask(b"*\r\n", MAIL_S)
                raise Ended(self._sign_in(f"Signing in at {self.host} failed: {trouble}.", reply)) from None
            reply = await self._ask(b64encode(response or b"") + b"\r\n", MAIL_S)
        if reply.code == 235 and exchange.satisfied():
            return
        if reply.code == 235:
            raise Ended(self._sign_in(f"{self.host} did not prove that it knows the password.", reply))
        if reply.temporary:
            raise Ended(self._sign_in(f"{self.host} could not check the password just now.", reply))
        raise Ended(self._sign_in(f"{self.host} does not accept the name and password of the settings.", reply))

    def _sign_in(self, text: str, reply: Reply) -> Outcome:
        return self._outcome(Fate.DEFERRED, "4.7.8" if reply.permanent else "4.7.0", Reason.SIGN_IN, text, reply)

    async def transact(self, parcel: Parcel, octets: int, begun: Callable[[], None]) -> tuple[Outcome, ...]:
        """One letter for all its recipients, in order. `octets` as announced; the letter is read from `parcel.pieces`."""
        outcomes: list[Outcome] = []
        for start in range(0, len(parcel.recipients), RECIPIENTS_AT_ONCE):
            some = parcel.recipients[start : start + RECIPIENTS_AT_ONCE]
            found: dict[int, Outcome] = {}
            rest = self._cannot(parcel, octets)
            if rest is None:
                try:
                    await self._transaction(parcel, octets, some, found, begun)
                except Ended as end:
                    rest = end.outcome
            outcomes += [found.get(number) or rest or self._broken() for number in range(len(some))]
        return tuple(outcomes)

    def _cannot(self, parcel: Parcel, octets: int) -> Outcome | None:
        """Why the letter cannot even be offered, or None."""
        if self.over:
            return self._broken()
        if self.offer.size_octets and octets > self.offer.size_octets:
            text = f"The other house takes letters of at most {self.offer.size_octets / 1e6:.1f} MB."
            return self._outcome(Fate.FAILED, "5.3.4", Reason.TOO_BIG, text)
        if parcel.require_tls and not (self.offer.requiretls and self.stream.secure):
            text = "The sender asked for safe ways only (REQUIRETLS), and the other house does not promise one."
            return self._outcome(Fate.FAILED, "5.7.30", Reason.TLS, text)
        return None

    def _broken(self) -> Outcome:
        return self._outcome(Fate.DEFERRED, "4.4.2", Reason.LOST, "The connection broke off.")

    async def quit(self) -> None:
        """A good-bye that nobody waits for long. Raises nothing."""
        if not self.over:
            with suppress(Ended):
                await self._ask(b"QUIT\r\n", QUIT_S)
        self.over = True

    # --- one transaction -------------------------------------------------------------------------

    async def _transaction(
        self, parcel: Parcel, octets: int, recipients: Sequence[Recipient], found: dict[int, Outcome], begun: Callable[[], None]
    ) -> None:
        commands = group(parcel, self.offer, octets, recipients)
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
        mail, *rest = replies
        for number, reply in enumerate(rest[: len(recipients)] if mail.positive else ()):
            if not reply.positive:
                found[number] = self._refused(reply)
        data = replies[-1] if len(replies) == len(commands) else None
        if data is not None and data.code == 354 and mail.positive and len(found) < len(recipients):
            await self._letter(parcel, recipients, found, begun)
            return
        if data is not None and data.code == 354:  # who takes a letter for nobody gets an empty one (RFC 2920 §3.1)
            with suppress(Ended):
                await self._ask(b".\r\n", FINAL_S)
        with suppress(Ended):
            await self._ask(b"RSET\r\n", MAIL_S)
        if not mail.positive:
            raise Ended(self._refused(mail))
        if data is not None and len(found) < len(recipients):
            raise Ended(self._refused(data))

    async def _letter(self, parcel: Parcel, recipients: Sequence[Recipient], found: dict[int, Outcome], begun: Callable[[], None]) -> None:
        stuffer = DotStuffer()
        try:
            async with parcel.pieces() as pieces:
                async for piece in pieces:
                    await self._send(stuffer.feed(piece), BLOCK_S)
        except StoreError:
            self.over = True  # without the final dot nothing arrives
            raise Ended(self._outcome(Fate.DEFERRED, "4.3.0", Reason.LOST, "The letter could not be read from the card.")) from None
        begun()
        try:
            reply = await self._ask(stuffer.finish(), FINAL_S)
        except Ended as end:
            text = "The connection broke off before the other house confirmed the letter; it may arrive twice."
            raise Ended(self._outcome(Fate.DEFERRED, end.outcome.status, Reason.UNSURE, text)) from None
        outcome = self._taken(reply) if reply.positive else self._refused(reply)
        for number in range(len(recipients)):
            found.setdefault(number, outcome)

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
                    raise Ended(self._outcome(Fate.DEFERRED, "4.4.2", Reason.LOST, "The other house hung up."))
                self._replies += self._reader.feed(octets)
        except PeerError as trouble:
            raise self._lost(trouble) from None
        except MisuseError:
            self.over = True
            text = "The other house does not speak as a mail server should."
            raise Ended(self._outcome(Fate.DEFERRED, "4.5.0", Reason.LOST, text)) from None
        reply = self._replies.pop(0)
        if reply.code == 421:
            self.over = True
        return reply

    def _lost(self, trouble: PeerError) -> Ended:
        self.over = True
        if isinstance(trouble, PeerSlow):
            return Ended(self._outcome(Fate.DEFERRED, "4.4.1", Reason.NO_ANSWER, "The other house did not answer in time."))
        return Ended(self._outcome(Fate.DEFERRED, "4.4.2", Reason.LOST, "The connection broke off."))

    # --- outcomes --------------------------------------------------------------------------------

    def _outcome(self, fate: Fate, status: str, reason: Reason, text: str, reply: Reply | None = None) -> Outcome:
        return Outcome(fate, status, reason, text, self.host, tidied(reply) if reply else None)

    def _taken(self, reply: Reply) -> Outcome:
        return self._outcome(Fate.RELAYED, reply.status or "2.0.0", Reason.TAKEN, f"{self.host} took it.", reply)

    def _refused(self, reply: Reply) -> Outcome:
        """What a refusal means: 5xx is final, everything else a wait (RFC 5321 §4.2.1)."""
        final = reply.permanent
        status = reply.status if reply.status[:1] == ("5" if final else "4") else "5.0.0" if final else "4.0.0"
        if (final and status[2:] in _REPUTATION_STATUS) or _REPUTATION.search(" ".join(reply.lines)):
            reason, text = Reason.REPUTATION, f"{self.host} does not take letters from this line."
        elif final and (reply.code == 552 or status.endswith(".3.4")):
            reason, text = Reason.TOO_BIG, f"The letter is larger than {self.host} takes."
        elif final:
            reason, text = Reason.REFUSED, f"{self.host} refused it."
        else:
            reason, text = Reason.NOT_NOW, f"{self.host} asked to come back later."
        return self._outcome(Fate.FAILED if final else Fate.DEFERRED, status, reason, text, reply)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."
