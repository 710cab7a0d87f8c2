"""protocol/http/negotiation: codings, languages, tags and ranges (RFC 9110 §8, §12 to §14)."""

import pytest

from appliance.protocol.http.negotiation import UNSATISFIABLE, OctetRange, accepts_coding, best_language, matches_tag, parse_range


def test_codings() -> None:
    assert accepts_coding("gzip, deflate, br", "gzip") and accepts_coding("*", "gzip") and accepts_coding("br;q=1.0, gzip;q=0.5", "gzip")
    assert not accepts_coding("", "gzip") and not accepts_coding("gzip;q=0, *", "gzip") and not accepts_coding("identity;q=x", "gzip")


def test_languages() -> None:
    assert best_language("de-AT, en;q=0.8", ("en", "de")) == "de" and best_language("fr, en;q=0.5, de;q=0.9", ("en", "de")) == "de"
    assert best_language("", ("en", "de")) == "en" and best_language("fr;q=1, de;q=0", ("en", "de")) == "en"


def test_tags() -> None:
    assert matches_tag('"a", W/"b"', '"b"') and matches_tag("*", '"b"') and not matches_tag('"a"', '"b"')


@pytest.mark.parametrize(
    ("field", "found"),
    [
        ("bytes=0-4", OctetRange(0, 5, 10)), ("bytes=5-", OctetRange(5, 10, 10)), ("bytes=-3", OctetRange(7, 10, 10)),
        ("bytes=-99", OctetRange(0, 10, 10)), ("bytes=2-99", OctetRange(2, 10, 10)), ("bytes=10-", UNSATISFIABLE),
        ("bytes=-0", UNSATISFIABLE),
        ("bytes=5-2", None), ("bytes=0-1,3-4", None), ("lines=0-1", None), ("bytes=-", None), ("bytes=a-b", None), ("", None),
    ],
)  # fmt: skip
def test_ranges(field: str, found: OctetRange | None) -> None:
    assert parse_range(field, 10) == found
    assert OctetRange(0, 5, 10).content_range == "bytes 0-4/10"
