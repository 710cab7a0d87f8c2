"""REQUIRETLS: a message that travels by verified TLS only, or comes back (RFC 8689).

Announced and taken on a private line only (§4.1); a message for people of this server is at its end here and just kept.
"""

from typing import TYPE_CHECKING

from appliance.mail.envelope import Envelope
from appliance.mail.reply import Reply

from ..extension import Extension, Parameter

if TYPE_CHECKING:
    from ..session import Session

NO_VALUE = Reply(501, "5.5.4", ("REQUIRETLS has no value.",))
NOT_PRIVATE = Reply(530, "5.7.10", ("A message that must travel by TLS cannot come in without it: STARTTLS first.",))


def take(session: "Session", envelope: Envelope, value: bytes | None) -> Reply | None:
    if not session.connection.stream.secure:
        return NOT_PRIVATE
    if value is not None:
        return NO_VALUE
    envelope.require_tls = True
    return None


EXTENSION = Extension(
    "REQUIRETLS",
    "RFC 8689",
    keyword=lambda session: "REQUIRETLS" if session.connection.stream.secure else "",
    mail_parameters=(Parameter(b"REQUIRETLS", take),),
)
