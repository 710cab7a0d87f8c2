"""Answers to ACME http-01 challenges, which an ACME client beside the server leaves in a directory (RFC 8555 §8.3).

A token is a file name only after it is nothing but base64url; no link is followed, and what does not begin with the token is no answer.
"""

import os
import re
from pathlib import Path

BELOW = ".well-known/acme-challenge"
ANSWER_OCTETS = 1024
"""Token, a dot and a SHA-256 digest are less than 200 characters."""
_TOKEN = re.compile(r"[A-Za-z0-9_-]{16,256}")


def answer_to(directory: str, token: str) -> str:
    """The key authorization for `token`; "" for none. `directory` "": there is no ACME client."""
    if not directory or _TOKEN.fullmatch(token) is None:
        return ""
    try:
        file = os.open(Path(directory, BELOW, token), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(file, "rb") as opened:  # noqa: PTH123 - a descriptor, not a path
            answer = opened.read(ANSWER_OCTETS).decode("ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""
    return answer if answer.startswith(f"{token}.") else ""
