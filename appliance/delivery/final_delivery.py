"""Final delivery: the header fields each local copy of a message gets, and its mailbox (RFC 5321 §4.4).

Every copy begins with Return-Path, the envelope sender, and Delivered-To, the envelope recipient that led to this account: with
aliases, +tags and catch-alls nothing else says which address was written to. A copy names only its own recipient, so that no Bcc
is disclosed. Return-Path fields inside the message stay below ours (RFC 5321 §4.4 lets the final server remove them; the body is
stored exactly as received).
Each account gets one copy however many recipients led to it, in INBOX.
"""

from appliance.mail.address import encode_address
from appliance.mail.envelope import Envelope, encode_recipient
from appliance.store.store import Store
from appliance.store.values import Placement


async def local_placements(store: Store, envelope: Envelope, trace: bytes, at: int) -> list[Placement]:
    """A placement for every local account of the envelope; `trace` are the header fields all copies share, `at` UTC seconds."""
    return_path = b"Return-Path: <" + (encode_address(envelope.sender) if envelope.sender else b"") + b">\r\n"
    placements = []
    for account, recipient in envelope.accounts().items():
        prefix = b"".join((return_path, b"Delivered-To: ", encode_recipient(recipient), b"\r\n", trace))
        placements.append(Placement(mailbox=await store.inbox_of(account), prefix=prefix, internal_at=at))
    return placements
