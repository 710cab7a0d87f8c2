"""Flags as clients write them, and in wire form, one text for each combination in use (RFC 9051 §9 flag-list)."""

from collections.abc import Sequence

from appliance.mail.errors import MisuseError
from appliance.mail.flags import KEYWORD_SHIFT, SYSTEM_NAMES

FLAG_TEXTS = 4096
"""Encoded combinations of flags kept; a mailbox has a few dozen."""
KNOWN = frozenset(name.lower() for _, name in SYSTEM_NAMES)
KEYWORD_OCTETS = 255
"""Longest keyword; real ones are far shorter."""


def checked(flags: list[str]) -> tuple[str, ...]:
    """The flags a client may store; \\Recent cannot be changed and is skipped (RFC 3501 §2.3.2). Raises MisuseError."""
    for flag in flags:
        if (flag.startswith("\\") and flag.lower() not in KNOWN and flag.lower() != "\\recent") or len(flag) > KEYWORD_OCTETS:
            raise MisuseError(f"there is no flag {flag[:40]}")
    return tuple(flag for flag in flags if flag.lower() != "\\recent")


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
