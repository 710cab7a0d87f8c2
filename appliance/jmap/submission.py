"""EmailSubmission: get and changes (RFC 8621 §7). What a submission is, and how far undoing goes: `queue/submissions`."""

from typing import Any

from appliance.protocol.jmap.errors import MethodError
from appliance.protocol.jmap.request import JmapLimits
from appliance.queue.submissions import RecipientStatus, SubmissionRow, statuses, submissions
from appliance.store.object_changes import SUBMISSION as TABLE
from appliance.store.object_changes import object_changes, object_state
from appliance.store.store import Store

from .header_forms import encode_date
from .identity import SUBMISSION, own_account
from .ids import encode_id, encode_state, parse_id, parse_state
from .method import Call, Method
from .standard import get_response, read_most_changes, read_properties, split
from .submission_reports import Reports, read_reports

PROPERTIES = (
    "id", "identityId", "emailId", "threadId", "envelope", "sendAt", "undoStatus", "deliveryStatus", "dsnBlobIds", "mdnBlobIds",
)  # fmt: skip
REPORTED = frozenset(("deliveryStatus", "dsnBlobIds", "mdnBlobIds"))
"""What the reports that came back have a say in."""


class SubmissionMethods:
    """The methods of one server."""

    def __init__(self, store: Store, limits: JmapLimits) -> None:
        self._store = store
        self._limits = limits

    def methods(self) -> tuple[Method, ...]:
        return (Method("EmailSubmission/get", SUBMISSION, self.get), Method("EmailSubmission/changes", SUBMISSION, self.changes))

    async def get(self, call: Call) -> dict[str, Any]:
        account = own_account(call)
        wanted = call.arguments.ids("ids", most=self._limits.objects_in_get)
        properties = read_properties(call.arguments, PROPERTIES, PROPERTIES)
        call.arguments.end()
        chosen = None if wanted is None else split(wanted, call.created)
        numbers = None if chosen is None else [number for one in chosen if (number := parse_id("S", one)) is not None]
        most = self._limits.objects_in_get

        def work(connection: Any) -> tuple[Any, list[tuple[SubmissionRow, dict[str, RecipientStatus]]]]:
            rows = submissions(connection, account.account, numbers, most + 1)
            known = [(row, statuses(connection, row) if "deliveryStatus" in properties else {}) for row in rows[:most]]
            if len(rows) > most:
                raise MethodError("requestTooLarge", "There are too many submissions for one response: name them.")
            return object_state(connection, TABLE, account.account), known

        state, rows = await self._store.database.read(work)
        found = {}
        for row, known in rows:
            reports = await read_reports(self._store, account.account, row) if not REPORTED.isdisjoint(properties) else Reports()
            whole = _object(row, known, reports)
            found[whole["id"]] = {name: whole[name] for name in properties}
        return get_response(account.id, encode_state(state), chosen, found)

    async def changes(self, call: Call) -> dict[str, Any]:
        account = own_account(call)
        since = parse_state(call.arguments.text("sinceState"))
        most = read_most_changes(call.arguments)
        call.arguments.end()
        found = await self._store.database.read(lambda connection: object_changes(connection, TABLE, account.account, since.modseq, most))
        if found is None:
            raise MethodError("cannotCalculateChanges", "That state is too old or was never one.")
        state, changes, more = found
        new = [change for change in changes if change.created_modseq > since.modseq]
        old = [change for change in changes if change.created_modseq <= since.modseq]
        return {
            "accountId": account.id,
            "oldState": encode_state(since),
            "newState": encode_state(state),
            "hasMoreChanges": more,
            "created": [encode_id("S", one.id) for one in new if not one.destroyed],
            "updated": [encode_id("S", one.id) for one in old if not one.destroyed],
            "destroyed": [encode_id("S", one.id) for one in old if one.destroyed],
        }


def _object(row: SubmissionRow, known: dict[str, RecipientStatus], reports: Reports) -> dict[str, Any]:
    return {
        "id": encode_id("S", row.id),
        "identityId": row.identity,
        "emailId": encode_id("M", row.email),
        "threadId": encode_id("T", row.thread),
        "envelope": row.envelope,
        "sendAt": encode_date(row.send_at),
        "undoStatus": row.undo,
        "deliveryStatus": {address: reports.status(address, one) for address, one in known.items()},
        "dsnBlobIds": reports.dsn,
        "mdnBlobIds": reports.mdn,
    }
