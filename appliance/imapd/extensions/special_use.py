"""SPECIAL-USE and CREATE-SPECIAL-USE: which mailbox holds drafts, sent, junk (RFC 6154).

LIST always tells; CREATE takes `(USE (\\Sent))`.
"""

from ..contract import Extension

EXTENSION = Extension(name="SPECIAL-USE", rfc="RFC 6154", capability=lambda session: (b"SPECIAL-USE", b"CREATE-SPECIAL-USE"))
