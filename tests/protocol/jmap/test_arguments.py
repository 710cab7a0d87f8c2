"""Arguments of methods: types as RFC 8620 §1 has them, refused with a sentence; patches, windows and changes of a query."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.protocol.jmap.arguments import Arguments
from appliance.protocol.jmap.errors import MethodError, SetError
from appliance.protocol.jmap.patch import patched
from appliance.protocol.jmap.window import Comparator, Window, query_changes, read_sort, read_window

IDS = [f"m{n}" for n in range(10)]


@pytest.mark.parametrize(
    ("value", "read"),
    [
        (1, lambda a: a.id("x")), ("a b", lambda a: a.id("x")), ("", lambda a: a.id("x")), ("a" * 256, lambda a: a.id("x")),
        (None, lambda a: a.id("x")), ("a", lambda a: a.ids("x", most=5)), (["a", 1], lambda a: a.ids("x", most=5)),
        (["#a"], lambda a: a.ids("x", most=5, referred=False)), (1, lambda a: a.flag("x")), (True, lambda a: a.number("x")),
        (1.5, lambda a: a.number("x")), (-1, lambda a: a.number("x")), (2**53, lambda a: a.number("x")), ("1", lambda a: a.number("x")),
        ([], lambda a: a.object("x")), ({"a": 1}, lambda a: a.objects("x")), ([1], lambda a: a.list_of_objects("x")),
        ([1], lambda a: a.strings("x")), (1, lambda a: a.text("x")), (1, lambda a: a.end()),
    ],
)  # fmt: skip
def test_a_wrong_type_is_refused_with_the_argument_s_name(value: Any, read: Callable[[Arguments], Any]) -> None:
    with pytest.raises(MethodError) as error:
        read(Arguments({"x": value}))
    assert error.value.kind == "invalidArguments" and '"x"' in str(error.value)


def test_what_is_left_out_or_null_has_its_default() -> None:
    arguments = Arguments({"a": None})
    assert arguments.ids("a", most=5) is None and arguments.flag("b", True) and arguments.number("c", 7) == 7
    assert arguments.text("d") == "" and arguments.objects("e") == {} and arguments.optional_id("f") is None
    arguments.end()


def test_ids_are_taken_once_and_counted() -> None:
    assert Arguments({"ids": ["a", "b", "a"]}).ids("ids", most=3) == ["a", "b"]
    with pytest.raises(MethodError) as error:
        Arguments({"ids": ["a", "b", "c"]}).ids("ids", most=2)
    assert error.value.kind == "requestTooLarge"


def test_a_whole_number_may_be_written_with_a_point() -> None:
    assert Arguments({"x": 3.0}).number("x") == 3


def test_a_patch_sets_and_removes_members_without_changing_the_object() -> None:
    before = {"keywords": {"$seen": True, "a/b": True}, "mailboxIds": {"M1": True}}
    after = patched(before, {"keywords/$flagged": True, "keywords/a~1b": None, "mailboxIds": {"M2": True}})
    assert after == {"keywords": {"$seen": True, "$flagged": True}, "mailboxIds": {"M2": True}}
    assert before == {"keywords": {"$seen": True, "a/b": True}, "mailboxIds": {"M1": True}}


@pytest.mark.parametrize(
    "patch",
    [
        {"list/0": 1},
        {"name/x": 1},
        {"none/x": 1},
        {"keywords": {}, "keywords/a": True},
        {"keywords/a/b": 1, "keywords/a": 1},
        {"a/" * 20: 1},
    ],
)
def test_a_patch_that_cannot_be_applied_is_refused(patch: dict[str, Any]) -> None:
    with pytest.raises(SetError) as error:
        patched({"list": [1], "name": "x", "keywords": {}}, patch)
    assert error.value.kind == "invalidPatch"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, (0, 5)), ({"position": 8}, (8, 10)), ({"position": -3}, (7, 10)), ({"position": -30}, (0, 5)), ({"position": 30}, (10, 10)),
        ({"limit": 2}, (0, 2)), ({"limit": 0}, (0, 0)), ({"limit": 50}, (0, 5)), ({"anchor": "m4"}, (4, 9)),
        ({"anchor": "m4", "anchorOffset": -2, "limit": 3}, (2, 5)), ({"anchor": "m1", "anchorOffset": -5}, (0, 5)),
        ({"anchor": "m9", "anchorOffset": 5}, (10, 10)), ({"anchor": "m4", "position": 7}, (4, 9)),
    ],
)  # fmt: skip
def test_a_window(arguments: dict[str, Any], expected: tuple[int, int]) -> None:
    read = Arguments(arguments)
    assert read_window(read).range_of(IDS, 5) == expected
    read.end()


def test_an_unknown_anchor_is_its_own_error() -> None:
    with pytest.raises(MethodError) as error:
        Window(anchor="x").range_of(IDS, 5)
    assert error.value.kind == "anchorNotFound"


def test_sort_rows() -> None:
    rows = [{"property": "receivedAt", "isAscending": False, "anchorOffset": 0}, {"property": "hasKeyword", "keyword": "$flagged"}]
    found = read_sort(Arguments({"sort": rows}), ["receivedAt", "hasKeyword"], ["i;unicode-casemap"])
    assert found == (Comparator("receivedAt", False), Comparator("hasKeyword", True, "", "$flagged"))


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        ({"property": "foo"}, "unsupportedSort"), ({}, "invalidArguments"), ({"property": "size", "collation": "i;x"}, "unsupportedSort"),
        ({"property": "hasKeyword"}, "invalidArguments"), ({"property": "size", "keyword": "a"}, "invalidArguments"),
        ({"property": "size", "descending": True}, "invalidArguments"),
    ],
)  # fmt: skip
def test_wrong_sort_rows_are_refused(row: dict[str, Any], kind: str) -> None:
    with pytest.raises(MethodError) as error:
        read_sort(Arguments({"sort": [row]}), ["size", "hasKeyword"], ["i;unicode-casemap"])
    assert error.value.kind == kind


@given(st.lists(st.sampled_from(IDS), unique=True), st.lists(st.sampled_from(IDS), unique=True), st.frozensets(st.sampled_from(IDS)))
def test_a_client_that_applies_the_changes_of_a_query_has_its_results(before: list[str], now: list[str], changed: frozenset[str]) -> None:
    stay = [one for one in before if one in now and one not in changed]
    now = sorted(now, key=lambda one: stay.index(one) if one in stay else -1)  # what did not change keeps its order
    removed, added = query_changes(before, now, changed)
    mine = [one for one in before if one not in removed]
    for index, one in added:
        mine.insert(index, one)
    assert mine == now
