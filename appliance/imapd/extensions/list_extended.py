"""LIST-EXTENDED: selection and return options of LIST (RFC 5258). Implemented with LIST."""

from ..contract import ImapExtension

EXTENSION = ImapExtension(name="LIST-EXTENDED", rfc="RFC 5258", capability=lambda session: (b"LIST-EXTENDED",))
