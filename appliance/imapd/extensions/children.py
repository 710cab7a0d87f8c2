"""CHILDREN: \\HasChildren and \\HasNoChildren in LIST (RFC 3348); LIST always sends them."""

from ..contract import Extension

EXTENSION = Extension(name="CHILDREN", rfc="RFC 3348", capability=lambda session: (b"CHILDREN",))
