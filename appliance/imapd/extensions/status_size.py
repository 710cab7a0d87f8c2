"""STATUS=SIZE: the size of a mailbox in octets (RFC 8438)."""

from ..contract import ImapExtension, StatusItem

EXTENSION = ImapExtension(
    name="STATUS=SIZE",
    rfc="RFC 8438",
    capability=lambda session: (b"STATUS=SIZE",),
    status_items=(StatusItem(b"SIZE", lambda session, info: info.octets),),
)
