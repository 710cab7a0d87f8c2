"""mbox files, read and written in constant memory (RFC 4155, and the mboxrd quoting of its relatives).

Reading: a letter ends where a separator begins; `Content-Length` is not believed. A separator is a "From " line
  - that ends in a date as asctime writes it, after a blank line or before a header field;
  - that has a time and a year, before a header field;
  - that begins "From -" as Netscape wrote it, before a header field, or between blank lines; or
  - that names just an address (Gmail), between a blank line and a header field.
The blank line before a separator, or at the very end, belongs to neither letter. One ">" leaves each line of ">"s and
"From " (mboxrd; mboxo's lines come out right too). LF becomes CRLF, a CR that stands alone is kept.
Writing is the reverse. Lost on the way out and in again: an LF without CR, and a last line that has no end.
Flags come from Status, X-Status and X-Mozilla-Status, whose lines stay in the letter; none are written.
"""

import re
from calendar import timegm
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

PIECE_OCTETS = 64 * 2**10
LINE_OCTETS = 1000
"""How much of a separator and of the line behind it is looked at."""
HEADER_OCTETS = 64 * 2**10
"""Where the flag fields are looked for."""
BOM = b"\xef\xbb\xbf"

_TIME = re.compile(rb"\b\d?\d:\d\d(:\d\d)?\b")
_YEAR = re.compile(rb"\b(19|20)\d\d\b")
_DATE = re.compile(rb"\b(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) {1,2}(\d?\d) (\d\d):(\d\d)(?::(\d\d))?\b")
_MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")
_ASCTIME = re.compile(
    rb" (?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [ \d]\d \d\d:\d\d(?::\d\d)?"
    rb"(?: [A-Z+\-\d]{1,5})? \d{4}\s*\Z"
)
_ADDRESS = re.compile(rb"From [^\s@]+@[^\s@]+[ \t]*\r?\n")
_FIELD = re.compile(rb"[!-9;-~]+[ \t]*:|>+From ")
_BLANK = re.compile(rb"\r?\n|\Z")
_QUOTED = re.compile(rb"(?m)^>(?=>*From )")
_TO_QUOTE = re.compile(rb"(?m)^(?=>*From )")
_CRLF = re.compile(rb"(?<!\r)\r\n")
_STATUS = re.compile(rb"(?mi)^(Status|X-Status|X-Mozilla-Status):[ \t]*([0-9A-Za-z]{1,20})[ \t]*\r?$")
_LETTERS = ((b"R", "\\Seen"), (b"A", "\\Answered"), (b"F", "\\Flagged"), (b"T", "\\Draft"), (b"D", "\\Deleted"))
_MOZILLA = ((1, "\\Seen"), (2, "\\Answered"), (4, "\\Flagged"), (8, "\\Deleted"))


@dataclass(slots=True)
class Place:
    """One letter in the file: octets `begin` to `end`; the next separator is at `after`. `internal_at` 0: the separator has no date."""

    begin: int
    end: int
    after: int
    internal_at: int


def is_mbox(file: BinaryIO) -> bool:
    """Does it begin like one, or hold nothing?"""
    file.seek(0)
    start = file.read(LINE_OCTETS).removeprefix(BOM).lstrip(b"\r\n")
    return not start or start.startswith(b"From ")


def places(file: BinaryIO, offset: int = 0) -> Iterator[Place]:
    """The letters from `offset` on, which is 0 or an `after` told before. Raises ValueError when no letter begins there."""
    file.seek(0, 2)
    size = file.tell()
    start = offset or _first(file, size)
    while start < size:
        file.seek(start)
        line = file.readline(LINE_OCTETS)
        if not line.startswith(b"From "):
            raise ValueError(f"no letter begins at octet {start}")
        begin = start + len(line)
        while line and not line.endswith(b"\n"):  # a separator longer than any
            line = file.readline(LINE_OCTETS)
            begin += len(line)
        file.seek(start)
        at = arrived_at(file.readline(LINE_OCTETS))
        after = _next_separator(file, begin, size)
        yield Place(begin, _without_blank(file, begin, after), after, at)
        start = after


def _first(file: BinaryIO, size: int) -> int:
    """Past a byte order mark and empty lines."""
    file.seek(0)
    head = file.read(LINE_OCTETS)
    rest = head.removeprefix(BOM).lstrip(b"\r\n")
    return size if not rest else len(head) - len(rest)


def _next_separator(file: BinaryIO, begin: int, size: int) -> int:
    """Where the separator after the letter that begins at `begin` stands, or the file's end."""
    at = begin - 1  # the line end before an empty letter's next separator counts
    while at < size:
        file.seek(at)
        window = file.read(PIECE_OCTETS)
        hit = window.find(b"\nFrom ")
        while hit >= 0:
            if _separates(file, at + hit + 1):
                return at + hit + 1
            hit = window.find(b"\nFrom ", hit + 1)
        at += max(1, len(window) - len(b"\nFrom ") + 1)
    return size


def _separates(file: BinaryIO, at: int) -> bool:
    before = min(at, 3)
    file.seek(at - before)
    context = file.read(before + 2 * LINE_OCTETS)
    blank_before = before == 0 or context[:before].endswith((b"\n\n", b"\n\r\n"))
    line, end, behind = context[before:].partition(b"\n")
    if not line[:LINE_OCTETS].startswith(b"From "):
        return False
    field = _FIELD.match(behind) is not None
    if _ASCTIME.search(line):
        return field or blank_before
    if line.startswith(b"From -"):
        return field or (blank_before and _BLANK.match(behind) is not None)
    return field and (bool(_TIME.search(line) and _YEAR.search(line)) or (blank_before and _ADDRESS.match(line + end) is not None))


def _without_blank(file: BinaryIO, begin: int, after: int) -> int:
    """The letter's end: the blank line before `after` is the file's."""
    before = min(after - begin, 4)
    file.seek(after - before)
    tail = file.read(before)
    if tail.endswith(b"\r\n") and (len(tail) == 2 or tail[:-2].endswith(b"\n")):
        return after - 2
    if tail.endswith(b"\n") and (len(tail) == 1 or tail[:-1].endswith(b"\n")):
        return after - 1
    return after


def arrived_at(line: bytes) -> int:
    """The date of a separator in UTC seconds, 0 when there is none that can be."""
    date, years = _DATE.search(line), [match[0] for match in _YEAR.finditer(line)]
    if date is None or not years:
        return 0
    month, day, hour, minute, second = date.groups(b"0")
    return max(0, timegm((int(years[-1]), _MONTHS.index(month) + 1, int(day), int(hour), int(minute), int(second))))


def pieces(file: BinaryIO, place: Place) -> Iterator[bytes]:
    """The letter's octets as they were sent: unquoted, with CRLF. The file may be read elsewhere in between."""
    at, rest, inside = place.begin, b"", False
    while at < place.end or rest:
        file.seek(at)
        chunk = file.read(min(PIECE_OCTETS, place.end - at))
        at += len(chunk)
        data = rest + chunk
        last = at >= place.end or not chunk
        cut = len(data) if last else data.rfind(b"\n") + 1 or len(data) - 1  # a lone CR must not end a piece
        data, rest = data[:cut], data[cut:]
        yield with_crlf(by_line(data, inside, _unquoted))
        inside = not data.endswith(b"\n")
        if last:
            return


def with_crlf(data: bytes) -> bytes:
    """Every LF gets a CR before it where it has none."""
    return data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def with_lf(data: bytes) -> bytes:
    """The reverse: what would not come back by it, a CR before CRLF, stays."""
    return _CRLF.sub(b"\n", data) if b"\r\r\n" in data else data.replace(b"\r\n", b"\n")


def by_line(data: bytes, inside: bool, change: Callable[[bytes], bytes]) -> bytes:
    """Change the lines of `data`, the first one aside when `data` begins inside a line."""
    if not inside:
        return change(data)
    first = data.find(b"\n") + 1 or len(data)
    return data[:first] + change(data[first:])


def _unquoted(data: bytes) -> bytes:
    return _QUOTED.sub(b"", data)


def _quoted(data: bytes) -> bytes:
    return _TO_QUOTE.sub(b">", data)


def flags_of(file: BinaryIO, place: Place) -> tuple[str, ...]:
    """What the header says of the letter's state."""
    file.seek(place.begin)
    header = file.read(min(HEADER_OCTETS, place.end - place.begin))
    for blank in (b"\n\r\n", b"\n\n"):
        header = header.partition(blank)[0]
    flags = set()
    for name, value in _STATUS.findall(header):
        if name.lower() == b"x-mozilla-status":
            number = int(value, 16) if re.fullmatch(rb"[0-9A-Fa-f]{4}", value) else 0
            flags |= {flag for bit, flag in _MOZILLA if number & bit}
        else:
            flags |= {flag for letter, flag in _LETTERS if letter in value}
    return tuple(sorted(flags))


class MboxWriter:
    """Letters to the end of one file, as mboxrd with LF: `begin`, `write` pieces, `end`."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._rest = b""
        self._inside = False
        self._last = b""

    def begin(self, internal_at: int) -> None:
        """`internal_at` in UTC seconds."""
        self._rest, self._inside, self._last = b"", False, b""
        self._file.write(b"From MAILER-DAEMON %s\n" % separator_date(internal_at))

    def write(self, piece: bytes) -> None:
        data = self._rest + piece
        cut = data.rfind(b"\n") + 1
        if not cut and len(data) > PIECE_OCTETS:
            cut = len(data) - 2  # a CR or two at the end may belong to a line end
        self._put(data[:cut])
        self._rest = data[cut:]

    def end(self) -> None:
        self._put(self._rest)
        if self._last not in (b"\n", b""):
            self._file.write(b"\n")
        self._file.write(b"\n")

    def _put(self, data: bytes) -> None:
        if data:
            self._file.write(with_lf(by_line(data, self._inside, _quoted)))
            self._inside = not data.endswith(b"\n")
            self._last = data[-1:]


def separator_date(at: int) -> bytes:
    """asctime's form in UTC (RFC 4155)."""
    import time

    return time.asctime(time.gmtime(max(0, at))).encode()
