"""UIDPLUS: UID EXPUNGE, and the UIDs of appended and copied messages (RFC 4315). Implemented with EXPUNGE, APPEND and COPY."""

from ..contract import ImapExtension

EXTENSION = ImapExtension(
    name="UIDPLUS",
    rfc="RFC 4315",
    capability=lambda session: (b"UIDPLUS",),
    response_codes=(b"APPENDUID", b"COPYUID", b"UIDNOTSTICKY"),
)
