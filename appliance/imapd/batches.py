"""Rows of the selected mailbox, read in batches and numbered as the client knows them.

No read transaction is open while anything is sent: a batch is read, closed, then sent. A set with holes is read in spans that
bridge short gaps, because reading an unwanted row costs a hundredth of another hop to the reader thread. Rows the client does not
know of yet are skipped; requested ones that are gone are counted, and the command decides what that means.
"""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from operator import itemgetter
from typing import TYPE_CHECKING, cast

from appliance.mail.ids import Uid
from appliance.mail.limits import BATCH_ROWS
from appliance.store.values import Row, Want

from .selected import KeptRows, Selected

if TYPE_CHECKING:
    from appliance.protocol.imap.sequence import Ranges
    from appliance.store.body_readers import StoredMessage


GAP_ROWS = 64
"""Longest run of unwanted rows that is read rather than skipped."""
MESSAGES_OCTETS = 256 * 2**10
"""Octets of messages read at once, and so held by one FETCH or SEARCH."""

INTERNAL_AT, OCTETS, MESSAGE, ENVELOPE, BODYSTRUCTURE, SENT_AT, THREAD, SAVED_AT, PREVIEW = map(
    Row._fields.index, ("internal_at", "octets", "message", "envelope", "bodystructure", "sent_at", "thread", "saved_at", "preview")
)
"""Indexes in a row; `uid`, `flags` and `modseq` are 0, 1 and 2."""
_UID_OF = itemgetter(0)


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows the client knows, with their sequence numbers; `missing` requested messages are no longer there.

    `keywords` names the rows' keyword bits, from the same read transaction; None: as last sent to the client. `newest` is the
    mailbox's MODSEQ from before the read.
    """

    numbers: Sequence[int]
    rows: "Sequence[Row]"
    missing: int = 0
    keywords: tuple[str, ...] | None = None
    newest: int = 0


def spans(places: "Ranges", rows: int = BATCH_ROWS, gap: int = GAP_ROWS) -> "Iterator[list[tuple[int, int]]]":
    """Half-open ranges of places cut and gathered so that each list spans at most `rows` places, without a hole over `gap`."""
    gathered: list[tuple[int, int]] = []
    for start, end in places:
        while start < end:
            if gathered and (start - gathered[-1][1] > gap or start - gathered[0][0] >= rows):
                yield gathered
                gathered = []
            stop = min(end, (gathered[0][0] if gathered else start) + rows)
            gathered.append((start, stop))
            start = stop
    if gathered:
        yield gathered


async def read(selected: Selected, span: "list[tuple[int, int]]", want: "Want") -> Batch:
    """The rows of one span; without Want.BODY they are plain tuples, a Row's first fields. Raises StoreError."""
    start, end = span[0][0], span[-1][1]
    uids = selected.view.uids[start:end]
    newest = selected.mailbox.newest()
    kept = selected.kept
    if kept is not None:
        if newest == kept.newest and want in kept.want and (batch := _from_kept(kept, span, uids)) is not None:
            return batch
        selected.kept = None
    first, last = Uid(uids[0]), Uid(uids[-1])
    read_rows, names = await selected.mailbox.named_rows(first, last, want, end - start, selected.view.modseq)
    rows = cast("Sequence[Row]", read_rows)
    if len(span) == 1 and len(rows) == len(uids) and array("I", map(_UID_OF, rows)) == uids:
        return Batch(range(start + 1, end + 1), rows, 0, names, newest)
    by_uid: dict[int, Row] = {}
    for row in rows:
        by_uid[row[0]] = row
    numbers: list[int] = []
    found: list[Row] = []
    wanted = 0
    for lo, hi in span:
        wanted += hi - lo
        for place in range(lo, hi):
            there = by_uid.get(uids[place - start])
            if there is not None:
                numbers.append(place + 1)
                found.append(there)
    return Batch(numbers, found, wanted - len(found), names, newest)


async def read_flags(selected: Selected, span: "list[tuple[int, int]]") -> Batch | None:
    """The flags of one span without a hole, in rows of UID and flags; None where the client does not know all of the mailbox, or rows
    are kept. Raises StoreError."""
    (start, end), *others = span
    if others or selected.kept is not None:
        return None
    newest, uids = selected.mailbox.newest(), selected.view.uids[start:end]
    flags = await selected.mailbox.flags_between(Uid(uids[0]), Uid(uids[-1]), selected.view.modseq)
    if flags is None or len(flags) != len(uids):
        return None
    return Batch(range(start + 1, end + 1), cast("Sequence[Row]", list(zip(uids, flags, strict=True))), 0, None, newest)


def _from_kept(kept: KeptRows, span: "list[tuple[int, int]]", uids: Sequence[int]) -> Batch | None:
    """The rows of a span, None unless all of them were read in advance."""
    start = span[0][0]
    places = [place for lo, hi in span for place in range(lo, hi)]
    try:
        rows = [kept.rows[uids[place - start]] for place in places]
    except KeyError:
        return None
    return Batch([place + 1 for place in places], rows, 0, kept.keywords, kept.newest)


def is_ahead(selected: Selected, span: "list[tuple[int, int]]", want: "Want") -> bool:
    """Whether `read` needs no reading for this span."""
    kept, uids = selected.kept, selected.view.uids
    if kept is None or want not in kept.want or kept.newest != selected.mailbox.newest():
        return False
    return all(uids[place] in kept.rows for lo, hi in span for place in range(lo, hi))


async def read_ahead(selected: Selected, uids: "Sequence[Uid]", want: "Want") -> KeptRows:
    """Read these rows, and as many of the first messages as fit in MESSAGES_OCTETS, in one reading. Raises StoreError."""
    newest = selected.mailbox.newest()
    rows, names, messages = await selected.mailbox.rows_and_messages(uids, want, MESSAGES_OCTETS, selected.view.modseq)
    selected.kept = KeptRows(newest, want, names, {int(row.uid): row for row in rows}, messages)
    return selected.kept


def keep_open(selected: Selected, newest: int, want: "Want", row: "Row", message: "StoredMessage") -> None:
    """Keep the only message of a command open, if it is large; `newest` is the mailbox's MODSEQ from before its row was read."""
    if row.octets > MESSAGES_OCTETS:
        selected.kept = KeptRows(newest, want, None, {row.uid: row}, {row.uid: message}, large=True)


async def open_messages(selected: Selected, rows: "Sequence[Row]") -> "list[StoredMessage]":
    """Messages of the first rows: at least one, as many as MESSAGES_OCTETS allows. `open` of an expunged one raises StoreError GONE."""
    kept = selected.kept
    if kept is not None and rows[0].uid in kept.messages:
        return [kept.messages[row.uid] for row in takewhile(lambda row: row.uid in kept.messages, rows)]
    room = MESSAGES_OCTETS
    count = 0
    for row in rows:
        room -= row.octets
        if count and room < 0:
            break
        count += 1
    return await selected.mailbox.open_rows(rows[:count], MESSAGES_OCTETS)
