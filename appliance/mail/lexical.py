"""Lexical tokens of header fields: atoms, quoted strings, comments, phrases, domains (RFC 5322 §3.2, §3.4).

Lenient as real mail requires: octets above 127 are atom characters, folding is white space, and a malformed
token ends the parsing instead of raising. Every step moves forward, so parsing is linear.
"""

import re

_SPACE = re.compile(rb"[ \t\r\n]*")
_ATOM = re.compile(rb"[!#-'*+\-/-9=?A-Z^-~\x80-\xff]*")
_ATOM_OR_DOT = re.compile(rb"[!#-'*+\--9=?A-Z^-~\x80-\xff]*")
_TOKEN = re.compile(rb"[!#-'*+\-.0-9A-Z^-~\x80-\xff]*")
"""RFC 2045 §5.1's token: no "/", "?" or "="."""
_COMMENT_DELIMITER = re.compile(rb"[()\\]")
_QUOTE_DELIMITER = re.compile(rb'["\\\n]')
_LITERAL_DELIMITER = re.compile(rb"[\]\\]")

_ATEXT = frozenset(b"!#$%&'*+-/=?^_`{|}~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" + bytes(range(128, 256)))
_PHRASE_GOES_ON = _ATEXT | frozenset(b'".')


class FieldReader:
    """One pass over a field's value. Parsing methods append tokens to `out` and return False when the input is malformed.

    `pos` reaches `end` when nothing is left; after False it is where parsing failed. `comment`
    is the text of the last comment skipped, quoted pairs resolved.
    """

    __slots__ = ("comment", "data", "end", "pos")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.pos = 0
        self.end = len(data)
        self.comment = b""

    def next(self) -> int:
        """The octet at the current position, -1 at the end."""
        return self.data[self.pos] if self.pos < self.end else -1

    def skip(self) -> bool:
        """Skip white space and comments (CFWS); False when a comment is not closed."""
        data, end = self.data, self.end
        while self.pos < end:
            octet = data[self.pos]
            if octet == 32 or octet == 13 or octet == 10 or octet == 9:
                self.pos = _SPACE.match(data, self.pos).end()  # type: ignore[union-attr]
            elif octet != 40:
                return True
            elif not self._skip_comment():
                return False
        return True

    def _skip_comment(self) -> bool:
        level = 1
        start = self.pos + 1
        pos = start
        text: list[bytes] = []
        self.comment = b""
        while found := _COMMENT_DELIMITER.search(self.data, pos):
            at = found.start()
            pos = at + 1
            octet = self.data[at]
            if octet == 40:
                level += 1
            elif octet == 41:
                level -= 1
                if level == 0:
                    text.append(self.data[start:at])
                    self.comment = b"".join(text)
                    self.pos = pos
                    return True
            else:
                text.append(self.data[start:at])
                start = pos
                pos += 1
        self.pos = self.end
        return False

    def atom(self, out: list[bytes]) -> bool:
        """An atom and the CFWS after it; False without one."""
        return self._run(_ATOM, out, empty=False)

    def token(self, out: list[bytes]) -> bool:
        """A MIME token, possibly empty, and the CFWS after it (RFC 2045 §5.1)."""
        return self._run(_TOKEN, out, empty=True)

    def _run(self, pattern: re.Pattern[bytes], out: list[bytes], *, empty: bool) -> bool:
        stop = pattern.match(self.data, self.pos).end()  # type: ignore[union-attr]
        if stop == self.pos and not empty:
            return False
        out.append(self.data[self.pos : stop])
        self.pos = stop
        return stop == self.end or self.skip()

    def dot_atom(self, out: list[bytes]) -> bool:
        """Atoms joined by dots, CFWS around the dots allowed (RFC 5322 §4.4); dots may repeat after the first atom."""
        if self.next() not in _ATEXT:
            return False
        while True:
            if not self._run(_ATOM, out, empty=True):
                return False
            if self.next() != 46:
                return True
            out.append(b".")
            self.pos += 1
            if not self.skip():
                return False

    def local_part(self, out: list[bytes]) -> bool:
        """A local part: atoms and dots in any order, no white space after a dot (RFC 5322 §3.4.1, positions of dots not checked)."""
        good = False
        while True:
            while self.next() == 46:
                out.append(b".")
                self.pos += 1
                good = True
            if good and (self.pos >= self.end or self.next() == 64):
                return True
            if not self.atom(out):
                return False
            good = True
            if self.next() != 46:
                return True

    def quoted(self, out: list[bytes]) -> bool:
        """A quoted string, quotes and folding removed, and the CFWS after it; False when it is not closed."""
        data = self.data
        self.pos += 1
        start = pos = self.pos
        while found := _QUOTE_DELIMITER.search(data, pos):
            at = found.start()
            octet = data[at]
            pos = at + 1
            if octet == 34:
                out.append(data[start:at])
                self.pos = pos
                return self.skip()
            if octet == 10:
                out.append(data[start : at - 1] if at > start and data[at - 1] == 13 else data[start:at])
                start = pos
                continue
            if pos >= self.end:
                break
            out.append(data[start:at])
            start = pos
            pos += 1
        self.pos = self.end
        return False

    def phrase(self, out: list[bytes]) -> bool:
        """Words with one space between them, dots allowed (RFC 5322 §4.1); possibly empty. False when malformed or at the end."""
        if self.pos >= self.end or self.data[self.pos] == 46:
            return False
        while True:
            good = self.quoted(out) if self.data[self.pos] == 34 else self._run(_ATOM_OR_DOT, out, empty=True)
            if not good:
                return False
            if self.pos >= self.end or self.data[self.pos] not in _PHRASE_GOES_ON:
                return True
            out.append(b" ")

    def domain(self, out: list[bytes]) -> bool:
        """The domain after the "@" at the current position: a dot-atom or an address literal (RFC 5322 §3.4.1)."""
        self.pos += 1
        if not self.skip() or self.pos >= self.end:
            return False
        if self.data[self.pos] != 91:
            return self.dot_atom(out)
        pos = self.pos
        while found := _LITERAL_DELIMITER.search(self.data, pos):
            pos = found.end()
            if self.data[found.start()] == 93:
                out.append(self.data[self.pos : pos])
                self.pos = pos
                return self.skip()
            pos += 1
        self.pos = self.end
        return False
