"""MOVE and UID MOVE: messages move to another mailbox in one commit (RFC 6851).

COPYUID is sent before the EXPUNGEs (RFC 6851 §4.3), which sync sends. All messages that exist move, or none does.
Where a set of sequence numbers names messages that another session expunged, the rest moves and the completion is
NO [EXPUNGEISSUED]: each message is either moved or unaffected, also with NO (RFC 6851 §3.3).
"""

from typing import TYPE_CHECKING

from appliance.mail.errors import StoreError

from ..commands.copy import by_number, copy_uid, parse_copy
from ..completion import Completion, no, ok
from ..contract import ImapCommand, ImapExtension, ImapState
from ..errors import answer_of
from ..progress import in_progress

if TYPE_CHECKING:
    from ..contract import CommandSession


async def run(session: "CommandSession", arguments: tuple[bytes, str], uid: bool) -> Completion:
    selected = session.selected
    assert selected is not None  # noqa: S101 the command is allowed in that state only
    if selected.read_only:
        return no(b"The mailbox is read-only.")
    messages, target = arguments
    uids = selected.uids_at(selected.places(messages, uid))
    if not uids:
        return ok(b"No messages found.")
    try:
        moved = await in_progress(session, len(uids), lambda: selected.mailbox.move(uids, target))
    except StoreError as error:
        return answer_of(error, creating=True)
    selected.made(moved.uid_validity, moved.copies)
    code = copy_uid(moved)
    if code:
        await session.send(b"* OK [", code, b"] Moved.\r\n")
    await selected.sync(session, True)
    if len(moved.sources) < len(uids) and by_number(messages, uid):
        return no(b"Some of the messages have been expunged by another session, the others were moved.", b"EXPUNGEISSUED")
    return ok(b"Moved.", session.updates.expunge_code(selected.modseq))


EXTENSION = ImapExtension(
    name="MOVE",
    rfc="RFC 6851",
    capability=lambda session: (b"MOVE",),
    commands=(ImapCommand(b"MOVE", ImapState.SELECTED, parse_copy, run, uid_form=True, rfc="RFC 6851 §3.1"),),
)
