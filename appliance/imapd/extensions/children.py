"""CHILDREN: \\HasChildren and \\HasNoChildren in LIST (RFC 3348); LIST always sends them."""

from ..contract import ImapExtension

EXTENSION = ImapExtension(name="CHILDREN", rfc="RFC 3348", capability=lambda session: (b"CHILDREN",))
