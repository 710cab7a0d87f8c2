"""Filters of mailboxes (RFC 5465 §6, RFC 7377 §2.2)."""

import pytest

from appliance.mail.errors import MisuseError
from appliance.protocol.imap.mailbox_filter import FILTERS, MailboxFilter, parse_filters
from appliance.protocol.imap.tokens import Tokens

NAMES = ("INBOX", "a", "a/b", "a/b/c", "ab", "Sent")


def matched(written: bytes) -> list[str]:
    filters = parse_filters(Tokens(written))
    return [name for name in NAMES if any(one.matches(name, own=name != "a/b", subscribed=name != "ab") for one in filters)]


@pytest.mark.parametrize(
    ("written", "names"),
    [
        (b"personal", ["INBOX", "a", "a/b/c", "ab", "Sent"]),
        (b"inboxes", ["INBOX"]),
        (b"subscribed", ["INBOX", "a", "a/b", "a/b/c", "Sent"]),
        (b"mailboxes inbox", ["INBOX"]),
        (b'mailboxes (a "ab" none)', ["a", "ab"]),
        (b"subtree a", ["a", "a/b", "a/b/c"]),
        (b"subtree-one a", ["a", "a/b"]),
        (b"subtree-one (a/b Sent)", ["a/b", "a/b/c", "Sent"]),
        (b"inboxes subtree a/b/c", ["INBOX", "a/b/c"]),
        (b"selected", []),
        (b'mailboxes ("&bad" a)', ["a"]),
    ],
)
def test_filters(written: bytes, names: list[str]) -> None:
    assert matched(written) == names


@pytest.mark.parametrize(
    "written", [b"", b"everything", b"mailboxes", b"mailboxes ()", b"selected-delayed", b"subtree ", b"personal  inboxes"]
)
def test_what_is_none(written: bytes) -> None:
    with pytest.raises(MisuseError):
        parse_filters(Tokens(written))


def test_too_many() -> None:
    assert len(parse_filters(Tokens(b" ".join([b"personal"] * FILTERS)))) == FILTERS
    with pytest.raises(MisuseError):
        parse_filters(Tokens(b" ".join([b"personal"] * (FILTERS + 1))))
    assert MailboxFilter(b"SELECTED") in parse_filters(Tokens(b"selected"))
