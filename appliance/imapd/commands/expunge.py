"""EXPUNGE and UID EXPUNGE (RFC 9051 §6.4.3, §6.4.9). Durable before it is answered; `sync` sends the untagged responses."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from appliance.mail.errors import MisuseError, StoreError, Trouble

from ..completion import Completion, no, ok
from ..contract import ImapCommand, ImapState
from ..progress import in_progress

if TYPE_CHECKING:
    from appliance.protocol.imap.tokens import Tokens

    from ..contract import CommandSession


def parse_expunge(tokens: "Tokens") -> bytes | None:
    """`SP set` of UID EXPUNGE; nothing of EXPUNGE."""
    return tokens.sequence_set() if tokens.accept(b" ") else None


async def run(session: "CommandSession", messages: bytes | None, uid: bool) -> Completion:
    """Expunge messages with \\Deleted, of the set only when one is given; HIGHESTMODSEQ in the completion with CONDSTORE."""
    selected = session.selected
    assert selected is not None  # noqa: S101 the command is allowed in that state only
    if uid != (messages is not None):
        raise MisuseError("EXPUNGE takes no set, UID EXPUNGE takes one")
    if selected.read_only:
        return no(b"The mailbox is read-only.")
    if "e" not in selected.mailbox.rights:
        raise StoreError(Trouble.NO_RIGHT)
    uids = None if messages is None else selected.uids_at(selected.places(messages, True))
    gone: Sequence[int] = ()
    if uids is None or uids:
        gone = await in_progress(session, len(selected.view), lambda: selected.mailbox.expunge(uids))
    await selected.sync(session, True)
    return ok(b"Expunged.", session.updates.expunge_code(selected.modseq) if gone else b"")


COMMANDS = (ImapCommand(b"EXPUNGE", ImapState.SELECTED, parse_expunge, run, uid_form=True, numbered=False, rfc="RFC 9051 §6.4.3, §6.4.9"),)
