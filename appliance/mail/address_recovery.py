"""Error recovery for malformed address lists, for display and SEARCH: an error loses no address beside it (RFC 5322 §3.4, §4.4).

Never raises, reads to the end. An entry that follows the grammar is parsed by the grammar (`addresses`); in any other, the text in angle
brackets is the address and the text before them the display name; without brackets every word that contains "@" is an address. After a
malformed entry parsing resumes at the next comma, semicolon or bracket. A quotation mark, parenthesis or bracket that is never closed is
an ordinary character.
Not for access decisions: a display name may look like an address, so authorization must use the strict parser.
Linear: octets on which the grammar failed are not parsed by it again, and every pattern stops at the next delimiter of its kind.
"""

import re

from .addresses import GROUP_END, MISSING_DOMAIN, MISSING_MAILBOX, ListedAddress, is_complete, parse_mailbox, read_address_list
from .lexical import FieldReader

_DELIMITER = re.compile(rb'["(<,;]|=\?')
_ENCODED = re.compile(rb"=\?[^? \t\r\n]{1,80}\?[bBqQ]\?[^? \t\r\n]*\?=")
"""An encoded word; some programs leave commas and brackets unencoded in it, contrary to RFC 2047 §5 (3)."""
_QUOTED = re.compile(rb'"([^"\\]*(?:\\.[^"\\]*)*)"', re.DOTALL)
_PAIR = re.compile(rb"\\(.)", re.DOTALL)
_COMMENT = re.compile(rb"\([^()<>]*\)")
_ANGLE = re.compile(rb"<([^<>]*)>")
_ATOM_TEXT = re.compile(rb"[!#-'*+\-/-9=?A-Z^-~\x80-\xff]*")
_SEPARATORS = re.compile(rb"[, \t\r\n]*")
_TAIL = re.compile(rb"[^,;<@]*")
_WORD = re.compile(rb'[^ \t\r\n<>()\[\]\\,;"]+')
_WORD_STARTS_AFTER = frozenset(b" \t\r\n,;:<>()[].")
_WORD_ENDS_BEFORE = frozenset(b" \t\r\n,;:<>()[].@")


def parse_address_list(value: bytes) -> list[ListedAddress]:
    """The entries of a folded or unfolded address list, groups flattened; empty when there are none. Never raises, loses no address."""
    found, complete = read_address_list(value)
    if complete and (b"@" not in value or all(map(is_complete, found))):
        return found
    return recover_address_list(value)


def recover_address_list(value: bytes) -> list[ListedAddress]:
    """The entries of any value, groups flattened; never raises."""
    return _Recovery(value).run()


_PATTERNS = {40: _COMMENT, 60: _ANGLE, 61: _ENCODED}


class _Recovery:
    __slots__ = ("_data", "_end", "_found", "_in_group", "_partial", "_pos", "_quotes_close", "_strict_from")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._end = len(data)
        self._pos = 0
        self._found: list[ListedAddress] = []
        self._in_group = False
        self._strict_from = 0  # before this offset the grammar has failed already
        self._partial: ListedAddress | None = None  # the current entry as far as the grammar could parse it
        self._quotes_close = True

    def run(self) -> list[ListedAddress]:
        while True:
            self._pos = _SEPARATORS.match(self._data, self._pos).end()  # type: ignore[union-attr]
            if self._pos >= self._end:
                break
            if self._data[self._pos] == 59:
                self._pos += 1
                self._end_group()
            elif not self._by_grammar():
                self._by_delimiters()
        self._end_group()
        return self._found

    def _end_group(self) -> None:
        if self._in_group:
            self._in_group = False
            self._found.append(GROUP_END)

    def _by_grammar(self) -> bool:
        """Parse the start of a group, or one entry that follows the grammar up to a separator; False otherwise."""
        self._partial = None
        encoded = _ENCODED.match(self._data, self._pos)
        if self._pos < self._strict_from or (encoded is not None and not _ATOM_TEXT.fullmatch(encoded[0])):
            return False
        reader = FieldReader(self._data)
        reader.pos = self._pos
        words: list[bytes] = []
        if reader.skip() and reader.phrase(words) and reader.next() == 58 and not self._in_group and any(words):
            self._found.append(ListedAddress(None, None, b"".join(words), None))
            self._in_group = True
            self._pos = reader.pos + 1
            return True
        furthest = reader.pos
        reader.pos = self._pos
        entry = parse_mailbox(reader) if reader.skip() and reader.pos < self._end else None
        if entry is not None and reader.next() in (-1, 44, 59):
            written = self._data[self._pos : reader.pos]
            if is_complete(entry) or not (b"@" in written or b"<" in written):
                self._found.append(entry)
                self._pos = reader.pos
                return True
            self._partial = entry
        self._strict_from = max(furthest, reader.pos)
        return False

    def _by_delimiters(self) -> None:
        """Parse everything up to the next `<...>` or separator as one malformed entry."""
        data, start = self._data, self._pos
        text: list[bytes] = []
        plain = at = start
        while delimiter := _DELIMITER.search(data, at):
            at = delimiter.start()
            octet = data[at]
            if octet in b",;":
                break
            found = self._quoted(at) if octet == 34 else _PATTERNS[octet].match(data, at)
            if found is None or octet == 61:
                at = at + 1 if found is None else found.end()
                continue
            text.append(data[plain:at])
            at = plain = found.end()
            if octet == 34:
                text.append(_PAIR.sub(rb"\1", found[1]))
            elif octet == 60:
                self._angle(b" ".join(b"".join(text).split()).strip(b'"<> '), found)
                self._pos = _TAIL.match(data, at).end() if self._separator_follows(at) else at  # type: ignore[union-attr]
                return
        else:
            at = self._end
        self._pos = at
        text.append(data[plain:at])
        self._words(b"".join(text))

    def _separator_follows(self, at: int) -> bool:
        """Does a separator or the end follow `at` before anything that may be another address?"""
        tail = _TAIL.match(self._data, at).end()  # type: ignore[union-attr]
        return tail >= self._end or self._data[tail] in b",;"

    def _quoted(self, at: int) -> re.Match[bytes] | None:
        """The quoted string at `at`; None where the quotation mark does not start one."""
        if not self._quotes_close or (at and self._data[at - 1] not in _WORD_STARTS_AFTER):
            return None
        found = _QUOTED.match(self._data, at)
        if found is None:
            self._quotes_close = False
        elif found.end() < self._end and self._data[found.end()] not in _WORD_ENDS_BEFORE:
            return None
        return found

    def _angle(self, name: bytes, found: re.Match[bytes]) -> None:
        """`<...>` after a display name: one address by the grammar, else one for each part between commas."""
        reader = FieldReader(found[0])
        entry = parse_mailbox(reader)
        if is_complete(entry) and reader.pos >= reader.end:
            self._found.append(entry._replace(name=name or None))
            return
        listed = [self._split_at_last_at(part) for part in found[1].replace(b";", b",").split(b",") if part.strip()]
        if not listed:
            listed = [self._partial or ListedAddress(None, None, MISSING_MAILBOX, MISSING_DOMAIN)]
        self._found.append(listed[0]._replace(name=name or None))
        self._found += listed[1:]

    @staticmethod
    def _split_at_last_at(inside: bytes) -> ListedAddress:
        """Local part and domain, separated at the last "@", whatever they contain."""
        if b"@" not in inside:
            return ListedAddress(None, None, b" ".join(inside.split()), MISSING_DOMAIN)
        inside = b"".join(inside.split()).strip(b"'\"")
        if inside[:7].lower() == b"mailto:":
            inside = inside[7:]
        mailbox, _, domain = inside.rpartition(b"@")
        return ListedAddress(None, None, mailbox or MISSING_MAILBOX, domain or MISSING_DOMAIN)

    def _words(self, text: bytes) -> None:
        """An entry without brackets: every word that contains "@" is an address, the words before it are its display name."""
        name: list[bytes] = []
        has_address = False
        for word in _WORD.findall(text):
            bare = word[7:] if word[:7].lower() == b"mailto:" else word
            mailbox, _, domain = bare.strip(b"':").rpartition(b"@")
            if mailbox and domain:
                self._found.append(ListedAddress(b" ".join(name).strip(b'"<> ') or None, None, mailbox, domain))
                name.clear()
                has_address = True
            else:
                name.append(word)
        if name and not has_address:
            name_only = ListedAddress(b" ".join(text.split()).strip(b'"<> ') or None, None, MISSING_MAILBOX, MISSING_DOMAIN)
            self._found.append(self._partial or name_only)
