"""Which messages of an archive a mailbox has already, octet for octet: what is brought in again is not stored twice.

Sizes are compared in memory (8 octets a message of the mailbox), then the octets of the few messages of the same size, up to the first
that differs. Compared is with what a mailbox had when it was first asked about. In doubt a message is not known: better twice than lost.
"""

from array import array
from bisect import bisect_left

from appliance.mail.errors import StoreError
from appliance.mail.ids import BodyId, MailboxId
from appliance.mail.limits import READ_OCTETS

from .body_readers import StoredMessage
from .incoming import StagedBody
from .store import Store

MAILBOXES = 16
"""Whose sizes are in memory at once."""
CANDIDATES = 256
"""Most messages of one size that are compared."""
SIZES = "SELECT octets << 32 | uid FROM message WHERE mailbox = ? ORDER BY 1"
MESSAGE = "SELECT m.body, d.prefix FROM message m JOIN message_data d ON d.id = m.message_data WHERE m.mailbox = ? AND m.uid = ?"


class KnownMessages:
    """The messages that were there before an import."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._sizes: dict[MailboxId, array[int]] = {}

    async def has(self, mailbox: MailboxId, body: StagedBody) -> bool:
        """Is the same message in this mailbox?"""
        if mailbox not in self._sizes:
            while len(self._sizes) >= MAILBOXES:
                del self._sizes[next(iter(self._sizes))]
            self._sizes[mailbox] = await self._store.database.read(
                lambda connection: array("q", [row[0] for row in connection.execute(SIZES, (mailbox,))])
            )
        sizes = self._sizes[mailbox]
        first = bisect_left(sizes, body.octets << 32)
        for one in sizes[first : first + CANDIDATES]:
            if one >> 32 != body.octets:
                break
            if await self._is_same(mailbox, one & 0xFFFFFFFF, body):
                return True
        return False

    async def _is_same(self, mailbox: MailboxId, uid: int, body: StagedBody) -> bool:
        row = await self._store.database.read(lambda connection: connection.execute(MESSAGE, (mailbox, uid)).fetchone())
        if row is None:
            return False
        try:
            stored = StoredMessage(row[1], b"", await self._store.bodies.open_body(BodyId(row[0])))
            return await _same_octets(stored, body)
        except StoreError:  # gone meanwhile, or damaged
            return False


async def _same_octets(stored: StoredMessage, body: StagedBody) -> bool:
    given, at = body.open(), 0
    if stored.octets != body.octets:
        return False
    while at < body.octets:
        chunk = await given.read(at, READ_OCTETS)
        if not chunk:
            return False
        beside, begin = b"", at
        while len(beside) < len(chunk):
            more = await stored.read(begin, len(chunk) - len(beside))
            if not more:
                return False
            beside, begin = beside + more, begin + len(more)
        if beside != chunk:
            return False
        at += len(chunk)
    return True
