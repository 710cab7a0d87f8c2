"""Decode transfer encodings, encoded words and encoded parameters (RFC 2045 §6, RFC 2047, RFC 2231).

Transfer decoders take chunks of any size, run in linear time and buffer at most the tail of one line; invalid
octets raise DamagedOctets, because half an attachment looks like a whole one. Header text for display is
decoded as far as possible and never raises.
"""

import re
from binascii import Error as BinasciiError
from binascii import a2b_base64, a2b_qp
from codecs import lookup
from typing import Protocol

from .errors import MisuseError
from .partmap import BASE64, IDENTITY, QUOTED_PRINTABLE

_BAD_ESCAPE = re.compile(rb"=(?![0-9A-Fa-f]{2})")
_WORD = re.compile(r"=\?([!#-'*+\-0-9A-Z^-~]{1,80})\?([bBqQ])\?([^? \t\r\n]*)\?=")
_BETWEEN_WORDS = re.compile(r"\?=[ \t\r\n]+=\?")
_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")
_TEXT_HELD_OCTETS = 64 * 2**10
"""A quoted-printable line is decoded at once up to this, a longer one in chunks."""
_BLANKS_HELD = 76
"""RFC 2045 §6.7 (5) limits lines to 76; more white space than this in a row is not text."""
_NOT_CHARSETS = frozenset(("idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined"))
_CHARSETS: tuple[tuple[str, str], ...] = (
    ("us-ascii", "utf-8"), ("ascii", "utf-8"), ("utf8", "utf-8"), ("utf-8", "utf-8"),
    ("iso-8859-1", "cp1252"), ("latin1", "cp1252"), ("gb2312", "gb18030"), ("gbk", "gb18030"), ("ks_c_5601-1987", "cp949"),
    ("shift_jis", "cp932"), ("iso-8859-8-i", "iso-8859-8"),
)  # fmt: skip
"""Charset names in mail, and the superset that is meant."""


class DamagedOctets(MisuseError):
    """The octets are not valid in their transfer encoding."""


class TransferDecoder(Protocol):
    def feed(self, chunk: bytes) -> bytes:
        """What can be decoded so far; raises DamagedOctets at the first invalid octet."""
        ...

    def finish(self) -> bytes:
        """The rest; raises DamagedOctets when the encoded text is incomplete."""
        ...


def transfer_decoder(transfer: int) -> TransferDecoder | None:
    """A decoder for a transfer encoding of the part map; None for an unknown encoding (NO [UNKNOWN-CTE], RFC 9051 §7.1)."""
    if transfer == IDENTITY:
        return _Identity()
    if transfer == BASE64:
        return _Base64()
    if transfer == QUOTED_PRINTABLE:
        return _QuotedPrintable()
    return None


class _Identity:
    def feed(self, chunk: bytes) -> bytes:
        return chunk

    def finish(self) -> bytes:
        return b""


class _Base64:
    """RFC 2045 §6.8: white space and line ends anywhere, padding at the end only, nothing else."""

    def __init__(self) -> None:
        self._held = b""
        self._ended = False

    def feed(self, chunk: bytes) -> bytes:
        octets = self._held + chunk.translate(None, b" \t\r\n")
        if self._ended:
            if octets:
                raise DamagedOctets("there are octets after the base64 padding")
            return b""
        padding = octets.find(b"=")
        if padding < 0:
            size = len(octets) & ~3
        else:
            size = (padding & ~3) + 4
            if len(octets) < size:
                size -= 4
            else:
                self._ended = True
                if len(octets) > size:
                    raise DamagedOctets("there are octets after the base64 padding")
        self._held = octets[size:]
        try:
            return a2b_base64(octets[:size], strict_mode=True) if size else b""
        except BinasciiError as error:
            raise DamagedOctets("not base64") from error

    def finish(self) -> bytes:
        if self._held:
            raise DamagedOctets("the base64 text is incomplete")
        return b""


class _QuotedPrintable:
    """RFC 2045 §6.7: trailing white space is removed, every line end becomes CRLF, a bare CR or half an escape raises."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, chunk: bytes) -> bytes:
        self._held += chunk
        end = self._held.rfind(b"\n", len(self._held) - len(chunk)) + 1
        if end:
            lines = bytes(self._held[:end])
            del self._held[:end]
            return self._decode(lines)
        return self._part_of_line() if len(self._held) > _TEXT_HELD_OCTETS else b""

    def finish(self) -> bytes:
        rest = bytes(self._held).rstrip(b" \t")
        self._held.clear()
        if not rest:
            return b""
        # "=" as the last octet: a soft line break whose line end belongs to the boundary.
        return self._decode(rest + b"\n")[: None if rest.endswith(b"=") else -2]

    def _part_of_line(self) -> bytes:
        """Decodes the beginning of a very long line: not the white space or the escape at its end, which may go on."""
        text = bytes(self._held).rstrip(b" \t\r")
        if len(self._held) - len(text) > _BLANKS_HELD:
            del self._held[len(text) + _BLANKS_HELD :]
        text = text[:-1] if text.endswith(b"=") else text[:-2] if text[-2:-1] == b"=" else text
        if not text:
            return b""
        del self._held[: len(text)]
        return self._decode(text + b"\n")[:-2]

    def _decode(self, lines: bytes) -> bytes:
        """Complete lines, each with its LF."""
        out: list[bytes] = []
        for line in lines.split(b"\n")[:-1]:
            line = line.removesuffix(b"\r").rstrip(b" \t")
            if line.endswith(b"="):
                out.append(line[:-1])
            else:
                out.append(line)
                out.append(b"\r\n")
        if any(b"\r" in line for line in out if line != b"\r\n"):
            raise DamagedOctets("a bare CR in quoted-printable")
        text = b"".join(out)
        if b"=" not in text:
            return text
        if _BAD_ESCAPE.search(text):
            raise DamagedOctets("an invalid escape in quoted-printable")
        return a2b_qp(text)


def header_as_binary(block: bytes, transfer: int) -> bytes:
    """A part's header block as BINARY returns it: Content-Transfer-Encoding is binary where the body is decoded (RFC 9051 §6.4.5.1)."""
    from .header import select

    if transfer not in (BASE64, QUOTED_PRINTABLE):
        return block
    kept = select(block, frozenset((b"content-transfer-encoding",)), leave_out=True)
    return kept[:-2] + b"Content-Transfer-Encoding: binary\r\n\r\n"


def decode_text(octets: bytes, charset: str) -> str:
    """Text decoded from a charset as mail names it; invalid octets become U+FFFD, an unknown charset is read as UTF-8."""
    name = charset.strip().lower()
    name = next((real for alias, real in _CHARSETS if alias == name), name)
    try:
        codec = lookup(name).name if name.isascii() and len(name) < 40 else "utf-8"
        text = octets.decode("utf-8" if codec.replace("-", "_") in _NOT_CHARSETS else codec, "replace")
    except (LookupError, ValueError):
        return octets.decode("utf-8", "replace")
    if codec == "utf-7":  # the one codec that makes surrogates, which are no characters: no store and no client could have the text
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def decode_words(value: bytes) -> str:
    """A header value for display: encoded words decoded, white space between two of them removed (RFC 2047 §6.2); raw octets are UTF-8."""
    if b"=?" not in value:
        return value.decode("utf-8", "replace")
    text = value.decode("utf-8", "surrogateescape")  # raw octets inside a Q word are in the word's charset
    text = _BETWEEN_WORDS.sub("?==?", text)
    chunks: list[str] = []
    at = 0
    pending: tuple[str, bytes] | None = None  # adjacent words of one charset are joined first: a character may be split between them
    for found in _WORD.finditer(text):
        charset = found[1].partition("*")[0].lower()  # RFC 2231 §5: a language may follow
        octets = _word_octets(found[2], found[3])
        if octets is None:
            continue
        if pending and pending[0] == charset and at == found.start():
            pending = (charset, pending[1] + octets)
        else:
            if pending:
                chunks.append(decode_text(pending[1], pending[0]))
            chunks.append(text[at : found.start()])
            pending = (charset, octets)
        at = found.end()
    if pending:
        chunks.append(decode_text(pending[1], pending[0]))
    chunks.append(text[at:])
    return "".join(chunks).encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _word_octets(encoding: str, encoded: str) -> bytes | None:
    raw = encoded.encode("utf-8", "surrogateescape")
    if encoding in "qQ":
        return a2b_qp(raw.replace(b"_", b" "), header=False)
    try:
        return a2b_base64(raw.rstrip(b"=") + b"=" * (-len(raw.rstrip(b"=")) % 4))
    except BinasciiError:
        return None


def decode_parameter(parameters: list[tuple[bytes, bytes]], name: bytes) -> str | None:
    """The parameter of that lower-case name for display: RFC 2231 first, then plain with encoded words decoded (despite RFC 2047 §5)."""
    plain: str | None = None
    for key, value in parameters:
        key = key.lower()
        if key == name + b"*":
            charset, _, rest = value.partition(b"'")
            _, quote, text = rest.partition(b"'")
            octets = _ESCAPE.sub(lambda found: bytes.fromhex(found[1].decode("ascii")), text if quote else value)
            return decode_text(octets, charset.decode("ascii", "replace") if quote and charset else "utf-8")
        if key == name and plain is None:
            plain = decode_words(value)
    return plain
