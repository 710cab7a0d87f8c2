"""The values of the DSN parameters, parsed and encoded: NOTIFY, ORCPT, RET, ENVID (RFC 3461 §4, RFC 6533 §3).

A parsed value has no control character in it, so it can be written into a header or a command as it is. Everything is
linear and bounded. Fails with MisuseError; its sentence may be shown to the client.
"""

import re

from appliance.mail.errors import MisuseError

from .grammar import decode_xtext, encode_xtext

ENVID_OCTETS = 100
"""RFC 3461 §4.4, as encoded."""
ORCPT_OCTETS = 500
"""RFC 3461 §4.2, as encoded."""
NOTIFY_WORDS = frozenset({"SUCCESS", "FAILURE", "DELAY"})
NEVER = frozenset({"NEVER"})

_TYPE = re.compile(rb"[A-Za-z0-9][A-Za-z0-9-]{0,31}")
_PRINTABLE = re.compile(rb"[\x20-\x7e]*")
_EMBEDDED = re.compile(r"\\x\{([0-9A-F]{2,6})\}")
_UNWRITABLE = re.compile("[\0-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufff0-\uffff]")
_QCHAR = re.compile(r"[\x21-\x2a\x2c-\x3c\x3e-\x5b\x5d-\x7e]")


def parse_notify(value: bytes | None) -> frozenset[str]:
    """NEVER alone, or some of SUCCESS, FAILURE and DELAY, each once (RFC 3461 §4.1)."""
    words = (value or b"").upper().decode("ascii", "replace").split(",")
    found = frozenset(words)
    if found != NEVER and not found <= NOTIFY_WORDS:
        raise MisuseError("NOTIFY is NEVER, or some of SUCCESS, FAILURE and DELAY with commas between")
    if len(found) != len(words):
        raise MisuseError("NOTIFY names something twice")
    return found


def parse_ret(value: bytes | None) -> str:
    """FULL or HDRS (RFC 3461 §4.3)."""
    word = (value or b"").upper()
    if word not in (b"FULL", b"HDRS"):
        raise MisuseError("RET is FULL or HDRS")
    return word.decode()


def parse_envid(value: bytes | None) -> str:
    """The envelope id, out of its xtext (RFC 3461 §4.4)."""
    if not value:
        raise MisuseError("ENVID has no value")
    if len(value) > ENVID_OCTETS:
        raise MisuseError(f"ENVID has at most {ENVID_OCTETS} octets")
    plain = decode_xtext(value)
    if not _PRINTABLE.fullmatch(plain):
        raise MisuseError("ENVID has a character in it that cannot be printed")
    return plain.decode()


def parse_orcpt(value: bytes | None, *, utf8: bool) -> str:
    """`type;address`, out of its xtext, or of the forms of RFC 6533 §3 for the type utf-8. `utf8`: MAIL FROM had SMTPUTF8."""
    kind, semicolon, rest = (value or b"").partition(b";")
    if not semicolon or not rest or not _TYPE.fullmatch(kind):
        raise MisuseError("ORCPT is a type of address, a semicolon and the address")
    if len(value or b"") > ORCPT_OCTETS:
        raise MisuseError(f"ORCPT has at most {ORCPT_OCTETS} octets")
    if kind.lower() == b"utf-8":
        return "utf-8;" + _decode_unitext(rest, utf8=utf8)
    plain = decode_xtext(rest)
    if not _PRINTABLE.fullmatch(plain):
        raise MisuseError("ORCPT has a character in it that cannot be printed")
    return f"{kind.decode()};{plain.decode()}"


def _decode_unitext(octets: bytes, *, utf8: bool) -> str:
    """utf-8-addr-xtext, utf-8-addr-unitext or the address itself; `+2B` is taken for what it means in xtext."""
    if not octets.isascii() and not utf8:
        raise MisuseError("ORCPT outside ASCII needs SMTPUTF8 in MAIL FROM")
    try:
        text = octets.decode()
        if octets.isascii():
            text = decode_xtext(octets).decode()
    except UnicodeDecodeError:
        raise MisuseError("ORCPT is not UTF-8") from None
    text = _EMBEDDED.sub(_character, text)
    if _UNWRITABLE.search(text) or "\\x{" in text:
        raise MisuseError("ORCPT has a character in it that cannot be written")
    return text


def _character(found: "re.Match[str]") -> str:
    point = int(found[1], 16)
    if point > 0x10FFFF or 0xD800 <= point <= 0xDFFF:
        raise MisuseError("ORCPT names a character that does not exist")
    return chr(point)


def encode_envid(envid: str) -> bytes:
    return encode_xtext(envid.encode("ascii", "replace"))


def encode_orcpt(orcpt: str, *, utf8: bool) -> bytes:
    """The value of an ORCPT parameter. `utf8`: the next server offers SMTPUTF8 and the message uses it (RFC 6533 §3)."""
    kind, _, address = orcpt.partition(";")
    if kind.lower() != "utf-8":
        return kind.encode("ascii", "replace") + b";" + encode_xtext(address.encode("ascii", "replace"))
    return b"utf-8;" + (unitext(address) if utf8 else xtext_utf8(address)).encode()


def xtext_utf8(address: str) -> str:
    """utf-8-addr-xtext: ASCII only, everything else as `\\x{HEX}` (RFC 6533 §3)."""
    return "".join(c if _QCHAR.fullmatch(c) else f"\\x{{{ord(c):02X}}}" for c in address)


def unitext(address: str) -> str:
    """utf-8-addr-unitext: as it is, save what a parameter cannot hold (RFC 6533 §3)."""
    return "".join(c if ord(c) >= 0xA0 or _QCHAR.fullmatch(c) else f"\\x{{{ord(c):02X}}}" for c in address)
