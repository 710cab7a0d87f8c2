"""INPROGRESS: a command that takes long says so every ten seconds (RFC 9585). Implemented by `progress`."""

from ..contract import ImapExtension

EXTENSION = ImapExtension(name="INPROGRESS", rfc="RFC 9585", capability=lambda session: (b"INPROGRESS",), response_codes=(b"INPROGRESS",))
