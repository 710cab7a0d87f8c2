"""Flags in wire form, one text for each combination in use (RFC 9051 §9 flag-list)."""

from collections.abc import Sequence

from appliance.mail.flags import KEYWORD_SHIFT, SYSTEM_NAMES

FLAG_TEXTS = 4096
"""Encoded combinations of flags kept; a mailbox has a few dozen."""


class FlagTexts(dict[int, bytes]):
    """Flags encoded as `(\\Seen work)`, once for each combination; bits without a name yet are sent by the next sync."""

    __slots__ = ("_always", "_keywords")

    def __init__(self, keywords: Sequence[str], always: bytes = b"") -> None:
        self._keywords = keywords
        self._always = always

    def __missing__(self, flags: int) -> bytes:
        names = [name.encode() for bit, name in SYSTEM_NAMES if flags & bit]
        names += [name.encode("utf-8") for place, name in enumerate(self._keywords) if flags >> (KEYWORD_SHIFT + place) & 1]
        if self._always:
            names.append(self._always)
        if len(self) >= FLAG_TEXTS:
            self.clear()
        text = self[flags] = b"(" + b" ".join(names) + b")"
        return text
