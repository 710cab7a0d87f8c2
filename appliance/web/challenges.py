"""Challenges of passkeys: random octets that an authenticator has to sign, so that an old signature opens nothing.

In memory only, CHALLENGES at most. Each is bound to the cookie that the browser's forms are bound to (before sign-in a random value, then
the session's secret; the digest is kept), good for CHALLENGE_S and for one use: `take` forgets it, whatever comes of it. Asking again
replaces the one before.
"""

import hashlib
import secrets
from collections import OrderedDict

CHALLENGES = 1024
"""More than come in half a minute from one source (`WebOptions.requests_per_s`)."""
CHALLENGE_S = 300.0
CHALLENGE_OCTETS = 32


class Challenges:
    """Those of one page; when there are too many the oldest is forgotten."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[bytes, tuple[bytes, float]] = OrderedDict()

    def give(self, cookie: str, now_mono: float) -> bytes:
        """A new one for the browser with this cookie."""
        digest, challenge = _digest(cookie), secrets.token_bytes(CHALLENGE_OCTETS)
        self._waiting.pop(digest, None)
        while len(self._waiting) >= CHALLENGES:
            self._waiting.popitem(last=False)
        self._waiting[digest] = (challenge, now_mono + CHALLENGE_S)
        return challenge

    def take(self, cookie: str, now_mono: float) -> bytes | None:
        """The one this browser was given, if it still counts."""
        challenge, due_mono = self._waiting.pop(_digest(cookie), (b"", 0.0))
        return challenge if challenge and now_mono < due_mono else None


def _digest(cookie: str) -> bytes:
    return hashlib.sha256(cookie.encode("utf-8", "replace")).digest()
