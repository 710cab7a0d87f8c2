"""mbox files, read and written in constant memory (RFC 4155, and its relatives mboxo, mboxrd, mboxcl and mboxcl2).

Reading. A line that begins "From " ends a message only where there is evidence that it separates two:
  after a blank line
  - it ends in a date as asctime writes it;
  - it has a time and a year, or begins "From -" (Netscape), or names just an address (Gmail), and a header field follows;
  - it begins "From -" and a blank line follows;
  - it is bare ("From " and nothing, or one word where the file's first separator is like that), and a header follows that
    has a field every mail program writes (`_KNOWN`);
  without a blank line before it
  - it has a date, or begins "From -", and such a header follows.
  The line of a git patch ("From", a hash, "Mon Sep 17 00:00:00 2001": git-format-patch) separates only in a file that
  begins with such a line, which is a patch series; in every other mbox it is a patch quoted in a message.
`Content-Length` (mboxcl, mboxcl2) is believed only where it ends exactly at a separator or at the file's end: then the
lines inside separate nothing. Wrong or repeated lengths are passed over.
The blank line before a separator, or at the very end, belongs to neither message. In a body one ">" leaves each line of
">"s and "From " (mboxrd; mboxo's lines come out right too), unless the body has a bare "From " line after a blank line:
whoever wrote that quotes nothing (mboxcl2). A header is never unquoted, except behind our own separator, WRITER.
LF becomes CRLF, a CR that stands alone is kept.
Writing is mboxrd, header lines included, so that any octets come back. Lost on the way out and in again: an LF without
CR, and a last line that has no end.
Flags come from Status, X-Status and X-Mozilla-Status, whose lines stay in the message. They are written as Status, X-Status and
X-Keywords in front of a message; the separator FLAGGED says so, and behind it they do not belong to the message.
"""

import re
from calendar import timegm
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol

CHUNK_OCTETS = 64 * 2**10
LINE_OCTETS = 1000
"""How much of a separator is looked at."""
HEADER_FIELDS_OCTETS = 8 * 2**10
"""How much of the header behind a possible separator is looked at."""
HEADER_OCTETS = 64 * 2**10
"""Where the flag fields and the length are looked for."""
BOM = b"\xef\xbb\xbf"
WRITER = b"From mboxrd@pillarbox "
"""How our own separators begin: they say that header lines are quoted as well."""
FLAGGED = b"From mboxrd+flags@pillarbox "
"""So do these, and behind them stand the lines of flags that are ours."""
FLAG_LINES = (b"Status: ", b"X-Status: ", b"X-Keywords: ")
"""In this order, all of them, so that a message's own lines of these names are never taken for ours."""

_TIME = re.compile(rb"\b\d?\d:\d\d(:\d\d)?\b")
_YEAR = re.compile(rb"\b(19|20)\d\d\b")
_DATE = re.compile(rb"\b(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) {1,2}(\d?\d) (\d\d):(\d\d)(?::(\d\d))?\b")
_MONTHS = (b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")
_ASCTIME = re.compile(
    rb" (?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [ \d]\d \d\d:\d\d(?::\d\d)?"
    rb"(?: [A-Z+\-\d]{1,5})? \d{4}\s*\Z"
)
_ADDRESS = re.compile(rb"From [^\s@]+@[^\s@]+[ \t]*\r?\n")
_GIT = re.compile(rb"From [0-9a-f]{40}(?:[0-9a-f]{24})? Mon Sep 17 00:00:00 2001\s*\Z")
_WORD = re.compile(rb"From [^\s]*[ \t]*\r?\Z")
_FIELD = re.compile(rb"[!-9;-~]+[ \t]*:|>+From ")
_HEADER_LINE = re.compile(rb"(?:[!-9;-~]+[ \t]*:|>+From |[ \t])[^\n]*(?:\n|\Z)")
_KNOWN = re.compile(
    rb"(?mi)^(?:From|Date|Received|Message-ID|Return-Path|Subject|To|Delivered-To|MIME-Version|X-Mozilla-Status|Status)[ \t]*:"
)
_LENGTH = re.compile(rb"(?mi)^Content-Length[ \t]*:[ \t]*(\d{1,15})[ \t]*\r?$")
_BLANK_LINE = re.compile(rb"(?m)^\r?\n")
_HEADER_END = re.compile(rb"(?m)^\r?(?:\n|\Z)")
_BLANK = re.compile(rb"\r?\n|\Z")
_QUOTED = re.compile(rb"(?m)^>(?=>*From )")
_TO_QUOTE = re.compile(rb"(?m)^(?=>*From )")
_CRLF = re.compile(rb"(?<!\r)\r\n")
_STATUS = re.compile(rb"(?mi)^(Status|X-Status|X-Mozilla-Status):[ \t]*([0-9A-Za-z]{1,20})[ \t]*\r?$")
_STATUS_FLAGS = ((b"R", "\\Seen"), (b"A", "\\Answered"), (b"F", "\\Flagged"), (b"T", "\\Draft"), (b"D", "\\Deleted"))
_MOZILLA = ((1, "\\Seen"), (2, "\\Answered"), (4, "\\Flagged"), (8, "\\Deleted"))


class OctetSink(Protocol):
    """What is written to: a file, or the entry of an archive."""

    def write(self, octets: bytes, /) -> object: ...


@dataclass(slots=True)
class MboxPlace:
    """One message in the file: octets `begin` to `end`; the next separator is at `after`. `internal_at` 0: the separator has no date."""

    begin: int
    end: int
    after: int
    internal_at: int
    quoted: bool = True
    """One ">" of its body's quoted lines is the archive's."""
    header_quoted: bool = False
    """So it is in the header."""
    flags: tuple[str, ...] | None = None
    """Those that our own lines in front of it say; None without such lines."""


def is_mbox(file: BinaryIO) -> bool:
    """Does it begin like one, or hold nothing?"""
    file.seek(0)
    start = file.read(LINE_OCTETS).removeprefix(BOM).lstrip(b"\r\n")
    return not start or start.startswith(b"From ")


def places(file: BinaryIO, offset: int = 0) -> Iterator[MboxPlace]:
    """The messages from `offset` on, which is 0 or an `after` returned before. Raises ValueError when no message begins there, which
    includes a file that is shorter now: a mail program has begun it anew."""
    file.seek(0, 2)
    size = file.tell()
    if offset > size:
        raise ValueError(f"it ends at octet {size}")
    first = _first(file, size)
    file.seek(first)
    kind = MboxKind.of(file.readline(LINE_OCTETS))
    start = offset or first
    while start < size:
        file.seek(start)
        separator = line = file.readline(LINE_OCTETS)
        if not line.startswith(b"From "):
            raise ValueError(f"no message begins at octet {start}")
        begin = start + len(line)
        while line and not line.endswith(b"\n"):  # a separator longer than any
            line = file.readline(LINE_OCTETS)
            begin += len(line)
        flagged = separator.startswith(FLAGGED)
        flags, begin = _flag_lines(file, begin) if flagged else (None, begin)
        ours = flagged or separator.startswith(WRITER)
        believed = 0 if ours else _by_length(file, begin, size, kind)
        after, bare = _next_separator(file, begin, believed or size, kind)
        quoted = not bare and (not believed or after == believed)  # what would separate inside a believed length: not quoted
        after = believed or after
        yield MboxPlace(begin, _without_blank(file, begin, after), after, arrived_at(separator), quoted or ours, ours, flags)
        start = after


@dataclass(slots=True)
class MboxKind:
    """What the file's first separator says of the others."""

    git: bool
    word: bool

    @classmethod
    def of(cls, line: bytes) -> "MboxKind":
        return cls(_GIT.match(line) is not None, _WORD.match(line.rstrip(b"\r\n")) is not None)


def _by_length(file: BinaryIO, begin: int, size: int, kind: MboxKind) -> int:
    """Where the next separator, or the file's end, stands by the message's Content-Length; 0 when there is none to believe."""
    file.seek(begin)
    head = file.read(min(HEADER_OCTETS, size - begin))
    blank = _HEADER_END.search(head)
    lengths = set(_LENGTH.findall(head[: blank.start()])) if blank else set()
    if blank is None or len(lengths) != 1:
        return 0
    end = begin + blank.end() + int(lengths.pop())
    if end > size:
        return 0
    file.seek(end)
    behind = file.read(len(b"\r\n"))
    after = end + (len(b"\r\n") if behind == b"\r\n" else int(behind.startswith(b"\n")))
    return after if after == size or (after > end and _separates(file, after, kind)) else 0


def _first(file: BinaryIO, size: int) -> int:
    """Past a byte order mark and empty lines."""
    file.seek(0)
    head = file.read(LINE_OCTETS)
    rest = head.removeprefix(BOM).lstrip(b"\r\n")
    return size if not rest else len(head) - len(rest)


def _next_separator(file: BinaryIO, begin: int, size: int, kind: MboxKind) -> tuple[int, bool]:
    """Where the separator after the message that begins at `begin` stands, or `size`; and whether a bare "From " line
    after a blank line stands in the body before it."""
    at = begin - 1  # the line end before an empty message's next separator counts
    bare = False
    while at < size:
        file.seek(at)
        batch = file.read(min(CHUNK_OCTETS, size - at))
        hit = batch.find(b"\nFrom ")
        while hit >= 0:
            if _separates(file, at + hit + 1, kind):
                return at + hit + 1, bare
            bare = bare or (at + hit + 1 > begin and _blank_before(file, at + hit + 1))
            hit = batch.find(b"\nFrom ", hit + 1)
        at += max(1, len(batch) - len(b"\nFrom ") + 1)
    return size, bare


def _blank_before(file: BinaryIO, at: int) -> bool:
    before = min(at, 3)
    file.seek(at - before)
    return before == 0 or file.read(before).endswith((b"\n\n", b"\n\r\n"))


def _separates(file: BinaryIO, at: int, kind: MboxKind) -> bool:
    blank_before = _blank_before(file, at)
    file.seek(at)
    line, end, behind = file.read(LINE_OCTETS + HEADER_FIELDS_OCTETS).partition(b"\n")
    if not line[:LINE_OCTETS].startswith(b"From "):
        return False
    if _GIT.match(line):
        return kind.git and _heads(behind)
    dated = _ASCTIME.search(line) is not None
    timed = bool(_TIME.search(line) and _YEAR.search(line))
    netscape = line.startswith(b"From -")
    if not blank_before:
        return (dated or timed or netscape) and _heads(behind)
    if dated:
        return True
    if timed or netscape or _ADDRESS.match(line + end):
        return _FIELD.match(behind) is not None or (netscape and _BLANK.match(behind) is not None)
    return (not line.strip(b" \t\r")[len(b"From") :] or (kind.word and _WORD.match(line) is not None)) and _heads(behind)


def _heads(behind: bytes) -> bool:
    """Does a header begin here that has a field every mail program writes?"""
    at = 0
    while line := _HEADER_LINE.match(behind, at):
        at = line.end()
    return _KNOWN.search(behind, 0, at) is not None


def _without_blank(file: BinaryIO, begin: int, after: int) -> int:
    """The message's end: the blank line before `after` is the file's."""
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


def chunks(file: BinaryIO, place: MboxPlace) -> Iterator[bytes]:
    """The message's octets as they were sent: unquoted, with CRLF. The file may be read elsewhere in between."""
    at, rest, inside, header = place.begin, b"", False, not place.header_quoted
    while at < place.end or rest:
        file.seek(at)
        chunk = file.read(min(CHUNK_OCTETS, place.end - at))
        at += len(chunk)
        data = rest + chunk
        last = at >= place.end or not chunk
        cut = len(data) if last else data.rfind(b"\n") + 1 or len(data) - 1  # a lone CR must not end a chunk
        data, rest = data[:cut], data[cut:]
        head = b""
        if header:
            body = _body_of(data, inside)
            head, data, header = data[:body], data[body:], body == len(data)
        inside_body = inside and not head
        inside = not (head + data).endswith(b"\n")
        yield with_crlf(head + (by_line(data, inside_body, _unquoted) if place.quoted else data))
        if last:
            return


def _body_of(data: bytes, inside: bool) -> int:
    """Where the body begins in a chunk of the header; its end when the header goes on."""
    blank = _BLANK_LINE.search(data, data.find(b"\n") + 1 if inside and b"\n" in data else len(data) if inside else 0)
    return blank.end() if blank else len(data)


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


def flags_of(file: BinaryIO, place: MboxPlace) -> tuple[str, ...]:
    """What the header, or our own lines in front of it, say of the message's state."""
    if place.flags is not None:
        return place.flags
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
            flags |= {flag for character, flag in _STATUS_FLAGS if character in value}
    return tuple(sorted(flags))


def flag_lines(flags: tuple[str, ...]) -> bytes:
    """The lines that say these flags; system flags that mbox has no character for are left out."""
    status = b"RO" if "\\Seen" in flags else b"O"
    characters = b"".join(character for character, flag in _STATUS_FLAGS if character != b"R" and flag in flags)
    keywords = " ".join(flag for flag in flags if flag[:1] != "\\").encode()
    return b"".join(name + value + b"\n" for name, value in zip(FLAG_LINES, (status, characters, keywords), strict=True))


def _flag_lines(file: BinaryIO, begin: int) -> tuple[tuple[str, ...], int]:
    """The flags that the lines at `begin` say, and where the message begins behind them."""
    flags: set[str] = set()
    for name in FLAG_LINES:
        file.seek(begin)
        line = file.readline(HEADER_OCTETS)
        if not line.startswith(name):
            break
        value = line[len(name) :].rstrip(b"\r\n")
        if name == b"X-Keywords: ":
            flags |= set(value.decode("ascii", "ignore").split())
        else:
            flags |= {flag for character, flag in _STATUS_FLAGS if character in value and (character == b"R") is (name == b"Status: ")}
        begin += len(line)
    return tuple(sorted(flags)), begin


class MboxWriter:
    """Messages to the end of one file, as mboxrd with LF: `begin`, `write` chunks, `end`."""

    def __init__(self, file: "OctetSink") -> None:
        self._file = file
        self._rest = b""
        self._inside = False
        self._last = b""

    def begin(self, internal_at: int, flags: tuple[str, ...] = ()) -> None:
        """`internal_at` in UTC seconds."""
        self._rest, self._inside, self._last = b"", False, b""
        self._file.write(FLAGGED + separator_date(internal_at) + b"\n" + flag_lines(flags))

    def write(self, chunk: bytes) -> None:
        data = self._rest + chunk
        cut = data.rfind(b"\n") + 1
        if not cut and len(data) > CHUNK_OCTETS:
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
