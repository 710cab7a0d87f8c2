"""Integer types for identifiers, so that mypy catches a UID passed where a MODSEQ belongs.

All come from durable counters that only increase (never from the clock, never from SQLite's rowid).
"""

from typing import NewType

AccountId = NewType("AccountId", int)
MailboxId = NewType("MailboxId", int)
Uid = NewType("Uid", int)
"""1 to 2**32 - 1, increases within a mailbox (RFC 9051 §2.3.1.1)."""
UidValidity = NewType("UidValidity", int)
ModSeq = NewType("ModSeq", int)
"""1 to 2**63 - 1, increases within a mailbox with every change (RFC 7162 §3.1)."""
MessageId = NewType("MessageId", int)
"""A message's identity across COPY and MOVE; not the Message-ID header."""
BodyId = NewType("BodyId", int)
"""The octets as received, stored once for all rows that refer to them."""
QueueId = NewType("QueueId", int)
"""A queue entry: one message to one destination."""
