"""STARTTLS: the line becomes private, and everything said before is forgotten (RFC 3207).

Promise: octets that came behind STARTTLS in plain text are never taken for something said in private: they are dropped
and the connection is closed (the injection of CVE-2011-0411 and kin).
"""

from typing import TYPE_CHECKING

from appliance.mail.reply import Reply
from appliance.protocol.smtp.server import Event

from ..commands import NO_ARGUMENT
from ..extension import Command, Extension

if TYPE_CHECKING:
    from ..session import Session

READY = Reply(220, "2.0.0", ("Ready for TLS.",))
ALREADY = Reply(503, "5.5.1", ("This line is private already.",))
NO_TLS = Reply(502, "5.5.1", ("This line has no TLS to offer.",))
INJECTED = Reply(554, "5.5.0", ("Something came behind STARTTLS that was not private; goodbye.",))


def check(session: "Session", argument: bytes) -> Reply | None:
    if argument:
        return NO_ARGUMENT
    stream = session.connection.stream
    if stream.secure:
        return ALREADY
    return None if stream.can_start_tls else NO_TLS


async def proceed(session: "Session", _: None) -> Reply | None:
    if session.connection.holds_octets:
        await session.goodbye(INJECTED)
        return None
    session.state.proceed(Event.STARTTLS)
    session.connection.say(READY)
    await session.connection.start_tls()
    await session.forget()
    session.state.proceed(Event.OVER)
    return None


EXTENSION = Extension(
    "STARTTLS",
    "RFC 3207",
    keyword=lambda session: "STARTTLS" if session.connection.stream.can_start_tls else "",
    commands=(Command(b"STARTTLS", Event.STARTTLS, check, proceed, "STARTTLS"),),
)
