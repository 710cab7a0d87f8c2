"""Address lists: names, comments, routes, groups, and recovery from malformed ones."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.mail.address_recovery import parse_address_list
from appliance.mail.addresses import GROUP_END, ListedAddress, read_address_list
from appliance.mail.limits import HEADER_OCTETS

NOBODY = (b"=?utf-8?q?[", b"MISSING_MAILBOX@MISSING_DOMAIN")
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
def test_valid_lists(value: bytes, listed: list[tuple[bytes | None, ...]]) -> None:
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
def test_the_strict_parser_shows_where_it_stops(value: bytes, listed: list[tuple[bytes | None, ...]]) -> None:
    assert read_address_list(value)[0] == listed


@pytest.mark.parametrize(
    ("value", "listed"),
    [
        (b"Ann [Home] <f@x.example>, z@x.example", [(b"Ann [Home]", b"f@x.example"), (None, b"z@x.example")]),
        (b"ann@home.test <ann@home.test>", [(b"ann@home.test", b"ann@home.test")]),
        (b"boss@home.test <crook@x.example>", [(b"boss@home.test", b"crook@x.example")]),
        (b"Ann @ Home <f@x>, z@x", [(b"Ann @ Home", b"f@x"), (None, b"z@x")]),
        (b"Ann) <f@x>,z@x", [(b"Ann)", b"f@x"), (None, b"z@x")]),
        (b"Ann\\ Home <f@x>, z@x", [(b"Ann\\ Home", b"f@x"), (None, b"z@x")]),
        (b"Ann (Home <f@x>, z@x", [(b"Ann (Home", b"f@x"), (None, b"z@x")]),
        (b'"Ann <f@x>, "Bob" <b@x>', [(b"Ann", b"f@x"), (b"Bob", b"b@x")]),
        (b'"Ann" Home" <f@x>, "Zed, Jr" <z@x>', [(b"Ann Home", b"f@x"), (b"Zed, Jr", b"z@x")]),
        (b'"Last, \\"First\\"" [x] <f@x>', [(b'Last, "First" [x]', b"f@x")]),
        (b"\xff [x] <f@x>, =?utf-8?q?Z=5BX=5D?= [y] <z@x>", [(b"\xff [x]", b"f@x"), (b"=?utf-8?q?Z=5BX=5D?= [y]", b"z@x")]),
        (b"Ann [a]\r\n\t<f@x>,\r\n z@x", [(b"Ann [a]", b"f@x"), (None, b"z@x")]),
        (b"=?utf-8?q?Last,_First_<x>?= <f@x>, z@x", [(b"=?utf-8?q?Last,_First_<x>?=", b"f@x"), (None, b"z@x")]),
        (b"Ann =?utf-8?q?[a],?= b <f@x>, =?utf-8?q?[, <z@x>", [(b"Ann =?utf-8?q?[a],?= b", b"f@x"), NOBODY, (None, b"z@x")]),
        (b"a@b c@d", [(None, b"a@b"), (None, b"c@d")]),
        (b"a@b; c@d", [(None, b"a@b"), (None, b"c@d")]),
        (b"<a@b> <c@d> (x)", [(None, b"a@b"), (None, b"c@d")]),
        (b"<a@b> behind it, c@d", [(None, b"a@b"), (None, b"c@d")]),
        (b"Ann <a@b, c@d", [(b"Ann", b"a@b"), (None, b"c@d")]),
        (b"<a@b, c@d>", [(None, b"a@b"), (None, b"c@d")]),
        (b"<<c@d>>, Ann <3 you <e@f>, <mailto:a@b>", [(None, b"c@d"), (b"Ann <3 you", b"e@f"), (None, b"a@b")]),
        (b"<a b@c@d>, [e@f]", [(None, b"ab@c@d"), (None, b"e@f")]),
        (b"Ann [x], , z@x", [(b"Ann [x]", b"MISSING_MAILBOX@MISSING_DOMAIN"), (None, b"z@x")]),
        (b"a@, @b, c@d", [(None, b"a@MISSING_DOMAIN"), (None, b"MISSING_MAILBOX@b"), (None, b"c@d")]),
        (b"Ann (work@x)", [(b"work@x", b"Ann@MISSING_DOMAIN")]),
        (b"<> , c@d", [(None, b"MISSING_MAILBOX@MISSING_DOMAIN"), (None, b"c@d")]),
    ],
)
def test_recovery_loses_no_address_beside_an_error(value: bytes, listed: list[tuple[bytes | None, bytes]]) -> None:
    assert [(entry.name, b"%b@%b" % (entry.mailbox, entry.domain)) for entry in parse_address_list(value)] == listed


def test_a_malformed_name_in_a_group() -> None:
    team, member, other, end, outside = parse_address_list(b"team: Ann [H] <f@x>, z@x; b@c [")
    assert (team, end) == ((None, None, b"team", None), GROUP_END)
    assert [entry.mailbox for entry in (member, other, outside)] == [b"f", b"z", b"b"]


@pytest.mark.parametrize(
    "words",
    [
        (b"[<",), (b"(a@b,",), (b'"\\',), (b'\\"',), (b"<a@b",), (b"a@[b,",), (b'"a" "',), (b"a ",), (b"x:;",), (b"<a> ",),
        (b"a@b",), (b"=?u?q?",), (b"=?u?q?,?=",), (b"(",), (b"((a)",), (b"[a@b] ", b"<c@d>"), (b'x"', b"y, "),
    ],
)  # fmt: skip
def test_recovery_is_linear(words: tuple[bytes, ...]) -> None:
    value = b"".join(words) * (HEADER_OCTETS // len(b"".join(words))) + b"]>)"
    started = time.process_time()
    parse_address_list(value)
    assert time.process_time() - started < 5, "quadratic work on 256 KiB takes minutes"


@pytest.mark.parametrize(
    ("value", "whole"), [(b"a@b, c@d", True), (b"a@b,", True), (b"a@b c@d", False), (b"a@b; c@d", False), (b"(open", False)]
)
def test_the_strict_parser_reports_whether_it_reached_the_end(value: bytes, whole: bool) -> None:
    assert read_address_list(value)[1] is whole


@given(
    st.lists(st.sampled_from([b"a", b"@", b"<", b">", b",", b":", b";", b'"', b"(", b")", b"\\", b".", b"[", b"]", b" ", b"\n", b"\xff"]))
)
def test_any_octets_are_parsed(words: list[bytes]) -> None:
    for entry in parse_address_list(b"".join(words)) + read_address_list(b"".join(words))[0]:
        assert isinstance(entry, ListedAddress)
        assert (entry.domain is None) == (entry.mailbox is None or entry[1:] == (None, entry.mailbox, None))
