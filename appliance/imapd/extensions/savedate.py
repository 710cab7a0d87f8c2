"""SAVEDATE: when a message came into the mailbox it is in, whatever its internal date (RFC 8514).

Of messages that an earlier version saved, or that were saved while the clock was not set, it is not known: NIL, and searches use the
internal date (RFC 8514 §4.2, §4.3).
"""

from operator import itemgetter
from typing import TYPE_CHECKING

from appliance.mail.date import encode_internal_date
from appliance.mail.query import Dated, DateKind, Everything, Query
from appliance.protocol.imap.search import SearchKey, SearchTokens
from appliance.store.values import Want

from ..batches import SAVED_AT
from ..contract import ImapExtension
from ..row_items import RowItem

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from appliance.store.values import Row

    from ..selected import Selected


def dates(selected: "Selected", rows: "Sequence[Row]") -> "Iterable[bytes]":
    days: dict[int, bytes] = {}
    return [b"NIL" if at is None else b'"%b"' % encode_internal_date(at, days) for at in map(itemgetter(SAVED_AT), rows)]


def on(words: SearchTokens) -> Query:
    day = words.day()
    return Dated(DateKind.SAVED, first=day, end=day + 1)


EXTENSION = ImapExtension(
    name="SAVEDATE",
    rfc="RFC 8514",
    capability=lambda session: (b"SAVEDATE",),
    fetch_items=(RowItem(b"SAVEDATE", Want.RARE, b"SAVEDATE %b", dates),),
    search_keys=(
        SearchKey(b"SAVEDBEFORE", lambda words: Dated(DateKind.SAVED, end=words.day())),
        SearchKey(b"SAVEDON", on),
        SearchKey(b"SAVEDSINCE", lambda words: Dated(DateKind.SAVED, first=words.day())),
        SearchKey(b"SAVEDATESUPPORTED", lambda words: Everything()),
    ),
)
