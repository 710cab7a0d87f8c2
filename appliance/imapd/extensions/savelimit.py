"""SAVELIMIT: how many messages one APPEND takes (RFC 9738). There is no limit to what FETCH, SEARCH, STORE, MOVE and EXPUNGE work on, so
MESSAGELIMIT is not announced; one more message in an APPEND is NO [MESSAGELIMIT] (`appending`). COPY takes more than is announced.
"""

from ..appending import MESSAGES
from ..contract import ImapExtension

EXTENSION = ImapExtension(
    name="SAVELIMIT", rfc="RFC 9738", capability=lambda session: (b"SAVELIMIT=%d" % MESSAGES,), response_codes=(b"MESSAGELIMIT",)
)
