"""DSN: the parameters RET, ENVID, NOTIFY and ORCPT (RFC 3461, RFC 6533).

Values are parsed in `protocol/smtp/dsn`; which DSNs are sent is decided in `dsn/policy`.
"""

from dataclasses import replace

from appliance.mail.envelope import Envelope, Recipient
from appliance.mail.errors import MisuseError
from appliance.mail.reply import Reply
from appliance.protocol.smtp.dsn import parse_envid, parse_notify, parse_orcpt, parse_ret

from ..commands import misuse
from ..extension import Parameter, RecipientParameter, SmtpExtension, SmtpSession


def take_ret(session: SmtpSession, envelope: Envelope, value: bytes | None) -> Reply | None:
    try:
        envelope.options = replace(envelope.options, ret=parse_ret(value))
    except MisuseError as problem:
        return misuse(problem)
    return None


def take_envid(session: SmtpSession, envelope: Envelope, value: bytes | None) -> Reply | None:
    try:
        envelope.options = replace(envelope.options, envid=parse_envid(value))
    except MisuseError as problem:
        return misuse(problem)
    return None


def take_notify(session: SmtpSession, envelope: Envelope, recipient: Recipient, value: bytes | None) -> Reply | None:
    try:
        recipient.options = replace(recipient.options, notify=parse_notify(value))
    except MisuseError as problem:
        return misuse(problem)
    return None


def take_orcpt(session: SmtpSession, envelope: Envelope, recipient: Recipient, value: bytes | None) -> Reply | None:
    try:
        recipient.options = replace(recipient.options, orcpt=parse_orcpt(value, utf8=envelope.options.smtputf8))
    except MisuseError as problem:
        return misuse(problem)
    return None


EXTENSION = SmtpExtension(
    "DSN",
    "RFC 3461",
    keyword=lambda session: "DSN",
    mail_parameters=(Parameter(b"RET", take_ret), Parameter(b"ENVID", take_envid)),
    recipient_parameters=(RecipientParameter(b"NOTIFY", take_notify), RecipientParameter(b"ORCPT", take_orcpt)),
)
