"""UTF8=ACCEPT: UTF-8 in mailbox names and search strings, and in the headers of appended messages (RFC 9755).

Messages are stored and sent octet by octet whether or not it is enabled: RFC 9755 §4 wants APPEND of octets outside ASCII in a header
refused before, but old mail has them, and programs that bring it along would stop there. Once it is enabled, SEARCH takes no CHARSET, and
SORT and THREAD take none but UTF-8 (RFC 9755 §3).
"""

from ..contract import Enabling, ImapExtension

EXTENSION = ImapExtension(
    name="UTF8=ACCEPT",
    rfc="RFC 9755",
    capability=lambda session: (b"UTF8=ACCEPT",),
    enable=(Enabling(b"UTF8=ACCEPT", utf8=True),),
)
