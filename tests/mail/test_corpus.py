"""Every message of the shared corpus against the answers Dovecot 2.3.19 gave: ENVELOPE, BODY, BODYSTRUCTURE, sizes, sections, BINARY.

A difference is excused only by a rule: what must hold of the message, why, and how many messages differ
for it. All rules together excuse at most 2.5 %, and a rule that excuses none fails.
"""

import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import pytest

from appliance.mail.addresses import parse_address_list, read_address_list
from appliance.mail.date import parse_date
from appliance.mail.description import Description
from appliance.mail.encoding import DamagedOctets, decode_words, header_as_binary, transfer_decoder
from appliance.mail.header import header_end, value
from appliance.mail.partmap import BASE64, LEAF, QUOTED_PRINTABLE, Part, binary_spans, find
from appliance.mail.structure import StructureScanner, begins_no_part
from appliance.protocol.imap.bodystructure import body_of, make_describe
from tests.support.corpus import Message, expected, messages

pytestmark = pytest.mark.corpus

MESSAGES = 4448
EXCUSED_AT_MOST = MESSAGES * 25 // 1000
PREVIEWS_ALIKE = 3959
"""Of 4,447: ours takes the plain text first, shows a multipart without parts, leaves markup out differently and decodes to the damage."""


@dataclass(frozen=True)
class Rule:
    """A deliberate difference. `covers` looks at octets and structure only; `excuses` messages differ for it."""

    name: str
    reason: str
    covers: Callable[[Message, Description], bool]
    excuses: int


def _empty_encoded_inside(message: Message, described: Description) -> bool:
    """A letter inside the letter holds a part with a body of no octets that is said to be encoded."""
    for row in message.expected.get("parts", ()):
        section = tuple(map(int, row["section"].split(".")))
        if row["type"] == "message/rfc822" and any(
            span.start == span.end and span.transfer in (BASE64, QUOTED_PRINTABLE) for span in binary_spans(described.parts, section) or []
        ):
            return True
    return False


_ADDRESS_FIELD = re.compile(rb"(?:\A|\n)(?:from|sender|reply-to|to|cc|bcc)[ \t]*:((?:[^\n]|\n[ \t])*)", re.IGNORECASE)


def _broken_addresses(message: Message, _: Description) -> bool:
    """An address field, or what stands like one in a message inside, that the grammar cannot read."""
    values = [found[1].strip() for found in _ADDRESS_FIELD.finditer(message.octets)]
    return any(read_address_list(value)[0] != parse_address_list(value) for value in values)


_TOKEN = rb"[!#-'*+\-.0-9A-Z^-~]+"
_CONTENT_FIELD = re.compile(rb"(?:\A|\n)content-(type|disposition|transfer-encoding)[ \t]*:((?:[^\n]|\n[ \t])*)", re.IGNORECASE)
_PARAMETERS = rb"(?:\s*;\s*%b\s*=\s*(?:%b|\"[^\"]*\"))*\s*;?\s*" % (_TOKEN, _TOKEN)
_SOUND: dict[bytes, re.Pattern[bytes]] = {
    b"type": re.compile(rb"\s*%b/%b%b" % (_TOKEN, _TOKEN, _PARAMETERS)),
    b"disposition": re.compile(rb"\s*%b%b" % (_TOKEN, _PARAMETERS)),
    b"transfer-encoding": re.compile(rb"\s*%b\s*" % _TOKEN),
}


def _broken_content(message: Message, _: Description) -> bool:
    """A field that says what a part is and breaks its grammar; mended, all but its comments."""
    return any(not _SOUND[found[1].lower()].fullmatch(found[2]) for found in _CONTENT_FIELD.finditer(message.octets))


def _first_delimiter_in_header(message: Message, _: Description) -> bool:
    """A multipart with several parts, the first of which has no header of its own octets."""
    scanner = StructureScanner()
    scanner.feed(message.octets)
    nodes = [scanner.finish()]
    for node in nodes:
        nodes += node.children
    return any(len(node.children) > 1 and node.children[0].body_start == node.body_start for node in nodes)


def _no_part_begins(message: Message, _: Description) -> bool:
    """A multipart, at any depth, whose body holds no delimiter of its own."""
    scanner = StructureScanner()
    scanner.feed(message.octets)
    nodes = [scanner.finish()]
    for node in nodes:
        nodes += node.children
    return any(map(begins_no_part, nodes))


RULES = (
    Rule(
        "broken addresses",
        "Dovecot stops at the first mistake in an address list and takes an address in a display name for the sender; here what stands in"
        " angle brackets is the address and reading goes on behind a mistake (RFC 5322 §3.4, §4.4 leave broken lists open)",
        _broken_addresses,
        23,
    ),
    Rule(
        "broken Content- fields",
        'Dovecot tells "" for a type that breaks RFC 2045 §5.1 and drops parameters and encodings; here they are read as they were meant,'
        " and what names no type is text/plain (§5.2) or, where it has a file name, a file",
        _broken_content,
        18,
    ),
    Rule(
        "long boundary",
        "Dovecot cuts a boundary after 80 octets before it compares; here it is compared whole (RFC 2046 §5.1.1)",
        lambda message, _: re.search(rb'boundary="[^"]{80,}"', message.octets) is not None,
        4,
    ),
    Rule(
        "no part begins",
        "in a multipart in which no part begins Dovecot tells one empty part, so that the text is in none; here it is that part's text"
        " (RFC 2046 §5.1 leaves such a body open)",
        _no_part_begins,
        49,
    ),
    Rule(
        "first delimiter in the header",
        "without a blank line before the first delimiter Dovecot takes the first part for preamble; here its text is in a part"
        " (RFC 2046 §5.1.1)",
        _first_delimiter_in_header,
        1,
    ),
    Rule("nothing", "APPEND of no octets: Dovecot refuses it, here it has a description", lambda message, _: not message.octets, 1),
    Rule(
        "NUL",
        "Dovecot stores 0x80 for NUL; the octets are kept as they came, and only plain literals tell 0x80 (RFC 9051 §4.3.1)",
        lambda message, _: b"\0" in message.octets,
        9,
    ),
    Rule(
        "CR CR LF", "Dovecot drops one CR of CR CR LF; the octets are kept as they came", lambda message, _: b"\r\r\n" in message.octets, 4
    ),
    Rule(
        "CR at the end",
        "Dovecot drops a CR that ends the message; the octets are kept",
        lambda message, _: message.octets.endswith(b"\r"),
        2,
    ),
    Rule(
        "no octets, encoded, in a message",
        "in BINARY of a message Dovecot adds an empty line to a part without a body, or moves the header's new field",
        _empty_encoded_inside,
        3,
    ),
)


@dataclass
class Comparison:
    compared: int = 0
    answers: int = 0
    unexplained: dict[str, list[str]] = field(default_factory=dict)
    excused: dict[str, set[str]] = field(default_factory=dict)
    previews_alike: int = 0
    pieces_differ: list[str] = field(default_factory=list)


def described_at_once(octets: bytes) -> Description:
    scanner = make_describe()
    scanner.feed(octets)
    return scanner.finish()


def described_in_pieces(octets: bytes, dice: random.Random) -> Description:
    scanner = make_describe()
    at = 0
    while at < len(octets):
        size = dice.choice((1, 3, 17, 100, 1000, 5000, 65_536))
        scanner.feed(octets[at : at + size])
        at += size
    return scanner.finish()


def digest(octets: bytes) -> str:
    return sha256(octets).hexdigest()


def wire(answer: str) -> bytes:
    return answer.encode("latin-1")


def differences(message: Message, described: Description) -> Iterator[str]:
    """What Dovecot answered otherwise, a word each."""
    octets, row = message.octets, message.expected
    if "append" in row:
        yield "append"
        return
    for name, ours in (
        ("envelope", described.envelope),
        ("bodystructure", described.bodystructure),
        ("body", body_of(described.bodystructure)),
    ):
        if name in row and ours not in (wire(row[name]), b"(" + wire(row[name]) + b")"):
            yield name
    whole, header = described.octets, described.header_octets
    if whole != row["rfc822_size"]:
        yield "rfc822_size"
    if header != row["header_size"]:
        yield "header_size"
    for name, start, end in (("body_sha256", 0, whole), ("header_sha256", 0, header), ("text_sha256", header, whole)):
        if digest(octets[start:end]) != row[name]:
            yield name
    for part in row["parts"]:
        section = tuple(map(int, part["section"].split(".")))
        found = find(described.parts, section)
        if found is None:
            yield f"no section {part['section']}"
        else:
            yield from _part_differences(octets, described, section, found, part)


def _part_differences(octets: bytes, described: Description, section: tuple[int, ...], found: Part, row: dict[str, Any]) -> Iterator[str]:
    body = octets[found.body_start : found.end]
    if (len(body), digest(body)) != (row["size"], row["sha256"]):
        yield f"section {row['section']}"
    decoded = binary(octets, described, section)
    if "binary_error" not in row:
        if decoded is None or (len(decoded), digest(decoded)) != (row["decoded_size"], row["decoded_sha256"]):
            yield f"BINARY {row['section']}"
    elif "UNKNOWN-CTE" in row["binary_error"] and decoded is not None:
        yield f"BINARY {row['section']} should be unknown"
    # Where Dovecot finds damage or leaves the session, NO [UNKNOWN-CTE] and the octets are both good answers.


def binary(octets: bytes, described: Description, section: tuple[int, ...]) -> bytes | None:
    """BINARY[section] put together from its spans; None where the answer is NO [UNKNOWN-CTE]."""
    out: list[bytes] = []
    for span in binary_spans(described.parts, section) or []:
        piece = octets[span.start : span.end]
        if span.header:
            out.append(header_as_binary(piece, span.transfer))
            continue
        decoder = transfer_decoder(span.transfer)
        if decoder is None:
            return None
        try:
            # in two pieces: what is held back between them must not matter
            out += [decoder.feed(piece[: len(piece) // 2]), decoder.feed(piece[len(piece) // 2 :]), decoder.finish()]
        except DamagedOctets:
            return None
    return b"".join(out)


def preview_of(row: dict[str, Any]) -> str:
    answer = wire(row["preview"])
    if answer.startswith(b"{"):
        return answer.partition(b"\r\n")[2].decode("utf-8", "replace")
    return answer[1:-1].replace(b'\\"', b'"').replace(b"\\\\", b"\\").decode()


@pytest.fixture(scope="module")
def comparison() -> Comparison:
    result = Comparison()
    dice = random.Random(2045)
    for message in messages():
        result.compared += 1
        described = described_at_once(message.octets)
        if described_in_pieces(message.octets, dice) != described:
            result.pieces_differ.append(message.id)
        result.previews_alike += "preview" in message.expected and described.preview == preview_of(message.expected)
        found = list(differences(message, described))
        if not found:
            continue
        covering = [rule.name for rule in RULES if rule.covers(message, described)]
        for name in covering:
            result.excused.setdefault(name, set()).add(message.id)
        if not covering:
            result.unexplained[message.id] = found
    return result


def test_every_answer_is_dovecot_s_or_excused_by_a_rule(comparison: Comparison) -> None:
    assert comparison.compared == MESSAGES
    assert comparison.unexplained == {}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_a_rule_excuses_what_it_says(comparison: Comparison, rule: Rule) -> None:
    assert rule.excuses > 0
    assert len(comparison.excused.get(rule.name, ())) == rule.excuses


def test_all_rules_together_excuse_few(comparison: Comparison) -> None:
    assert len(set().union(*comparison.excused.values())) <= EXCUSED_AT_MOST


def test_pieces_of_any_size_have_the_same_answer(comparison: Comparison) -> None:
    assert comparison.pieces_differ == []


def test_previews_are_mostly_alike(comparison: Comparison) -> None:
    assert comparison.previews_alike >= PREVIEWS_ALIKE


def as_dovecot_stores(octets: bytes) -> bytes:
    """What README says Dovecot makes of octets that it does not keep."""
    return octets.replace(b"\r\r\n", b"\r\n").removesuffix(b"\r").replace(b"\0", b"\x80")


def test_what_dovecot_changes_is_all_that_differs() -> None:
    """Excused messages, changed as Dovecot changes them, have its answers, decoded NUL aside; save where another rule holds."""
    changed = 0
    for message in messages():
        stored = as_dovecot_stores(message.octets)
        described = described_at_once(stored)
        if not stored or stored == message.octets or _broken_addresses(message, described) or _no_part_begins(message, described):
            continue
        changed += 1
        found = list(differences(message._replace(octets=stored), described))
        assert [name for name in found if not name.startswith("BINARY")] == [], message.id
    assert changed == 14


def test_decoded_subjects_are_those_of_two_libraries() -> None:
    facts = {row["id"]: row["subject"] for name in ("facts", "facts-bulk") for row in expected(name) if row.get("subject") is not None}
    compared = 0
    for message in messages():
        if message.id in facts:
            subjects = value(message.octets[: header_end(message.octets)], b"subject") or b""
            compared += decode_words(subjects).split() == facts[message.id].split()
    assert compared >= len(facts) * 99 // 100


def test_dates_in_a_folder_of_real_mail_are_read() -> None:
    """Dovecot sorts the list folder by date exactly as the instants read here do."""
    order = next(
        row
        for row in expected("dovecot-search-sort-thread")
        if row["command"] == "UID SORT (DATE) UTF-8 ALL" and row["mailbox"] == "bulk-easy-ham-1"
    )
    instants = [
        parse_date(value(message.octets[: header_end(message.octets)], b"date") or b"")
        for message in messages()
        if "easy-ham" in message.id
    ]
    assert None not in instants
    assert [int(uid) for uid in order["result"].split()] == sorted(range(1, len(instants) + 1), key=lambda uid: (instants[uid - 1], uid))


def test_section_numbers_that_are_not_there() -> None:
    for message in messages():
        if message.expected.get("parts_total") == 1:
            described = described_at_once(message.octets)
            whole = find(described.parts, ())
            assert whole is not None
            if whole.kind == LEAF:
                assert find(described.parts, (1,)) == whole
                assert find(described.parts, (2,)) is None
                assert find(described.parts, (1, 1)) is None
