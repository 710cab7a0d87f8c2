"""SPECIAL-USE and CREATE-SPECIAL-USE: which mailbox is for drafts, sent mail, junk (RFC 6154).

LIST always sends the attributes; CREATE takes `(USE (\\Sent))`.
"""

from ..contract import ImapExtension

EXTENSION = ImapExtension(name="SPECIAL-USE", rfc="RFC 6154", capability=lambda session: (b"SPECIAL-USE", b"CREATE-SPECIAL-USE"))
