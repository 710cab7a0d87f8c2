"""Read messages as far as a search needs: small ones on the reader's thread, large ones chunk by chunk on the event loop."""

from collections.abc import Callable, Generator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from appliance.mail.errors import StoreError, Trouble
from appliance.mail.limits import BATCH_ROWS
from appliance.mail.message_search import Facts, TextQuery
from appliance.mail.query import Query
from appliance.store.body_readers import StoredMessage, header_octets

from .read_ahead import ReadAhead

if TYPE_CHECKING:
    from appliance.store.values import Row

    from .selected import Selected

Test = Callable[[int, Any, Facts], "bool | None"]
"""(sequence number, row, facts) to True, False, or None: the message has to be read."""
NOTHING: Mapping[Query, bool] = MappingProxyType({})


class OpenOne(NamedTuple):
    """A message that its row does not decide; `facts` are known of it already."""

    number: int
    row: "Row"
    facts: Facts


async def examine_messages(
    selected: "Selected", test: Test, texts: Sequence[Query], open_ones: Sequence[OpenOne]
) -> tuple[list[OpenOne], int]:
    """Those that match, and how many were expunged before they could be read; these do not match. Raises StoreError.

    The test runs on the reader's thread for all but large messages: nothing of the session changes while it waits for the answers.
    """
    text_query = TextQuery(texts)
    by_uid = {one.row.uid: one for one in open_ones}
    rows = [one.row for one in open_ones]

    def examine(row: "Row", octets: bytes) -> bool:
        one = by_uid[row.uid]
        plain = text_query.plain_facts(row.parts, len(row.prefix), octets)
        if plain is not None:
            return bool(test(one.number, row, {**plain, **one.facts}))
        reading = _examination(text_query, test, one, len(row.prefix) + header_octets(row.parts))
        try:
            offset, size = next(reading)
            while True:
                offset, size = reading.send(octets[offset : offset + size])
        except StopIteration as end:
            return bool(end.value)

    matched: list[OpenOne] = []
    at = missing = 0
    while at < len(rows):
        for answer in await selected.mailbox.examine(rows[at : at + BATCH_ROWS], examine):
            one = open_ones[at]
            at += 1
            try:
                if await _examine_large(answer, text_query, test, one) if isinstance(answer, StoredMessage) else answer:
                    matched.append(one)
            except StoreError as error:
                if error.trouble is not Trouble.GONE:
                    raise
                missing += 1
    return matched, missing


async def _examine_large(message: StoredMessage, text_query: TextQuery, test: Test, one: OpenOne) -> bool:
    await message.open()
    ahead = ReadAhead(message)
    reading = _examination(text_query, test, one, message.header_octets)
    try:
        offset, size = next(reading)
        while True:
            offset, size = reading.send(await ahead.read(offset, size))
    except StopIteration as end:
        return bool(end.value)


def _examination(text_query: TextQuery, test: Test, one: OpenOne, header: int) -> Generator[tuple[int, int], bytes, bool]:
    return text_query.matches(one.row.parts, len(one.row.prefix), header, lambda facts: test(one.number, one.row, facts), one.facts)
