"""The description of a message: the facts that are stored with its row, made in one pass at arrival.

The store gets the scanner as a `Describe` and uses it for SMTP, APPEND and import alike. It keeps
`described_by` with every row, so that rows of an older scanner can be described again.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from .threads import ThreadKeys


@dataclass(slots=True)
class Description:
    """Facts of one message, partly in IMAP wire form; offsets count from the start of the stored body.

    `envelope` and `bodystructure` are ready to send (no name, no trailing space): `(...)`.
    `parts` is the packed part map of `mail.partmap` (section number to octet ranges and transfer
    encoding). `header_octets` counts up to and including the blank line. `sent_at` is the Date
    header in UTC seconds, or None. `hops` counts Received fields. `preview` is UTF-8 text of at
    most 200 characters, without line ends. `longest_line_octets` is without the CRLF.
    """

    octets: int
    header_octets: int
    envelope: bytes
    bodystructure: bytes
    parts: bytes
    sent_at: int | None
    hops: int
    preview: str
    has_date: bool
    has_message_id: bool
    longest_line_octets: int
    begins_folded: bool
    """The first line begins with a space or tab: it would continue any header field put in front of it."""
    described_by: int
    """Version of the scanner; incremented when the description of the same octets changes."""
    thread: ThreadKeys = field(default_factory=ThreadKeys)
    """The ids and the base subject by which messages form threads."""


class Scanner(Protocol):
    """The scanner of one message: linear, constant memory, chunks of any size."""

    def feed(self, chunk: bytes) -> None: ...

    def finish(self, prefix: bytes = b"") -> Description:
        """The facts of `prefix + body`; `octets`, `header_octets` and part offsets stay those of the body alone.

        May be called several times with different prefixes after the last `feed`.
        """
        ...


class ChunkScanner(Protocol):
    """One more reader of a message's octets while they are received: linear, bounded memory, chunks of any size."""

    def feed(self, chunk: bytes) -> None:
        """The next octets. Never called twice at the same time, but from any thread."""
        ...

    def end(self) -> None:
        """The message is complete."""
        ...


Describe = Callable[[], Scanner]
"""Makes a scanner for one message."""

DescriptionOf = Callable[[bytes], Description]
"""The description of a prefix and one body, all of whose octets were scanned: `Scanner.finish`."""
