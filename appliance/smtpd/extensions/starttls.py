"""STARTTLS: TLS is turned on, and everything sent before is forgotten (RFC 3207).

Invariant: plain-text octets after STARTTLS are never taken for something sent inside TLS: they are dropped and the
connection is closed (the command injection of CVE-2011-0411 and its like).
"""

from appliance.mail.reply import Reply
from appliance.protocol.smtp.server import SmtpEvent

from ..commands import NO_ARGUMENT
from ..extension import SmtpCommand, SmtpExtension, SmtpSession

READY = Reply(220, "2.0.0", ("Ready for TLS.",))
ALREADY = Reply(503, "5.5.1", ("TLS is on already.",))
NO_TLS = Reply(502, "5.5.1", ("This server has no TLS to offer here.",))
INJECTED = Reply(554, "5.5.0", ("Something came after STARTTLS before TLS was on; goodbye.",))


def check(session: SmtpSession, argument: bytes) -> Reply | None:
    if argument:
        return NO_ARGUMENT
    stream = session.connection.stream
    if stream.secure:
        return ALREADY
    return None if stream.can_start_tls else NO_TLS


async def proceed(session: SmtpSession, _: None) -> Reply | None:
    if session.connection.holds_octets:
        await session.end_with(INJECTED)
        return None
    session.state.proceed(SmtpEvent.STARTTLS)
    session.connection.queue(READY)
    await session.connection.start_tls()
    await session.forget()
    session.state.proceed(SmtpEvent.OVER)
    return None


EXTENSION = SmtpExtension(
    "STARTTLS",
    "RFC 3207",
    keyword=lambda session: "STARTTLS" if session.connection.stream.can_start_tls else "",
    commands=(SmtpCommand(b"STARTTLS", SmtpEvent.STARTTLS, check, proceed, "STARTTLS"),),
)
