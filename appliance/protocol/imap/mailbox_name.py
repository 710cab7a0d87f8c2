"""Mailbox names on the wire: modified UTF-7, UTF-8, and LIST's wildcards.

Strict: a name that is not the canonical modified UTF-7 encoding of itself (RFC 3501 §5.1.3) is refused, so two
encodings never mean one mailbox. Matching a pattern takes time linear in the name; no backtracking.
Fails with MisuseError, whose text may be shown to the client.
"""

import re
from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64
from collections.abc import Iterable

from appliance.mail.errors import MisuseError
from appliance.mail.flags import INBOX
from appliance.mail.limits import MAILBOX_LEVELS, MAILBOX_NAME_OCTETS

SEPARATOR = "/"
_REFUSED = re.compile("[\0-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]")
"""Control characters, those that turn text round, and those that nobody sees (RFC 9051 §5.1). Persian words and emoji of several people
have joiners, U+200C and U+200D, in them; what a later Unicode adds is taken, too."""


class NotAName(MisuseError):
    """A string that the grammar allows and that is no mailbox name: answered NO, not BAD (RFC 9051 §7.1.3)."""


def encode_name(name: str) -> bytes:
    """A name in modified UTF-7 (RFC 3501 §5.1.3)."""
    if name.isascii() and name.isprintable() and "&" not in name:
        return name.encode()
    out = bytearray()
    foreign: list[str] = []
    for character in name:
        if " " <= character <= "~":
            if foreign:
                out += _shifted(foreign)
            out += b"&-" if character == "&" else character.encode()
        else:
            foreign.append(character)
    if foreign:
        out += _shifted(foreign)
    return bytes(out)


def _shifted(foreign: list[str]) -> bytes:
    octets = "".join(foreign).encode("utf-16-be", "surrogatepass")
    foreign.clear()
    return b"&" + b2a_base64(octets, newline=False).rstrip(b"=").replace(b"/", b",") + b"-"


def decode_name(octets: bytes) -> str:
    """The name in modified UTF-7 decoded; NotAName unless the encoding is canonical, MisuseError for octets outside ASCII."""
    if not octets.isascii() or b"&" not in octets:
        if not octets.isascii():
            raise MisuseError("A mailbox name is modified UTF-7: octets outside ASCII are not allowed here.")
        if not _printable(octets):
            raise NotAName("A mailbox name cannot hold control characters.")
        return octets.decode("ascii")
    chunks: list[str] = []
    head, *rest = octets.split(b"&")
    chunks.append(head.decode("ascii", "replace"))
    for chunk in rest:
        coded, dash, plain = chunk.partition(b"-")
        if not dash:
            raise NotAName("The mailbox name is not valid modified UTF-7: an & is never closed.")
        chunks.append(_unshifted(coded) if coded else "&")
        chunks.append(plain.decode("ascii", "replace"))
    name = "".join(chunks)
    try:
        canonical = encode_name(name) == octets
    except UnicodeEncodeError:
        canonical = False
    if not canonical:
        raise NotAName("The mailbox name is not valid modified UTF-7.")
    return name


def _unshifted(coded: bytes) -> str:
    try:
        octets = a2b_base64(coded.replace(b",", b"/") + b"=" * (-len(coded) % 4), strict_mode=True)
        return octets.decode("utf-16-be")
    except (Base64Error, UnicodeDecodeError) as problem:
        raise NotAName("The mailbox name is not valid modified UTF-7.") from problem


def _printable(octets: bytes) -> bool:
    return octets.isascii() and (octets.decode("ascii").isprintable())


def parse_name(octets: bytes, utf8: bool = False) -> str:
    """A name as the client wrote it, INBOX folded; `utf8` once the client enabled it (RFC 9051 §5.1)."""
    if utf8:
        try:
            name = octets.decode("utf-8")
        except UnicodeDecodeError as problem:
            raise MisuseError("The mailbox name is not valid UTF-8.") from problem
    else:
        name = decode_name(octets)
    return fold_inbox(name)


def wire_name(name: str, utf8: bool = False) -> bytes:
    """A name encoded for this client, not yet quoted."""
    return name.encode() if utf8 else encode_name(name)


def fold_inbox(name: str) -> str:
    """INBOX is one name however it is written, also as the first level of others (RFC 9051 §5.1)."""
    if name[:5].upper() == INBOX and name[5:6] in ("", SEPARATOR):
        return INBOX + name[5:]
    return name


def flaw(name: str) -> str:
    """Why no mailbox may be created with this name, or "" if one may.

    Wildcards would make a mailbox that LIST cannot name; "." and ".." are directories to other programs.
    """
    if not name:
        return "A mailbox needs a name."
    if len(name.encode("utf-8", "surrogatepass")) > MAILBOX_NAME_OCTETS:
        return "The mailbox name is too long."
    if _REFUSED.search(name):
        return "A mailbox name cannot hold control characters."
    if "*" in name or "%" in name:
        return "A mailbox name cannot hold the wildcards * and %."
    levels = name.split(SEPARATOR)
    if len(levels) > MAILBOX_LEVELS:
        return "The mailbox name has too many levels."
    if any(not level.strip() or level in (".", "..") for level in levels):
        return "A level of a mailbox name cannot be empty, a dot or two dots."
    return ""


class Patterns:
    """LIST's patterns: `*` matches anything, `%` anything within a level (RFC 9051 §6.3.9).

    Together they are one automaton whose set of states is one integer: each character of a name costs a few
    operations on it, whatever the wildcards (a backtracking matcher takes exponential time on `%*%*%*x`).
    """

    __slots__ = ("_any", "_begins", "_ends", "_level", "_masks", "_texts")

    def __init__(self, texts: Iterable[str]) -> None:
        self._texts = frozenset(_collapse(fold_inbox(text)) for text in texts)
        self._any = self._level = self._begins = self._ends = 0
        self._masks: dict[str, int] = {}
        place = 0
        for text in sorted(self._texts):
            self._begins |= 1 << place
            for character in text:
                if character == "*":
                    self._any |= 1 << place
                elif character == "%":
                    self._level |= 1 << place
                else:
                    self._masks[character] = self._masks.get(character, 0) | 1 << place
                place += 1
            self._ends |= 1 << place
            place += 1

    def match(self, name: str) -> bool:
        """Whether any of the patterns matches; INBOX matches in any case."""
        if "*" in self._texts or name in self._texts or self._run(name):
            return True
        return name == INBOX and Patterns(text.upper() for text in self._texts)._run(name)

    def _run(self, name: str) -> bool:
        masks, anything, within = self._masks, self._any, self._any | self._level
        states = self._begins | (self._begins & within) << 1
        for character in name:
            states = (states & masks.get(character, 0)) << 1 | states & (anything if character == SEPARATOR else within)
            if not states:
                return False
            states |= (states & within) << 1
        return bool(states & self._ends)


def _collapse(text: str) -> str:
    """Adjacent wildcards joined, so that no two stand side by side: `**`, `*%` and `%*` are `*`, `%%` is `%`."""
    out: list[str] = []
    for character in text:
        if character in "*%" and out and out[-1] in "*%":
            if character == "*":
                out[-1] = "*"
        else:
            out.append(character)
    return "".join(out)
