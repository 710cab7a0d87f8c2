"""DKIM signing keys and the TXT records that publish them (RFC 6376 §3.6.1, RFC 8463 §4)."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class SigningKey:
    """`algorithm` is "rsa-sha256" or "ed25519-sha256"; `record` is the TXT value to publish at SELECTOR._domainkey.DOMAIN; `pem` is
    the private key, PKCS #8."""

    selector: str
    algorithm: str
    record: str
    pem: bytes = field(repr=False)


def records(keys: Sequence[SigningKey]) -> list[tuple[str, str]]:
    """(selector, TXT value) of each key."""
    return [(key.selector, key.record) for key in keys]
