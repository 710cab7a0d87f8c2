"""UIDPLUS: UID EXPUNGE and the UIDs of what APPEND and COPY made (RFC 4315); they stand with their commands."""

from ..contract import Extension

EXTENSION = Extension(
    name="UIDPLUS",
    rfc="RFC 4315",
    capability=lambda session: (b"UIDPLUS",),
    response_codes=(b"APPENDUID", b"COPYUID", b"UIDNOTSTICKY"),
)
