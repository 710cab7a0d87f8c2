"""SIZE: a message that is too large is refused before its octets travel (RFC 1870)."""

from appliance.mail.envelope import Envelope
from appliance.mail.reply import Reply

from ..extension import Parameter, SmtpExtension, SmtpSession
from ..store_replies import TOO_BIG

DIGITS = 20
"""RFC 1870 §6."""
NOT_A_NUMBER = Reply(501, "5.5.4", ("SIZE is a number of octets.",))


def take(session: SmtpSession, envelope: Envelope, value: bytes | None) -> Reply | None:
    if value is None or not value.isdigit() or len(value) > DIGITS:
        return NOT_A_NUMBER
    envelope.declared_octets = int(value)
    if envelope.declared_octets > session.options.message_octets:
        session.announce_refusal(TOO_BIG, sender=str(envelope.sender or ""))
        return TOO_BIG
    return None


EXTENSION = SmtpExtension(
    "SIZE",
    "RFC 1870",
    keyword=lambda session: f"SIZE {session.options.message_octets}",
    mail_parameters=(Parameter(b"SIZE", take),),
)
