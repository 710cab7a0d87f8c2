"""Cookies: one secret or choice of this host each, with the `__Host-` prefix, which binds it to https and this very name.

What is set: Secure, HttpOnly, SameSite=Strict, Path=/ and no Domain (RFC 6265 §4.1).
"""

import re

COOKIES = 30
"""Cookies of one request that are looked at."""
PREFIX = "__Host-"

_VALUE = re.compile(r"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*")


def parse_cookies(field: str) -> dict[str, str]:
    """Names and values of a Cookie field (RFC 6265 §5.4); of a name that comes twice neither counts, since one may be injected."""
    found: dict[str, str] = {}
    twice = set()
    for pair in field.split(";")[:COOKIES]:
        name, equals, value = pair.strip().partition("=")
        if equals and _VALUE.fullmatch(value):
            if name in found:
                twice.add(name)
            found[name] = value
    return {name: value for name, value in found.items() if name not in twice}


def encode_cookie(name: str, value: str, max_age_s: int | None = None) -> str:
    """A Set-Cookie value; `max_age_s` None: until the browser closes, 0: forget it now."""
    age = "" if max_age_s is None else f"; Max-Age={max_age_s}"
    return f"{PREFIX}{name}={value}; Path=/; Secure; HttpOnly; SameSite=Strict{age}"
