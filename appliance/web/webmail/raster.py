"""Raster images: which parts a message's document shows as pictures, and what octets are: what is shown is what it is, not what it says
it is."""

from collections.abc import Mapping
from typing import Any

TYPES = ("image/png", "image/jpeg", "image/jpg", "image/pjpeg", "image/gif", "image/webp", "image/avif", "image/bmp")
"""The same as PICTURE in modules/attachments.js."""
_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF87a", "image/gif"), (b"GIF89a", "image/gif"),
    (b"BM", "image/bmp"), (b"\0\0\1\0", "image/x-icon"),
)  # fmt: skip
LEAST_OCTETS = 16
"""So many are looked at."""


def is_picture(part: Mapping[str, Any]) -> bool:
    """Is it a picture of the text, which the document shows, rather than an attachment?"""
    return bool(part["cid"]) and part["disposition"] == "inline" and part["type"] in TYPES


def raster_type(octets: bytes) -> str | None:
    """The media type; None for anything else, such as SVG."""
    if octets[:4] == b"RIFF" and octets[8:12] == b"WEBP":
        return "image/webp"
    if octets[4:8] == b"ftyp" and octets[8:12] in (b"avif", b"avis"):
        return "image/avif"
    return next((kind for start, kind in _SIGNATURES if octets.startswith(start)), None)
