"""Where links lead, said beside those that a reader may take for others: their text names another host, what stands before an "@"
looks like one, or characters of another script look like those of a name one knows (UTS #39).
"""

import re
from html import escape, unescape
from unicodedata import normalize
from urllib.parse import urlsplit

from ..plain_text import TURNING

_LINK = re.compile(r'<a(?: [a-z-]+="[^"]*")*+>(?P<inside>.*?)</a>', re.DOTALL)
_HREF = re.compile(r' href="([^"]*)"')
_TAG = re.compile(r"<[^<>]*>")
_UNSEEN = re.compile(f"[\u00ad\u034f\u180e\u200b-\u200d\u2060-\u2065\u206a-\u206f\ufeff{TURNING}]+")
_NAMED = re.compile(r"\W*(?:https?:\W{1,4})?((?:[\w-]{1,63}\.){1,20}[^\W\d_][\w-]{1,62})", re.IGNORECASE)
_SAME = "www."
_LAST_LATIN = "\u024f"
"""Up to this one they are of the Latin alphabet, with marks that can be seen."""


def marked_links(html: str) -> str:
    """Clean HTML; the hosts are added behind the links."""
    return _LINK.sub(_with_host, html) if "</a>" in html else html


def _with_host(found: re.Match[str]) -> str:
    href = _HREF.search(found[0], 0, found.start("inside") - found.start())
    host = other_host(unescape(href[1]), unescape(_TAG.sub("", found["inside"]))) if href else ""
    return found[0] + mark(host)


def mark(host: str) -> str:
    """Without quotes: it may stand in the value of an attribute."""
    return f" <bdi class=leads>[{escape(host)}]</bdi>" if host else ""


def other_host(address: str, text: str) -> str:
    """The host that a link leads to, where its text does not say so; else ""."""
    try:
        parts = urlsplit(address.replace("\\", "/"))  # as browsers read it (URL Standard §4.4)
        host = (parts.hostname or "").rstrip(".")
    except ValueError:
        return ""
    if parts.scheme.lower() not in ("http", "https") or not host:
        return ""
    ascii_host = _ascii(host)
    if "@" in parts.netloc or (not host.isascii() and max(host) > _LAST_LATIN):
        return ascii_host
    shown = normalize("NFKC", _UNSEEN.sub("", text))
    named = _NAMED.match(shown) if "." in shown else None
    if named is None:
        return ""
    told = _ascii(named[1]).removeprefix(_SAME)
    leads = ascii_host.removeprefix(_SAME)
    return "" if leads == told or leads.endswith(f".{told}") else ascii_host


def _ascii(host: str) -> str:
    """As DNS is asked for it."""
    try:
        return host.lower().encode("idna").decode()
    except UnicodeError:
        return host.lower()
