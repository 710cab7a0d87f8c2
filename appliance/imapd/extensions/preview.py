"""PREVIEW: the first words of a message, made when it arrived (RFC 8970); LAZY changes nothing, as there is nothing to wait for."""

from operator import itemgetter
from typing import TYPE_CHECKING

from appliance.protocol.imap.envelope import string
from appliance.store.values import Want

from ..batches import PREVIEW
from ..contract import ImapExtension
from ..row_items import RowItem

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from appliance.store.values import Row

    from ..selected import Selected


def previews(selected: "Selected", rows: "Sequence[Row]") -> "Iterable[bytes]":
    return [string(text.encode()) for text in map(itemgetter(PREVIEW), rows)]


EXTENSION = ImapExtension(
    name="PREVIEW",
    rfc="RFC 8970",
    capability=lambda session: (b"PREVIEW",),
    fetch_items=(RowItem(b"PREVIEW", Want.RARE, b"PREVIEW %b", previews),),
)
