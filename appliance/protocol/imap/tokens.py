"""The tokens of one IMAP command: atoms, strings, numbers, literals, lists (RFC 3501 §9, RFC 9051 §9).

`Tokens` walks over a whole command: the text of its lines, in which `{n}` and its CRLF stand for a literal, and the literals
in order. Each octet is examined a bounded number of times. Everything that breaks the grammar raises MisuseError, which the
session answers with BAD.

Eight-bit octets are allowed in quoted strings (passwords, search strings); mailbox names are checked separately.
"""

import re
from collections.abc import Callable, Sequence
from typing import TypeVar

from appliance.mail.date import parse_internal_date
from appliance.mail.errors import MisuseError

from .mailbox_name import parse_name

T = TypeVar("T")

NUMBER_MOST = 2**32 - 1
NUMBER64_MOST = 2**63 - 1

_ATOM = re.compile(rb'[^\x00-\x20(){%*"\\\]\x7f-\xff]+')
_ASTRING = re.compile(rb'[^\x00-\x20(){%*"\\\x7f-\xff]+')
_PATTERN = re.compile(rb'[^\x00-\x20(){"\\\x7f-\xff]+')
_FLAG = re.compile(rb'\\?[^\x00-\x20(){%*"\\\]\x7f-\xff]+')
_WORD = re.compile(rb"[A-Za-z0-9.=-]+")
_NUMBER = re.compile(rb"[0-9]{1,20}")
_SET = re.compile(rb"\$|[0-9*:,]+")
_LITERAL = re.compile(rb"(~?)\{[0-9]+\+?\}\r\n")
_QUOTED = re.compile(rb'(?:[^"\\\r\n\x00]|\\["\\])*')


class Tokens:
    """One command's arguments. `utf8`: the client enabled UTF-8, so mailbox names are UTF-8 (RFC 9051 §5.1)."""

    __slots__ = ("_at", "_literal", "_literals", "_text", "utf8")

    def __init__(self, text: bytes, literals: Sequence[bytes] = (), at: int = 0, utf8: bool = False) -> None:
        self._text = text
        self._literals = literals
        self._literal = 0
        self._at = at
        self.utf8 = utf8

    # --- single octets -----------------------------------------------------------------------

    def peek(self) -> bytes:
        """The next octet, or b"" at the end."""
        return self._text[self._at : self._at + 1]

    def accept(self, octets: bytes) -> bool:
        """Consume `octets` if they come next, in any case of their characters."""
        end = self._at + len(octets)
        if self._text[self._at : end].upper() != octets.upper():
            return False
        self._at = end
        return True

    def expect(self, octets: bytes) -> None:
        if not self.accept(octets):
            raise self.misuse(f"expected {octets.decode('ascii', 'replace')!r}")

    def space(self) -> None:
        if self._text[self._at : self._at + 1] != b" ":
            raise self.misuse("expected a space")
        self._at += 1

    def end(self) -> None:
        """The command must end here."""
        if self._at < len(self._text):
            raise self.misuse("too many arguments")

    def fork(self) -> "Tokens":
        """The remaining tokens, for a grammar that needs the session; this one is at its end afterwards."""
        rest = Tokens(self._text, self._literals, self._at, self.utf8)
        rest._literal = self._literal
        self._at = len(self._text)
        return rest

    def begins(self, words: bytes) -> bool:
        """Whether these words, in upper case, come next."""
        return self._text[self._at : self._at + len(words)].upper() == words

    def copy(self) -> "Tokens":
        """The remaining tokens, to be read in advance; this one stays where it is."""
        copied = Tokens(self._text, self._literals, self._at, self.utf8)
        copied._literal = self._literal
        return copied

    @property
    def has_literals(self) -> bool:
        return bool(self._literals)

    def rest(self) -> bytes:
        """All remaining octets, unparsed."""
        octets = self._text[self._at :]
        self._at = len(self._text)
        return octets

    def misuse(self, expected: str) -> MisuseError:
        return MisuseError(f"Syntax error at octet {self._at + 1}: {expected}.")

    # --- atoms -------------------------------------------------------------------------------

    def atom(self) -> bytes:
        return self._match(_ATOM, "expected an atom")

    def keyword(self) -> bytes:
        """An atom in upper case: names of commands, items and options."""
        return self._match(_ATOM, "expected a word").upper()

    def word(self) -> bytes:
        """ASCII alphanumerics, `.`, `-` and `=` in upper case: a name that `[` or `<` may follow, as in `BODY.PEEK[`."""
        return self._match(_WORD, "expected a word").upper()

    def number(self, most: int = NUMBER_MOST) -> int:
        value = int(self._match(_NUMBER, "expected a number"))
        if value > most or self._text[self._at : self._at + 1].isdigit():
            raise self.misuse("the number is too large")
        return value

    def nz_number(self, most: int = NUMBER_MOST) -> int:
        value = self.number(most)
        if not value:
            raise self.misuse("expected a number above zero")
        return value

    def number64(self) -> int:
        """RFC 9051 §9 number64, RFC 7162 §7 mod-sequence-valzer."""
        return self.number(NUMBER64_MOST)

    def sequence_set(self) -> bytes:
        """A sequence set as it was written; `protocol.imap.sequence` reads it."""
        return self._match(_SET, "expected a sequence set")

    def date_time(self) -> int:
        """`"17-Jul-1996 02:44:25 -0700"` as UTC seconds (RFC 9051 §9 date-time)."""
        quoted = self._text[self._at : self._at + 28]
        at = parse_internal_date(quoted[1:-1]) if quoted[:1] == quoted[27:] == b'"' else None
        if at is None:
            raise self.misuse("no such date and time")
        self._at += 28
        return at

    # --- strings -----------------------------------------------------------------------------

    def string(self) -> bytes:
        """A quoted string or a literal (not literal8)."""
        octet = self._text[self._at : self._at + 1]
        if octet == b'"':
            return self._quoted()
        if octet == b"{":
            return self._take_literal()
        raise self.misuse("expected a string")

    def nstring(self) -> bytes | None:
        """A string, or None for NIL."""
        octet = self._text[self._at : self._at + 1]
        if octet in (b'"', b"{"):
            return self.string()
        if self._match(_ATOM, "expected a string or NIL").upper() != b"NIL":
            raise self.misuse("expected a string or NIL")
        return None

    def astring(self) -> bytes:
        octet = self._text[self._at : self._at + 1]
        if octet == b'"':
            return self._quoted()
        if octet == b"{":
            return self._take_literal()
        return self._match(_ASTRING, "expected an atom or a string")

    def literal8(self) -> bytes:
        """`~{n}` and its octets, which may include NUL (RFC 3516 §4.4); a plain literal or quoted string is accepted as well."""
        if self._text[self._at : self._at + 1] == b"~":
            return self._take_literal()
        return self.string()

    def mailbox(self) -> str:
        """A mailbox name, decoded, INBOX in upper case. Raises NotAName for valid syntax that no mailbox can be named."""
        return parse_name(self.astring(), self.utf8)

    def pattern(self) -> str | None:
        """LIST's pattern: as a mailbox name, and an atom may contain `*` and `%`. None for one that can match no name."""
        octet = self._text[self._at : self._at + 1]
        return self._readable(self.string() if octet in (b'"', b"{") else self._match(_PATTERN, "expected a pattern"))

    def reference(self) -> str | None:
        """LIST's reference, the prefix of each pattern; None as for `pattern`."""
        return self._readable(self.astring())

    def _readable(self, octets: bytes) -> str | None:
        try:
            return parse_name(octets, self.utf8)
        except MisuseError:
            return None

    # --- lists -------------------------------------------------------------------------------

    def list_of(self, read: Callable[[], T]) -> list[T]:
        """`(` items read by `read`, separated by single spaces, `)`; may be empty."""
        self.expect(b"(")
        found: list[T] = []
        if self.accept(b")"):
            return found
        while True:
            found.append(read())
            if self.accept(b")"):
                return found
            self.space()

    def flag(self) -> str:
        """A system flag or a keyword, as written."""
        return self._match(_FLAG, "expected a flag").decode("ascii")

    def flag_list(self) -> list[str]:
        return self.list_of(self.flag)

    # --- inside ------------------------------------------------------------------------------

    def _match(self, pattern: "re.Pattern[bytes]", expected: str) -> bytes:
        found = pattern.match(self._text, self._at)
        if found is None:
            raise self.misuse(expected)
        self._at = found.end()
        return found.group()

    def _quoted(self) -> bytes:
        start = self._at + 1
        found = _QUOTED.match(self._text, start)
        end = found.end() if found else start
        if self._text[end : end + 1] != b'"':
            raise self.misuse("the quoted string does not end")
        self._at = end + 1
        octets = self._text[start:end]
        if b"\\" in octets:
            octets = _ESCAPED.sub(rb"\1", octets)
        return octets

    def _take_literal(self) -> bytes:
        found = _LITERAL.match(self._text, self._at)
        if found is None or self._literal >= len(self._literals):
            raise self.misuse("expected a string")
        self._at = found.end()
        self._literal += 1
        return self._literals[self._literal - 1]


_ESCAPED = re.compile(rb'\\(["\\])')
