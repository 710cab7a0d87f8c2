"""COPY and UID COPY (RFC 9051 §6.4.7), with COPYUID (RFC 4315 §3). All or nothing, durable before it is answered.

A target mailbox that does not exist is never created: NO [TRYCREATE]. A set of sequence numbers that names a message another session
expunged copies nothing and ends with NO [EXPUNGEISSUED] (RFC 9051 §6.4.7, RFC 2180 §4.4.1): OK would promise all of them. A set of UIDs,
and
`$`, which keeps UIDs (RFC 5182 §2.1), names nothing where a message is gone: those are not copied and not in COPYUID.
"""

from typing import TYPE_CHECKING

from appliance.mail.errors import StoreError, Trouble
from appliance.protocol.imap.sequence import encode_set

from ..completion import Completion, no, ok
from ..contract import ImapCommand, ImapState
from ..errors import answer_of
from ..progress import in_progress

if TYPE_CHECKING:
    from appliance.protocol.imap.tokens import Tokens
    from appliance.store.values import Copied

    from ..contract import CommandSession

GONE = no(b"Some of the messages have been expunged by another session, nothing was copied.", b"EXPUNGEISSUED")


def parse_copy(tokens: "Tokens") -> tuple[bytes, str]:
    """`SP set SP mailbox`."""
    tokens.space()
    messages = tokens.sequence_set()
    tokens.space()
    return messages, tokens.mailbox()


async def run(session: "CommandSession", arguments: tuple[bytes, str], uid: bool) -> Completion:
    selected = session.selected
    assert selected is not None  # noqa: S101 the command is allowed in that state only
    messages, target = arguments
    uids = selected.uids_at(selected.places(messages, uid))
    if not uids:
        return ok(b"No messages found.")
    try:
        complete = by_number(messages, uid)
        copied = await in_progress(session, len(uids), lambda: selected.mailbox.copy(uids, target, complete=complete))
    except StoreError as error:
        return GONE if error.trouble is Trouble.GONE else answer_of(error, creating=True)
    selected.made(copied.uid_validity, copied.copies)
    return ok(b"Copied.", copy_uid(copied))


def by_number(messages: bytes, uid: bool) -> bool:
    """Whether the set consists of sequence numbers: each of them then has to exist."""
    return not uid and messages != b"$"


def copy_uid(copied: "Copied") -> bytes:
    """`COPYUID validity sources copies`, b"" when nothing was copied (RFC 4315 §3)."""
    if not copied.sources:
        return b""
    return b"COPYUID %d %b %b" % (copied.uid_validity, encode_set(copied.sources), encode_set(copied.copies))


COMMANDS = (ImapCommand(b"COPY", ImapState.SELECTED, parse_copy, run, uid_form=True, rfc="RFC 9051 §6.4.7"),)
