"""ID: name of the implementation (RFC 2971). What the client sends is read within bounds and ignored."""

from typing import TYPE_CHECKING

from appliance.mail.errors import MisuseError

from ..completion import Completion, ok
from ..contract import ImapCommand, ImapExtension, ImapState

if TYPE_CHECKING:
    from appliance.protocol.imap.tokens import Tokens

    from ..contract import CommandSession

FIELDS = 30
"""RFC 2971 §3.3."""


def read_id(tokens: "Tokens") -> None:
    """`NIL` or `("field" "value" ...)`."""
    tokens.space()
    if tokens.accept(b"NIL"):
        return
    words = tokens.list_of(tokens.nstring)
    if len(words) % 2 or len(words) > 2 * FIELDS or None in words[::2]:
        raise MisuseError("ID takes up to thirty pairs of a field and a value.")


async def identify(session: "CommandSession", arguments: None, uid: bool) -> Completion:
    session.queue(b'* ID ("name" "Pillarbox")\r\n')
    return ok(b"ID completed.")


EXTENSION = ImapExtension(
    name="ID",
    rfc="RFC 2971",
    capability=lambda session: (b"ID",),
    commands=(ImapCommand(b"ID", ImapState.ANY, read_id, identify, rfc="RFC 2971 §3.1"),),
)
