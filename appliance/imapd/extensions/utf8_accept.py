"""UTF8=ACCEPT: UTF-8 in mailbox names and search strings, and in the headers of appended messages (RFC 9755).

Messages are stored and sent octet by octet whether or not it is enabled. Once it is, SEARCH takes no CHARSET (RFC 9755 §3).
"""

from ..contract import Enabling, ImapExtension

EXTENSION = ImapExtension(
    name="UTF8=ACCEPT",
    rfc="RFC 9755",
    capability=lambda session: (b"UTF8=ACCEPT",),
    enable=(Enabling(b"UTF8=ACCEPT", utf8=True),),
)
