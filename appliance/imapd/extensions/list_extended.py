"""LIST-EXTENDED: selection and return options of LIST (RFC 5258). Grammar and answer are LIST's own."""

from ..contract import Extension

EXTENSION = Extension(name="LIST-EXTENDED", rfc="RFC 5258", capability=lambda session: (b"LIST-EXTENDED",))
