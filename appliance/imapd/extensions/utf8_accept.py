"""UTF8=ACCEPT: UTF-8 in mailbox names and search strings, and in the headers of appended messages (RFC 9755).

Messages are stored and sent octet by octet whether or not it is enabled: RFC 9755 §4 wants APPEND of octets outside ASCII in a header
refused before, but old mail has them, and programs that bring it along would stop there. Once it is enabled, SEARCH takes no CHARSET, and
SORT and THREAD take none but UTF-8 (RFC 9755 §3).
APPEND's form of RFC 6855, which RFC 9755 replaces, is what Thunderbird (seen with 153) and Python's imaplib send once it is enabled.
"""

from typing import TYPE_CHECKING

from appliance.mail.errors import MisuseError

from ..appending import CANCELLED, Declined
from ..contract import AppendData, Enabling, ImapExtension

if TYPE_CHECKING:
    from appliance.store.incoming import Incoming

    from ..contract import Appended


async def read(appending: "Appended", incoming: "Incoming") -> None:
    """`SP "(" literal8 ")"` (RFC 6855 §4)."""
    appending.tokens.space()
    appending.tokens.expect(b"(")
    appending.tokens.end()
    if appending.message is None:
        raise MisuseError("UTF8 needs a message as a literal.")
    if not appending.message.octets:
        raise Declined(CANCELLED)
    await appending.receive(incoming)
    appending.tokens.expect(b")")


EXTENSION = ImapExtension(
    name="UTF8=ACCEPT",
    rfc="RFC 9755",
    capability=lambda session: (b"UTF8=ACCEPT",),
    enable=(Enabling(b"UTF8=ACCEPT", utf8=True),),
    append_data=(AppendData(b"UTF8", read, one_literal=True),),
)
