"""CONDSTORE: every change has a number, and a client may ask what came after (RFC 7162 §3.1).

Switched on by ENABLE, by SELECT (CONDSTORE), and by whatever speaks of MODSEQs: FETCH MODSEQ and CHANGEDSINCE, STORE UNCHANGEDSINCE,
SEARCH MODSEQ, STATUS HIGHESTMODSEQ (RFC 7162 §3.1). From then on flags are told with their MODSEQ. No MODSEQ is told before
its change is committed.
"""

from appliance.mail.query import ChangedSince, Query
from appliance.protocol.imap.search import SearchKey, SearchTokens

from ..contract import Extension, SelectParameter, StatusItem
from ..row_items import MODSEQ, RowItem

WORD = b"CONDSTORE"


def _modseq_key(words: SearchTokens) -> Query:
    """`MODSEQ [entry-name entry-type] number`: an entry is one flag's own number, which RFC 7162 §3.1.5 lets us take for the message's."""
    words.tokens.space()
    if words.tokens.peek() == b'"':
        words.tokens.string()
        words.tokens.space()
        if words.tokens.keyword() not in (b"ALL", b"PRIV", b"SHARED"):
            raise words.tokens.misuse("an entry's type is all, priv or shared")
        words.tokens.space()
    return ChangedSince(words.tokens.number64())


_MODSEQ = RowItem(MODSEQ.name, MODSEQ.want, MODSEQ.template, MODSEQ.values, enables=WORD)

EXTENSION = Extension(
    name="CONDSTORE",
    rfc="RFC 7162",
    capability=lambda session: (WORD,),
    enable=(WORD,),
    fetch_items=(_MODSEQ,),
    search_keys=(SearchKey(b"MODSEQ", _modseq_key),),
    status_items=(StatusItem(b"HIGHESTMODSEQ", lambda session, info: max(info.highest_modseq, 1), enables=WORD),),
    select_parameters=(SelectParameter(WORD, lambda session, value: session.enable(WORD)),),
    response_codes=(b"HIGHESTMODSEQ", b"NOMODSEQ", b"MODIFIED"),
)
