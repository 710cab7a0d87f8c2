"""Authentication-Results of a message (RFC 8601), as far as this server itself wrote them.

A field counts only when it has this server's name and stands above the first Received field: what stands below came with the message,
and anybody may have written it (RFC 8601 §5).
"""

import re
from collections.abc import Iterable, Mapping

METHODS = ("dmarc", "dkim", "spf")
_COMMENT = re.compile(r"\([^()]*\)")
_RESULT = re.compile(r"\s*([a-z-]+)\s*=\s*([a-z]+)(.*)", re.DOTALL)
_DOMAIN = re.compile(r"(?:header\.(?:d|from|i)|smtp\.(?:mailfrom|helo))\s*=\s*\"?([^\s;\"]+)")


def read_authentication(headers: Iterable[Mapping[str, str]], server: str) -> dict[str, list[str]]:
    """Result and domain of each method: {"dkim": ["pass", "example.org"]}. Of several results the first that passes counts."""
    found: dict[str, list[str]] = {}
    for field in headers:
        name = field["name"].lower()
        if name == "received":
            break
        if name == "authentication-results":
            _read(field["value"][:4000], server.lower(), found)
    return found


def _read(value: str, server: str, found: dict[str, list[str]]) -> None:
    first, *results = _COMMENT.sub(" ", value.lower()).split(";")
    if first.split()[:1] != [server]:
        return
    for one in results:
        result = _RESULT.match(one)
        if result is None or result[1] not in METHODS or found.get(result[1], [""])[0] == "pass":
            continue
        domain = _DOMAIN.search(result[3])
        found[result[1]] = [result[2], domain[1].rpartition("@")[2] if domain else ""]
