"""SEARCH=FUZZY: words typed from memory, in any order, with a slip; and how relevant each message found is (RFC 6203).

What FUZZY means for a key, by the query it becomes:

    SUBJECT FROM TO CC BCC    two of three words resemble words of the field (`mail.resemblance`)
    BODY                      every word occurs, in any order
    TEXT                      one of the fields above resembles the words, or header and body have every word
    all others                as without FUZZY (RFC 6203 §5)

Relevancy is 1 to 100, the mean of all fuzzy keys: a field's resemblance, less a little for addresses, and BODY_ONLY for what only the
body has; the newest of the results get up to RECENT more.
"""

from array import array
from typing import TYPE_CHECKING, Any

from appliance.mail.query import And, BodyHas, FieldResembles, HeaderHas, Not, Or, Query, TextHas, leaves
from appliance.protocol.imap.search import SearchKey, SearchTokens
from appliance.protocol.imap.sequence import places_of_uids, ranges_of
from appliance.store.values import MISSING, Want

from ..batches import ENVELOPE, read, spans
from ..contract import Answered, ImapExtension, SearchReturn, SortKey

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..contract import CommandSession
    from ..matching import Matches
    from ..selected import Selected

FIELDS = ("subject", "from", "to", "cc", "bcc")
ADDRESSES_PERCENT = 90
"""What an address field's resemblance counts for."""
BODY_ONLY = 30
RECENT = 10
WORDS = 12
"""Of a body search; each is a key of its own."""


def read_key(reader: SearchTokens) -> Query:
    """`FUZZY SP search-key`."""
    reader.tokens.space()
    return fuzzy(reader.key())


def fuzzy(query: Query) -> Query:
    """The query with every string key in it fuzzy. Depth is bounded by the grammar."""
    from appliance.mail.resemblance import words_of

    match query:
        case And(terms):
            return And(tuple(map(fuzzy, terms)))
        case Or(terms):
            return Or(tuple(map(fuzzy, terms)))
        case HeaderHas(field, needle) if field in FIELDS and words_of(needle):
            return FieldResembles((field,), words_of(needle))
        case BodyHas(needle) if words_of(needle):
            return And(tuple([BodyHas(word) for word in needle.split()[:WORDS]]))
        case TextHas(needle) if words_of(needle):
            everywhere = And(tuple([TextHas(word) for word in needle.split()[:WORDS]]))
            return Or((FieldResembles(FIELDS, words_of(needle)), everywhere))
        case Not() | _:
            return query


# --- relevancy --------------------------------------------------------------------------------


async def scores(selected: "Selected", found: "Matches") -> "array[int]":
    """Relevancy of each message found; MISSING of one that is gone."""
    keys = [leaf for leaf in dict.fromkeys(leaves(found.query)) if isinstance(leaf, FieldResembles)]
    relevancy: dict[int, int] = {}
    for span in spans(places_of_uids(ranges_of(sorted(found.uids)), selected.view.uids)):
        rows: Sequence[Any] = (await read(selected, span, Want.FACTS)).rows
        for row in rows:
            relevancy[row[0]] = _score(row[ENVELOPE], keys)
    newest = {uid: RECENT * (place + 1) // len(found.uids) for place, uid in enumerate(sorted(found.uids))}
    return array("q", [min(relevancy[uid] + newest[uid], 100) if uid in relevancy else MISSING for uid in found.uids])


def _score(envelope: bytes, keys: list[FieldResembles]) -> int:
    """The mean over the keys, each by its best field, before the newest are preferred."""
    from appliance.mail.resemblance import resemblance, words_of

    from ..envelope_texts import field_texts

    total = 0
    for key in keys:
        best = BODY_ONLY
        for field, text in zip(key.fields, field_texts(key.fields, envelope), strict=True):
            met = resemblance(key.words, words_of(text))
            best = max(best, met if field == "subject" else met * ADDRESSES_PERCENT // 100)
        total += best
    return (total // len(keys) if keys else BODY_ONLY) * (100 - RECENT) // 100


async def relevancy(session: "CommandSession", answered: Answered, value: None) -> bytes:
    found = await scores(answered.selected, answered.found) if answered.found.uids else ()
    return b"RELEVANCY (" + b" ".join([b"%d" % max(score, 1) for score in found]) + b")"


async def most_relevant_first(selected: "Selected", found: "Matches") -> "array[int]":
    return array("q", [score if score == MISSING else -score for score in await scores(selected, found)])


EXTENSION = ImapExtension(
    name="SEARCH=FUZZY",
    rfc="RFC 6203",
    capability=lambda session: (b"SEARCH=FUZZY",),
    search_keys=(SearchKey(b"FUZZY", read_key),),
    search_returns=(SearchReturn(b"RELEVANCY", needs=b"FUZZY", data=relevancy),),
    sort_keys=(SortKey(b"RELEVANCY", most_relevant_first, needs=b"FUZZY", changes=True),),
)
