"""COMPRESS=DEFLATE: all that follows is compressed, in both directions, inside TLS (RFC 4978).

It starts right behind the tagged OK. A client must wait for that, so octets that came before are no part of either and end the session.
For those signed in only: it costs memory.
"""

from typing import TYPE_CHECKING

from ..completion import Completion, no, ok
from ..contract import ImapCommand, ImapExtension, ImapState
from ..errors import SessionOver

if TYPE_CHECKING:
    from appliance.protocol.imap.tokens import Tokens

    from ..contract import CommandSession


def parse_compress(tokens: "Tokens") -> bytes:
    """`SP algorithm`."""
    tokens.space()
    return tokens.keyword()


async def compress(session: "CommandSession", algorithm: bytes, uid: bool) -> Completion:
    connection = session.connection
    if algorithm != b"DEFLATE":
        return no(b"The only algorithm is DEFLATE.", b"CANNOT")
    if connection.compressed:
        return no(b"DEFLATE is active already.", b"COMPRESSIONACTIVE")
    if connection.pending():
        raise SessionOver(b"CLIENTBUG", b"Nothing may be sent after COMPRESS before its OK.")
    session.after_completion = connection.compress
    return ok(b"DEFLATE active.")


EXTENSION = ImapExtension(
    name="COMPRESS=DEFLATE",
    rfc="RFC 4978",
    capability=lambda session: (b"COMPRESS=DEFLATE",) if session.state in ImapState.SIGNED_IN else (),
    commands=(ImapCommand(b"COMPRESS", ImapState.SIGNED_IN, parse_compress, compress, rfc="RFC 4978 §3"),),
    response_codes=(b"COMPRESSIONACTIVE",),
)
