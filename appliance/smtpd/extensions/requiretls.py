"""REQUIRETLS: a message that is relayed by verified TLS only, or bounced (RFC 8689).

Announced and taken inside TLS only (§4.1); a message for accounts of this server is delivered as any other.
"""

from dataclasses import replace

from appliance.mail.envelope import Envelope
from appliance.mail.reply import Reply

from ..extension import Parameter, SmtpExtension, SmtpSession

NO_VALUE = Reply(501, "5.5.4", ("REQUIRETLS has no value.",))
NEEDS_TLS = Reply(530, "5.7.10", ("A message that requires TLS cannot be sent without it: STARTTLS first.",))


def take(session: SmtpSession, envelope: Envelope, value: bytes | None) -> Reply | None:
    if not session.connection.stream.secure:
        return NEEDS_TLS
    if value is not None:
        return NO_VALUE
    envelope.options = replace(envelope.options, require_tls=True)
    return None


EXTENSION = SmtpExtension(
    "REQUIRETLS",
    "RFC 8689",
    keyword=lambda session: "REQUIRETLS" if session.connection.stream.secure else "",
    mail_parameters=(Parameter(b"REQUIRETLS", take),),
)
