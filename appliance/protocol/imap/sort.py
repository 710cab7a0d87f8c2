"""SORT's criteria (RFC 5256 §5 sort-criteria). Raises MisuseError; linear in the command's octets."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from appliance.mail.errors import MisuseError

from .tokens import Tokens

CRITERIA = 20
"""Of one SORT, repeated ones included: there are ten keys, and a key that comes again changes nothing."""


@dataclass(frozen=True, slots=True)
class SortCriterion:
    """A sort key, which the session's table explains, in ascending or descending order."""

    key: Any
    reverse: bool = False


def parse_criteria(tokens: Tokens, known: Mapping[bytes, Any]) -> tuple[SortCriterion, ...]:
    """`"(" ["REVERSE" SP] key *(SP ["REVERSE" SP] key) ")"`; of a repeated key the first counts."""
    found: dict[bytes, SortCriterion] = {}
    criteria = tokens.list_of(lambda: _criterion(tokens, known))
    if not criteria:
        raise tokens.misuse("SORT needs a sort key")
    if len(criteria) > CRITERIA:
        raise MisuseError(f"more than {CRITERIA} sort keys")
    for name, criterion in criteria:
        found.setdefault(name, criterion)
    return tuple(found.values())


def _criterion(tokens: Tokens, known: Mapping[bytes, Any]) -> tuple[bytes, SortCriterion]:
    name = tokens.keyword()
    reverse = name == b"REVERSE"
    if reverse:
        tokens.space()
        name = tokens.keyword()
    if name not in known:
        raise MisuseError(f"There is no sort key {name.decode()}, only: {' '.join(sorted(map(bytes.decode, known)))}.")
    return name, SortCriterion(known[name], reverse)
