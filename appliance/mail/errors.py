"""The root of the error taxonomy: surprises are exceptions, expected refusals are values.

No error knows a wire: each server has one table from these to its own answers.
"""

from enum import Enum


class PillarboxError(Exception):
    """Whatever one of ours raises on purpose."""


class PeerError(PillarboxError):
    """The other end broke the conversation: gone, too slow, or not speaking the protocol."""


class PeerGone(PeerError):
    """The connection ended."""


class PeerSlow(PeerError):
    """A deadline of the conversation passed."""


class MisuseError(PillarboxError):
    """Octets that break a grammar or a limit; the text may be shown to whoever sent them."""


class Trouble(Enum):
    """Why the store could not do what was asked."""

    NO_MAILBOX = "no such mailbox"
    EXISTS = "a mailbox of that name exists"
    BAD_NAME = "not a name a mailbox can have"
    NOT_ALLOWED = "not allowed on this mailbox"
    READ_ONLY = "the mailbox is open for reading only"
    GONE = "the message is no longer there"
    OVER_QUOTA = "the mailbox is full; reading, moving, deleting and copying to Trash still work"
    TOO_BIG = "larger than the server takes"
    TOO_MANY = "more of these than the server keeps"
    FULL = "the card is full"
    BUSY = "too much is being received at once, try again"
    BROKEN = "the card or its data could not be read or written, try again"


class StoreError(PillarboxError):
    """The store refuses or fails; `trouble` says which way."""

    def __init__(self, trouble: Trouble, text: str = "") -> None:
        super().__init__(text or trouble.value)
        self.trouble = trouble


class AuthError(PillarboxError):
    """Signing in went wrong in a way that is not a plain refusal."""


class LookupTrouble(PillarboxError):
    """The name service gave no usable answer; asking again later may help."""


class SetupError(PillarboxError):
    """Wrong settings, files or words; `remedy` says what to do about it."""

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.problem} {self.remedy}".strip()


class NotRunningError(SetupError):
    """Only a running server could answer this."""
