"""The target of a request (RFC 9112 §3.2) and the Host it is for: decoded once, here, and refused when two readings are possible.

A path is a tuple of decoded segments: a `/` inside a segment (`%2F`) never becomes a separator. Dot segments, control
characters, broken percent-encoding and octets that are no UTF-8 are refused, not repaired: no browser sends them.
How it fails: MisuseError with a few words.
"""

import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from appliance.mail.errors import MisuseError

ARGUMENTS = 50
"""Most `name=value` pairs of a query."""

_PATH = re.compile(r"/(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/]|%[0-9A-Fa-f]{2})*")
_ABSOLUTE = re.compile(r"(?i:https?)://([^/?#@]+)(/[^#]*|\?[^#]*|)")
_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]{2,45})\]|([A-Za-z0-9_.-]{1,253}))(?::([0-9]{1,5}))?")


@dataclass(frozen=True, slots=True)
class Target:
    """`segments` of the path, decoded; ("",) for "/". `query` as it was sent. `authority` of an absolute-form target, else ""."""

    segments: tuple[str, ...]
    query: str = ""
    authority: str = ""

    @property
    def path(self) -> str:
        """For matching of prefixes and for display; never taken apart again."""
        return "/" + "/".join(self.segments)


@dataclass(frozen=True, slots=True)
class HostName:
    """A Host field (RFC 9110 §7.2): a name in lower case without the final dot, or an address; port 0 when none is given."""

    name: str
    port: int
    is_address: bool


def parse_target(text: str) -> Target:
    """Raises MisuseError."""
    authority = ""
    if not text.startswith("/"):
        absolute = _ABSOLUTE.fullmatch(text)
        if absolute is None:
            raise MisuseError("malformed address")
        authority, text = absolute[1], absolute[2] if absolute[2].startswith("/") else f"/{absolute[2]}"
    path, _, query = text.partition("?")
    if _PATH.fullmatch(path) is None:
        raise MisuseError("malformed address")
    segments = tuple(decoded(segment) for segment in path[1:].split("/"))
    if any(segment in (".", "..") for segment in segments):
        raise MisuseError("malformed address")
    return Target(segments, query, authority)


def decoded(text: str) -> str:
    """Percent-decoded UTF-8 without control characters. Raises MisuseError."""
    try:
        plain = unquote_to_bytes(text).decode("utf-8") if "%" in text else text
    except UnicodeDecodeError:
        raise MisuseError("malformed address") from None
    if any(character < " " or character == "\x7f" or character == "\\" for character in plain):
        raise MisuseError("malformed address")
    return plain


def parse_host(text: str) -> HostName:
    """Raises MisuseError."""
    host = _HOST.fullmatch(text.strip())
    if host is None or int(host[3] or 0) > 65535:
        raise MisuseError("malformed Host")
    name = (host[1] or host[2]).lower().removesuffix(".")
    return HostName(name, int(host[3] or 0), host[1] is not None or re.fullmatch(r"[0-9.]+", name) is not None)
