"""LITERAL+: non-synchronising literals of any size (RFC 7888).

Implemented by `protocol.imap.server`; LITERAL-, which allows less, is not announced.
"""

from ..contract import ImapExtension

EXTENSION = ImapExtension(name="LITERAL+", rfc="RFC 7888", capability=lambda session: (b"LITERAL+",))
