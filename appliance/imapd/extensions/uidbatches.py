"""UIDBATCHES: UID ranges that cut the mailbox into batches of so many messages, the newest first (RFC 10022).

Each range is that of messages the client knows; the last one ends with UID 1, which says that nothing is behind it (RFC 10022 §3.1.4).
It costs one look at the view a batch, and nothing is read, so asking again is not refused (RFC 10022 §3.1.1 would allow it). Batches of
fewer than BATCH_MESSAGES are NO [TOOFEW] (RFC 10022 §3.1.3.2): with them a client would rebuild sequence numbers.
"""

from typing import TYPE_CHECKING

from ..completion import Completion, no, ok
from ..contract import ImapCommand, ImapExtension, ImapState
from ..errors import CommandRefused

if TYPE_CHECKING:
    from appliance.protocol.imap.tokens import Tokens

    from ..contract import CommandSession

BATCH_MESSAGES = 500
"""The smallest batch: a server has to allow this one."""
RANGE_MESSAGES = 100_000
"""Messages of the batches that are asked for by number: what a server has to allow, and a client may ask for (RFC 10022 §3.1.5)."""


def parse_uid_batches(tokens: "Tokens") -> tuple[int, int, int]:
    """`SP size [SP first ":" last]`: batches are counted from 1, the newest; 0 for all of them."""
    tokens.space()
    size = tokens.nz_number()
    if not tokens.accept(b" "):
        return size, 1, 0
    first = tokens.nz_number()
    tokens.expect(b":")
    last = tokens.nz_number()
    if first > last:
        raise CommandRefused(b"CLIENTBUG", "The first batch of a range comes first.")
    return size, first, last


async def uid_batches(session: "CommandSession", arguments: tuple[int, int, int], uid: bool) -> Completion:
    selected = session.selected
    assert selected is not None  # noqa: S101 the command is allowed in that state only
    size, first, last = arguments
    if size < BATCH_MESSAGES:
        return no(b"The smallest batch is of %d messages." % BATCH_MESSAGES, b"TOOFEW")
    if size * (last - first + 1) > RANGE_MESSAGES:
        return no(b"The batches of one range are of at most %d messages together." % RANGE_MESSAGES, b"TOOMANY")
    uids = selected.view.uids
    ends = range(len(uids), 0, -size)[first - 1 : last or None]
    ranges = b",".join([b"%d:%d" % (uids[end - 1], uids[end - size] if end > size else 1) for end in ends])
    quoted = session.tag.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    await session.send(b'* UIDBATCHES (TAG "%b")' % quoted, b" " + ranges if ranges else b"", b"\r\n")
    return ok(b"UIDBATCHES completed.")


EXTENSION = ImapExtension(
    name="UIDBATCHES",
    rfc="RFC 10022",
    capability=lambda session: (b"UIDBATCHES",),
    commands=(ImapCommand(b"UIDBATCHES", ImapState.SELECTED, parse_uid_batches, uid_batches, rfc="RFC 10022 §3.1"),),
    response_codes=(b"CLIENTBUG", b"TOOFEW", b"TOOMANY"),
)
