"""THREAD's algorithms step by step (RFC 5256 §3)."""

import random
from array import array
from collections.abc import Generator
from dataclasses import dataclass, field

import pytest

from appliance.protocol.imap.thread import WALK, Links, encode_threads, ordered_subject, references


@dataclass
class Messages:
    """Columns; dates ascend unless given."""

    message_ids: "array[int]"
    references: "list[tuple[int, ...]]"
    subjects: "array[int]" = field(default_factory=lambda: array("q"))
    is_reply: "array[int]" = field(default_factory=lambda: array("b"))
    sent: "array[int]" = field(default_factory=lambda: array("q"))

    def __post_init__(self) -> None:
        count = len(self.references)
        self.subjects = self.subjects or array("q", range(1, count + 1))
        self.is_reply = self.is_reply or array("b", bytes(count))
        self.sent = self.sent or array("q", range(count))


def run(steps: "Generator[None, None, array[int]]") -> "array[int]":
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: array[int] = end.value
            return result


def threads(*of: "tuple[int, tuple[int, ...]]", subjects: str = "", replies: str = "", sent: "tuple[int, ...]" = ()) -> str:
    """(id, references) of each message; a character of `subjects` names its base subject (a space: none), `r` in `replies` a reply."""
    messages = Messages(
        array("q", [one for one, _ in of]),
        [references for _, references in of],
        array("q", [0 if subject == " " else ord(subject) for subject in subjects]),
        array("b", [reply == "r" for reply in replies]),
        array("q", sent),
    )
    return encode_threads(run(references(messages)), range(1, len(of) + 1)).decode()


def test_a_chain_and_a_split() -> None:
    """The example of RFC 5256 BASE.7.2.THREAD, with message numbers 1 to 8 for 2, 3, 6, 4, 23, 44, 7, 96."""
    made = threads((2, ()), (3, ()), (6, (3,)), (4, (3, 6)), (23, (3, 6, 4)), (44, (3, 6)), (7, (3, 6, 44)), (96, (44, 7)))
    assert made == "(1)(2 3 (4 5)(6 7 8))"


def test_siblings_of_a_message_that_is_not_there() -> None:
    assert threads((1, (9,)), (2, (9,))) == "((1)(2))"
    assert threads((1, (9,)), (2, (8,))) == "(1)(2)", "an only child takes the place of the dummy"
    assert threads((1, (7, 8)), (2, (7, 9)), (3, (7, 8))) == "((1)(2)(3))", "dummies below the root are left out"
    assert threads((5, ()), (1, (5, 8)), (2, (5, 9))) == "(1 (2)(3))"


def test_a_reference_may_come_later() -> None:
    assert threads((2, (1,)), (1, ())) == "(2 1)"
    assert threads((2, (1,)), (1, ()), sent=(5, 9)) == "(2 1)"


def test_truncated_references_do_not_change_a_parent_but_a_message_says_its_own() -> None:
    assert threads((1, ()), (2, (1,)), (3, (1, 2)), (4, (1, 3))) == "(1 2 3 4)"
    assert threads((1, ()), (2, ()), (3, (1, 2)), (2, (1,))) == "(1 (2 3)(4))", "2 has no parent yet, so it gets one"
    assert threads((3, (1, 2)), (1, ()), (2, ())) == "(2)(3 1)", "2 has no references, so it has no parent after all"


def test_loops_are_not_made() -> None:
    assert threads((1, (2,)), (2, (1,))) == "(2 1)"
    assert threads((1, (1,))) == "(1)"
    assert threads((1, (3,)), (2, (1,)), (3, (2,))) == "(3 1 2)"


def test_a_duplicate_message_id_names_the_first() -> None:
    assert threads((1, ()), (1, ()), (2, (1,))) == "(1 3)(2)"
    assert threads((0, ()), (0, ())) == "(1)(2)"


def test_roots_of_one_subject() -> None:
    assert threads((1, ()), (2, ()), subjects="aa", replies="-r") == "(1 2)"
    assert threads((1, ()), (2, ()), subjects="aa", replies="r-") == "(2 1)", "the original stands for the subject"
    assert threads((1, ()), (2, ()), subjects="aa", replies="--") == "((1)(2))"
    assert threads((1, ()), (2, ()), (3, ()), subjects="aaa", replies="---") == "((1)(2)(3))"
    assert threads((1, ()), (2, ()), (3, ()), subjects="aaa", replies="--r") == "((1)(2)(3))"
    assert threads((1, ()), (2, ()), subjects="  ") == "(1)(2)", "no subject joins nothing"


def test_dummies_of_one_subject() -> None:
    assert threads((1, (8,)), (2, (8,)), (3, (9,)), (4, (9,)), subjects="abac") == "((1)(2)(3)(4))"
    assert threads((1, (8,)), (2, (8,)), (3, ()), subjects="aba") == "((1)(2)(3))"
    assert threads((3, ()), (1, (8,)), (2, (8,)), subjects="aab") == "((1)(2)(3))", "the dummy stands for the subject"


def test_a_root_that_is_replaced_before_its_turn_comes_once() -> None:
    """The table's message is the later one; the earlier one is merged with it first."""
    assert threads((1, ()), (2, ()), (3, ()), subjects="aaa", replies="rr-") == "(3 (1)(2))"
    assert threads((1, ()), (2, ()), (3, ()), (4, ()), subjects="aaaa", replies="r--r") == "((2 1)(3)(4))"


def test_siblings_are_sorted_by_date() -> None:
    assert threads((1, ()), (2, (1,)), (3, (1,)), sent=(1, 9, 5)) == "(1 (3)(2))"
    assert threads((1, ()), (2, ()), sent=(9, 5)) == "(2)(1)"
    assert threads((1, (9,)), (2, (9,)), (3, ()), sent=(8, 2, 5)) == "((2)(1))(3)", "a dummy counts as its first child"
    assert threads((1, ()), (2, ()), sent=(5, 5)) == "(1)(2)"


def test_ordered_subject() -> None:
    """RFC 5256 §3: roots by the date of their first message, all others below it."""
    messages = Messages(array("q", bytes(40)), [()] * 5, array("q", [7, 8, 7, 7, 9]), sent=array("q", [50, 20, 10, 60, 30]))
    assert encode_threads(run(ordered_subject(messages)), [1, 2, 3, 4, 5]) == b"(3 (1)(4))(2)(5)"
    assert encode_threads(run(ordered_subject(Messages(array("q"), []))), []) == b""


@pytest.mark.parametrize("seed", range(20))
def test_each_message_comes_once_whatever_is_referred_to(seed: int) -> None:
    chance = random.Random(seed)
    count = 300
    messages = Messages(
        array("q", [chance.randrange(100) for _ in range(count)]),
        [tuple(chance.randrange(1, 120) for _ in range(chance.randrange(6))) for _ in range(count)],
        array("q", [chance.randrange(8) for _ in range(count)]),
        array("b", [chance.randrange(2) for _ in range(count)]),
        array("q", [chance.randrange(40) for _ in range(count)]),
    )
    tokens = run(references(messages))
    assert sorted(token for token in tokens if token >= 0) == list(range(count))
    text = encode_threads(tokens, range(count)).decode()
    assert text.count("(") == text.count(")") and "()" not in text and "( " not in text


def test_a_deep_chain_costs_no_recursion_and_hostile_loop_checks_are_bounded() -> None:
    count = 20_000
    chain = Messages(array("q", range(1, count + 1)), [(), *[(number,) for number in range(1, count)]])
    assert encode_threads(run(references(chain)), range(1, count + 1)) == b"(" + b" ".join(b"%d" % n for n in range(1, count + 1)) + b")"
    # a message that has a child already is put below the end of a long chain, over and over
    hostile = Messages(
        array("q", range(1, 2 * count + 1)),
        [*chain.references, *[reference for n in range(count // 2) for reference in ((count + 2 * n + 2,), (count,))]],
    )
    tokens = run(references(hostile))
    assert sum(token >= 0 for token in tokens) == 2 * count


def test_the_budget_of_loop_checks_ends_in_no_link() -> None:
    links = Links(3)
    links.add(0, 1)
    links._budget = 0
    links.add(2, 0)
    assert links.parent == [-1, 0, -1]
    assert WALK > 10
