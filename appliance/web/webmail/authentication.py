"""What this server itself wrote about the sender of a message: Authentication-Results (RFC 8601), and its warning.

A field counts only when it has this server's name and stands above the first Received field: what stands below came with the message,
and anybody may have written it (RFC 8601 §5).

ARC (RFC 8617) is not read: `arc=pass` says that nobody changed what its sealers claim, and anybody can seal. Without a list of sealers to
believe it confirms no sender, and a failure of DMARC is none the less one. Mailing lists that change messages fail DMARC too: where the
author's domain publishes the policy "none" it does not say what to make of that, so the page says by whom the message was sent, or that
nothing confirms the sender. List-Id and its like are anybody's word, and no reason to say less.
"""

import re
from collections.abc import Iterable, Mapping

WARNING = "x-pillarbox-warning"
"""Stands above a message whose sender is an address of ours, and which came from outside."""
METHODS = ("dmarc", "dkim", "spf")
_COMMENT = re.compile(r"\([^()]*\)")
_NO_POLICY = re.compile(r"(?:\bp|\bpolicy|\bpolicy\.dmarc|\bpolicy\.published-domain-policy)=none\b")
"""As verifiers write it, most of them in a comment."""
_RESULT = re.compile(r"\s*([a-z-]+)\s*=\s*([a-z]+)(.*)", re.DOTALL)
_DOMAIN = re.compile(r"(?:header\.(?:d|from|i)|smtp\.(?:mailfrom|helo))\s*=\s*\"?([^\s;\"]+)")


def is_warned(headers: Iterable[Mapping[str, str]]) -> bool:
    """Wherever it stands: who writes it into a message warns of nobody else."""
    return any(field["name"].lower() == WARNING for field in headers)


def read_authentication(headers: Iterable[Mapping[str, str]], server: str) -> dict[str, list[str]]:
    """{"dkim": ["pass", "example.org"], "dmarc": ["fail", "example.com", "none"]}: of each method the result, then domains.

    Of several results those that pass count, each with its domain. Behind that of DMARC stands "none" where that is the domain's policy.
    """
    found: dict[str, list[str]] = {}
    for field in headers:
        name = field["name"].lower()
        if name == "received":
            break
        if name == "authentication-results":
            _read(field["value"][:4000], server.lower(), found)
    return found


def _read(value: str, server: str, found: dict[str, list[str]]) -> None:
    first, *results = _COMMENT.sub(lambda comment: " p=none " if _NO_POLICY.search(comment[0]) else " ", value.lower()).split(";")
    if first.split()[:1] != [server]:
        return
    for one in results:
        result = _RESULT.match(one)
        if result is None or result[1] not in METHODS:
            continue
        method, told, properties = result.groups()
        search = _DOMAIN.search(properties)
        domain = search[1].rpartition("@")[2] if search else ""
        before = found.get(method, [""])
        if before[0] != "pass":
            found[method] = [told, domain, *(["none"] if method == "dmarc" and _NO_POLICY.search(properties) else [])]
        elif told == "pass" and method != "dmarc":
            before.append(domain)
