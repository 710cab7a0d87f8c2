"""The arguments of SEARCH: keys to a query tree, and RETURN options (RFC 3501 §6.4.4, RFC 9051 §6.4.4, RFC 4731 §3).

Each key is one row of KEYS; an extension brings its own rows. Nesting and the number of keys are bounded, time is linear in the
command's octets. Raises MisuseError, and BadCharset for an unknown charset.
"""

import codecs
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from appliance.mail import date
from appliance.mail.errors import MisuseError
from appliance.mail.flags import ANSWERED, DELETED, DRAFT, FLAGGED, SEEN
from appliance.mail.query import (
    And,
    BodyHas,
    Dated,
    DateKind,
    Everything,
    Flagged,
    HeaderHas,
    Identified,
    Not,
    Numbered,
    Or,
    Query,
    RecentFlag,
    Saved,
    Size,
    TextHas,
)

from .modifiers import NamedGrammar, parse_return_options
from .sequence import parse_set
from .tokens import NUMBER64_MOST, Tokens

DEPTH = 50
"""Nesting of NOT, OR and parentheses."""
KEYS_OF_ONE_SEARCH = 500
"""Each key is evaluated on every message; the longest real searches (all senders of an address book) stay below a hundred."""
NOT_CHARSETS = frozenset({"idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined", "utf-8-sig"})
"""Python's text codecs that are not charsets of mail."""


class BadCharset(MisuseError):
    """NO [BADCHARSET]: an unknown charset (RFC 9051 §6.4.4)."""


@dataclass(frozen=True, slots=True)
class SearchKey:
    """One search key: `read(words)` reads what follows the name. `enables`: word of ENABLE that using the key implies (RFC 7162 §3.1)."""

    name: bytes
    read: "Callable[[SearchTokens], Query]"
    enables: bytes = b""


@dataclass(frozen=True, slots=True)
class Search:
    """`options` is None without RETURN, else its options with their values in order. `keys`: names of the keys used."""

    query: Query
    options: tuple[tuple[Any, Any], ...] | None = None
    keys: frozenset[bytes] = frozenset()


class SearchTokens:
    """The tokens of one SEARCH with its charset, its depth and its budget of keys; `now_s` is the server's time in UTC seconds."""

    __slots__ = ("_charset", "_depth", "_keys", "_left", "now_s", "tokens", "used")

    def __init__(self, tokens: Tokens, keys: "Mapping[bytes, SearchKey]", charset: str, now_s: float = 0.0) -> None:
        self.tokens = tokens
        self.now_s = int(now_s)
        self._keys = keys
        self._charset = charset
        self._depth = 0
        self._left = KEYS_OF_ONE_SEARCH
        self.used: set[bytes] = set()

    def text(self) -> str:
        """SP and an astring in the command's charset."""
        self.tokens.space()
        octets = self.tokens.astring()
        try:
            return octets.decode(self._charset)
        except ValueError:
            raise MisuseError(f"the words are not {self._charset.upper()}") from None

    def number(self, most: int = NUMBER64_MOST) -> int:
        self.tokens.space()
        return self.tokens.number(most)

    def uid(self) -> int:
        """SP and one UID."""
        self.tokens.space()
        return self.tokens.nz_number()

    def interval_s(self) -> int:
        """SP and a count of seconds above zero (RFC 5032 §3)."""
        self.tokens.space()
        return self.tokens.nz_number()

    def day(self) -> int:
        """SP and a date, quoted or not, as a day since 1970 (RFC 9051 §9 date)."""
        self.tokens.space()
        return parse_day(self.tokens.astring())

    def key(self) -> Query:
        """One search key; RFC 9051 §9 search-key."""
        self._left -= 1
        if self._left < 0:
            raise MisuseError(f"more than {KEYS_OF_ONE_SEARCH} keys in one search")
        octet = self.tokens.peek()
        if octet == b"(" or octet.isalpha():
            self._depth += 1
            if self._depth > DEPTH:
                raise MisuseError(f"a search nested deeper than {DEPTH} levels")
            query = self._in_parentheses() if octet == b"(" else self._named()
            self._depth -= 1
            return query
        numbers = self.tokens.sequence_set()
        return Saved() if numbers == b"$" else Numbered(parse_set(numbers))

    def _in_parentheses(self) -> Query:
        self.tokens.expect(b"(")
        terms = [self.key()]
        while self.tokens.accept(b" "):
            terms.append(self.key())
        self.tokens.expect(b")")
        return terms[0] if len(terms) == 1 else And(tuple(terms))

    def _named(self) -> Query:
        name = self.tokens.word()
        key = self._keys.get(name)
        if key is None:
            raise self.tokens.misuse(f"no search key {name.decode()}")
        self.used.add(name)
        return key.read(self)


def parse_search(
    tokens: Tokens, keys: "Mapping[bytes, SearchKey]", options: Mapping[bytes, NamedGrammar], *, utf8: bool = False, now_s: float = 0.0
) -> Search:
    """The arguments of SEARCH to the end of the command; `utf8`: no CHARSET may be named (RFC 9755 §3)."""
    chosen = parse_return_options(tokens, options)
    tokens.space()
    charset = "utf-8"  # the default is US-ASCII; UTF-8 contains it, and clients forget to name it
    if tokens.accept(b"CHARSET "):
        if utf8:
            raise tokens.misuse("CHARSET is not allowed once UTF8 is enabled")
        charset = charset_named(tokens.astring())
        tokens.space()
    return _parse_keys(SearchTokens(tokens, keys, charset, now_s), chosen)


def parse_charset_and_keys(
    tokens: Tokens,
    keys: "Mapping[bytes, SearchKey]",
    options: tuple[tuple[Any, Any], ...] | None = None,
    *,
    utf8: bool = False,
    now_s: float = 0.0,
) -> Search:
    """`charset 1*(SP search-key)` to the end of the command, for SORT and THREAD (RFC 5256 §5); `utf8`: UTF-8 it is (RFC 9755 §3)."""
    charset = charset_named(tokens.astring())
    if utf8 and charset != "utf-8":
        raise tokens.misuse("the charset is UTF-8 once UTF8 is enabled")
    tokens.space()
    return _parse_keys(SearchTokens(tokens, keys, charset, now_s), options)


def _parse_keys(reader: SearchTokens, options: tuple[tuple[Any, Any], ...] | None) -> Search:
    terms = [reader.key()]
    while reader.tokens.accept(b" "):
        terms.append(reader.key())
    reader.tokens.end()
    return Search(terms[0] if len(terms) == 1 else And(tuple(terms)), options, frozenset(reader.used))


def charset_named(name: bytes) -> str:
    """Python's name of a charset; raises BadCharset."""
    try:
        found = codecs.lookup(name.decode("ascii"))
    except (LookupError, ValueError):
        raise BadCharset("The charset is not supported.") from None
    if found.name in NOT_CHARSETS or not found._is_text_encoding:
        raise BadCharset("The charset is not supported.")
    return found.name


def parse_day(octets: bytes) -> int:
    """`1-Feb-1994` as days since 1970-01-01. Raises MisuseError."""
    day = date.parse_day(octets)
    if day is None:
        raise MisuseError("a date looks like 1-Feb-1994")
    return day


# --- the keys --------------------------------------------------------------------------------


def _always(query: Query) -> "Callable[[SearchTokens], Query]":
    return lambda reader: query


def _header(field: str) -> "Callable[[SearchTokens], Query]":
    return lambda reader: HeaderHas(field, reader.text())


def _named_header(reader: SearchTokens) -> Query:
    field = reader.text().lower()
    return HeaderHas(field, reader.text())


def _before(clock: DateKind) -> "Callable[[SearchTokens], Query]":
    return lambda reader: Dated(clock, end=reader.day())


def _since(clock: DateKind) -> "Callable[[SearchTokens], Query]":
    return lambda reader: Dated(clock, first=reader.day())


def _on(clock: DateKind) -> "Callable[[SearchTokens], Query]":
    def read(reader: SearchTokens) -> Query:
        day = reader.day()
        return Dated(clock, first=day, end=day + 1)

    return read


def _keyword(reader: SearchTokens) -> Query:
    reader.tokens.space()
    return Flagged(keyword=reader.tokens.atom().decode("ascii").lower())


def _uids(reader: SearchTokens) -> Query:
    reader.tokens.space()
    numbers = reader.tokens.sequence_set()
    return Saved() if numbers == b"$" else Identified(parse_set(numbers))


def _not(reader: SearchTokens) -> Query:
    reader.tokens.space()
    return Not(reader.key())


def _or(reader: SearchTokens) -> Query:
    reader.tokens.space()
    one = reader.key()
    reader.tokens.space()
    return Or((one, reader.key()))


SYSTEM_KEYS = ((b"ANSWERED", ANSWERED), (b"DELETED", DELETED), (b"DRAFT", DRAFT), (b"FLAGGED", FLAGGED), (b"SEEN", SEEN))

KEYS: tuple[SearchKey, ...] = (
    SearchKey(b"ALL", _always(Everything())),
    *(SearchKey(name, _always(Flagged(bit))) for name, bit in SYSTEM_KEYS),
    *(SearchKey(b"UN" + name, _always(Not(Flagged(bit)))) for name, bit in SYSTEM_KEYS),
    SearchKey(b"KEYWORD", _keyword),
    SearchKey(b"UNKEYWORD", lambda reader: Not(_keyword(reader))),
    SearchKey(b"RECENT", _always(RecentFlag())),
    SearchKey(b"OLD", _always(Not(RecentFlag()))),
    SearchKey(b"NEW", _always(And((RecentFlag(), Not(Flagged(SEEN)))))),
    SearchKey(b"BEFORE", _before(DateKind.ARRIVED)),
    SearchKey(b"ON", _on(DateKind.ARRIVED)),
    SearchKey(b"SINCE", _since(DateKind.ARRIVED)),
    SearchKey(b"SENTBEFORE", _before(DateKind.SENT)),
    SearchKey(b"SENTON", _on(DateKind.SENT)),
    SearchKey(b"SENTSINCE", _since(DateKind.SENT)),
    SearchKey(b"LARGER", lambda reader: Size(above=reader.number())),
    SearchKey(b"SMALLER", lambda reader: Size(below=reader.number())),
    *(SearchKey(name.upper().encode(), _header(name)) for name in ("from", "to", "cc", "bcc", "subject")),
    SearchKey(b"HEADER", _named_header),
    SearchKey(b"BODY", lambda reader: BodyHas(reader.text())),
    SearchKey(b"TEXT", lambda reader: TextHas(reader.text())),
    SearchKey(b"UID", _uids),
    SearchKey(b"NOT", _not),
    SearchKey(b"OR", _or),
)
"""RFC 3501 §6.4.4 (RECENT, OLD and NEW are gone from RFC 9051, old clients use them)."""
