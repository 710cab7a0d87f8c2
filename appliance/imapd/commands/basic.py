"""CAPABILITY, NOOP, LOGOUT, STARTTLS (RFC 9051 §6.1, §6.2.1).

Octets received in plain text after STARTTLS are never read as commands: the session ends instead (RFC 9051 §6.2.1).
"""

from typing import TYPE_CHECKING

from ..completion import Completion, bad, no, ok
from ..contract import ImapCommand, ImapState
from ..errors import SessionOver

if TYPE_CHECKING:
    from appliance.protocol.imap.tokens import Tokens

    from ..contract import CommandSession


def nothing(tokens: "Tokens") -> None:
    """The command has no arguments."""


async def capability(session: "CommandSession", arguments: None, uid: bool) -> Completion:
    session.queue(b"* CAPABILITY ", session.registry.capability(session), b"\r\n")
    return ok(b"CAPABILITY completed.")


async def noop(session: "CommandSession", arguments: None, uid: bool) -> Completion:
    return ok(b"NOOP completed.")


async def logout(session: "CommandSession", arguments: None, uid: bool) -> Completion:
    session.deselect()
    session.queue(b"* BYE Goodbye.\r\n")
    session.log_out()
    return ok(b"LOGOUT completed.")


# --- STARTTLS --------------------------------------------------------------------------------


async def starttls(session: "CommandSession", arguments: None, uid: bool) -> Completion:
    """The tagged OK is sent in plain text and TLS starts; what the client said before is forgotten (RFC 9051 §6.2.1)."""
    stream = session.stream
    if stream.secure:
        return bad(b"TLS is already on.")
    if not stream.can_start_tls:
        return no(b"This server has no certificate.", b"UNAVAILABLE")
    if session.connection.reader.pending():
        raise SessionOver(b"CLIENTBUG", b"Nothing may be sent after STARTTLS before TLS is on.")
    session.forget()
    session.after_completion = stream.start_tls
    return ok(b"Begin TLS now.")


COMMANDS = (
    ImapCommand(b"CAPABILITY", ImapState.ANY, nothing, capability, rfc="RFC 9051 §6.1.1"),
    ImapCommand(b"NOOP", ImapState.ANY, nothing, noop, rfc="RFC 9051 §6.1.2"),
    ImapCommand(b"LOGOUT", ImapState.ANY, nothing, logout, rfc="RFC 9051 §6.1.3"),
    ImapCommand(b"STARTTLS", ImapState.NOT_AUTHENTICATED, nothing, starttls, rfc="RFC 9051 §6.2.1"),
)
