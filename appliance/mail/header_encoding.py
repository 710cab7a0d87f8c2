"""Header fields written: folding, encoded words, display names, parameters in any language (RFC 5322 §2.2.3, RFC 2047, RFC 2231).

The inverse of `encoding`. What comes out is ASCII, every line has at most 998 octets, and at most LINE_OCTETS wherever a space allows.
How it fails: MisuseError for what no field can hold: control characters, a word too long.
"""

import re
from base64 import b64encode
from collections.abc import Iterable, Sequence

from .errors import MisuseError

LINE_OCTETS = 78
"""RFC 5322 §2.1.1, without the CRLF."""
MOST_OCTETS = 998
WORD_OCTETS = 60
"""Of an encoded word: RFC 2047 §2 allows 75, in a line of 76 with the field's name."""
VALUE_OCTETS = 60
"""Of a section of a parameter (RFC 2231 §3)."""
_SAFE_IN_Q = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/")
"""Of RFC 2047 §5 (3): what may stand in a display name may stand anywhere."""
_SAFE_IN_PARAMETER = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$&+-.^_`{}~")
"""attribute-char of RFC 2231 §7."""
_CONTROL = re.compile("[\0-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_PLAIN = re.compile(r"[\x20-\x7e]*")
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_TOKEN = re.compile(r"[A-Za-z0-9!#$&^_.+-]+")


def encode_field(name: str, tokens: Iterable[bytes]) -> bytes:
    """`Name: tokens CRLF`, a space between tokens, folded before one that does not fit. Raises MisuseError."""
    out = bytearray(name.encode("ascii") + b":")
    length = len(out)
    for number, token in enumerate(tokens):
        if number and length + 1 + len(token) > LINE_OCTETS:
            out += b"\r\n"
            length = 0
        out += b" " + token
        length += 1 + len(token)
        if length > MOST_OCTETS:
            raise MisuseError(f"The field {name} has a word of more than {MOST_OCTETS} octets")
    return bytes(out + b"\r\n")


def text_tokens(text: str) -> list[bytes]:
    """Unstructured text, such as a subject: words of ASCII as they are, from the first to the last other one encoded words."""
    _refuse_control(text)
    if text != text.strip(" "):
        return encoded_words(text)  # a reader strips the ends of a field
    words = [part[1:] if number else part for number, part in enumerate(re.findall(r" *[^ ]+", text))]
    odd = [number for number, word in enumerate(words) if not _is_plain(word)]
    if not odd:
        return [word.encode() for word in words]
    first, last = odd[0], odd[-1] + 1
    return [
        *(word.encode() for word in words[:first]), *encoded_words(" ".join(words[first:last])), *(word.encode() for word in words[last:])
    ]  # fmt: skip


def _is_plain(word: str) -> bool:
    return _PLAIN.fullmatch(word) is not None and "=?" not in word and "?=" not in word and len(word) < 900


def encoded_words(text: str) -> list[bytes]:
    """Encoded words in UTF-8, none of which splits a character; white space between them is not part of the text (RFC 2047 §6.2)."""
    octets = text.encode("utf-8")
    quoted = sum(1 if octet in _SAFE_IN_Q or octet == 32 else 3 for octet in octets) <= 2 * len(octets)  # readable where it costs little
    words: list[bytes] = []
    held, cost = b"", 0
    for character in text:
        one = character.encode("utf-8")
        more = sum(1 if octet in _SAFE_IN_Q or octet == 32 else 3 for octet in one) if quoted else len(one)
        if cost + more > (WORD_OCTETS - 12 if quoted else (WORD_OCTETS - 12) // 4 * 3):
            words.append(held)
            held, cost = b"", 0
        held, cost = held + one, cost + more
    words.append(held)
    return [b"=?utf-8?q?" + _q(word) + b"?=" if quoted else b"=?utf-8?b?" + b64encode(word) + b"?=" for word in words]


def _q(octets: bytes) -> bytes:
    return b"".join(b"_" if octet == 32 else bytes((octet,)) if octet in _SAFE_IN_Q else b"=%02X" % octet for octet in octets)


def phrase_tokens(name: str) -> list[bytes]:
    """A display name (RFC 5322 §3.2.5): atoms, a quoted string, or encoded words."""
    _refuse_control(name)
    name = name.strip(" ")
    if not name:
        return []
    if "=?" not in name and _ATOMS.fullmatch(name) and len(name) < 900:
        return [word.encode() for word in name.split(" ")]
    if "=?" not in name and _PLAIN.fullmatch(name) and len(name) <= WORD_OCTETS:
        return [quoted_string(name)]
    return encoded_words(name)


def quoted_string(text: str) -> bytes:
    return b'"' + text.replace("\\", "\\\\").replace('"', '\\"').encode("ascii") + b'"'


def list_tokens(entries: Sequence[Sequence[bytes]]) -> list[bytes]:
    """The tokens of each entry, a comma after each but the last."""
    found: list[bytes] = []
    for number, entry in enumerate(entries):
        found += entry
        if number + 1 < len(entries):
            found[-1] += b","
    return found


def parameter_tokens(name: str, value: str) -> list[bytes]:
    """A parameter of a MIME field: plain where ASCII suffices, else in UTF-8 and, when long, in sections (RFC 2231 §3, §4)."""
    _refuse_control(value)
    if _TOKEN.fullmatch(value) and len(value) <= VALUE_OCTETS:
        return [f"{name}={value}".encode()]
    if _PLAIN.fullmatch(value) and "=?" not in value and len(value) <= VALUE_OCTETS:
        return [f"{name}=".encode() + quoted_string(value)]
    pieces = [bytes((octet,)) if octet in _SAFE_IN_PARAMETER else b"%%%02X" % octet for octet in value.encode("utf-8")]
    sections, held = [], b"utf-8''"
    for piece in pieces:
        if len(held) + len(piece) > VALUE_OCTETS:
            sections.append(held)
            held = b""
        held += piece
    sections.append(held)
    if len(sections) == 1:
        return [f"{name}*=".encode() + sections[0]]
    return [f"{name}*{number}*=".encode() + section for number, section in enumerate(sections)]


def mime_tokens(value: str, parameters: Sequence[bytes]) -> list[bytes]:
    """A MIME field's value and its parameters, a semicolon between them."""
    parts = [value.encode("ascii"), *parameters]
    return [part + b";" for part in parts[:-1]] + [parts[-1]]


def _refuse_control(text: str) -> None:
    if _CONTROL.search(text):
        raise MisuseError("a header field holds no line ends and no control characters")
