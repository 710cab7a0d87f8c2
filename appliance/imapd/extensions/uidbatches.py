"""UIDBATCHES: UID ranges that cut the mailbox into batches of so many messages, the newest first (RFC 10022).

Each range is that of messages the client knows. It costs one look at the view a batch, and nothing is read. Batches of fewer than
BATCH_MESSAGES are NO [TOOFEW] (RFC 10022 §3.1): with them a client would rebuild sequence numbers.
"""

from typing import TYPE_CHECKING

from ..completion import Completion, no, ok
from ..contract import ImapCommand, ImapExtension, ImapState

if TYPE_CHECKING:
    from appliance.protocol.imap.tokens import Tokens

    from ..contract import CommandSession

BATCH_MESSAGES = 500
"""The smallest batch: a server has to allow this one."""


def parse_uid_batches(tokens: "Tokens") -> tuple[int, int, int]:
    """`SP size [SP first ":" last]`: batches are counted from 1, the newest; 0 for all of them."""
    tokens.space()
    size = tokens.nz_number()
    if not tokens.accept(b" "):
        return size, 1, 0
    first = tokens.nz_number()
    tokens.expect(b":")
    last = tokens.nz_number()
    return size, min(first, last), max(first, last)


async def uid_batches(session: "CommandSession", arguments: tuple[int, int, int], uid: bool) -> Completion:
    selected = session.selected
    assert selected is not None  # noqa: S101 the command is allowed in that state only
    size, first, last = arguments
    if size < BATCH_MESSAGES:
        return no(b"The smallest batch is of %d messages." % BATCH_MESSAGES, b"TOOFEW")
    uids = selected.view.uids
    ends = range(len(uids), 0, -size)[first - 1 : last or None]
    ranges = b",".join([b"%d:%d" % (uids[end - 1], uids[max(end - size, 0)]) for end in ends])
    quoted = session.tag.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    await session.send(b'* UIDBATCHES (TAG "%b")' % quoted, b" " + ranges if ranges else b"", b"\r\n")
    return ok(b"UIDBATCHES completed.")


EXTENSION = ImapExtension(
    name="UIDBATCHES",
    rfc="RFC 10022",
    capability=lambda session: (b"UIDBATCHES",),
    commands=(ImapCommand(b"UIDBATCHES", ImapState.SELECTED, parse_uid_batches, uid_batches, rfc="RFC 10022 §3.1"),),
    response_codes=(b"TOOFEW",),
)
