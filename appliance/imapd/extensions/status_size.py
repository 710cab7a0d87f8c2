"""STATUS=SIZE: the size of a mailbox in octets (RFC 8438)."""

from ..contract import Extension, StatusItem

EXTENSION = Extension(
    name="STATUS=SIZE",
    rfc="RFC 8438",
    capability=lambda session: (b"STATUS=SIZE",),
    status_items=(StatusItem(b"SIZE", lambda session, info: info.octets),),
)
