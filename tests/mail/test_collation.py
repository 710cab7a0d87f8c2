"""i;unicode-casemap (RFC 5051)."""

import pytest

from appliance.mail.collation import casemap

EQUAL = (
    ("Dinner", "dINNER"),
    ("café", "CAFE\u0301"),
    ("ά", "Α\u0301"),
    ("ﬁn", "\ufb01N"),
    ("ǆ", "ǅ"),
    ("①", "1"),
)


@pytest.mark.parametrize(("one", "other"), EQUAL)
def test_equal(one: str, other: str) -> None:
    assert casemap(one) == casemap(other)


def test_only_simple_mappings_count() -> None:
    """RFC 5051 §2 uses the title case of UnicodeData.txt, which is one character: ß stays."""
    assert casemap("ß") == "ß" != casemap("ss")


def test_order() -> None:
    assert sorted(["b", "A", "á", "a b", "", "Z", "ж", "C"], key=casemap) == ["", "A", "a b", "á", "b", "C", "Z", "ж"]


def test_hangul_has_no_decomposition_property() -> None:
    assert casemap("한") == "한"
