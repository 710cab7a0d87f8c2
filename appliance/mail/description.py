"""What the server knows of a message without reading it again: made once, at arrival.

The scanner that makes it is handed to the store as a `Describe`: octets in pieces in, facts out. The
store calls it for SMTP, APPEND and import alike and keeps DESCRIBED_BY with every row, so that a row
of an older scanner is made anew on reading.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


@dataclass(slots=True)
class Description:
    """Facts of one message in IMAP wire form; offsets count from the start of the shared body.

    `envelope` and `bodystructure` are ready to send (no name, no trailing space): `(...)`.
    `parts` is the packed part map of `mail.structure` (section number to octet ranges and transfer
    encoding). `header_octets` counts up to and including the blank line. `sent_at` is the Date
    header in UTC seconds, or None. `hops` counts Received fields. `preview` is UTF-8 text of at
    most 200 characters, without line ends. `longest_line_octets` leaves the CRLF out.
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
    has_from: bool
    longest_line_octets: int
    bare_cr_or_lf: bool
    nul: bool
    eight_bit: bool
    begins_folded: bool
    """The first line begins with a space or tab: it would continue whatever field stands in front of it."""
    described_by: int
    """Version of the scanner; rises when the answer for the same octets changes."""


class Scanner(Protocol):
    """One message's scanner: linear, constant memory, octets in any pieces."""

    def feed(self, chunk: bytes) -> None: ...

    def finish(self, prefix: bytes = b"") -> Description:
        """The facts of `prefix + body`; `octets`, `header_octets` and part offsets stay those of the body alone.

        May be asked several times with different prefixes after the last `feed`.
        """
        ...


Describe = Callable[[], Scanner]
"""Makes a scanner for one message."""
