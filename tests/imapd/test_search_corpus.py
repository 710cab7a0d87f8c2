"""UID SEARCH on nine mailboxes of real mail, compared with Dovecot 2.3.19; every difference is a rule with its reason."""

import json
import re
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
import trio

from appliance.mail import structure
from appliance.mail.address_recovery import parse_address_list
from appliance.mail.addresses import read_address_list
from appliance.mail.date import parse_date
from appliance.mail.header import header_end, values
from appliance.mail.structure import StructureScanner
from tests.support import corpus
from tests.support.services import some_components

from .client import signed_in
from .indexed import Indexed
from .picture import ok

pytestmark = [pytest.mark.corpus, pytest.mark.slow]
_LITERAL = re.compile(r"\{\d+\}(.*)$")
_PLAIN_DATE = re.compile(rb"(?:[A-Z][a-z]{2}, +)?[0-9]{1,2} [A-Z][a-z]{2} [0-9]{4} [0-9:]{5,8} +(?:[+-][0-9]{4}|[A-Z]{1,4})\b.*")
ADDRESSES = (b"from", b"to", b"cc", b"bcc")
EXCUSED_MOST = 0.02
"""Of all messages found."""


class Rule(NamedTuple):
    """Why our result differs for a message: `covers(command, header, body)`."""

    reason: str
    covers: Callable[[str, bytes, bytes], bool]


def _date(header: bytes) -> bytes:
    return (values(header, b"date") or [b""])[-1]


RULES = (
    Rule(
        "a message without a date that can be read was sent on no day, so no SENT key finds it (Dovecot: it was sent in 1970)",
        lambda command, header, body: "SENT" in command and parse_date(_date(header)) is None,
    ),
    Rule(
        "a date written against RFC 5322, or before 1970, or with a day its month has not, is read as people do (Dovecot: it is none)",
        lambda command, header, body: (
            "SENT" in command and (not _PLAIN_DATE.fullmatch(_date(header)) or b"31 Feb" in _date(header) or b" 1900 " in _date(header))
        ),
    ),
    Rule(
        "of several Date fields the last is the ENVELOPE's (Dovecot searches the first)",
        lambda command, header, body: "SENT" in command and len(values(header, b"date")) > 1,
    ),
    Rule(
        "an address list that breaks the grammar is read on behind the mistake (Dovecot stops there)",
        lambda command, header, body: (
            bool(re.search("SEARCH (FROM|TO|CC|BCC) ", command))
            and any(parse_address_list(value) != read_address_list(value)[0] for name in ADDRESSES for value in values(header, name))
        ),
    ),
    Rule(
        "boundaries are read behind two semicolons and compared whole; where no part begins the body is one text (Dovecot: one empty part)",
        lambda command, header, body: (
            ("BODY" in command or "TEXT" in command)
            and (begins_no_part(header + body) or re.search(rb'; ?; ?boundary=|boundary="[^"]{80,}"', header) is not None)
        ),
    ),
    Rule(
        "a first part whose delimiter stands in the header is a part (Dovecot takes its text for preamble and does not search it)",
        lambda command, header, body: (
            ("BODY" in command or "TEXT" in command) and re.search(rb'(?is)boundary="?([^"\s;]+)"?.*\n--\1\r?\n', header) is not None
        ),
    ),
    Rule("characters are compared by case folding, ß as ss (Dovecot: by title case)", lambda command, header, body: "GRÜSSE" in command),
    Rule(
        "an encoded word that is not base64 stays as it is written (Dovecot drops what it cannot read)",
        lambda command, header, body: '"=?"' in command and b"?B?!!!" in header,
    ),
    Rule(
        "damaged base64 is searched as far as it can be read",
        lambda command, header, body: "BODY" in command and b"base64" in header and re.search(rb"[^A-Za-z0-9+/=\s]", body) is not None,
    ),
    Rule(
        "a part whose type cannot be read may be text and is searched (Dovecot: no type, no search)",
        lambda command, header, body: "BODY" in command and re.search(rb"(?im)^content-type:[^;\r\n]*\r\n[ \t]", body) is not None,
    ),
    Rule(
        "ks_c_5601-1987 is the charset that wrote it (Dovecot has no such charset and reads UTF-8 by chance)",
        lambda command, header, body: "TEXT" in command and b"ks_c_5601-1987" in header,
    ),
)


def begins_no_part(octets: bytes) -> bool:
    scanner = StructureScanner()
    scanner.feed(octets)
    nodes = [scanner.finish()]
    for node in nodes:
        nodes += node.children
    return any(map(structure.begins_no_part, nodes))


def messages() -> dict[str, bytes]:
    place = corpus.need_corpus()
    found = {key: corpus.crlf(octets) for name in corpus.BULK for key, octets in corpus.bulk(name)}
    for ids in mailboxes().values():
        found |= {key: corpus.crlf((place / key).read_bytes()) for key in ids if key not in found}
    return found


def mailboxes() -> dict[str, list[str]]:
    found: dict[str, list[str]] = json.loads((corpus.need_corpus() / "expected" / "mailboxes.json").read_text())
    return found


def command_of(recorded: str) -> bytes:
    """The recorded command; its literal's text becomes a non-synchronising literal."""
    literal = _LITERAL.search(recorded)
    if literal is None:
        return recorded.encode()
    words = literal[1].encode()
    return recorded[: literal.start()].encode() + b"{%d+}\r\n" % len(words) + words


async def answers(place: Path, ids: list[str], octets: dict[str, bytes], commands: list[str]) -> dict[str, set[int]]:
    """Our results by command, of a scan; those by the index are the same."""
    async with some_components(place) as components:
        for key in ids:
            await components.deliver(octets[key])
        client = await signed_in(components, b"INBOX")
        found = {command: {int(uid) for uid in (await ok(client, command_of(command)))[0].split()[2:]} for command in commands}
        here = Indexed(components, place / "search")
        await here.filling.catch_up(1)
        for command in commands:
            assert {int(uid) for uid in (await ok(client, command_of(command)))[0].split()[2:]} == found[command], command
        assert not here.said
        return found


class Compared(NamedTuple):
    """One mailbox: how many messages Dovecot found, differences by the reason of their rule, and those without one."""

    found: int
    excused: Counter[str]
    wrong: list[tuple[str, str, str]]


@pytest.fixture(scope="module")
def compare(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Compared]:
    octets = messages()
    recorded = [row for row in corpus.expected("dovecot-search-sort-thread") if row["kind"] == "SEARCH"]

    @cache
    def of_mailbox(name: str) -> Compared:
        ids = mailboxes()[name]
        theirs = {row["command"]: set(row["result"]) for row in recorded if row["mailbox"] == name}
        ours = trio.run(answers, tmp_path_factory.mktemp("searched"), ids, octets, list(theirs))
        compared = Compared(sum(map(len, theirs.values())), Counter(), [])
        for command, uids in theirs.items():
            for uid in uids ^ ours[command]:
                message = octets[ids[uid - 1]]
                end = header_end(message)
                rule = next((rule for rule in RULES if rule.covers(command, message[:end], message[end:])), None)
                if rule is None:
                    compared.wrong.append((ids[uid - 1], command, "theirs" if uid in uids else "ours"))
                else:
                    compared.excused[rule.reason] += 1
        return compared

    return of_mailbox


@pytest.mark.parametrize("name", list(mailboxes()) if corpus.folder() else ["none"])
def test_searches_find_what_dovecot_finds_save_by_rule(compare: Callable[[str], Compared], name: str) -> None:
    assert not compare(name).wrong


def test_every_rule_excuses_something_and_all_of_them_little(compare: Callable[[str], Compared]) -> None:
    compared = [compare(name) for name in mailboxes()]
    excused = sum((one.excused for one in compared), Counter[str]())
    for reason, count in excused.items():
        print(f"{count:5} {reason}")
    found = sum(one.found for one in compared)
    print(f"{found} messages found, {excused.total()} excused")
    assert set(excused) == {rule.reason for rule in RULES}, "a rule that excuses nothing is no rule"
    assert excused.total() <= EXCUSED_MOST * found
