"""8BITMIME: messages with octets above 127 (RFC 6152), and the BODY parameter it shares with BINARYMIME (RFC 3030 §3).

Octets are kept as they come, whatever BODY says; it only matters when a message is relayed.
"""

from dataclasses import replace

from appliance.mail.envelope import Envelope
from appliance.mail.reply import Reply

from ..extension import Parameter, SmtpExtension, SmtpSession

BODIES = frozenset({"7BIT", "8BITMIME", "BINARYMIME"})
UNKNOWN_BODY = Reply(501, "5.5.4", ("BODY is 7BIT, 8BITMIME or BINARYMIME.",))


def take(session: SmtpSession, envelope: Envelope, value: bytes | None) -> Reply | None:
    body = (value or b"").upper().decode("ascii", "replace")
    if body not in BODIES:
        return UNKNOWN_BODY
    envelope.options = replace(envelope.options, body=body)
    return None


EXTENSION = SmtpExtension("8BITMIME", "RFC 6152", keyword=lambda session: "8BITMIME", mail_parameters=(Parameter(b"BODY", take),))
