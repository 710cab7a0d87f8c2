"""Sizes, instants and spans of time as people read them: decimal mark and date as the language writes them."""

from time import gmtime, strftime

from appliance.languages.catalogues import ENGLISH, Language
from appliance.mail.clock import Clock

DAY_S = 86_400


def size(octets: float, _: Language = ENGLISH) -> str:
    """In kB, MB, GB or TB of a thousand each, with three digits at most."""
    value, unit = float(octets), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 999.5:
            break
        value, unit = value / 1000, larger
    return f"{value:.1f} {unit}".replace(".", _.decimal) if value < 9.95 and unit != "B" else f"{value:.0f} {unit}"


def when(at: float, clock: Clock, _: Language = ENGLISH) -> str:
    """A local instant: the time for today, with the date for other days; "-" for 0."""
    if not at:
        return "-"
    offset_s, now = clock.utc_offset_s(), clock.wall_s()
    same_day = (int(at) + offset_s) // DAY_S == (int(now) + offset_s) // DAY_S
    return strftime("%H:%M" if same_day else f"{_.date} %H:%M", gmtime(at + offset_s))


def date(at: float, clock: Clock, _: Language = ENGLISH) -> str:
    """A local date; "-" for 0."""
    return strftime(_.date, gmtime(at + clock.utc_offset_s())) if at else "-"


def span(seconds: float) -> str:
    """Days, hours and minutes, the two largest of them: "3 d 4 h"."""
    minutes = int(seconds // 60)
    parts = [(minutes // 1440, "d"), (minutes // 60 % 24, "h"), (minutes % 60, "min")]
    shown = [f"{number} {unit}" for number, unit in parts if number][:2]
    return " ".join(shown) or "0 min"


BROWSERS = (
    ("Edg/", "Edge"), ("OPR/", "Opera"), ("SamsungBrowser/", "Samsung Internet"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"),
    ("CriOS/", "Chrome"), ("FxiOS/", "Firefox"), ("Safari/", "Safari"), ("curl/", "curl"),
)  # fmt: skip
SYSTEMS = (
    ("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("Windows", "Windows"), ("Mac OS X", "macOS"), ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)  # fmt: skip
"""What a User-Agent field names, the first that fits: most of them claim to be several."""


def browser(agent: str) -> str:
    """A browser and its system, such as "Firefox, Windows"; what is not known as it was sent."""
    found = [next((name for mark, name in table if mark in agent), "") for table in (BROWSERS, SYSTEMS)]
    return ", ".join(filter(None, found)) or agent
