"""The filter of Email/query: parsed once, then asked of each message (RFC 8620 §5.5, RFC 8621 §4.4.1).

| conditions                                                     | decided by                                                      |
|----------------------------------------------------------------|-----------------------------------------------------------------|
| mailboxes, dates, sizes, keywords, keywords of threads          | the rows of the message's copies (`AccountRow`)                  |
| hasAttachment                                                  | the stored structure                                            |
| text, from, to, cc, bcc, subject, body, header                 | the search index, and the message itself where that leaves it open|

A test answers True, False, or None: facts about the text are needed first. Text is compared as in IMAP's SEARCH (`mail.query.folded`).
"text" finds what a reader sees, which IMAP's TEXT does not: names of servers and programs stand in the header of nearly every message.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from appliance.mail.query import ENVELOPE_FIELDS, BodyHas, HeaderHas, Query, ShownHas, folded
from appliance.protocol.imap.envelope_fields import searched_texts
from appliance.protocol.jmap.arguments import Arguments
from appliance.protocol.jmap.errors import MethodError, invalid
from appliance.store.account_rows import AccountRow

from .header_forms import parse_date
from .ids import parse_id

DEPTH = 20
CONDITIONS = 200
"""In one filter, however nested."""

Facts = Mapping[Query, bool]


Test = Callable[[AccountRow, Facts], "bool | None"]


@dataclass(slots=True)
class EmailFilter:
    """A compiled filter. `leaves`: what has to be looked for in texts, of which every match has the `needed` ones. `mailbox`: the one that
    must hold the message, if there is one."""

    test: Test
    leaves: list[Query] = field(default_factory=list)
    needed: list[Query] = field(default_factory=list)
    mailbox: int | None = None
    needs_threads: bool = False
    needs_structure: bool = False


def compile_filter(condition: Any) -> EmailFilter:
    """Raises MethodError: unsupportedFilter, invalidArguments."""
    compiled = EmailFilter(lambda candidate, facts: True)
    if condition is not None:
        compiled.test = _Compiler(compiled).node(condition, 0)
        compiled.mailbox = _mailbox_of(condition)
    return compiled


def _mailbox_of(condition: Any) -> int | None:
    """A mailbox that every match is in, as far as it is plain to see."""
    if isinstance(condition, dict) and condition.get("operator") == "AND":
        return next((found for row in condition["conditions"] if (found := _mailbox_of(row)) is not None), None)
    if isinstance(condition, dict) and isinstance(condition.get("inMailbox"), str):
        return parse_id("F", condition["inMailbox"]) or 0
    return None


class _Compiler:
    def __init__(self, compiled: EmailFilter) -> None:
        self._compiled = compiled
        self._count = 0
        self._alternatives = 0
        """How many OR and NOT stand around a condition."""

    def node(self, condition: Any, depth: int) -> Test:
        self._count += 1
        if not isinstance(condition, dict) or depth > DEPTH or self._count > CONDITIONS:
            raise MethodError("unsupportedFilter", f"A filter is an object, at most {DEPTH} deep, with at most {CONDITIONS} conditions.")
        if "operator" not in condition:
            return _all([self._condition(name, value) for name, value in condition.items()])
        rows, operator = condition.get("conditions"), condition["operator"]
        if not isinstance(rows, list) or operator not in ("AND", "OR", "NOT") or len(condition) != 2:
            raise invalid("A filter's operator is AND, OR or NOT, with a list of conditions.")
        self._alternatives += operator != "AND"
        tests = [self.node(row, depth + 1) for row in rows]
        self._alternatives -= operator != "AND"
        if operator == "AND":
            return _all(tests)
        return _any(tests) if operator == "OR" else _none(tests)

    def _condition(self, name: str, value: Any) -> Test:
        self._count += 1
        if value is None:
            raise invalid(f'"{name[:100]}" in a filter is null.')
        arguments = Arguments({name: value})
        match name:
            case "inMailbox":
                mailbox = parse_id("F", arguments.id(name)) or 0
                return lambda candidate, facts: mailbox in candidate.mailboxes
            case "inMailboxOtherThan":
                others = {parse_id("F", one) or 0 for one in arguments.strings(name) or []}
                return lambda candidate, facts: bool(candidate.mailboxes - others)
            case "before":
                end = _date(arguments.text(name))
                return lambda candidate, facts: candidate.internal_at < end
            case "after":
                start = _date(arguments.text(name))
                return lambda candidate, facts: candidate.internal_at >= start
            case "minSize":
                least = arguments.number(name) or 0
                return lambda candidate, facts: candidate.octets >= least
            case "maxSize":
                most = arguments.number(name) or 0
                return lambda candidate, facts: candidate.octets < most
            case "hasAttachment":
                wanted = arguments.flag(name)
                self._compiled.needs_structure = True
                return lambda candidate, facts: None if candidate.has_attachment is None else candidate.has_attachment == wanted
        if "Keyword" in name:
            return self._keyword(name, arguments.text(name).lower())
        return self._text(name, arguments)

    def _keyword(self, name: str, keyword: str) -> Test:
        match name:
            case "hasKeyword":
                return lambda candidate, facts: keyword in candidate.keywords
            case "notKeyword":
                return lambda candidate, facts: keyword not in candidate.keywords
            case "allInThreadHaveKeyword":
                found: Test = lambda candidate, facts: all(keyword in one for one in candidate.thread_keywords)  # noqa: E731
            case "someInThreadHaveKeyword":
                found = lambda candidate, facts: any(keyword in one for one in candidate.thread_keywords)  # noqa: E731
            case "noneInThreadHaveKeyword":
                found = lambda candidate, facts: not any(keyword in one for one in candidate.thread_keywords)  # noqa: E731
            case _:
                raise MethodError("unsupportedFilter", f"Messages cannot be filtered by {name[:100]}.")
        self._compiled.needs_threads = True
        return found

    def _text(self, name: str, arguments: Arguments) -> Test:
        leaf: Query
        if name in ENVELOPE_FIELDS:
            leaf = HeaderHas(name, arguments.text(name))
        elif name == "text":
            leaf = ShownHas(arguments.text(name))
        elif name == "body":
            leaf = BodyHas(arguments.text(name))
        elif name == "header":
            words = arguments.strings(name) or []
            if len(words) not in (1, 2):
                raise invalid("A header condition is a name, and a text if need be.")
            leaf = HeaderHas(words[0].lower(), words[1] if len(words) == 2 else "")
        else:
            raise MethodError("unsupportedFilter", f"Messages cannot be filtered by {name[:100]}.")
        self._compiled.leaves.append(leaf)
        if not self._alternatives:
            self._compiled.needed.append(leaf)
        return lambda candidate, facts: facts.get(leaf)


def envelope_facts(leaves: Iterable[Query], envelope: bytes) -> dict[Query, bool]:
    """What a stored ENVELOPE decides, as the search index has it."""
    wanted = [one for one in leaves if isinstance(one, ShownHas) or (isinstance(one, HeaderHas) and one.field in ENVELOPE_FIELDS)]
    wanted = [one for one in wanted if one.needle]
    if not wanted:
        return {}
    facts: dict[Query, bool] = {}
    texts = dict(zip(ENVELOPE_FIELDS, map(folded, searched_texts(envelope)), strict=True))
    for leaf in wanted:
        needle = folded(leaf.needle)
        if isinstance(leaf, HeaderHas):
            facts[leaf] = needle in texts[leaf.field]
        elif any(needle in text for text in texts.values()):
            facts[leaf] = True
    return facts


def _date(text: str) -> int:
    """A UTCDate as UTC seconds (RFC 8620 §1.4)."""
    found = parse_date(text) if text.endswith("Z") else None
    if found is None:
        raise invalid("A date looks like 2014-10-30T06:12:00Z.")
    return found[0]


def _all(tests: list[Test]) -> Test:
    def test(candidate: AccountRow, facts: Facts) -> bool | None:
        answer: bool | None = True
        for one in tests:
            found = one(candidate, facts)
            if found is False:
                return False
            answer = None if found is None else answer
        return answer

    return tests[0] if len(tests) == 1 else test


def _any(tests: list[Test]) -> Test:
    def test(candidate: AccountRow, facts: Facts) -> bool | None:
        answer: bool | None = False
        for one in tests:
            found = one(candidate, facts)
            if found:
                return True
            answer = None if found is None else answer
        return answer

    return test


def _none(tests: list[Test]) -> Test:
    inner = _any(tests)

    def test(candidate: AccountRow, facts: Facts) -> bool | None:
        found = inner(candidate, facts)
        return None if found is None else not found

    return test
