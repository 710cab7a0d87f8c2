"""Mailbox/query: which mailboxes a filter chooses, and their order (RFC 8621 §2.3)."""

from collections.abc import Sequence
from typing import Any

from appliance.protocol.jmap.arguments import Arguments
from appliance.protocol.jmap.errors import MethodError, invalid
from appliance.protocol.jmap.window import read_sort
from appliance.store.values import MailboxInfo

from .ids import encode_id
from .mailbox_object import ORDER, SEPARATOR, above, role_of

SORTS = ("sortOrder", "name", "parentId")
FILTERS = ("parentId", "name", "role", "hasAnyRole", "isSubscribed")


def matching(arguments: Arguments, infos: Sequence[MailboxInfo]) -> list[str]:
    """Takes filter, sort, sortAsTree and filterAsTree; the ids in order."""
    condition = arguments.object("filter") or {}
    sort = read_sort(arguments, SORTS, ())
    as_tree, filter_tree = arguments.flag("sortAsTree"), arguments.flag("filterAsTree")
    by_name = {info.name: info for info in infos}
    matched = {info.name for info in infos if _matches(condition, info, by_name)}
    if filter_tree:
        matched = {name for name in matched if all(one in matched for one in _superiors(name, by_name))}
    ordered = [info for info in infos if info.name in matched]
    for row in reversed(sort or ()):
        ordered.sort(key=lambda info, row=row: _sort_key(info, row.name, by_name), reverse=not row.is_ascending)  # type: ignore[misc]
    if as_tree:
        ordered = _as_tree(ordered)
    return [encode_id("F", info.id) for info in ordered]


def _superiors(name: str, by_name: dict[str, MailboxInfo]) -> list[str]:
    found = []
    while (name := above(name)) in by_name:
        found.append(name)
    return found


def _matches(condition: Any, info: MailboxInfo, by_name: dict[str, MailboxInfo], depth: int = 0) -> bool:
    """A FilterOperator or a FilterCondition (RFC 8620 §5.5, RFC 8621 §2.3)."""
    if not isinstance(condition, dict) or depth > 20:
        raise MethodError("unsupportedFilter", "A filter is an object, and not nested deeper than 20.")
    if "operator" in condition:
        rows, operator = condition.get("conditions"), condition["operator"]
        if not isinstance(rows, list) or operator not in ("AND", "OR", "NOT"):
            raise invalid("A filter's operator is AND, OR or NOT, with a list of conditions.")
        results = [_matches(row, info, by_name, depth + 1) for row in rows]
        return all(results) if operator == "AND" else any(results) if operator == "OR" else not any(results)
    return all(_meets(name, value, info, by_name) for name, value in condition.items())


def _meets(name: str, value: Any, info: MailboxInfo, by_name: dict[str, MailboxInfo]) -> bool:
    match name:
        case "parentId":
            parent = by_name.get(above(info.name))
            return bool(value == (encode_id("F", parent.id) if parent else None))
        case "name" if isinstance(value, str):
            return value.casefold() in info.name.rpartition(SEPARATOR)[2].casefold()
        case "role":
            return bool(value == role_of(info))
        case "hasAnyRole" if isinstance(value, bool):
            return value == (role_of(info) is not None)
        case "isSubscribed" if isinstance(value, bool):
            return value == info.subscribed
    if name in FILTERS:
        raise invalid(f'The filter\'s "{name}" has a wrong type.')
    raise MethodError("unsupportedFilter", f"Mailboxes cannot be filtered by {name[:100]}.")


def _sort_key(info: MailboxInfo, name: str, by_name: dict[str, MailboxInfo]) -> Any:
    if name == "sortOrder":
        return ORDER.get(role_of(info) or "", 10)
    if name == "name":
        return info.name.rpartition(SEPARATOR)[2].casefold()
    parent = by_name.get(above(info.name))
    return parent.id if parent else 0


def _as_tree(ordered: list[MailboxInfo]) -> list[MailboxInfo]:
    """Each mailbox directly behind the one above it (RFC 8621 §2.3: sortAsTree)."""
    names = {info.name for info in ordered}
    below: dict[str, list[MailboxInfo]] = {}
    for info in ordered:
        parent = above(info.name)
        below.setdefault(parent if parent in names else "", []).append(info)
    found: list[MailboxInfo] = []
    todo = list(reversed(below.get("", [])))
    while todo:
        info = todo.pop()
        found.append(info)
        todo += reversed(below.get(info.name, []))
    return found
