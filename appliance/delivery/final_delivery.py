"""Into mailboxes of the server: what each copy of a message gets in front, and where it is put (RFC 5321 §4.4).

Every copy begins with Return-Path, the envelope's sender, and Delivered-To, the envelope's recipient that led to this
person: with aliases, +tags and catch-alls nothing else says which address was written to. A copy names only its own
recipient, so nobody learns of a Bcc. Return-Path lines that came inside the message stay where they are, below ours
(RFC 5321 §4.4 lets the final server remove them; the body is kept exactly as received).
Each person gets one copy however many recipients led to them. Everything goes into the Inbox until Sieve is built.
"""

from appliance.mail.address import encode_address
from appliance.mail.envelope import Envelope, written
from appliance.store.store import Store
from appliance.store.values import Placement


async def file_copies(store: Store, envelope: Envelope, trace: bytes, at: int) -> list[Placement]:
    """A placement for everybody the message comes to; `trace` are the header lines all copies share, `at` UTC seconds."""
    return_path = b"Return-Path: <" + (encode_address(envelope.sender) if envelope.sender else b"") + b">\r\n"
    placements = []
    for account, recipient in envelope.accounts().items():
        prefix = b"".join((return_path, b"Delivered-To: ", written(recipient), b"\r\n", trace))
        placements.append(Placement(mailbox=await store.inbox_of(account), prefix=prefix, internal_at=at))
    return placements
