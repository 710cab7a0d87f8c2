"""Encode a header in ASCII: 8-bit words as encoded words (RFC 2047), parameters by RFC 2231, domains as A-labels.

| field                              | 8-bit octets become                                                                        |
|------------------------------------|--------------------------------------------------------------------------------------------|
| addresses (ADDRESSES)              | a domain: A-labels; names and comments: encoded words; before the @: a fault, no encoding exists |
| Content-Type, Content-Disposition  | parameters: name*=charset''..., in sections where long; elsewhere encoded words            |
| all others                         | runs of words that hold some: encoded words                                                |

Octets that are not UTF-8 are labelled with the charset of the message's text when it is one of CHARSETS and can decode them, else
with unknown-8bit. Linear in the header's octets. Pure.
"""

import re
from base64 import b64encode
from collections.abc import Callable
from functools import partial

from appliance.mail.address import ascii_domain
from appliance.mail.header import fields, header_end
from appliance.mail.structure import Node

ADDRESSES = frozenset(
    {b"from", b"sender", b"reply-to", b"to", b"cc", b"bcc", b"resent-from", b"resent-sender", b"resent-to", b"resent-cc", b"resent-bcc",
     b"resent-reply-to", b"return-path", b"delivered-to", b"disposition-notification-to", b"return-receipt-to", b"errors-to",
     b"mail-followup-to", b"mail-reply-to", b"apparently-to", b"x-original-to"}
)  # fmt: skip
PARAMETERS = frozenset({b"content-type", b"content-disposition"})
CHARSETS = re.compile(r"iso-8859-\d{1,2}|windows-125\d|koi8-[ru]|latin-?1", re.IGNORECASE)
WORD_OCTETS = 39
"""Octets in one encoded word: it then fits a line of 76 after "Subject: "."""
LINE = 76
"""RFC 2047 §2: the longest line with an encoded word."""
SECTION = 60
"""Characters of a parameter's section (RFC 2231 §3)."""
# possessive quantifiers: each word is scanned once from its start, since headers may be large
_ADDRESS = re.compile(rb'(?<![^\s<>,;:"()@])([^\s<>,;:"()@]++)@([^\s<>,;:"()@]++)')
_QUOTED_LOCAL = re.compile(rb'"((?:[^"\\]|\\.)*)"[ \t]*@')
_PARAMETER = re.compile(rb'(?<![A-Za-z0-9_-])([A-Za-z0-9_-]++)(\*?)=(?:"((?:[^"\\]|\\.)*)"|([^\s;"]+))')
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[^\s"()<>,;:@]+|[ \t\r\n]+|.', re.DOTALL)
_WORD = re.compile(rb"[ \t\r\n]+|[^ \t\r\n]+")
_CLOSE = re.compile(rb"(?<=\?=)(?=[<:])")
_FOLD = re.compile(rb"[ \t]+(?==\?)")
_ESCAPED = re.compile(rb"%..|[^%]")


def declared_charset(root: Node) -> str:
    """The charset of a message's first part that names one, if it is one of CHARSETS."""
    nodes = [root]
    while nodes:
        node = nodes.pop()
        named = (node.content.parameter(b"charset") or b"").decode("ascii", "replace")
        if named:
            return named.lower() if CHARSETS.fullmatch(named) else ""
        nodes += reversed(node.children)
    return ""


def encode_header(faults: list[str], fallback: str, block: bytes) -> bytes:
    """The header in ASCII; addresses that have no such form are added to `faults`. `fallback`: the charset of octets that are not UTF-8."""
    if block.isascii():
        return block
    out, done = [], 0
    for one in fields(block[: header_end(block)]):
        raw, done = block[one.start : one.end], one.end
        if raw.isascii():
            out.append(raw)
            continue
        head, value = block[one.start : one.value_start], block[one.value_start : one.end]
        name = one.name.lower()
        words = partial(encoded_words, fallback=fallback)
        if name in ADDRESSES:
            value = _addresses(value, faults, words)
        elif name in PARAMETERS:
            value = _PARAMETER.sub(partial(_parameter, fallback), value)
        value = _runs(_WORD, value, words)
        out.append(_fold_before_encoded_words(head.decode("ascii", "replace").encode("ascii", "replace") + value))
    return b"".join(out) + block[done:]


def _addresses(value: bytes, faults: list[str], words: Callable[[bytes], bytes]) -> bytes:
    for found in _QUOTED_LOCAL.finditer(value):
        if not found[1].isascii():
            faults.append(found[0].decode("utf-8", "replace"))
    value = _ADDRESS.sub(partial(_address, faults), value)
    # RFC 2047 §5 (3): whitespace on both sides of an encoded word in a phrase
    return _CLOSE.sub(b" ", _runs(_TOKEN, value, lambda text: words(_unquoted(text))))


def _runs(token: "re.Pattern[bytes]", value: bytes, words: Callable[[bytes], bytes]) -> bytes:
    """Adjacent tokens that are not ASCII become encoded words together, with the whitespace between them."""
    out: list[bytes] = []
    run, gap = b"", b""
    for text in token.findall(value):
        if not text.isascii():
            run, gap = (run + gap + text if run else text), b""
        elif run and not text.strip(b" \t\r\n"):
            gap = text
        else:
            out += [words(run), gap, text] if run else [text]
            run, gap = b"", b""
    return b"".join([*out, words(run) if run else b"", gap])


def _unquoted(text: bytes) -> bytes:
    return re.sub(rb'"((?:[^"\\]|\\.)*)"', lambda found: re.sub(rb"\\(.)", rb"\1", found[1]), text)


def _address(faults: list[str], found: "re.Match[bytes]") -> bytes:
    local, domain = found[1], found[2]
    if not local.isascii():
        faults.append(found[0].decode("utf-8", "replace"))
        return found[0]
    try:
        return local + b"@" + ascii_domain(domain.decode("utf-8")).encode()
    except (UnicodeError, ValueError):
        return found[0]


def _parameter(fallback: str, found: "re.Match[bytes]") -> bytes:
    """A parameter whose value is not ASCII, as RFC 2231 §4 writes it; in sections (§4.1) when it is long."""
    value = re.sub(rb"\\(.)", rb"\1", found[3]) if found[3] is not None else found[4]
    if value.isascii():
        return found[0]
    if found[2]:  # already in RFC 2231 form, with some octets unescaped
        return found[1] + b"*=" + b"".join(b"%c" % one if one < 0x80 else b"%%%02X" % one for one in value)
    escaped = b"".join(b"%c" % one if one < 0x80 and chr(one).isalnum() else b"%%%02X" % one for one in value)
    charset = charset_of(value, fallback) + b"''"
    if len(escaped) <= SECTION:
        return found[1] + b"*=" + charset + escaped
    sections = [b""]
    for chunk in _ESCAPED.findall(escaped):
        if len(sections[-1]) + len(chunk) > SECTION:
            sections.append(b"")
        sections[-1] += chunk
    return b";\r\n ".join(
        b"%b*%d*=%b%b" % (found[1], number, b"" if number else charset, section) for number, section in enumerate(sections)
    )


def charset_of(text: bytes, fallback: str = "") -> bytes:
    for charset in ("utf-8", fallback):
        try:
            if charset:
                text.decode(charset)
                return charset.encode()
        except (UnicodeDecodeError, LookupError):
            continue
    return b"unknown-8bit"


def encoded_words(text: bytes, fallback: str = "") -> bytes:
    """The text as encoded words of at most 75 octets (RFC 2047 §2), split between characters, each on a line of its own."""
    text = re.sub(rb"[ \t]*\r\n[ \t]*", b" ", text)
    charset = charset_of(text, fallback)
    words = []
    while text:
        cut = min(len(text), WORD_OCTETS)
        while charset == b"utf-8" and cut < len(text) and text[cut] & 0xC0 == 0x80:
            cut -= 1
        words.append(b"=?" + charset + b"?b?" + b64encode(text[:cut]) + b"?=")
        text = text[cut:]
    return b"\r\n ".join(words)


def _fold_before_encoded_words(field: bytes) -> bytes:
    """Fold lines with encoded words that are over LINE characters before those words."""
    lines = field.split(b"\r\n")
    return b"\r\n".join([_FOLD.sub(b"\r\n ", line) if len(line) > LINE and b"=?" in line else line for line in lines])
