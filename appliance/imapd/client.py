"""The client as FETCH items and the selected mailbox see it: what it enabled, how changes are encoded for it, where responses go."""

from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

ExpungeEncoder = Callable[[Sequence[int], Sequence[int]], Iterable[bytes]]
"""(UIDs, sequence numbers) of expunged messages, parallel and ascending by UID, to response lines.

Each number is as of the moment its line is sent, the lines before it counted (RFC 9051 §7.5.1).
"""


def encode_expunge(uids: Sequence[int], numbers: Sequence[int]) -> Iterable[bytes]:
    """`* n EXPUNGE` for each message (RFC 9051 §7.5.1)."""
    return [b"* %d EXPUNGE\r\n" % number for number in numbers]


@dataclass(frozen=True, slots=True)
class FlagItem:
    """A FETCH item sent with the flags of a message that changed: `encode(uid, flags, modseq)` gives its name and value."""

    name: bytes
    encode: Callable[[int, int, int], bytes]


@dataclass(frozen=True, slots=True)
class UpdateFormat:
    """How changes of the selected mailbox are sent; extensions replace fields of it when they are enabled.

    `flag_items` follow UID and FLAGS in unsolicited FETCH responses. While there are any, \\Seen set by FETCH is committed before it
    is sent, because they are of committed changes. `expunge` encodes expunged messages. `expunge_code(modseq)` is the response code
    of the tagged OK of a command that expunged. `uid_always`: the FETCH responses to STORE have UID as well (RFC 7162 §3.2.4).
    `uid_only`: there are no sequence numbers, neither in responses nor in commands (RFC 9586).
    """

    flag_items: tuple[FlagItem, ...] = ()
    expunge: ExpungeEncoder = encode_expunge
    expunge_code: Callable[[int], bytes] = lambda modseq: b""
    uid_always: bool = False
    uid_only: bool = False


class Follower(Protocol):
    """A search whose result is kept up to date (RFC 5267 §4.3): told by the sync of the selected mailbox; see `search_context`."""

    tag: bytes
    members: "array[int]"

    def use_uids(self) -> None:
        """From here on messages are named by UID, whatever the search named them by (RFC 9586 §3)."""

    async def expunging(self, client: "ImapClient", uids: Sequence[int]) -> None:
        """The EXPUNGE of these messages, ascending, is about to be sent."""

    async def changed(self, client: "ImapClient", uids: Sequence[int], arrived: Sequence[int]) -> None:
        """These messages, ascending, changed or arrived; `arrived`: those that are new and not by the client. Raises StoreError."""


class ImapClient(Protocol):
    """Part of a session; a test gives a recorder instead."""

    enabled: set[bytes]
    """Words of ENABLE in upper case."""
    updates: UpdateFormat

    async def send(self, *parts: bytes) -> None:
        """Untagged output with its CRLF, in parts; waits while the client reads slowly. Raises PeerGone, PeerSlow."""

    async def arrived(self, uids: Sequence[int]) -> None:
        """Messages, ascending, are new in the selected mailbox, not by this client, and announced. Raises StoreError."""
