"""Address lists as mail writes them: names, comments, routes, groups, and what is broken about them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.mail.addresses import GROUP_END, ListedAddress, parse_address_list, read_address_list

MISSING = (b"MISSING_MAILBOX", b"MISSING_DOMAIN")


@pytest.mark.parametrize(
    ("value", "listed"),
    [
        (b"a@b.c", [(None, None, b"a", b"b.c")]),
        (b"<a@b.c>", [(None, None, b"a", b"b.c")]),
        (b'"Last, First" <a@b.c>', [(b"Last, First", None, b"a", b"b.c")]),
        (b'John Q. "the" Public <a@b.c>', [(b"John Q. the Public", None, b"a", b"b.c")]),
        (b"a@b.c (some (nested) \\) name)", [(b"some (nested) ) name", None, b"a", b"b.c")]),
        (b"a (x) @ b (y) . c (last)", [(b"last", None, b"a", b"b.c")]),
        (b'"quo\\"ted"@b.c', [(None, None, b'quo"ted', b"b.c")]),
        (b"a@[192.0.2.1]", [(None, None, b"a", b"[192.0.2.1]")]),
        (b"<@one.example,@two.example:a@b.c>", [(None, b"@one.example,@two.example", b"a", b"b.c")]),
        (b"..a..b.@b.c", [(None, None, b"..a..b.", b"b.c")]),
        (b"=?utf-8?q?J=C3=B6rg?= <a@b>", [(b"=?utf-8?q?J=C3=B6rg?=", None, b"a", b"b")]),
        (b"J\xc3\xb6rg <j\xc3\xb6rg@b\xc3\xbc.example>", [(b"J\xc3\xb6rg", None, b"j\xc3\xb6rg", b"b\xc3\xbc.example")]),
        (b"a@b,\r\n c@d", [(None, None, b"a", b"b"), (None, None, b"c", b"d")]),
        (b"team: a@b, C <c@d>;", [(None, None, b"team", None), (None, None, b"a", b"b"), (b"C", None, b"c", b"d"), GROUP_END]),
        (b"none:; , a@b", [(None, None, b"none", None), GROUP_END, (None, None, b"a", b"b")]),
    ],
)
def test_what_is_sound(value: bytes, listed: list[tuple[bytes | None, ...]]) -> None:
    assert parse_address_list(value) == listed
    assert read_address_list(value)[1]


@pytest.mark.parametrize(
    ("value", "listed"),
    [
        (b"", []),
        (b" \r\n ", []),
        (b"(only a comment)", []),
        (b"<>", [(None, None, *MISSING)]),
        (b"alone", [(None, None, b"alone", b"MISSING_DOMAIN")]),
        (b'"alone"', [(b"alone", None, *MISSING)]),
        (b"two words", [(b"two words", None, *MISSING)]),
        (b"<a>", [(None, None, b"a", b"MISSING_DOMAIN")]),
        (b"Name <a@b", [(b"Name", None, b"a", b"SYNTAX_ERROR")]),
        (b"Name <a@", [(b"Name", None, b"a", b"SYNTAX_ERROR")]),
        (b"Name <@", [(b"Name", b"INVALID_ROUTE", b"MISSING_MAILBOX", b"SYNTAX_ERROR")]),
        (b"<@route a@b>", [(None, b"INVALID_ROUTE", b"a", b"b")]),
        (b"a@", [(None, None, b"a", b"MISSING_DOMAIN")]),
        (b"@b", [(None, None, b"MISSING_MAILBOX", b"b")]),
        (b'"open', [(None, None, *MISSING)]),
        (b"a@b, (open", [(None, None, b"a", b"b"), (None, None, *MISSING)]),
        (b"open: a@b", [(None, None, b"open", None), (None, None, b"a", b"b"), GROUP_END]),
        (b"a@b c@d", [(None, None, b"a", b"b")]),
    ],
)
def test_what_is_broken_shows(value: bytes, listed: list[tuple[bytes | None, ...]]) -> None:
    assert parse_address_list(value) == listed


@pytest.mark.parametrize(
    ("value", "whole"), [(b"a@b, c@d", True), (b"a@b,", True), (b"a@b c@d", False), (b"a@b; c@d", False), (b"(open", False)]
)
def test_it_is_told_whether_all_was_read(value: bytes, whole: bool) -> None:
    assert read_address_list(value)[1] is whole


@given(
    st.lists(st.sampled_from([b"a", b"@", b"<", b">", b",", b":", b";", b'"', b"(", b")", b"\\", b".", b"[", b"]", b" ", b"\n", b"\xff"]))
)
def test_any_octets_have_an_answer(words: list[bytes]) -> None:
    for entry in parse_address_list(b"".join(words)):
        assert isinstance(entry, ListedAddress)
        assert (entry.domain is None) == (entry.mailbox is None or entry[1:] == (None, entry.mailbox, None))
