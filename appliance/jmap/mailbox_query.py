"""Mailbox/query: which mailboxes a filter chooses, and their order (RFC 8621 §2.3)."""

from collections.abc import Sequence
from typing import Any

from appliance.protocol.jmap.arguments import Arguments
from appliance.protocol.jmap.errors import MethodError, invalid
from appliance.protocol.jmap.window import read_sort
from appliance.store.values import MailboxInfo

from .ids import encode_id
from .mailbox_object import ORDER, MailboxTree, role_of

SORTS = ("sortOrder", "name", "parentId")
FILTERS = ("parentId", "name", "role", "hasAnyRole", "isSubscribed")


def matching(arguments: Arguments, infos: Sequence[MailboxInfo]) -> list[str]:
    """Takes filter, sort, sortAsTree and filterAsTree; the ids in order."""
    condition = arguments.object("filter") or {}
    sort = read_sort(arguments, SORTS, ())
    as_tree, filter_tree = arguments.flag("sortAsTree"), arguments.flag("filterAsTree")
    tree = MailboxTree(infos)
    matched = {info.id for info in infos if _matches(condition, info, tree)}
    ordered = [info for info in infos if info.id in matched]
    if filter_tree:
        ordered = [info for info in ordered if all(above.id in matched for above in tree.superiors(info))]
    for row in reversed(sort or ()):
        ordered.sort(key=lambda info, row=row: _sort_key(info, row.name, tree), reverse=not row.is_ascending)  # type: ignore[misc]
    if as_tree:
        ordered = _as_tree(ordered, tree)
    return [encode_id("F", info.id) for info in ordered]


def _matches(condition: Any, info: MailboxInfo, tree: MailboxTree, depth: int = 0) -> bool:
    """A FilterOperator or a FilterCondition (RFC 8620 §5.5, RFC 8621 §2.3)."""
    if not isinstance(condition, dict) or depth > 20:
        raise MethodError("unsupportedFilter", "A filter is an object, and not nested deeper than 20.")
    if "operator" in condition:
        rows, operator = condition.get("conditions"), condition["operator"]
        if not isinstance(rows, list) or operator not in ("AND", "OR", "NOT"):
            raise invalid("A filter's operator is AND, OR or NOT, with a list of conditions.")
        results = [_matches(row, info, tree, depth + 1) for row in rows]
        return all(results) if operator == "AND" else any(results) if operator == "OR" else not any(results)
    return all(_meets(name, value, info, tree) for name, value in condition.items())


def _meets(name: str, value: Any, info: MailboxInfo, tree: MailboxTree) -> bool:
    match name:
        case "parentId":
            return bool(value == tree.parent_id(info))
        case "name" if isinstance(value, str):
            return value.casefold() in tree.name(info).casefold()
        case "role":
            return bool(value == role_of(info))
        case "hasAnyRole" if isinstance(value, bool):
            return value == (role_of(info) is not None)
        case "isSubscribed" if isinstance(value, bool):
            return value == info.subscribed
    if name in FILTERS:
        raise invalid(f'The filter\'s "{name}" has a wrong type.')
    raise MethodError("unsupportedFilter", f"Mailboxes cannot be filtered by {name[:100]}.")


def _sort_key(info: MailboxInfo, name: str, tree: MailboxTree) -> Any:
    if name == "sortOrder":
        return ORDER.get(role_of(info) or "", 10)
    if name == "name":
        return tree.name(info).casefold()
    parent = tree.parent(info)
    return parent.id if parent else 0


def _as_tree(ordered: list[MailboxInfo], tree: MailboxTree) -> list[MailboxInfo]:
    """Each mailbox directly behind the one above it (RFC 8621 §2.3: sortAsTree)."""
    there = {info.id for info in ordered}
    below: dict[int, list[MailboxInfo]] = {}
    for info in ordered:
        parent = tree.parent(info)
        below.setdefault(parent.id if parent is not None and parent.id in there else 0, []).append(info)
    found: list[MailboxInfo] = []
    todo = list(reversed(below.get(0, [])))
    while todo:
        info = todo.pop()
        found.append(info)
        todo += reversed(below.get(info.id, []))
    return found
