"""ESEARCH: SEARCH's answer as a set, its ends or its count; SEARCHRES: a result kept as `$` (RFC 4731, RFC 5182).

The options stand with SEARCH, where IMAP4rev2 has them as well (RFC 9051 §6.4.4).
"""

from ..contract import Extension

EXTENSION = Extension(
    name="ESEARCH",
    rfc="RFC 4731, RFC 5182",
    capability=lambda session: (b"ESEARCH", b"SEARCHRES"),
    response_codes=(b"NOTSAVED",),
)
