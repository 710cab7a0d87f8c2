"""Security fields of every response, and the checks that a request which changes something was meant by its sender.

Content Security Policy: nothing but what this server serves; no inline code or style, no eval, no frames around or in a page. Trusted
Types: no string becomes code; the one policy that may exist makes the service worker's URL.
Forged requests: SameSite=Strict keeps the cookie home; Sec-Fetch-Site and Origin say where a request comes from; the token,
made from the cookie's secret and masked anew for each page, says that the form was ours.
"""

import base64
import hashlib
import hmac
import os

from .message import HttpRequest, HttpResponse

POLICY = "; ".join((
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' blob:",
    "font-src 'self'",
    "connect-src 'self'",
    "manifest-src 'self'",
    "worker-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types service-worker",
))  # fmt: skip
FIELDS = (
    ("content-security-policy", POLICY),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
)
HSTS_DAYS = 7
HSTS_LEAST_DAYS = 14
"""A certificate must last so long before browsers are told to insist on it (RFC 6797 §11.1: nobody shall be locked out)."""
DAY_S = 86_400
TOKEN_FIELD = "x-form-token"  # noqa: S105 - the name of a field
MASK_OCTETS = 16
"""The token is sent masked, so that its octets differ on each page: compression gives nothing away."""


def secure(response: HttpResponse, *, hsts: bool) -> None:
    """Add the fields every response has."""
    names = {name for name, _ in response.fields}
    response.fields += [pair for pair in FIELDS if pair[0] not in names]
    if "cache-control" not in names:
        response.fields.append(("cache-control", response.cached or "no-store"))
    if hsts:
        response.fields.append(("strict-transport-security", f"max-age={HSTS_DAYS * DAY_S}"))


def is_same_origin(request: HttpRequest) -> bool:
    """May a browser have sent this from another site? False if so. A program that sends neither field is no browser.

    Sec-Fetch-Site decides where it is sent. Under Referrer-Policy no-referrer a form of our own has the Origin "null" (Fetch §3.2), as a
    sandboxed page elsewhere has: there the token decides, which such a page cannot know.
    """
    site = request.fields.get("sec-fetch-site")
    if site:
        return site == "same-origin"
    return request.fields.get("origin") in ("", "null", request.origin)


def make_token(secret: str) -> str:
    """A token for forms of whoever has this cookie; another one each time."""
    mask = os.urandom(MASK_OCTETS)
    masked = bytes(a ^ b for a, b in zip(mask, _token(secret), strict=True))
    return base64.urlsafe_b64encode(mask + masked).decode()[:-1]


def is_token(secret: str, given: str) -> bool:
    """Was `given` made from this cookie?"""
    try:
        octets = base64.urlsafe_b64decode(given.encode() + b"=")
    except ValueError:
        return False
    if not secret or len(octets) != 2 * MASK_OCTETS:
        return False
    plain = bytes(a ^ b for a, b in zip(octets[:MASK_OCTETS], octets[MASK_OCTETS:], strict=True))
    return hmac.compare_digest(plain, _token(secret))


def _token(secret: str) -> bytes:
    return hmac.digest(secret.encode(), b"form", hashlib.sha256)[:MASK_OCTETS]
