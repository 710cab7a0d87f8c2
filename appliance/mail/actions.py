"""What filtering decides for one account's copy of a message; the delivery plan is made from these.

No action at all discards the copy.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FileInto:
    """Deliver the copy into a mailbox of the account, with flags (RFC 5228 §4.1, RFC 5232 §5)."""

    mailbox: str = "INBOX"
    flags: tuple[str, ...] = ()


Action = FileInto

KEEP: tuple[Action, ...] = (FileInto(),)
"""The implicit keep (RFC 5228 §2.10.2)."""
