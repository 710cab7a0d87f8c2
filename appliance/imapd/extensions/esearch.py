"""ESEARCH: SEARCH's result as a set, its minimum, maximum or count; SEARCHRES: a result kept as `$` (RFC 4731, RFC 5182).

The options are implemented with SEARCH, where IMAP4rev2 has them as well (RFC 9051 §6.4.4).
"""

from ..contract import ImapExtension

EXTENSION = ImapExtension(
    name="ESEARCH",
    rfc="RFC 4731, RFC 5182",
    capability=lambda session: (b"ESEARCH", b"SEARCHRES"),
    response_codes=(b"NOTSAVED",),
)
