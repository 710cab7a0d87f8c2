"""SMTPUTF8: addresses and headers in UTF-8 (RFC 6531). Without the parameter an address outside ASCII is refused (§3.5)."""

from dataclasses import replace

from appliance.mail.envelope import Envelope
from appliance.mail.reply import Reply

from ..extension import Parameter, SmtpExtension, SmtpSession

NO_VALUE = Reply(501, "5.5.4", ("SMTPUTF8 has no value.",))


def take(session: SmtpSession, envelope: Envelope, value: bytes | None) -> Reply | None:
    if value is not None:
        return NO_VALUE
    envelope.options = replace(envelope.options, smtputf8=True)
    return None


EXTENSION = SmtpExtension("SMTPUTF8", "RFC 6531", keyword=lambda session: "SMTPUTF8", mail_parameters=(Parameter(b"SMTPUTF8", take),))
