"""What filtering decides for one account's copy of a message; the delivery plan is made from these.

No action at all discards the copy.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FileInto:
    """Deliver the copy into a mailbox of the account, with flags (Sieve: fileinto, with :flags)."""

    mailbox: str = "INBOX"
    flags: tuple[str, ...] = ()


Action = FileInto

KEEP: tuple[Action, ...] = (FileInto(),)
"""The implicit keep of Sieve."""
