"""The octets of a new message, part after part, in chunks (RFC 5322, RFC 2045, RFC 2046).

| content                                                 | written as                                                               |
|---------------------------------------------------------|--------------------------------------------------------------------------|
| text in ASCII, lines of at most 998 octets              | as it is                                                                 |
| other text                                              | quoted-printable or base64 in UTF-8, whichever is shorter                |
| a blob                                                  | base64                                                                   |
| a message (message/rfc822), which may not be encoded    | as it is, line ends CRLF; 8bit where it has such octets (RFC 2046 §5.2.1)|
| a message with lines that are too long, or NUL          | base64 as application/octet-stream: as a message it could not be sent    |

Promises: every line ends in CRLF and has at most 998 octets; memory is a chunk; a boundary stands nowhere else, being random.
Raises StoreError.
"""

import re
import secrets
from collections.abc import AsyncIterator, Sequence
from functools import partial

import trio

from appliance.mail.body_encoders import Base64Encoder, quoted_line
from appliance.mail.header_encoding import MOST_OCTETS, encode_field, mime_tokens, parameter_tokens

from .blobs import Blob
from .email_create import NewEmail, NewPart
from .header_setting import Fields

AT_ONCE_CHARACTERS = 20_000
"""Texts that are longer are encoded in a thread."""
_SEVEN_BIT = re.compile(r"[\t\n\x20-\x7e]*")
_BARE = re.compile(rb"\r?\n|\r")
_WIDE = re.compile(rb"[\x80-\xff]")


async def write_message(email: NewEmail, extra: Fields) -> AsyncIterator[bytes]:
    """`extra`: fields that go into the header where the client gave none of that name."""
    names = {name for name, _ in email.fields} | {name for name, _ in email.root.fields}
    fields = [octets for _, octets in email.fields]
    fields += [octets for name, octets in extra if name not in names]
    if "mime-version" not in names:
        fields.append(b"MIME-Version: 1.0\r\n")
    forms = await _forms_of(email.root)
    yield b"".join(fields)
    async for chunk in _part(email.root, forms):
        yield chunk


async def _forms_of(root: NewPart) -> dict[int, str]:
    """The transfer encodings of all parts that are blobs, by `id` of the part; a blob in several parts is read once.

    A message that no encoding but base64 could carry is sent as octets, since base64 is not allowed for it (RFC 2046 §5.2.1).
    """
    forms: dict[int, str] = {}
    of_messages: dict[str, str] = {}
    for part in root.walk():
        if part.blob is None:
            continue
        forms[id(part)] = "base64"
        if part.type.startswith("message/"):
            if part.blob.id not in of_messages:
                of_messages[part.blob.id] = await _form_of(part.blob)
            forms[id(part)] = of_messages[part.blob.id]
            if forms[id(part)] == "base64":
                part.type = "application/octet-stream"
    return forms


async def _form_of(blob: Blob) -> str:
    """The transfer encoding of a message: "7bit" or "8bit" where it can be sent so, else "base64"."""
    wide, length = False, 0
    async for chunk in blob.chunks:
        lines = _BARE.split(b"." * length + chunk)
        if b"\0" in chunk or any(len(line) > MOST_OCTETS for line in lines):
            return "base64"
        wide = wide or _WIDE.search(chunk) is not None
        length = len(lines[-1])
    return "8bit" if wide else "7bit"


async def _part(part: NewPart, forms: dict[int, str]) -> AsyncIterator[bytes]:
    """Header and body of a part."""
    if part.children:
        boundary = f"=_{secrets.token_hex(16)}"
        wide = any(forms.get(id(one)) == "8bit" for one in part.walk())
        yield _header(part, [f'boundary="{boundary}"'.encode()], "8bit" if wide else "")
        for child in part.children:
            yield f"--{boundary}\r\n".encode()
            async for chunk in _part(child, forms):
                yield chunk
            yield b"\r\n"
        yield f"--{boundary}--\r\n".encode()
    elif part.text is not None:
        encode = partial(encode_text, part.text)
        encoding, octets = encode() if len(part.text) <= AT_ONCE_CHARACTERS else await trio.to_thread.run_sync(encode)
        yield _header(part, [b"charset=utf-8"], encoding)
        yield octets
    elif part.blob is not None:
        encoding = forms[id(part)]
        yield _header(part, [f"charset={part.charset}".encode()] if part.charset else [], encoding)
        async for chunk in _encoded(part.blob, encoding):
            yield chunk


async def _encoded(blob: Blob, encoding: str) -> AsyncIterator[bytes]:
    if encoding != "base64":
        held = b""
        async for chunk in blob.chunks:
            octets = held + chunk
            held = b"\r" if octets.endswith(b"\r") else b""
            yield _BARE.sub(b"\r\n", octets[: len(octets) - len(held)])
        yield b"\r\n" if held else b""
        return
    encoder = Base64Encoder()
    async for chunk in blob.chunks:
        yield encoder.feed(chunk)
    yield encoder.finish()


def _header(part: NewPart, parameters: Sequence[bytes], encoding: str) -> bytes:
    """The MIME fields of a part and the empty line. A name belongs to the disposition, or else to the type."""
    name = part.name or ""
    of_type = parameter_tokens("name", name) if name and not part.disposition else []
    given = [parameter.encode("ascii") for parameter in part.parameters]
    fields = [encode_field("Content-Type", mime_tokens(part.type, [*parameters, *given, *of_type]))]
    if part.disposition:
        of_disposition = parameter_tokens("filename", name) if name else []
        fields.append(encode_field("Content-Disposition", mime_tokens(part.disposition, of_disposition)))
    if part.cid:
        fields.append(encode_field("Content-ID", [f"<{part.cid}>".encode()]))
    if part.languages:
        fields.append(encode_field("Content-Language", [", ".join(part.languages).encode()]))
    if part.location:
        fields.append(encode_field("Content-Location", [part.location.encode()]))
    fields += [octets for _, octets in part.fields]
    if encoding and encoding != "7bit":
        fields.append(f"Content-Transfer-Encoding: {encoding}\r\n".encode())
    return b"".join(fields) + b"\r\n"


def encode_text(text: str) -> tuple[str, bytes]:
    """The transfer encoding and the octets of a text whose lines end in LF."""
    text = text.replace("\r\n", "\n")
    if _SEVEN_BIT.fullmatch(text) and all(len(line) <= MOST_OCTETS for line in text.split("\n")):
        return "7bit", text.replace("\n", "\r\n").encode("ascii")
    octets = text.encode("utf-8", "replace").replace(b"\n", b"\r\n")
    quoted = b"\r\n".join([quoted_line(line) for line in octets.split(b"\r\n")])
    if len(quoted) <= len(octets) * 4 / 3 + 2:
        return "quoted-printable", quoted
    encoder = Base64Encoder()
    return "base64", encoder.feed(octets) + encoder.finish()
