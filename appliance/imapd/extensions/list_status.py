"""LIST-STATUS: STATUS of each listed mailbox (RFC 5819). Implemented with LIST."""

from ..contract import ImapExtension

EXTENSION = ImapExtension(name="LIST-STATUS", rfc="RFC 5819", capability=lambda session: (b"LIST-STATUS",))
