"""The URL of a push service, as a client registers it (RFC 8620 §7.2)."""

from typing import NamedTuple
from urllib.parse import urlsplit

from appliance.mail.errors import MisuseError

MOST_CHARACTERS = 2048
PORT = 443


class PushEndpoint(NamedTuple):
    """`target`: path and query."""

    host: str
    target: str

    @property
    def origin(self) -> str:
        """As RFC 6454 §6.2 writes it."""
        return f"https://{f'[{self.host}]' if ':' in self.host else self.host}"


def parse_push_endpoint(url: str) -> PushEndpoint:
    """Raises MisuseError for what is no URL of https, or names a user or another port than 443."""
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").rstrip("."), parts.port
    except ValueError:
        raise MisuseError("this is not a URL") from None
    is_plain = url.isascii() and url.isprintable() and " " not in url and len(url) <= MOST_CHARACTERS
    if not is_plain or not url.startswith("https://") or not host or "@" in parts.netloc or "%" in host:
        raise MisuseError("a push service has a URL that begins with https://")
    if port not in (None, PORT):
        raise MisuseError("a push service is at port 443")
    return PushEndpoint(host, (parts.path or "/") + (f"?{parts.query}" if parts.query else ""))
