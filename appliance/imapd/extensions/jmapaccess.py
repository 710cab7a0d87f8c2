"""JMAPACCESS: the same mail is there by JMAP, under the same ids of mailboxes, messages and threads (RFC 9698; `objectid`).

Announced to who is signed in, where the server answers https.
"""

from typing import TYPE_CHECKING

from appliance.protocol.imap import encode

from ..commands.basic import nothing
from ..completion import Completion, no, ok
from ..contract import ImapCommand, ImapExtension, ImapState

if TYPE_CHECKING:
    from ..contract import CommandSession


async def get_jmap_access(session: "CommandSession", arguments: None, uid: bool) -> Completion:
    """`* JMAPACCESS "https://..."`: the URL of the session object (RFC 8620 §2)."""
    if not session.options.jmap_url:
        return no(b"There is no JMAP here.", b"CANNOT")
    session.queue(b"* JMAPACCESS ", encode.string(session.options.jmap_url.encode()), b"\r\n")
    return ok(b"GETJMAPACCESS completed.")


EXTENSION = ImapExtension(
    name="JMAPACCESS",
    rfc="RFC 9698",
    capability=lambda session: (b"JMAPACCESS",) if session.options.jmap_url and session.state in ImapState.SIGNED_IN else (),
    commands=(ImapCommand(b"GETJMAPACCESS", ImapState.SIGNED_IN, nothing, get_jmap_access, rfc="RFC 9698 §4"),),
)
