"""Email addresses as SMTP writes them: `local-part@domain` (RFC 5321 §4.1.2, RFC 6531 §3.3).

One normal form: quoting is removed, domains are lower case, A-labels become U-labels (RFC 5891 §5). Anything else raises
MisuseError with a text for the sender; a trailing dot in the domain, comments and white space are not part of the grammar.
Known gap: labels that only IDNA 2003 allowed (emoji) are refused.
"""

import re
from dataclasses import dataclass

from .errors import MisuseError
from .limits import DOMAIN_OCTETS, LOCAL_PART_OCTETS
from .sentence import Sentence

_ATOM_TEXT = r"A-Za-z0-9!#$%&'*+/=?^_`{|}~\-\u00a0-\ud7ff\ue000-\U0010ffff"
_DOT_STRING = re.compile(rf"[{_ATOM_TEXT}.]+")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_QUOTED_TEXT = re.compile(r"[\x20-\x7e\u00a0-\ud7ff\ue000-\U0010ffff]*")
_PAIR = re.compile(r"\\(.)", re.DOTALL)
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_IPV4 = re.compile(r"(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?!$)|$)){4}")
_IPV6 = re.compile(r"IPv6:[0-9A-Fa-f:.]{2,45}", re.IGNORECASE)
_UNWRITABLE = re.compile(r"[\u2028\u2029\ufeff\ufff0-\uffff]")
"""Line and paragraph separators, the byte order mark and non-characters: refused, since many programs mishandle them."""


@dataclass(frozen=True, slots=True)
class Address:
    """`local` with quoting removed; `domain` in lower case, A-labels converted to U-labels, no trailing dot.

    A domain literal keeps its brackets: `[192.0.2.1]`, `[ipv6:2001:db8::1]`.
    """

    local: str
    domain: str

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}"

    @property
    def ascii_local(self) -> bool:
        """True when the address can be sent without SMTPUTF8 (the domain always can)."""
        return self.local.isascii()


def parse_address(written: bytes | str) -> Address:
    """One address without brackets: `local@domain` (RFC 5321 §4.1.2). Linear. Raises MisuseError."""
    if isinstance(written, bytes):
        try:
            written = written.decode()
        except UnicodeDecodeError:
            raise MisuseError(Sentence("the address is not UTF-8")) from None
    local, end = parse_local(written)
    if end == len(written):
        raise MisuseError(Sentence("the address has no @ and domain"))
    if written[end] != "@":
        character = f"{written[end]!a}"
        raise MisuseError(Sentence("the character %(character)s is not allowed in an address outside quotes", character=character))
    return Address(local, parse_domain(written[end + 1 :]))


def parse_local(text: str) -> tuple[str, int]:
    """The local part at the start of `text` with quoting removed, and the index behind it."""
    found = _QUOTED.match(text)
    if found:
        local = _PAIR.sub(r"\1", found[1])
        if not local:
            raise MisuseError(Sentence("the address has nothing before the @"))
        if not _QUOTED_TEXT.fullmatch(local):
            raise MisuseError(Sentence("the address has a control character in its local part"))
    else:
        found = _DOT_STRING.match(text)
        if not found:
            nothing = text[:1] in ("", "@")
            raise MisuseError(Sentence("the address has nothing before the @") if nothing else Sentence("this is not an address"))
        local = found[0]
        if local[0] == "." or local[-1] == "." or ".." in local:
            raise MisuseError(Sentence("the address has a misplaced dot before the @"))
    if len(local) > LOCAL_PART_OCTETS or len(local.encode()) > LOCAL_PART_OCTETS:
        raise MisuseError(Sentence("the address has more than %(most)s octets before the @", most=LOCAL_PART_OCTETS))
    if not local.isascii() and _UNWRITABLE.search(local):
        raise MisuseError(Sentence("the address has a Unicode character that is not allowed"))
    return local, found.end()


def parse_domain(text: str) -> str:
    """A domain or address literal in normal form. Raises MisuseError."""
    if not text:
        raise MisuseError(Sentence("the address has no domain after the @"))
    if text[0] == "[":
        literal = text[1:-1]
        if text[-1] != "]" or not (_IPV4.fullmatch(literal) or _IPV6.fullmatch(literal)):
            raise MisuseError(Sentence("the address has a malformed address literal"))
        return text.lower()
    if not text.isascii() or "xn--" in text.lower():
        text = _to_unicode(text)
    elif len(text) > DOMAIN_OCTETS or not all(map(_LABEL.fullmatch, text.split("."))):
        raise MisuseError(Sentence("this is not a domain name"))
    return text.lower()


def _to_unicode(text: str) -> str:
    import idna  # trio loads it anyway, but its tables grow in memory with use

    if len(text) > DOMAIN_OCTETS:  # checked first: idna takes more than linear time in the length of a label
        raise MisuseError(Sentence("this is not a domain name"))
    try:
        wire = idna.encode(text, uts46=True)
        if wire.endswith(b"."):
            raise MisuseError(Sentence("a domain name in an address must not end with a dot"))
        return idna.decode(wire)
    except (idna.IDNAError, UnicodeError):
        raise MisuseError(Sentence("this is not a domain name")) from None


def ascii_domain(domain: str) -> str:
    """The domain in A-labels (RFC 5890 §2.3.2.1)."""
    if domain.isascii():
        return domain
    import idna

    return idna.encode(domain).decode("ascii")


def encode_address(address: Address) -> bytes:
    """The address as SMTP and trace header fields write it: quoted where necessary, in ASCII where possible.

    A non-ASCII local part has only the UTF-8 form (RFC 6531 §3.3); its domain then stays in U-labels.
    """
    local = address.local
    found = _DOT_STRING.fullmatch(local)
    if not found or local[0] == "." or local[-1] == "." or ".." in local:
        local = '"' + local.replace("\\", "\\\\").replace('"', '\\"') + '"'
    domain = ascii_domain(address.domain) if local.isascii() else address.domain
    return f"{local}@{domain}".encode()
