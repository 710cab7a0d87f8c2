"""Mailbox addresses (RFC 5321 §4.1.2, RFC 6531). Replaced by the helper who owns this file."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Address:
    """`local` as written with quoting removed; `domain` lower case, A-labels turned to U-labels, no trailing dot."""

    local: str
    domain: str

    def __str__(self) -> str:
        return f"{self.local}@{self.domain}"
