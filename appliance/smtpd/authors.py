"""Who a letter says it is from: the From and Sender fields, caught while the letter streams by (RFC 5322 §3.6.2).

Promise: every From and Sender field of the header is looked at, not only the first, in constant memory and linear time;
a field that cannot be read to its end as addresses makes `unreadable` true. Nothing here decides anything.
"""

import re

from appliance.mail.address import Address, parse_domain
from appliance.mail.addresses import MISSING_DOMAIN, MISSING_MAILBOX, SYNTAX_ERROR, read_address_list
from appliance.mail.errors import MisuseError
from appliance.mail.header import header_end

FIELD_OCTETS = 64 * 2**10
"""A header longer than this is read in portions; a From field that is longer is unreadable."""
_PLACEHOLDERS = frozenset({MISSING_DOMAIN, SYNTAX_ERROR})
_NAMED = re.compile(rb"(?:\A|\n)(from|sender)[ \t]*:((?:[^\n]|\n[ \t])*)", re.IGNORECASE)


class Authors:
    """Feed it the letter's octets; ask when the letter is complete."""

    __slots__ = ("_over", "_pending", "addresses", "texts", "unreadable")

    def __init__(self) -> None:
        self._pending = b""
        self._over = False
        self.addresses: list[Address] = []
        self.texts: list[bytes] = []
        """The fields as written, lower case, for a look at what a person will see."""
        self.unreadable = False

    def feed(self, piece: bytes) -> None:
        if self._over:
            return
        pending = self._pending + piece if self._pending else piece
        end = header_end(pending)
        if end < len(pending) or pending.endswith(b"\n\r\n"):
            self._over = True
            self._pending = b""
            self._read(pending[:end])
        elif len(pending) > FIELD_OCTETS:
            cut = pending.rfind(b"\n", 0, -2) + 1
            while cut and pending[cut : cut + 1] in (b" ", b"\t"):
                cut = pending.rfind(b"\n", 0, cut - 1) + 1
            if cut:
                self._read(pending[:cut])
                self._pending = pending[cut:]
            else:  # one endless field: keep its name, so that what follows still belongs to it
                self._read(pending)
                self.unreadable = self.unreadable or _NAMED.match(pending) is not None
                self._pending = pending[: pending.find(b":") + 1][:128] + b" "
        else:
            self._pending = pending

    def end(self) -> None:
        """The letter is complete; it may have had no body."""
        if not self._over:
            self._over = True
            self._read(self._pending)
            self._pending = b""

    def _read(self, block: bytes) -> None:
        for found in _NAMED.finditer(block):
            value = found[2]
            self.texts.append(value.lower())
            entries, complete = read_address_list(value)
            self.unreadable = self.unreadable or not complete
            for listed in entries:
                if listed.mailbox is None or listed.domain is None:
                    continue  # a group's name or its end (RFC 6854)
                if listed.mailbox == MISSING_MAILBOX or listed.domain in _PLACEHOLDERS:
                    self.unreadable = True
                    continue
                try:
                    self.addresses.append(Address(listed.mailbox.decode(), parse_domain(listed.domain.decode())))
                except (MisuseError, UnicodeDecodeError):
                    self.unreadable = True
