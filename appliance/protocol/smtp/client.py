"""SMTP as a client: replies parsed from octets, the server's extensions, and the commands of one transaction (RFC 5321 §4).

| state      | what may be sent                             | what the reply leads to                                     |
|------------|----------------------------------------------|-------------------------------------------------------------|
| greeting   | nothing                                      | 220 -> greeted; anything else ends the session              |
| greeted    | EHLO, after 5xx HELO                         | 250 -> ready; else over                                     |
| ready      | STARTTLS, AUTH, a transaction's group, QUIT  | 220 to STARTTLS -> greeted, the offer is forgotten          |
| group      | MAIL, RCPT..., DATA                          | 354 -> message; no recipient accepted -> ready              |
| message    | the message and its end                      | one reply for all recipients -> ready                       |

A group is sent at once where PIPELINING is offered, else command by command (RFC 2920 §3.1); after STARTTLS EHLO is sent
again (RFC 3207 §4.2).
A server may send anything: a reply has at most REPLY_LINES lines and REPLY_OCTETS octets, in all; more, or what is no reply,
raises MisuseError, and the session is over. Pure: octets in, values out.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from appliance.mail.address import Address, encode_address
from appliance.mail.envelope import Recipient
from appliance.mail.errors import MisuseError
from appliance.mail.options import EnvelopeOptions, Form, RecipientOptions, given
from appliance.mail.outgoing import OutgoingMessage
from appliance.mail.reply import Reply

from .dsn import encode_envid, encode_orcpt
from .replies import parse_reply

REPLY_LINES = 200
REPLY_OCTETS = 64 * 2**10
LINE_OCTETS = 4096
"""RFC 5321 §4.5.3.1.5 allows 512; real servers write more."""


class ReplyReader:
    """Replies out of octets in any chunks; unparsed octets are bounded by one read."""

    def __init__(self) -> None:
        self._octets = b""
        self._lines: list[bytes] = []
        self._size = 0

    def feed(self, chunk: bytes) -> list[Reply]:
        """The replies that are complete now. Raises MisuseError."""
        found: list[Reply] = []
        *lines, self._octets = (self._octets + chunk).split(b"\n")
        for line in lines:
            self._take(line.removesuffix(b"\r"), found)
        if len(self._octets) > LINE_OCTETS:
            raise MisuseError("the server's line has no end")
        return found

    def _take(self, line: bytes, found: list[Reply]) -> None:
        self._lines.append(line)
        self._size += len(line)
        if len(line) > LINE_OCTETS or len(self._lines) > REPLY_LINES or self._size > REPLY_OCTETS:
            raise MisuseError("the server's reply has no end")
        if line[3:4] != b"-":
            lines, self._lines, self._size = self._lines, [], 0
            found.append(parse_reply(lines))

    @property
    def holds_octets(self) -> bool:
        """Octets came that are not a whole reply yet; before a TLS handshake that is an attack (RFC 3207 §6)."""
        return bool(self._octets or self._lines)


@dataclass(frozen=True, slots=True)
class Offer:
    """What a server's EHLO reply offers; all off after HELO. `size_octets` 0: no limit announced; `auth` mechanisms in upper case."""

    pipelining: bool = False
    starttls: bool = False
    eightbitmime: bool = False
    smtputf8: bool = False
    chunking: bool = False
    binarymime: bool = False
    dsn: bool = False
    requiretls: bool = False
    size: bool = False
    size_octets: int = 0
    auth: tuple[str, ...] = ()
    others: frozenset[str] = field(default=frozenset(), compare=False)
    """All EHLO keywords, for extensions that have no field."""

    def offers(self, extension: str) -> bool:
        """Is the extension of this EHLO keyword offered? For the extensions that have parameters of MAIL and RCPT."""
        known = {"8BITMIME": self.eightbitmime, "SMTPUTF8": self.smtputf8, "DSN": self.dsn, "REQUIRETLS": self.requiretls}
        return known.get(extension, extension in self.others)


def parse_offer(reply: Reply) -> Offer:
    """The extensions of an EHLO reply (RFC 5321 §4.1.1.1); what is not understood is passed over."""
    words: dict[str, list[str]] = {}
    for line in reply.lines[1:]:
        keyword, _, rest = line.replace("=", " ", 1).partition(" ") if line[:5].upper() == "AUTH=" else line.partition(" ")
        words.setdefault(keyword.upper(), rest.split())
    size = words.get("SIZE", [])
    return Offer(
        pipelining="PIPELINING" in words,
        starttls="STARTTLS" in words,
        eightbitmime="8BITMIME" in words,
        smtputf8="SMTPUTF8" in words,
        chunking="CHUNKING" in words,
        binarymime="BINARYMIME" in words and "CHUNKING" in words,
        dsn="DSN" in words,
        requiretls="REQUIRETLS" in words,
        size="SIZE" in words,
        size_octets=int(size[0]) if size and size[0].isascii() and size[0].isdecimal() and len(size[0]) < 20 else 0,
        auth=tuple(word.upper() for word in words.get("AUTH", [])),
        others=frozenset(words),
    )


_ENCODERS: dict[Form, Callable[[Any, bool], bytes]] = {
    Form.WORD: lambda value, utf8: str(value).encode("ascii"),
    Form.WORDS: lambda value, utf8: ",".join(sorted(value)).encode("ascii"),
    Form.XTEXT: lambda value, utf8: encode_envid(value),
    Form.TYPED_ADDRESS: lambda value, utf8: encode_orcpt(value, utf8=utf8),
}
"""By form: (value, SMTPUTF8 is in use) to the octets after "=". FLAG has none."""


def encode_parameters(options: EnvelopeOptions | RecipientOptions, offer: Offer, *, utf8: bool = False) -> bytes:
    """The ESMTP parameters of the options that differ from their defaults and that the server offers, each with a space in front."""
    parts = []
    for _, row, value in given(options):
        if row.parameter and offer.offers(row.extension):
            encoder = _ENCODERS.get(row.form)
            parts.append(b" " + row.parameter.encode() + (b"=" + encoder(value, utf8) if encoder else b""))
    return b"".join(parts)


def encode_mail(outgoing: OutgoingMessage, offer: Offer, octets: int) -> bytes:
    """MAIL FROM with the parameters the server understands; `octets` is the message's size as it is sent."""
    path = encode_address(outgoing.sender) if outgoing.sender else b""
    size = b" SIZE=%d" % octets if offer.size else b""
    return b"MAIL FROM:<" + path + b">" + size + encode_parameters(outgoing.options, offer) + b"\r\n"


def encode_rcpt(recipient: Recipient, offer: Offer, *, smtputf8: bool = False) -> bytes:
    """RCPT TO with the parameters the server understands (RFC 3461 §5.2.1)."""
    address = encode_address(recipient.address or Address("postmaster", ""))
    parameters = encode_parameters(recipient.options, offer, utf8=smtputf8 and offer.smtputf8)
    return b"RCPT TO:<" + address + b">" + parameters + b"\r\n"


def group(outgoing: OutgoingMessage, offer: Offer, octets: int, recipients: Sequence[Recipient]) -> list[bytes]:
    """The commands of a transaction up to the message, in order."""
    rcpt = [encode_rcpt(one, offer, smtputf8=outgoing.options.smtputf8) for one in recipients]
    return [encode_mail(outgoing, offer, octets), *rcpt, b"DATA\r\n"]


def tidied(reply: Reply, most_characters: int = 1000) -> Reply:
    """A reply of another server as it may be shown and stored: no control characters, bounded length."""
    lines = []
    left = most_characters
    for line in reply.lines:
        plain = "".join(c if c.isprintable() else " " for c in line)[:left].strip()
        left -= len(plain)
        lines.append(plain)
        if left <= 0:
            break
    return Reply(reply.code, reply.status, tuple(lines) or ("",))
