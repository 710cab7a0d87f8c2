"""The tagged response of a command (RFC 9051 §7.1)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Completion:
    """`OK`, `NO` or `BAD`, an optional response code without brackets, and text."""

    word: bytes
    text: bytes
    code: bytes = b""


def ok(text: bytes = b"Done.", code: bytes = b"") -> Completion:
    return Completion(b"OK", text, code)


def no(text: bytes, code: bytes = b"") -> Completion:
    return Completion(b"NO", text, code)


def bad(text: bytes, code: bytes = b"") -> Completion:
    return Completion(b"BAD", text, code)
