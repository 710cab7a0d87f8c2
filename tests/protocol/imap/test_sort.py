"""SORT's criteria (RFC 5256 §5)."""

import pytest

from appliance.mail.errors import MisuseError
from appliance.protocol.imap.sort import CRITERIA, SortCriterion, parse_criteria
from appliance.protocol.imap.tokens import Tokens

KNOWN = {b"DATE": "date", b"SUBJECT": "subject"}


def test_criteria() -> None:
    tokens = Tokens(b"(subject reverse date) rest")
    assert parse_criteria(tokens, KNOWN) == (SortCriterion("subject"), SortCriterion("date", True))
    assert tokens.rest() == b" rest"


def test_a_repeated_key_changes_nothing() -> None:
    assert parse_criteria(Tokens(b"(DATE REVERSE DATE SUBJECT)"), KNOWN) == (SortCriterion("date"), SortCriterion("subject"))


@pytest.mark.parametrize(
    "written",
    [
        b"()",
        b"(REVERSE)",
        b"(REVERSE REVERSE DATE)",
        b"(NAME)",
        b"DATE",
        b"(DATE",
        b"(DATE  SUBJECT)",
        b"(" + b"DATE " * CRITERIA + b"DATE)",
    ],
)
def test_anything_else_is_refused(written: bytes) -> None:
    with pytest.raises(MisuseError):
        parse_criteria(Tokens(written), KNOWN)
