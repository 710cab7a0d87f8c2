"""mail/rights: characters in and out, those of RFC 2086, and which flags may be changed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.mail.errors import MisuseError
from appliance.mail.flags import ANSWERED, DELETED, SEEN
from appliance.mail.rights import ALL, CHARACTERS, LEVELS, NONE, changeable, encode_rights, flag_mask, level_of, parse_rights

SETS = st.frozensets(st.sampled_from(CHARACTERS))


@given(SETS)
def test_in_and_out_again(rights: frozenset[str]) -> None:
    assert parse_rights(encode_rights(rights)) == rights
    assert parse_rights(encode_rights(rights, former=True)) >= rights


@pytest.mark.parametrize("text", ["L", "lrz", "0", "l r", "-"])
def test_what_is_no_right(text: str) -> None:
    with pytest.raises(MisuseError):
        parse_rights(text)


def test_rights_of_rfc_2086() -> None:
    assert parse_rights("lcd") == frozenset("lkxte")
    assert encode_rights(frozenset("lk"), former=True) == "lkc"
    assert encode_rights(frozenset("le"), former=True) == "led"
    assert encode_rights(ALL, former=True) == "lrswipkxteacd"
    assert encode_rights(NONE, former=True) == ""


def test_words_for_people() -> None:
    assert [level_of(rights) for rights in LEVELS.values()] == list(LEVELS)
    assert level_of(frozenset("sl")) == "ls"


def test_flags_by_rights() -> None:
    names = ("\\seen", "\\Deleted", "\\Flagged", "$Work")
    assert changeable(names, frozenset("s")) == ("\\seen",)
    assert changeable(names, frozenset("t")) == ("\\Deleted",)
    assert changeable(names, frozenset("w")) == ("\\Flagged", "$Work")
    assert flag_mask(ALL) == -1
    assert flag_mask(frozenset("lr")) == 0
    assert flag_mask(frozenset("st")) == SEEN | DELETED
    assert flag_mask(frozenset("w")) & (SEEN | DELETED | ANSWERED | 1 << 40) == ANSWERED | 1 << 40
