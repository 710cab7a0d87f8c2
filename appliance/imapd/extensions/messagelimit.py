"""MESSAGELIMIT and SAVELIMIT: how many messages a command should be about, and how many one APPEND takes (RFC 9738).

SAVELIMIT is enforced for APPEND, where each message holds a staged body: one more is NO [MESSAGELIMIT] and nothing is stored (`appending`).
MESSAGELIMIT is announced and not enforced, as RFC 9738 §4.2 wants it to begin: a program that knows it asks for a large mailbox in parts,
which a small board answers sooner; one that does not would take messages beyond the limit for expunged (RFC 9738 §4.1). It is so high
that SORT and THREAD, which programs leave be in larger mailboxes (RFC 9738 §3.3), stay of use in every ordinary one.
"""

from typing import TYPE_CHECKING

from appliance.mail.query import Identified, Or
from appliance.protocol.imap.search import SearchKey
from appliance.protocol.imap.sequence import LARGEST

from ..appending import MESSAGES
from ..contract import ImapExtension

if TYPE_CHECKING:
    from appliance.mail.query import Query
    from appliance.protocol.imap.search import SearchTokens

MESSAGES_ADVISED = 100_000
"""As many as the largest range of UIDBATCHES has (RFC 10022 §3.2)."""


def after(reader: "SearchTokens") -> "Query":
    """`UIDAFTER SP uniqueid`: larger UIDs; none above the largest (RFC 9738 §3.2)."""
    uid = reader.uid()
    return Identified(((uid + 1, LARGEST),)) if uid < LARGEST else Or(())


def before(reader: "SearchTokens") -> "Query":
    """`UIDBEFORE SP uniqueid`: smaller UIDs; none before 1 (RFC 9738 §3.2)."""
    uid = reader.uid()
    return Identified(((1, uid - 1),)) if uid > 1 else Or(())


EXTENSION = ImapExtension(
    name="MESSAGELIMIT",
    rfc="RFC 9738",
    capability=lambda session: (b"MESSAGELIMIT=%d" % MESSAGES_ADVISED, b"SAVELIMIT=%d" % MESSAGES),
    search_keys=(SearchKey(b"UIDAFTER", after), SearchKey(b"UIDBEFORE", before)),
    response_codes=(b"MESSAGELIMIT",),
)
