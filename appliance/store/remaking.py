"""Rows that an older scanner described are described anew when they are read.

The octets are read again from the body in pieces; the new facts are written lazily, so that the next reader finds them.
"""

from typing import TYPE_CHECKING

from appliance.mail.description import Description
from appliance.mail.errors import StoreError, Trouble
from appliance.mail.ids import MailboxId

from .messages import window
from .opening import OPENING
from .reading import Letter
from .values import Row, Want

if TYPE_CHECKING:
    from .mailbox import Store

PIECE_OCTETS = 64 * 2**10


async def remade(store: "Store", mailbox: MailboxId, rows: list[Row], want: Want) -> list[Row]:
    """The same rows with facts of today's scanner; costs nothing when they are."""
    today = store.described_by
    if all(row.described_by == today for row in rows):
        return rows
    return [row if row.described_by == today else await _remade(store, mailbox, row, want) for row in rows]


async def _remade(store: "Store", mailbox: MailboxId, row: Row, want: Want) -> Row:
    found = await store.database.read(lambda connection: window(connection, mailbox, row.uid, row.uid, OPENING, 1))
    if not found:
        return row  # it was expunged meanwhile
    letter = (await store.letters(found, 0))[0]
    try:
        facts = await _describe(store, letter)
    except StoreError as trouble:
        if trouble.trouble is not Trouble.GONE:
            raise
        return row
    store.database.write_lazily(
        lambda transaction: transaction.execute(
            "UPDATE fact SET described_by = ?, sent_at = ?, envelope = ?, bodystructure = ?, parts = ?, preview = ? WHERE id = ?",
            (facts.described_by, facts.sent_at, facts.envelope, facts.bodystructure, facts.parts, facts.preview, row.message),
        )
    )
    row = row._replace(sent_at=facts.sent_at, described_by=facts.described_by)
    if Want.FACTS in want:
        row = row._replace(envelope=facts.envelope, bodystructure=facts.bodystructure)
    return row._replace(parts=facts.parts) if Want.BODY in want else row


async def _describe(store: "Store", letter: Letter) -> Description:
    scanner = store.describe()
    at = len(letter.prefix)
    while at < letter.octets:
        piece = await letter.read(at, PIECE_OCTETS)
        scanner.feed(piece)
        at += len(piece)
    return scanner.finish(letter.prefix)

