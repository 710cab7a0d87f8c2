"""Every error has a response, and none is SERVERBUG."""

import re

import pytest

from appliance.imapd.errors import CODES, answer_of, printable
from appliance.mail.errors import AuthError, MisuseError, StoreError, Trouble

KNOWN = {
    b"", b"NONEXISTENT", b"ALREADYEXISTS", b"CANNOT", b"NOPERM", b"HASCHILDREN", b"EXPUNGEISSUED", b"OVERQUOTA", b"TOOBIG", b"LIMIT",
    b"UNAVAILABLE",
}  # fmt: skip
"""RFC 9051 §7.1, RFC 5530 §3, RFC 7889 §3."""


@pytest.mark.parametrize("trouble", Trouble)
def test_every_trouble_has_a_response(trouble: Trouble) -> None:
    answer = answer_of(StoreError(trouble))
    assert answer.word == b"NO"
    assert answer.code in KNOWN
    assert re.fullmatch(rb"[ -~]+", answer.text) and not answer.text.startswith(b"[")


def test_the_table_is_complete() -> None:
    assert set(CODES) == set(Trouble)
    assert b"SERVERBUG" not in CODES.values()


def test_other_errors() -> None:
    assert answer_of(MisuseError("wrong")).word == b"BAD"
    assert answer_of(AuthError("no passwords today")).code == b"UNAVAILABLE"
    assert answer_of(StoreError(Trouble.NO_MAILBOX), creating=True).code == b"TRYCREATE"


@pytest.mark.parametrize("text", ["", "[ALERT] x", "a\r\nb OK", "ü", "x" * 5000, "[[["])
def test_response_text_is_one_plain_line(text: str) -> None:
    assert re.fullmatch(rb"[ -Z\\-~][ -~]{0,299}", printable(text))
