"""Sign-ins that wait for a code: the password was right, and the account has a second factor.

In memory only, PENDING at most, each for PENDING_S and TRIES wrong codes; after that the password is asked for again. What names one is a
random secret in a cookie, of which the digest is kept.
"""

import hashlib
import secrets
from collections import OrderedDict
from dataclasses import dataclass

from appliance.auth.identity import Identity

PENDING = 64
PENDING_S = 300.0
TRIES = 5


@dataclass(slots=True)
class PendingSignIn:
    """`place`: where to go afterwards; `due_mono`: until when it counts; `tries` are left."""

    identity: Identity
    place: str
    due_mono: float
    tries: int = TRIES


class PendingSignIns:
    """Those of one site; when there are too many the oldest is forgotten."""

    def __init__(self) -> None:
        self._pending: OrderedDict[bytes, PendingSignIn] = OrderedDict()

    def add(self, identity: Identity, place: str, now_mono: float) -> str:
        """The secret for the cookie."""
        secret = secrets.token_urlsafe(32)
        while len(self._pending) >= PENDING:
            self._pending.popitem(last=False)
        self._pending[_digest(secret)] = PendingSignIn(identity, place, now_mono + PENDING_S)
        return secret

    def find(self, secret: str, now_mono: float) -> PendingSignIn | None:
        found = self._pending.get(_digest(secret)) if secret else None
        return found if found is not None and now_mono < found.due_mono and found.tries > 0 else None

    def end(self, secret: str) -> bool:
        """Whether it was still there: of two requests that end it at once one is told so."""
        return self._pending.pop(_digest(secret), None) is not None


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()
