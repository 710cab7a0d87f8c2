"""Collect the header fields that describe a message or MIME part while its header is received (RFC 5322 §3.6).

Linear in the header and bounded by HEADER_OCTETS of values. Of Date, Subject, Message-ID, In-Reply-To and
References the last occurrence counts, of the others every one; Received is only counted. Lines that are not fields are skipped.
"""

from .content import CONTENT_FIELDS, read_content
from .limits import HEADER_OCTETS

ADDRESS_FIELDS = frozenset((b"from", b"sender", b"reply-to", b"to", b"cc", b"bcc"))
_LAST = frozenset((b"date", b"subject", b"message-id", b"in-reply-to", b"references"))
_COUNTED = frozenset((b"received", b"mime-version"))
OF_A_PART = frozenset(CONTENT_FIELDS)
"""Fields collected from a MIME part's header."""
OF_A_MESSAGE = OF_A_PART | ADDRESS_FIELDS | _LAST | _COUNTED
"""Fields collected from a message's header, also of one inside a message/rfc822 part."""

DELIMITERS = 8
"""Lines of one header that are compared with its boundary, at most."""

HeaderFields = dict[bytes, list[bytes]]
"""Values by lower-case name in order; folded lines are joined with LF."""


class HeaderFieldsReader:
    """Collects the values of the wanted fields from header lines fed in chunks. Keeps at most HEADER_OCTETS of them.

    `first_part` has the fields after a delimiter inside the header, where the empty line before the first part is missing.
    """

    __slots__ = ("_delimiters", "_lines", "_wanted", "first_part", "found", "kept")

    def __init__(self, wanted: frozenset[bytes]) -> None:
        self.found: dict[bytes, list[list[bytes]]] = {}
        self.kept = 0
        self._wanted = wanted
        self._lines: list[bytes] | None = None
        self.first_part: HeaderFieldsReader | None = None
        self._delimiters = DELIMITERS if wanted else 0

    def take(self, octets: bytes) -> None:
        """Add complete lines, of which HEADER_OCTETS count; the very first line starts a field even when it begins with white space."""
        if octets.endswith(b"\n"):
            octets = octets[: -2 if octets.endswith(b"\r\n") else -1]
        lines = self._lines
        each_line = octets.replace(b"\r\n", b"\n").split(b"\n")
        if len(octets) > HEADER_OCTETS:
            each_line = [line[:HEADER_OCTETS] for line in each_line]
        for line in each_line:
            if self.first_part is not None:
                self.first_part.take(line)
            elif self._delimiters and line[:2] == b"--":
                self._delimiter(line)
            if line[:1] in (b" ", b"\t"):
                if lines is not None and self.kept <= HEADER_OCTETS:
                    lines.append(line)
                    self.kept += len(line)
                continue
            lines = None
            colon = line.find(b":")
            if colon < 0:
                continue
            name = line[:colon].lower()
            if name not in self._wanted:
                name = name.rstrip(b" \t")
                if name not in self._wanted:
                    continue
            rest = line[colon + 1 :]
            lines = [rest.lstrip(b" \t") or rest[1:]]
            if name in _LAST:
                self.found[name] = [lines]
            elif name in _COUNTED:
                self.found.setdefault(name, []).append([])
                lines = None
            elif self.kept <= HEADER_OCTETS:
                self.found.setdefault(name, []).append(lines)
            self.kept += len(rest)
        self._lines = lines

    def _delimiter(self, line: bytes) -> None:
        self._delimiters -= 1
        types = [b"\n".join(lines) for lines in self.found.get(b"content-type", ())]
        boundary = read_content({b"content-type": types}).parameter(b"boundary") if types else None
        if boundary and line.startswith(boundary, 2) and not line.startswith(b"--", 2 + len(boundary)):
            self.first_part = HeaderFieldsReader(OF_A_PART)
            self.first_part._delimiters = 0

    def header_fields(self) -> HeaderFields:
        """The collected values; NUL, which an IMAP string cannot contain, becomes 0x80."""
        return {
            name: [(b"\n".join(lines) if len(lines) > 1 else lines[0] if lines else b"").replace(b"\0", b"\x80") for lines in values]
            for name, values in self.found.items()
        }


def message_header_fields(octets: bytes) -> HeaderFields:
    """The fields of header lines that the server adds, collected like those of a message."""
    reader = HeaderFieldsReader(OF_A_MESSAGE)
    if octets:
        reader.take(octets)
    return reader.header_fields()
