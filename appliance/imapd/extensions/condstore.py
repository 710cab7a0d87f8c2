"""CONDSTORE: every change has a number, MODSEQ, and a client may ask for what came after one (RFC 7162 §3.1).

Enabled by ENABLE, by SELECT (CONDSTORE), and by every use of a MODSEQ: FETCH MODSEQ and CHANGEDSINCE, STORE UNCHANGEDSINCE,
SEARCH MODSEQ, STATUS HIGHESTMODSEQ (RFC 7162 §3.1). Then, from one [HIGHESTMODSEQ] on, flags are sent with their MODSEQ, and EXPUNGE
and MOVE complete with the new HIGHESTMODSEQ. No MODSEQ is sent before its change is committed, so \\Seen is not lazy any more.
"""

from typing import TYPE_CHECKING

from appliance.mail.query import ChangedSince, Query
from appliance.protocol.imap.search import SearchKey, SearchTokens
from appliance.protocol.imap.sequence import encode_set
from appliance.store.values import Want

from ..client import FlagItem
from ..completion import Completion, no, ok
from ..contract import Enabling, FetchModifier, ImapExtension, SearchReturnData, SelectParameter, StatusItem, StoreModifier
from ..row_items import plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from appliance.mail.ids import ModSeq
    from appliance.protocol.imap.sequence import Ranges
    from appliance.protocol.imap.tokens import Tokens
    from appliance.store.values import FlagsResult

    from ..client import ImapClient
    from ..contract import CommandSession
    from ..matching import Matches
    from ..plans import FetchPlan, StorePlan
    from ..selected import Selected

WORD = b"CONDSTORE"
CHANGES_QUERIED = 1000
"""CHANGEDSINCE up to so many changes back queries the changed messages; further back every row is read and compared."""

MODSEQ = plain(b"MODSEQ", Want.FLAGS, b"MODSEQ (%d)", "modseq", enables=WORD)


# --- enabling ---------------------------------------------------------------------------------


async def begin(session: "CommandSession") -> None:
    """Report the latest change the client knows, from which on MODSEQs are sent (RFC 7162 §3.1)."""
    if session.selected is not None:
        await session.selected.commit_seen()
        await session.send(b"* OK [HIGHESTMODSEQ %d] The latest change sent.\r\n" % max(session.selected.modseq, 1))


async def after_select(session: "CommandSession", parameters: "Mapping[bytes, Any]") -> None:
    """SELECT and EXAMINE send HIGHESTMODSEQ whether or not CONDSTORE is enabled (RFC 7162 §3.1.2.1)."""
    if session.selected is not None:
        await session.send(b"* OK [HIGHESTMODSEQ %d] The latest change.\r\n" % max(session.selected.modseq, 1))


# --- FETCH ------------------------------------------------------------------------------------


def parse_modseq(tokens: "Tokens") -> int:
    """`SP mod-sequence-valzer` (RFC 7162 §7)."""
    tokens.space()
    return tokens.number64()


def changed_since(plan: "FetchPlan", since: int) -> None:
    """CHANGEDSINCE (RFC 7162 §3.1.4.1) implies MODSEQ; 0, which clients send, is before every change."""

    async def narrow(client: "ImapClient", selected: "Selected", positions: "Ranges") -> "Ranges":
        return await selected.changed_since(positions, since) if selected.modseq - since < CHANGES_QUERIED else positions

    plan.require(MODSEQ)
    plan.since = since
    plan.narrow.append(narrow)
    plan.keep.append(lambda row: row[2] > since)


# --- STORE ------------------------------------------------------------------------------------


def unchanged_since(plan: "StorePlan", since: "ModSeq") -> None:
    """UNCHANGEDSINCE (RFC 7162 §3.1.3)."""
    plan.enables.append(WORD)
    plan.unchanged_since = since
    plan.complete.append(modified)


def modified(selected: "Selected", result: "FlagsResult", uid: bool) -> Completion | None:
    """[MODIFIED set] of messages that were not changed; a completion has room for one code, so with expunged ones it is NO [MODIFIED]."""
    if not result.modified:
        return None
    numbers = sorted(result.modified) if uid else [selected.view.seq_of(one) for one in sorted(result.modified)]
    code = b"MODIFIED " + encode_set(numbers)
    if result.gone and not uid:
        return no(b"Some of the messages have been deleted by another session.", code)
    return ok(b"Conditional STORE failed for some.", code)


# --- SEARCH -----------------------------------------------------------------------------------


def read_key(reader: SearchTokens) -> Query:
    """`MODSEQ [entry-name entry-type] number`: an entry is one flag's own number, for which the message's may be used (RFC 7162 §3.1.5)."""
    reader.tokens.space()
    if reader.tokens.peek() == b'"':
        reader.tokens.string()
        reader.tokens.space()
        if reader.tokens.keyword() not in (b"ALL", b"PRIV", b"SHARED"):
            raise reader.tokens.misuse("an entry's type is all, priv or shared")
        reader.tokens.space()
    return ChangedSince(reader.tokens.number64())


def highest(found: "Matches", reported: "Sequence[int]") -> bytes:
    """The highest MODSEQ of the messages a response reports (RFC 7162 §3.1.5, §3.1.10)."""
    return b"%d" % max([found.modseqs[at] for at in reported]) if found.modseqs else b""


EXTENSION = ImapExtension(
    name="CONDSTORE",
    rfc="RFC 7162",
    capability=lambda session: (WORD,),
    enable=(
        Enabling(
            WORD,
            begin=begin,
            flag_items=(FlagItem(b"MODSEQ", lambda uid, flags, modseq: b"MODSEQ (%d)" % modseq),),
            expunge_code=lambda modseq: b"HIGHESTMODSEQ %d" % modseq,
        ),
    ),
    fetch_items=(MODSEQ,),
    fetch_modifiers=(FetchModifier(b"CHANGEDSINCE", parse_modseq, changed_since),),
    store_modifiers=(StoreModifier(b"UNCHANGEDSINCE", parse_modseq, unchanged_since),),
    search_keys=(SearchKey(b"MODSEQ", read_key, enables=WORD),),
    search_data=(SearchReturnData(b"MODSEQ", key=b"MODSEQ", encode=highest),),
    status_items=(StatusItem(b"HIGHESTMODSEQ", lambda session, info: max(info.highest_modseq, 1), enables=WORD),),
    select_parameters=(SelectParameter(WORD, lambda session, value: session.enable(WORD)),),
    after_select=after_select,
    response_codes=(b"HIGHESTMODSEQ", b"NOMODSEQ", b"MODIFIED"),
)
