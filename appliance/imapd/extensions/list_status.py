"""LIST-STATUS: STATUS of each name in LIST's answer (RFC 5819). Grammar and answer are LIST's own."""

from ..contract import Extension

EXTENSION = Extension(name="LIST-STATUS", rfc="RFC 5819", capability=lambda session: (b"LIST-STATUS",))
