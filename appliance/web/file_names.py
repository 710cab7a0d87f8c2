"""File names that a sender chose, as they may be saved on any system: no path, nothing hidden or turned round, no name of a device."""

import re

from .plain_text import UNPLAIN

MOST_CHARACTERS = 120
_REFUSED = re.compile(rf'[{UNPLAIN}/\\:*?"<>|]+')
_DEVICE = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d) *(?:\.|$)", re.IGNORECASE)


def safe_file_name(name: str) -> str:
    """ "" when nothing is left of it. A long name keeps its end, which says what it is."""
    clean = re.sub(r"\s+", " ", _REFUSED.sub("_", name)).strip(". ")
    if len(clean) > MOST_CHARACTERS:
        clean = f"{clean[: MOST_CHARACTERS - 21]}~{clean[-20:]}"
    return f"_{clean}" if _DEVICE.match(clean) else clean
