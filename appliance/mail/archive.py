"""A message of an archive, on its way in (import) or out (export): its place, flags and date; the octets go beside it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ImportedMessage:
    """One message on its way in or out: its mailbox, flag names, UTC seconds of arrival, and where its source stands after it."""

    mailbox: str
    flags: tuple[str, ...]
    internal_at: int
    position: str = ""
    unreadable: int = 0
    """Above 0: no message, but so many of `mailbox` that could not be read and were passed over ("": mailboxes)."""
