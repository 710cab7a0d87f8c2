"""MULTIAPPEND: several messages in one APPEND, all or none (RFC 3502). Implemented with APPEND."""

from ..contract import ImapExtension

EXTENSION = ImapExtension(name="MULTIAPPEND", rfc="RFC 3502", capability=lambda session: (b"MULTIAPPEND",))
