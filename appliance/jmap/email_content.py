"""Reading a message for JMAP: its header, the decoded body of a part, and body values, each bounded in memory.

A part is decoded as far as it can be: octets after damage are left out, and the body value says so (`isEncodingProblem`).
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from appliance.mail.encoding import DamagedOctets, TransferDecoder, transfer_decoder
from appliance.mail.partmap import IDENTITY, UNKNOWN, Part, find
from appliance.mail.text import PartText
from appliance.protocol.imap.bodystructure_fields import BodyPart
from appliance.store.account_messages import AccountMessage
from appliance.store.body_readers import StoredMessage
from appliance.store.store import Store

from .body_parts import charset_of

CHUNK_OCTETS = 64 * 2**10
VALUE_OCTETS = 1_000_000
"""Of all body values of one message; a larger text is cut, and says so."""


async def open_message(store: Store, message: AccountMessage) -> StoredMessage:
    """The message with its octets at hand. Raises StoreError."""
    opened = StoredMessage(message.prefix, message.parts, await store.bodies.open_body(message.body))
    await opened.open()
    return opened


async def octets_of(message: StoredMessage, start: int, end: int) -> AsyncIterator[bytes]:
    """A range of the message in chunks, ending early with the message. Raises StoreError."""
    while start < end:
        chunk = await message.read(start, min(CHUNK_OCTETS, end - start))
        if not chunk:
            return
        yield chunk
        start += len(chunk)


def extent_of(message: StoredMessage, section: tuple[int, ...]) -> Part | None:
    """The part's offsets in the body; add the prefix's length."""
    return find(message.parts, section)


async def decoded(message: StoredMessage, part: Part) -> AsyncIterator[bytes]:
    """The body of a part, decoded; as it stands where its encoding is unknown. Raises DamagedOctets, StoreError."""
    shift = len(message.prefix)
    decoder = None if part.transfer == UNKNOWN else transfer_decoder(part.transfer)
    async for chunk in octets_of(message, part.body_start + shift, part.end + shift):
        yield decoder.feed(chunk) if decoder is not None else chunk
    if decoder is not None:
        yield decoder.finish()


async def decoded_size(message: StoredMessage, part: Part) -> int:
    """Octets of the decoded body, as far as it can be decoded; only what is encoded has to be read."""
    if part.transfer in (IDENTITY, UNKNOWN):
        return max(min(part.end + len(message.prefix), message.octets) - part.body_start - len(message.prefix), 0)
    size = 0
    try:
        async for chunk in decoded(message, part):
            size += len(chunk)
    except DamagedOctets:
        pass
    return size


async def header_block(message: StoredMessage, part: Part | None, most: int) -> bytes:
    """The header of the message (`part` None) or of a part, at most so many octets."""
    shift = len(message.prefix)
    start, end = (0, message.header_octets) if part is None else (part.header_start + shift, part.body_start + shift)
    return b"".join([chunk async for chunk in octets_of(message, start, min(end, start + most))])


@dataclass(slots=True)
class BodyValue:
    """EmailBodyValue of RFC 8621 §4.1.4."""

    value: str
    is_encoding_problem: bool
    is_truncated: bool

    def encode(self) -> dict[str, object]:
        return {"value": self.value, "isEncodingProblem": self.is_encoding_problem, "isTruncated": self.is_truncated}


async def body_value(message: StoredMessage, structure: BodyPart, most_octets: int) -> BodyValue:
    """The text of a text part, line ends as LF, cut to `most_octets` of UTF-8 at a character. Raises StoreError.

    Damaged octets are passed over, as in SEARCH; the strict decoder beside the lenient one tells that there were some.
    """
    part = extent_of(message, structure.section)
    if part is None:
        return BodyValue("", True, False)
    reader = PartText(part.transfer, charset_of(structure) or "utf-8")
    strict = None if part.transfer == UNKNOWN else transfer_decoder(part.transfer)
    problem = strict is None
    kept: list[str] = []
    size, shift = 0, len(message.prefix)
    async for chunk in octets_of(message, part.body_start + shift, part.end + shift):
        kept.append(reader.feed(chunk))
        size += len(kept[-1])
        if strict is not None and not _is_sound(strict, chunk):
            strict, problem = None, True
        if size > most_octets:
            break
    else:
        kept.append(reader.finish())
        problem = problem or (strict is not None and not _is_sound(strict, None))
    text = "".join(kept).replace("\r\n", "\n").replace("\0", "\ufffd")
    shown = _cut(text, most_octets, html=structure.subtype == "html")
    return BodyValue(shown, problem or "\ufffd" in shown, shown != text)


def _is_sound(decoder: TransferDecoder, chunk: bytes | None) -> bool:
    """Is the next chunk, or the end, valid in the part's encoding?"""
    try:
        decoder.finish() if chunk is None else decoder.feed(chunk)
    except DamagedOctets:
        return False
    return True


def _cut(text: str, most_octets: int, *, html: bool) -> str:
    """As much as fits, no half character, and no half tag of HTML (RFC 8621 §4.2)."""
    encoded = text.encode("utf-8", "replace")
    if len(encoded) <= most_octets:
        return text
    shown = encoded[:most_octets].decode("utf-8", "ignore")
    return shown[: shown.rfind("<")] if html and shown.rfind("<") > shown.rfind(">") else shown
