"""COPY and UID COPY (RFC 9051 §6.4.7), with COPYUID (RFC 4315 §3). All or nothing, durable before it is answered.

A target that is not there is never made: NO [TRYCREATE]. Messages that are gone meanwhile are not copied and not in COPYUID.
"""

from typing import TYPE_CHECKING

from appliance.mail.errors import StoreError
from appliance.protocol.imap.sequence import encode_set

from ..errors import answer_of
from ..extension import Answer, Command, State, no, ok

if TYPE_CHECKING:
    from appliance.protocol.imap.tokens import Tokens
    from appliance.store.mailbox import Copied

    from ..session import Session


def parse_copy(tokens: "Tokens") -> tuple[bytes, str]:
    """`SP set SP mailbox`."""
    tokens.space()
    messages = tokens.sequence_set()
    tokens.space()
    return messages, tokens.mailbox()


async def run(session: "Session", arguments: tuple[bytes, str], uid: bool) -> Answer:
    selected = session.selected
    assert selected is not None  # noqa: S101 the command is allowed in that state only
    messages, target = arguments
    uids = selected.uids_at(selected.places(messages, uid))
    if not uids:
        return ok(b"No messages found.")
    try:
        copied = await selected.mailbox.copy(uids, target)
    except StoreError as error:
        return answer_of(error, creating=True)
    if not copied.sources and not uid:
        return no(b"The messages were expunged by somebody else.", b"EXPUNGEISSUED")
    return ok(b"Copied.", copy_uid(copied))


def copy_uid(copied: "Copied") -> bytes:
    """`COPYUID validity sources copies`, b"" when nothing was copied (RFC 4315 §3)."""
    if not copied.sources:
        return b""
    return b"COPYUID %d %b %b" % (copied.uid_validity, encode_set(copied.sources), encode_set(copied.copies))


COMMANDS = (Command(b"COPY", State.SELECTED, parse_copy, run, uid_form=True, rfc="RFC 9051 §6.4.7"),)
