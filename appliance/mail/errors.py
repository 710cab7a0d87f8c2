"""Exceptions of the whole program; expected refusals are values instead (Reply, Verdict, Outcome).

None of them is specific to a protocol: each server has one table from these to its own replies.
"""

from enum import Enum


class PillarboxError(Exception):
    """Base of every exception raised on purpose."""


class PeerError(PillarboxError):
    """The peer failed: disconnected, too slow, or not speaking the protocol."""


class PeerGone(PeerError):
    """The connection ended."""


class PeerSlow(PeerError):
    """A timeout of the session expired."""


class MisuseError(PillarboxError):
    """Input that violates a grammar or a limit; the text may be sent to the client."""


class Trouble(Enum):
    """Why the store refused or failed."""

    NO_MAILBOX = "no such mailbox"
    EXISTS = "a mailbox of that name exists"
    BAD_NAME = "not a name a mailbox can have"
    NOT_ALLOWED = "not allowed on this mailbox"
    NO_RIGHT = "the owner of this mailbox has not given you the right to do that"
    HAS_CHILDREN = "there are mailboxes below this name"
    READ_ONLY = "the mailbox is open for reading only"
    GONE = "the message is no longer there"
    OVER_QUOTA = "the mailbox is full; reading, moving, deleting and copying to Trash still work"
    TOO_BIG = "larger than the server accepts"
    TOO_MANY = "more of these than the server keeps"
    FULL = "the storage is full"
    BUSY = "too much is being received at once, try again"
    BROKEN = "the storage could not be read or written, try again"


class StoreError(PillarboxError):
    """The store refused or failed; `trouble` says why."""

    def __init__(self, trouble: Trouble, text: str = "") -> None:
        super().__init__(text or trouble.value)
        self.trouble = trouble


class AuthError(PillarboxError):
    """Authentication could not be completed, for a reason other than wrong credentials."""


class LookupTrouble(PillarboxError):
    """The DNS gave no usable answer; a later query may succeed."""


class SetupError(PillarboxError):
    """Wrong settings, files or arguments; `remedy` says what to do about it, `field` which field of a form it is about ("": not known)."""

    def __init__(self, problem: str, remedy: str = "", field: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy
        self.field = field

    def __str__(self) -> str:
        return f"{self.problem} {self.remedy}".strip()


class NotRunningError(SetupError):
    """The request needs a running server."""
