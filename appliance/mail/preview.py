"""Preview of a message: its first words, decoded, without markup, on one line (RFC 8970 §3).

Made from the first octets of a text part; a truncated end is not an error. Never raises.
"""

import re

from .content import Content
from .encoding import DamagedOctets, decode_parameter, decode_text, transfer_decoder

PREVIEW_CHARACTERS = 200
"""RFC 8970 §3.2 allows 256; 200 are enough for a message list."""
_UNSEEN = re.compile(r"<(?:style|script|head|title)\b|<!--", re.IGNORECASE)
_ENDS = {f"<{name}": re.compile(f"</{name}", re.IGNORECASE) for name in ("style", "script", "head", "title")} | {"<!--": re.compile("-->")}
_TAG = re.compile(r"<[^<>]*>")
_ENTITY = re.compile(r"&(#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z]{2,6});")
_ENTITIES: tuple[tuple[str, str], ...] = (
    ("lt", "<"), ("gt", ">"), ("amp", "&"), ("quot", '"'), ("apos", "'"), ("nbsp", " "), ("auml", "ä"), ("ouml", "ö"), ("uuml", "ü"),
    ("Auml", "Ä"), ("Ouml", "Ö"), ("Uuml", "Ü"), ("szlig", "ß"), ("eacute", "é"), ("egrave", "è"), ("agrave", "à"), ("ccedil", "ç"),
    ("ndash", "–"), ("mdash", "—"), ("hellip", "…"), ("rsquo", "’"), ("lsquo", "‘"), ("ldquo", "“"), ("rdquo", "”"), ("euro", "€"),
    ("copy", "©"), ("zwnj", ""), ("shy", ""),
)  # fmt: skip
"""Those common in mail; the full table would take more memory than the rest of this package."""


def preview(content: Content, transfer: int, octets: bytes) -> str:
    """At most PREVIEW_CHARACTERS of the text that starts with `octets`, quoted lines left out, every run of white space as one space."""
    text = decode_text(_decoded(transfer, octets), decode_parameter(content.parameters, b"charset") or "utf-8")
    if (content.subtype or b"").lower() == b"html":
        text = without_markup(text)
    elif ">" in text:
        text = "\n".join([line for line in text.split("\n") if not line.startswith(">")])
    words = text.replace("\0", " ").split(None, PREVIEW_CHARACTERS // 2 + 1)[: PREVIEW_CHARACTERS // 2 + 1]
    return " ".join(words)[:PREVIEW_CHARACTERS].rstrip(" \ufffd")


def without_markup(text: str) -> str:
    """HTML as plain text: tags, comments, styles and scripts removed, entities resolved, an incomplete tag at the end dropped."""
    return resolved(without_tags(text))


def without_tags(text: str) -> str:
    """The same with its entities as they are: each run without white space and "&" stands in the HTML as well."""
    chunks: list[str] = []
    at = 0
    while found := _UNSEEN.search(text, at):
        chunks.append(text[at : found.start()])
        stop = _ENDS[found[0].lower()].search(text, found.end())
        at = text.find(">", stop.start()) + 1 if stop else 0
        if not at:
            at = len(text)
    chunks.append(text[at:])
    bare = _TAG.sub(" ", " ".join(chunks))
    cut = bare.rfind("<")
    return bare[:cut] if cut >= 0 and bare[cut + 1 : cut + 2].strip() else bare


def resolved(text: str) -> str:
    """With characters in place of the entities."""
    return _ENTITY.sub(lambda found: _entity(found[1]), text) if "&" in text else text


def _entity(name: str) -> str:
    if name.startswith("#"):
        number = int(name[2:], 16) if name[1] in "xX" else int(name[1:])
        return chr(number) if 32 <= number < 0x110000 and not 0xD800 <= number < 0xE000 else " "
    return next((text for key, text in _ENTITIES if key == name), " ")


def _decoded(transfer: int, octets: bytes) -> bytes:
    """The decoded start of a text; ends at the first invalid octet, empty for an unknown encoding."""
    decoder = transfer_decoder(transfer)
    if decoder is None:
        return b""
    decoded = b""
    try:
        decoded = decoder.feed(octets)
        decoded += decoder.finish()
    except DamagedOctets:
        pass
    return decoded
