"""Dates of HTTP: IMF-fixdate, always GMT and in English (RFC 9110 §5.6.7)."""

from time import gmtime

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def encode_date(at: float) -> str:
    """Such as "Sun, 06 Nov 1994 08:49:37 GMT". `at` in UTC seconds."""
    t = gmtime(at)
    day, month = DAYS[t.tm_wday], MONTHS[t.tm_mon - 1]
    return f"{day}, {t.tm_mday:02} {month} {t.tm_year:04} {t.tm_hour:02}:{t.tm_min:02}:{t.tm_sec:02} GMT"
