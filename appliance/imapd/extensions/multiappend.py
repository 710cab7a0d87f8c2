"""MULTIAPPEND: several messages in one APPEND, all or none (RFC 3502). Grammar and answer are APPEND's own."""

from ..contract import Extension

EXTENSION = Extension(name="MULTIAPPEND", rfc="RFC 3502", capability=lambda session: (b"MULTIAPPEND",))
