"""accounts/totp: the values of RFC 6238 and RFC 4226, and which steps are accepted."""

from urllib.parse import parse_qs, urlsplit

import pytest

from appliance.accounts.totp import code_of, encode_secret, find_step, key_uri, step_of

SECRET = b"12345678901234567890"


@pytest.mark.parametrize(
    ("at", "code"),
    [(59, "94287082"), (1111111109, "07081804"), (1111111111, "14050471"), (1234567890, "89005924"), (2000000000, "69279037"),
     (20000000000, "65353130")],
)  # fmt: skip
def test_the_values_of_rfc_6238_appendix_b(at: int, code: str) -> None:
    assert code_of(SECRET, step_of(at), 8) == code and code_of(SECRET, step_of(at)) == code[2:]


@pytest.mark.parametrize(("count", "code"), [(0, "755224"), (1, "287082"), (9, "520489")])
def test_the_values_of_rfc_4226_appendix_d(count: int, code: str) -> None:
    assert code_of(SECRET, count) == code


def test_neighbours_are_accepted_and_nothing_older_than_the_last() -> None:
    now, step = 1_700_000_010.0, step_of(1_700_000_010.0)
    for away, found in ((-2, None), (-1, step - 1), (0, step), (1, step + 1), (2, None)):
        assert find_step(SECRET, code_of(SECRET, step + away), now) == found
    assert find_step(SECRET, code_of(SECRET, step), now, last_step=step) is None
    assert find_step(SECRET, code_of(SECRET, step + 1), now, last_step=step) == step + 1
    assert find_step(SECRET, code_of(SECRET, 0), 0.0) == 0
    for typed in ("", "12345", "1234567", "١٢٣٤٥٦", "12345a", "-12345"):
        assert find_step(SECRET, typed, now) is None


def test_what_an_app_reads() -> None:
    uri = urlsplit(key_uri(SECRET, "anna+x@home.example"))
    assert uri.scheme == "otpauth" and uri.netloc == "totp" and uri.path == "/Pillarbox:anna%2Bx%40home.example"
    assert parse_qs(uri.query) == {"secret": ["GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"], "issuer": ["Pillarbox"]}
    assert encode_secret(SECRET).startswith("GEZD GNBV")
