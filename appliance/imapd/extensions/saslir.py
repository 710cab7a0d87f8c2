"""SASL-IR: the initial response in AUTHENTICATE (RFC 4959); and the capabilities that say how to sign in."""

from typing import TYPE_CHECKING

from appliance.auth.connection_info import ConnectionInfo

from ..contract import ImapExtension, ImapState

if TYPE_CHECKING:
    from ..contract import CommandSession


def capability(session: "CommandSession") -> tuple[bytes, ...]:
    """How to sign in over this connection in its present state; nothing once signed in (RFC 9051 §6.1.1, §6.2)."""
    if session.state is not ImapState.NOT_AUTHENTICATED:
        return ()
    stream = session.stream
    words = [b"SASL-IR"]
    if stream.can_start_tls:
        words.append(b"STARTTLS")
    if not session.mechanisms.plaintext_allowed(stream.secure):
        words.append(b"LOGINDISABLED")
    words += (b"AUTH=" + name.encode("ascii") for name in session.mechanisms.offered(ConnectionInfo.of(stream)))
    return tuple(words)


EXTENSION = ImapExtension(name="SASL-IR", rfc="RFC 4959", capability=capability)
