"""The From, Sender and Delivered-To addresses of a message, scanned while it streams in (RFC 5322 §3.6.2, RFC 9228).

Invariant: every From and Sender field of the header is looked at, not only the first, in bounded memory and linear time
however small the chunks. A field that cannot be read to its end as addresses makes `unreadable` true, and so do more than
ADDRESSES of them; the one malformed form that is unambiguous, a display name without characters that separate addresses before
one `<address>`, is read. `named` holds what a reader could take for an address anywhere else: in a display name, a comment or an
encoded word, or where a field cannot be read. Nothing here decides anything (`rights` does). A header over HEADER_OCTETS is not
read further: such a message is refused.
"""

import re
from collections.abc import Iterable
from contextlib import suppress
from itertools import islice, pairwise
from unicodedata import normalize

from appliance.mail.address import Address, parse_domain
from appliance.mail.address_recovery import parse_address_list
from appliance.mail.addresses import MISSING_DOMAIN, MISSING_MAILBOX, SYNTAX_ERROR, ListedAddress, read_address_list
from appliance.mail.encoding import decode_words
from appliance.mail.errors import MisuseError
from appliance.mail.header import header_end, unfold
from appliance.mail.limits import HEADER_OCTETS

FIELD_OCTETS = 16 * 2**10
"""A header longer than this is read in portions; a From field that is longer is unreadable."""
ADDRESSES = 200
"""More authors than any message has."""
_PLACEHOLDERS = frozenset({MISSING_DOMAIN, SYNTAX_ERROR})
_NAMED = re.compile(rb"(?:\A|\n)(from|sender|delivered-to)[ \t]*:((?:[^\n]|\n[ \t])*)", re.IGNORECASE)
_END = re.compile(rb"\n\r?\n")
_ONE_PLAIN_NAME = re.compile(rb"[^\"(<>,;:\\\x00-\x08\x0a-\x1f\x7f]*(<[^ \t\"()<>,;:\\\x00-\x1f\x7f]+@[^ \t\"()<>,;:\\@\x00-\x1f\x7f]+>)")
"""A display name in which nothing but an "@" or a bracket is wrong, and the one address it belongs to."""
_AROUND_AT = re.compile(r"(?<!\s)\s*@\s*")
_TOKEN = re.compile(r'[^\s<>()\[\]\\,;:"]+')
_QUOTED_LOCAL = re.compile(r'"([^"]{1,255})"@([^\s<>()\[\]\\,;:"@]+)')
_DOMAIN = re.compile(r"[\w.-]*")


class Authors:
    """Feed it the message's octets; the results are valid after `end`."""

    __slots__ = ("_over", "_pending", "_seen_octets", "addresses", "been_at", "named", "texts", "unreadable")

    def __init__(self) -> None:
        self._pending = bytearray()
        """Header octets not looked at yet: they begin with a field's name."""
        self._seen_octets = 0
        self._over = False
        self.addresses: list[Address] = []
        self.named: set[Address] = set()
        """What else looks like an address in those fields; the local part may be empty."""
        self.texts: list[bytes] = []
        """The fields as written, lower case: what a reader will see."""
        self.unreadable = False
        self.been_at: set[bytes] = set()
        """The Delivered-To fields as written, lower case."""

    def feed(self, chunk: bytes) -> None:
        if self._over:
            return
        if not self._seen_octets and (end := header_end(chunk)) < len(chunk):
            self._over = True  # the usual case: the whole header in the first chunk
            self._read(chunk[:end])
            return
        pending = self._pending
        unsearched = max(len(pending) - 2, 0)
        blank_first = self._seen_octets < 2
        pending += chunk
        self._seen_octets += len(chunk)
        if blank_first and (pending[:1] == b"\n" or pending[:2] == b"\r\n"):
            self._finish(0)
        elif found := _END.search(pending, unsearched):
            self._finish(found.end())
        elif self._seen_octets > HEADER_OCTETS:
            self._finish(len(pending))
        elif len(pending) > FIELD_OCTETS:
            self._read_portion()

    def end(self) -> None:
        """The message is complete; it may have had no body."""
        if not self._over:
            self._finish(len(self._pending))

    def _finish(self, end: int) -> None:
        self._over = True
        self._read(bytes(self._pending[:end]))
        self._pending = bytearray()

    def _read_portion(self) -> None:
        """Read all fields but the last, which may go on in the next chunk."""
        pending = self._pending
        cut = pending.rfind(b"\n", 0, -2) + 1
        while cut and pending[cut] in b" \t":
            cut = pending.rfind(b"\n", 0, cut - 1) + 1
        if cut:
            self._read(bytes(pending[:cut]))
            del pending[:cut]
            return
        self._read(bytes(pending))  # one endless field: keep its name and end, so that what follows still belongs to it
        named = _NAMED.match(pending)
        self.unreadable = self.unreadable or (named is not None and len(named[1]) != len(b"delivered-to"))
        colon = pending.find(b":") + 1
        pending[min(colon, 128) :] = b" " + pending[-3:]

    def _read(self, block: bytes) -> None:
        for found in _NAMED.finditer(block):
            if len(self.addresses) > ADDRESSES or len(self.texts) > ADDRESSES:
                self.unreadable = True
                return
            value = found[2]
            if len(found[1]) == len(b"delivered-to"):
                if len(self.been_at) < ADDRESSES:
                    self.been_at.add(value.strip().lower())
                continue
            self.texts.append(value.lower())
            self._read_field(value)

    def _read_field(self, value: bytes) -> None:
        entries, complete = read_address_list(value)
        if not complete and (plain := _ONE_PLAIN_NAME.fullmatch(unfold(value))):
            entries, complete = read_address_list(plain[1])
        self.unreadable = self.unreadable or not complete or len(entries) > ADDRESSES
        for listed in entries[:ADDRESSES]:
            if listed.mailbox is None or listed.domain is None:
                continue  # a group's name or its end (RFC 6854)
            address = _address(listed)
            if address is None:
                self.unreadable = True
            else:
                self.addresses.append(address)
        if not complete:
            self._name(filter(None, map(_address, parse_address_list(value)[:ADDRESSES])))
        looks = looks_like_addresses(value)
        self.unreadable = self.unreadable or looks is None
        self._name(looks or ())

    def _name(self, addresses: Iterable[Address]) -> None:
        for address in addresses:
            if len(self.named) >= ADDRESSES:
                self.unreadable = True
                return
            self.named.add(address)


def _address(listed: ListedAddress) -> Address | None:
    """The entry as an address; None when it is none."""
    if listed.mailbox is None or listed.domain is None or listed.mailbox == MISSING_MAILBOX or listed.domain in _PLACEHOLDERS:
        return None
    try:
        return Address(listed.mailbox.decode(), parse_domain(listed.domain.decode()))
    except (MisuseError, UnicodeDecodeError):
        return None


def looks_like_addresses(value: bytes) -> list[Address] | None:
    """What a reader of the field could take for addresses: words with an "@", encoded words decoded, full-width characters narrowed.

    None for more than 4 * ADDRESSES of them, the same one counted again.
    """
    text = _AROUND_AT.sub("@", normalize("NFKC", decode_words(unfold(value)))).replace('\\"', '"')
    seen: list[tuple[str, str]] = []
    if "@" in text:
        seen += [(found[1], found[2]) for found in islice(_QUOTED_LOCAL.finditer(text), 4 * ADDRESSES)]
        for token in _TOKEN.finditer(text):
            parts = token[0].split("@")
            if parts[0] or text[token.start() - 1 : token.start()] != '"':  # else its local part is quoted
                seen += pairwise(parts)
            if len(seen) > 4 * ADDRESSES:
                return None
    found_here: list[Address] = []
    for local, domain in seen:
        with suppress(MisuseError):
            found_here.append(Address(local.strip("'"), parse_domain(_DOMAIN.match(domain)[0].strip("._-"))))  # type: ignore[index]
    return found_here
