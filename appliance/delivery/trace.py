"""Trace header fields: Received, and a warning about the sender (RFC 5321 §4.4).

Invariant: whatever the client sent, each line is well formed and our own; no octet of the client's reaches it unchecked.
"""

import re
from dataclasses import dataclass

from appliance.mail.address import encode_address
from appliance.mail.date import encode_date
from appliance.mail.envelope import Recipient

_PLAIN_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,253}[A-Za-z0-9_])?|\[[A-Za-z0-9:.]{2,60}\]")

WARNING = b"X-Pillarbox-Warning: The sender's name is one of this server, but nobody signed in to send this message.\r\n"
"""Put in front of an unauthenticated message whose author is an address of ours. It warns and does not refuse: a mailing list
brings a member's own messages back with their own From."""

FIRST_LINE = b"X-Pillarbox-First-Line:\r\n"
"""Put in front of a message whose first line begins with a blank. Such a line continues the field before it (RFC 5322 §2.2.3),
and that must not be our Received: no client adds words to what the server says of its message. The octets stay as they came.
Such messages are real (a nested message sent by itself), so they are not refused; an empty line here would make text of their
header."""


def address_literal(host: str) -> str:
    """`[192.0.2.1]`, `[IPv6:2001:db8::1]` (RFC 5321 §4.1.3); a zone is left out."""
    host = host.partition("%")[0]
    return f"[IPv6:{host}]" if ":" in host else f"[{host}]"


def protocol_word(*, extended: bool, utf8: bool, secure: bool, signed_in: bool) -> str:
    """The `with` of Received: SMTP, ESMTP, ESMTPS, ESMTPSA (RFC 3848), UTF8SMTP and so on (RFC 6531 §4.3)."""
    if not extended:
        return "SMTP"
    return ("UTF8SMTP" if utf8 else "ESMTP") + ("S" if secure else "") + ("A" if signed_in else "")


@dataclass(frozen=True, slots=True)
class ReceivedField:
    """The facts of one Received field. `greeted_as`: the EHLO name, `peer` the client's IP address, `host` our name, `word`
    from `protocol_word`, `tls` version and cipher or "", `message` its id, `recipient` only when there is just one, `at` UTC
    seconds."""

    greeted_as: str
    peer: str
    host: str
    word: str
    tls: str
    message: str
    recipient: Recipient | None
    at: int
    offset_s: int


def encode_received(facts: ReceivedField) -> bytes:
    """One Received field with its line end (RFC 5321 §4.4)."""
    literal = address_literal(facts.peer)
    name = facts.greeted_as if _PLAIN_NAME.fullmatch(facts.greeted_as) else literal
    lines = [f"Received: from {name} ({literal})", f" by {facts.host} with {facts.word}"]
    if facts.tls:
        lines.append(f" ({facts.tls})")
    lines.append(f" id {facts.message}")
    if facts.recipient is not None and facts.recipient.address is not None:
        lines.append(f" for <{encode_address(facts.recipient.address).decode()}>")
    return ("\r\n".join(lines) + f";\r\n {encode_date(facts.at, facts.offset_s)}\r\n").encode()


def encode_submitted(host: str, message: str, at: int, offset_s: int) -> bytes:
    """The Received field of a message that was submitted by JMAP, not SMTP: where from is nobody's business (RFC 5321 §4.4, §7.6)."""
    return f"Received: by {host} (JMAP)\r\n id {message};\r\n {encode_date(at, offset_s)}\r\n".encode()
