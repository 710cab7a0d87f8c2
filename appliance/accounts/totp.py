"""Time-based one-time codes: HOTP (RFC 4226 §5.3) over steps of 30 seconds (RFC 6238 §4). Pure; the clock is the caller's."""

import hmac
from dataclasses import dataclass, field

from appliance.mail.ids import AccountId

from .directory import Executes

DIGITS = 6
STEP_S = 30
SKEW_STEPS = 1
"""Steps before and after that of now which are accepted: a phone's clock and its owner are not exact (RFC 6238 §5.2)."""
SECRET_OCTETS = 20
"""RFC 4226 §4 R6 recommends 160 bits."""
ISSUER = "Pillarbox"


@dataclass(frozen=True, slots=True)
class SecondFactor:
    """A row of `second_factor`. `last_step`: the newest step whose code was used; `codes_left`: recovery codes not used yet."""

    secret: bytes = field(repr=False)
    salt: bytes = field(repr=False)
    made_at: int
    last_step: int
    codes_left: int


def read_second_factors(reads: Executes) -> dict[AccountId, SecondFactor]:
    """Of all accounts that have one."""
    rows = reads.execute(
        "SELECT account, secret, salt, made_at, last_step,"
        " (SELECT count(*) FROM recovery_code WHERE recovery_code.account = second_factor.account) FROM second_factor"
    )
    return {AccountId(account): SecondFactor(bytes(secret), bytes(salt), *rest) for account, secret, salt, *rest in rows}


def code_of(secret: bytes, step: int, digits: int = DIGITS) -> str:
    """The code of one step."""
    digest = hmac.digest(secret, step.to_bytes(8, "big"), "sha1")
    at = digest[-1] & 0xF
    number = int.from_bytes(digest[at : at + 4], "big") & 0x7FFF_FFFF
    return f"{number % 10**digits:0{digits}}"


def step_of(wall_s: float) -> int:
    return int(wall_s) // STEP_S


def looks_like_code(typed: str) -> bool:
    return len(typed) == DIGITS and typed.isascii() and typed.isdigit()


def find_step(secret: bytes, typed: str, wall_s: float, last_step: int = -1) -> int | None:
    """The step whose code this is, among those accepted now and newer than `last_step`; None for no such."""
    now, found = step_of(wall_s), None
    for step in range(max(0, now - SKEW_STEPS), now + SKEW_STEPS + 1):
        if step > last_step and looks_like_code(typed) and hmac.compare_digest(code_of(secret, step), typed):
            found = step
    return found


def encode_secret(secret: bytes) -> str:
    """As people type it: base32 in groups of four."""
    from base64 import b32encode  # seldom used, as the import below: not in the memory of a server that runs

    text = b32encode(secret).decode().rstrip("=")
    return " ".join(text[at : at + 4] for at in range(0, len(text), 4))


def key_uri(secret: bytes, address: str) -> str:
    """What authenticator apps read from a QR code."""
    from urllib.parse import quote

    return f"otpauth://totp/{ISSUER}:{quote(address, safe='')}?secret={encode_secret(secret).replace(' ', '')}&issuer={ISSUER}"
