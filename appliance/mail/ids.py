"""Typed integers, so that a UID is never handed over where a MODSEQ belongs.

All come from durable counters that only rise (never from the clock, never from SQLite's rowid).
"""

from typing import NewType

AccountId = NewType("AccountId", int)
MailboxId = NewType("MailboxId", int)
Uid = NewType("Uid", int)
"""1 to 2**32 - 1, rises within a mailbox (RFC 9051 §2.3.1.1)."""
UidValidity = NewType("UidValidity", int)
ModSeq = NewType("ModSeq", int)
"""1 to 2**63 - 1, rises within a mailbox with every change (RFC 7162 §3.1)."""
MessageId = NewType("MessageId", int)
"""A message's identity across COPY and MOVE; not the Message-ID header."""
BodyId = NewType("BodyId", int)
"""The octets as received, shared by every row that needs them."""
QueueId = NewType("QueueId", int)
"""One message on its way to one destination."""
