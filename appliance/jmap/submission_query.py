"""EmailSubmission/query and EmailSubmission/queryChanges (RFC 8621 §7.3, §7.4).

An account has at most a thousand submissions, so each query reads their narrow rows. What a query sorts by never changes, and whatever
changed since a state is told as removed and added again, so changes need no list of what the client knows.
"""

from collections.abc import Callable, Sequence
from typing import Any

from appliance.protocol.jmap.arguments import Arguments
from appliance.protocol.jmap.errors import MethodError, invalid
from appliance.protocol.jmap.request import JmapLimits
from appliance.protocol.jmap.window import Comparator, read_sort, read_window
from appliance.protocol.smtp.futurerelease import parse_date_time
from appliance.queue.submissions import KEPT, ListedSubmission, listed_submissions
from appliance.store.object_changes import SUBMISSION as TABLE
from appliance.store.object_changes import ObjectChange, object_changes, object_state
from appliance.store.store import Store

from .identity import SUBMISSION, own_account
from .ids import encode_id, encode_state, parse_state
from .method import Call, Method
from .standard import query_response

SORTS = ("emailId", "threadId", "sentAt", "sendAt")
"""RFC 8621 §7.3 says sentAt; the property is sendAt."""
DEPTH = 20
CONDITIONS = 200

Test = Callable[[ListedSubmission], bool]


class SubmissionQueryMethods:
    """The methods of one server."""

    def __init__(self, store: Store, limits: JmapLimits) -> None:
        self._store = store
        self._limits = limits

    def methods(self) -> tuple[Method, ...]:
        return (
            Method("EmailSubmission/query", SUBMISSION, self.query),
            Method("EmailSubmission/queryChanges", SUBMISSION, self.query_changes),
        )

    async def query(self, call: Call) -> dict[str, Any]:
        account = own_account(call)
        test, sort = _read_query(call.arguments)
        window = read_window(call.arguments)
        call.arguments.end()

        def work(connection: Any) -> tuple[Any, list[ListedSubmission]]:
            return object_state(connection, TABLE, account.account), listed_submissions(connection, account.account)

        state, rows = await self._store.database.read(work)
        ids = [encode_id("S", row.id) for row in _ordered(rows, test, sort)]
        return query_response(account.id, encode_state(state), ids, window, KEPT, can_calculate_changes=True)

    async def query_changes(self, call: Call) -> dict[str, Any]:
        account = own_account(call)
        test, sort = _read_query(call.arguments)
        since = parse_state(call.arguments.text("sinceQueryState"))
        most = call.arguments.number("maxChanges", None, least=1)
        call.arguments.optional_id("upToId")  # rows may leave a filter's results, so it is passed over (RFC 8620 §5.6)
        total = call.arguments.flag("calculateTotal")
        call.arguments.end()

        def work(connection: Any) -> tuple[tuple[Any, list[ObjectChange], bool] | None, list[ListedSubmission]]:
            return object_changes(connection, TABLE, account.account, since.modseq, 2 * KEPT), listed_submissions(
                connection, account.account
            )

        changes, rows = await self._store.database.read(work)
        if changes is None or changes[2]:
            raise MethodError("cannotCalculateChanges", "That state is too old or was never one.")
        results = _ordered(rows, test, sort)
        removed = [encode_id("S", one.id) for one in changes[1] if one.created_modseq <= since.modseq]
        added = [{"id": encode_id("S", row.id), "index": place} for place, row in enumerate(results) if row.modseq > since.modseq]
        if most is not None and len(removed) + len(added) > most:
            raise MethodError("tooManyChanges", "There are more changes than asked for.")
        return {
            "accountId": account.id,
            "oldQueryState": encode_state(since),
            "newQueryState": encode_state(changes[0]),
            **({"total": len(results)} if total else {}),
            "removed": removed,
            "added": added,
        }


def _read_query(arguments: Arguments) -> tuple[Test, tuple[Comparator, ...]]:
    condition = arguments.object("filter")
    test = _node(condition, 0, [0]) if condition is not None else lambda row: True
    return test, read_sort(arguments, SORTS, ())


def _ordered(rows: Sequence[ListedSubmission], test: Test, sort: Sequence[Comparator]) -> list[ListedSubmission]:
    """Those that pass, in order; the last resort is the id."""
    found = [row for row in rows if test(row)]
    keys: dict[str, Callable[[ListedSubmission], int]] = {
        "emailId": lambda row: row.email, "threadId": lambda row: row.thread,
        "sentAt": lambda row: row.send_at, "sendAt": lambda row: row.send_at,
    }  # fmt: skip
    for one in reversed(sort):
        found.sort(key=keys[one.name], reverse=not one.is_ascending)
    return found


# --- the filter ----------------------------------------------------------------------------------------


def _node(condition: Any, depth: int, count: list[int]) -> Test:
    count[0] += 1
    if not isinstance(condition, dict) or depth > DEPTH or count[0] > CONDITIONS:
        raise MethodError("unsupportedFilter", f"A filter is an object, at most {DEPTH} deep, with at most {CONDITIONS} conditions.")
    if "operator" not in condition:
        tests = [_condition(name, value) for name, value in condition.items()]
        return lambda row: all(test(row) for test in tests)
    rows, operator = condition.get("conditions"), condition["operator"]
    if not isinstance(rows, list) or operator not in ("AND", "OR", "NOT") or len(condition) != 2:
        raise invalid("A filter's operator is AND, OR or NOT, with a list of conditions.")
    tests = [_node(row, depth + 1, count) for row in rows]
    if operator == "AND":
        return lambda row: all(test(row) for test in tests)
    return (lambda row: any(test(row) for test in tests)) if operator == "OR" else (lambda row: not any(test(row) for test in tests))


def _condition(name: str, value: Any) -> Test:
    arguments = Arguments({name: value})
    match name:
        case "identityIds":
            identities = frozenset(arguments.strings(name) or ())
            return lambda row: row.identity in identities
        case "emailIds":
            emails = frozenset(arguments.strings(name) or ())
            return lambda row: encode_id("M", row.email) in emails
        case "threadIds":
            threads = frozenset(arguments.strings(name) or ())
            return lambda row: encode_id("T", row.thread) in threads
        case "undoStatus":
            undo = arguments.text(name)
            return lambda row: row.undo == undo
        case "before":
            end = _utc_seconds(arguments.text(name))
            return lambda row: row.send_at < end
        case "after":
            start = _utc_seconds(arguments.text(name))
            return lambda row: row.send_at >= start
    raise MethodError("unsupportedFilter", f"Submissions cannot be filtered by {name[:100]}.")


def _utc_seconds(text: str) -> int:
    """A UTCDate (RFC 8620 §1.4)."""
    found = parse_date_time(text.encode()) if text.endswith("Z") else None
    if found is None:
        raise invalid("A date looks like 2014-10-30T06:12:00Z.")
    return found
