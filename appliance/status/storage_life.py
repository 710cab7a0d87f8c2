"""How long the storage will last at the rate it is written, estimated; for cards that do not report their wear.

An SD card of today is rewritten some hundred times before it fails, and writes several times what it is given, since it erases
in large blocks. Both are assumptions on the careful side, not measured: an estimate is for noticing that something writes far too
much, not for planning.
"""

from appliance.mail.sentence import Sentence

CYCLES = 300
AMPLIFICATION = 5
SHORT_YEARS = 2.0
"""Below this it is worth a warning."""
LONG_YEARS = 20.0
"""Above this nobody needs the number."""


def life_years(total_octets: int, written_octets_a_day: int) -> float | None:
    """Years from new until the storage is worn out; None where the size or the rate is not known."""
    if not total_octets or not written_octets_a_day:
        return None
    return total_octets * CYCLES / (AMPLIFICATION * written_octets_a_day) / 365


def life_text(total_octets: int, written_octets_a_day: int) -> str:
    """ "enough for 7 years", "enough for more than 20 years"; "" where it is not known."""
    years = life_years(total_octets, written_octets_a_day)
    if years is None:
        return ""
    if years > LONG_YEARS:
        return Sentence("enough for more than %(years)s years", years=f"{LONG_YEARS:.0f}")
    if years >= SHORT_YEARS:
        return Sentence("enough for %(years)s years", years=f"{years:.0f}")
    return Sentence("enough for %(months)s months", months=f"{12 * years:.0f}")
