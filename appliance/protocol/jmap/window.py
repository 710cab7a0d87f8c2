"""The part of a query's results that a client asked for (RFC 8620 §5.5), and what changed in a query (§5.6)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .arguments import MOST_INT, Arguments
from .errors import MethodError, invalid

WINDOW = ("position", "anchor", "anchorOffset", "limit", "calculateTotal")
"""Arguments of a query that jmapc sends with each row of `sort` as well, where they are passed over."""


@dataclass(frozen=True, slots=True)
class Window:
    """`anchor`: an id whose index, plus `anchor_offset`, is the first to return; it wins over `position`, which counts from the end
    when it is negative. `limit` is None for no limit of the client's."""

    position: int = 0
    anchor: str | None = None
    anchor_offset: int = 0
    limit: int | None = None
    calculate_total: bool = False

    def range_of(self, ids: Sequence[Any], most: int, known_as: Callable[[str], Any] = str) -> tuple[int, int]:
        """First and end index into `ids`, at most `most` of them; `known_as`: what stands there for an id. Raises MethodError
        anchorNotFound."""
        if self.anchor is not None:
            try:
                first = max(ids.index(known_as(self.anchor)) + self.anchor_offset, 0)
            except ValueError:
                raise MethodError("anchorNotFound", "The anchor is not among the results.") from None
        else:
            first = self.position if self.position >= 0 else max(len(ids) + self.position, 0)
        first = min(first, len(ids))
        return first, min(first + min(most if self.limit is None else self.limit, most), len(ids))


def read_window(arguments: Arguments) -> Window:
    """Takes position, anchor, anchorOffset, limit and calculateTotal. Raises MethodError."""
    return Window(
        position=arguments.number("position", 0, least=-MOST_INT) or 0,
        anchor=arguments.optional_id("anchor"),
        anchor_offset=arguments.number("anchorOffset", 0, least=-MOST_INT) or 0,
        limit=arguments.number("limit"),
        calculate_total=arguments.flag("calculateTotal"),
    )


@dataclass(frozen=True, slots=True)
class Comparator:
    """One row of `sort`; `keyword` for those of RFC 8621 §4.4.2 that need one."""

    name: str
    is_ascending: bool = True
    collation: str = ""
    keyword: str = ""


def read_sort(arguments: Arguments, known: Sequence[str], collations: Sequence[str], most: int = 10) -> tuple[Comparator, ...]:
    """Takes `sort`. Raises MethodError: unsupportedSort, invalidArguments."""
    rows = arguments.list_of_objects("sort") or []
    if len(rows) > most:
        raise MethodError("unsupportedSort", f"More than {most} properties to sort by.")
    return tuple(_comparator(row, known, collations) for row in rows)


def _comparator(row: dict[str, object], known: Sequence[str], collations: Sequence[str]) -> Comparator:
    inner = Arguments({member: value for member, value in row.items() if member not in WINDOW})
    name = inner.text("property")
    if not name:
        raise invalid('A row of "sort" has no "property".')
    if name not in known:
        raise MethodError("unsupportedSort", f"Nothing can be sorted by {name[:100]}.")
    found = Comparator(name, inner.flag("isAscending", True), inner.text("collation"), inner.text("keyword"))
    inner.end()
    if found.collation and found.collation not in collations:
        raise MethodError("unsupportedSort", f"There is no collation {found.collation[:100]}.")
    if name.endswith("Keyword") != bool(found.keyword):
        raise invalid(f'"keyword" belongs to the properties that end in Keyword, and to these always: {name}.')
    return found


def query_changes(before: Sequence[str], now: Sequence[str], changed: frozenset[str]) -> tuple[list[str], list[tuple[int, str]]]:
    """What a client removes from its list `before`, then adds, lowest index first, to have `now`.

    `changed`: ids whose place may be another one though they are in both.
    """
    there = frozenset(now)
    known = frozenset(before)
    removed = [one for one in before if one not in there or one in changed]
    added = [(index, one) for index, one in enumerate(now) if one not in known or one in changed]
    return removed, added
