"""UID SORT and UID THREAD on nine mailboxes of real mail, compared with Dovecot 2.3.19; every difference is a rule with its reason."""

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import trio

from appliance.mail.address_recovery import parse_address_list
from appliance.mail.addresses import read_address_list
from appliance.mail.date import parse_date
from appliance.mail.header import header_end, values
from tests.support import corpus
from tests.support.services import some_components

from .client import signed_in
from .picture import ok
from .test_search_corpus import ADDRESSES, mailboxes, messages

pytestmark = [pytest.mark.corpus, pytest.mark.slow]
RECORDED_AT = 1_793_000_000
"""The mailboxes were filled within seconds: messages without a date that can be read have one place."""
COVERED_MOST = 0.02
"""Of all messages compared."""
MAILBOXES = (
    "mime-notmuch", "mime-mail-parser", "mime-rspamd", "mime-mime4j", "mime-mimekit", "synthetic", "bounces-sisimai", "bulk-easy-ham-1",
    "bulk-spam-1",
)  # fmt: skip
_PLAIN_DATE = re.compile(rb"(?:[A-Z][a-z]{2}, +)?[0-9]{1,2} [A-Z][a-z]{2} [0-9]{2,4} [0-9:]{5,8} *(?:[+-][0-9]{4}|[A-Z]{1,4})?\b.*")


class Rule(NamedTuple):
    """Why our order differs for a message, in the mailboxes `where`: `covers(keys, header, body)`; THREAD has the keys DATE and SUBJECT."""

    reason: str
    where: tuple[str, ...]
    covers: Callable[[str, bytes, bytes], bool]


def _date(header: bytes) -> bytes:
    return (values(header, b"date") or [b""])[-1]


def _subject(header: bytes) -> bytes:
    return (values(header, b"subject") or [b""])[-1]


def _is_utf8(octets: bytes) -> bool:
    try:
        octets.decode()
    except ValueError:
        return False
    return True


RULES = (
    Rule(
        "RFC 5256 §2.2: a date that is not written as RFC 5322 has it, or before 1970, is read as people do (Dovecot: it has none)",
        ("mime-notmuch", "synthetic", "bounces-sisimai", "bulk-spam-1"),
        lambda keys, header, body: (
            "DATE" in keys
            and parse_date(_date(header)) is not None
            and (not _PLAIN_DATE.fullmatch(_date(header)) or b"31 Feb" in _date(header) or b" 1900 " in _date(header))
        ),
    ),
    Rule(
        "RFC 9051 §7.5.2: of several Date or Subject fields the last is the ENVELOPE's (Dovecot takes the first)",
        ("mime-mail-parser", "synthetic"),
        lambda keys, header, body: any(name in keys and len(values(header, name.lower().encode())) > 1 for name in ("DATE", "SUBJECT")),
    ),
    Rule(
        "RFC 5256 §2.1 (1): white space is one space, also beside a tab or an encoded word (Dovecot makes two of them)",
        ("mime-notmuch", "bounces-sisimai"),
        lambda keys, header, body: "SUBJECT" in keys and re.search(rb" \t|  =\?", _subject(header)) is not None,
    ),
    Rule(
        "RFC 2047 §6.3: an encoded word that cannot be decoded stays as it is written (Dovecot drops it or what it cannot read)",
        ("synthetic",),
        lambda keys, header, body: "SUBJECT" in keys and re.search(rb"=\?x-unknown\?|!!!|=\?$", _subject(header)) is not None,
    ),
    Rule(
        "RFC 5255 §4.6 leaves open how text that cannot be decoded is compared: each octet as U+FFFD (Dovecot takes a run of them for one)",
        ("bulk-spam-1",),
        lambda keys, header, body: (
            ("SUBJECT" in keys and not _is_utf8(_subject(header)))
            or ("DISPLAYFROM" in keys and not _is_utf8((values(header, b"from") or [b""])[-1]))
        ),
    ),
    Rule(
        "RFC 5256 §3: an address list that breaks the grammar is read on behind the mistake, as ENVELOPE shows it (Dovecot stops there)",
        ("synthetic", "bulk-spam-1"),
        lambda keys, header, body: any(
            (name.decode().upper() in keys)
            and any(parse_address_list(value) != read_address_list(value)[0] for value in values(header, name))
            for name in ADDRESSES
        ),
    ),
    Rule(
        "RFC 5957 §4: a name is sorted as ENVELOPE has it (Dovecot sorts by the quotes within, and by the space a quoted name begins with)",
        ("mime-notmuch", "mime-rspamd", "bulk-easy-ham-1"),
        lambda keys, header, body: "DISPLAY" in keys and any(re.search(rb'\A"+ |\w" [^<]', value) for value in values(header, b"from")),
    ),
    Rule(
        "RFC 9051 §2.3.4: no octet of a message is changed, so its size is its own (Dovecot makes CR CR LF one line end)",
        ("bounces-sisimai",),
        lambda keys, header, body: "SIZE" in keys and b"\r\r\n" in header + body,
    ),
)


async def answers(place: Path, ids: list[str], octets: dict[str, bytes], commands: list[str]) -> dict[str, str]:
    """Our results by command."""
    async with some_components(place) as components:
        for key in ids:
            await components.deliver(octets[key], at=RECORDED_AT)
        client = await signed_in(components, b"INBOX")
        return {command: (await ok(client, command.encode()))[0].decode().split(" ", 2)[2] for command in commands}


def moved(ours: list[int], theirs: list[int]) -> set[int]:
    """Messages outside a longest common subsequence."""
    place = {uid: number for number, uid in enumerate(theirs)}
    ends: list[int] = []
    chains: list[tuple[int, object]] = []
    for uid in ours:
        at = bisect_left(ends, place[uid])
        chain = (uid, chains[at - 1] if at else None)
        ends[at : at + 1], chains[at : at + 1] = [place[uid]], [chain]
    kept, link = set(), chains[-1] if chains else None
    while link is not None:
        kept.add(link[0])
        link = link[1]  # type: ignore[assignment]
    return set(ours) - kept


def threads(text: str) -> list[str]:
    """The top-level threads of a THREAD response."""
    found, depth, start = [], 0, 0
    for at, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if not depth and character == ")":
            found.append(text[start : at + 1])
            start = at + 1
    return found


def members(thread: str) -> set[int]:
    return set(map(int, re.findall(r"\d+", thread)))


class Comparison:
    """One mailbox: what the rules cover, and whether the rest is the same."""

    def __init__(self, ids: list[str], octets: dict[str, bytes]) -> None:
        self.split = [(octets[key][: header_end(octets[key])], octets[key][header_end(octets[key]) :]) for key in ids]
        self.excused: Counter[str] = Counter()

    def covered(self, keys: str) -> dict[int, str]:
        found = {}
        for uid, (header, body) in enumerate(self.split, 1):
            rule = next((rule for rule in RULES if rule.covers(keys, header, body)), None)
            if rule is not None:
                found[uid] = rule.reason
        return found

    def sort(self, keys: str, ours: list[int], theirs: list[int]) -> bool:
        covered = self.covered(keys)
        self.excused.update(covered[uid] for uid in moved(ours, theirs) if uid in covered)
        return [uid for uid in ours if uid not in covered] == [uid for uid in theirs if uid not in covered]

    def thread(self, ours: list[str], theirs: list[str]) -> bool:
        covered = self.covered("THREAD DATE SUBJECT").keys()
        touched = set(covered)
        for thread in ours + theirs:
            if members(thread) & covered:
                touched |= members(thread)
        return [one for one in ours if not members(one) & touched] == [one for one in theirs if not members(one) & touched]


@pytest.mark.parametrize("name", MAILBOXES)
def test_orders_and_threads_are_dovecots_save_by_rule(name: str, tmp_path: Path) -> None:
    octets, ids = messages(), mailboxes()[name]
    recorded = corpus.expected("dovecot-search-sort-thread")
    rows = [row for row in recorded if row["kind"] != "SEARCH" and row["mailbox"] == name and " REFS " not in row["command"]]
    theirs = {row["command"]: row["result"].strip() for row in rows}
    assert len(theirs) == 16
    ours = trio.run(answers, tmp_path, ids, octets, list(theirs))
    comparison = Comparison(ids, octets)
    wrong = []
    for command, result in theirs.items():
        if " THREAD " in command:
            same = comparison.thread(threads(ours[command]), threads(result))
        else:
            same = comparison.sort(command, list(map(int, ours[command].split())), list(map(int, result.split())))
        if not same:
            wrong.append(command)
    for reason, count in comparison.excused.items():
        print(f"{count:5} {reason}")
    assert not wrong
    assert set(comparison.excused) == {rule.reason for rule in RULES if name in rule.where}, "a rule that excuses nothing is no rule"
    assert comparison.excused.total() <= COVERED_MOST * len(ids) * len(theirs)
