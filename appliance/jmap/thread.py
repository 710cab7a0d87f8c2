"""Thread: get and changes (RFC 8621 §3). A thread's messages never change threads, so it changes only as they come and go."""

from typing import Any

from appliance.mail.ids import MessageId
from appliance.protocol.jmap.errors import MethodError
from appliance.protocol.jmap.request import JmapLimits
from appliance.store.account_changes import CREATED, DESTROYED, WHOLE, Position, message_changes
from appliance.store.account_messages import thread_messages
from appliance.store.modseq import account_modseq
from appliance.store.store import Store

from .ids import encode_id, encode_state, parse_id, parse_state
from .mailbox import MAIL
from .method import Call, Method
from .standard import get_response, read_most_changes, read_properties

PROPERTIES = ("id", "emailIds")


class ThreadMethods:
    """The methods of one server."""

    def __init__(self, store: Store, limits: JmapLimits) -> None:
        self._store = store
        self._limits = limits

    def methods(self) -> tuple[Method, ...]:
        return (Method("Thread/get", MAIL, self.get), Method("Thread/changes", MAIL, self.changes))

    async def get(self, call: Call) -> dict[str, Any]:
        account = call.account()
        wanted = call.arguments.ids("ids", most=self._limits.objects_in_get)
        properties = read_properties(call.arguments, PROPERTIES, PROPERTIES)
        call.arguments.end()
        if wanted is None:
            raise MethodError("requestTooLarge", "There may be too many threads for one response: name them.")
        numbers = [number for one in wanted if (number := parse_id("T", one)) is not None]
        state, threads = await self._store.database.read(
            lambda connection: (account_modseq(connection, account.account), thread_messages(connection, account.account, numbers))
        )
        found = {}
        for thread, messages in threads.items():
            whole = {"id": encode_id("T", thread), "emailIds": [encode_id("M", message) for message in messages]}
            found[encode_id("T", thread)] = {name: whole[name] for name in properties}
        return get_response(account.id, encode_state(state), wanted, found)

    async def changes(self, call: Call) -> dict[str, Any]:
        account = call.account()
        since = parse_state(call.arguments.text("sinceState"))
        most = read_most_changes(call.arguments)
        call.arguments.end()

        def work(connection: Any) -> "tuple[Position, dict[str, list[MessageId]], bool] | None":
            found = message_changes(connection, account.account, since)
            if found is None:
                return None
            modseq, changes = found
            if since.modseq > modseq:
                return None
            more = len(changes) > most
            changes = changes[:most]
            state = changes[-1].place(since) if more else Position(modseq, WHOLE)
            sorted_out = _sorted_out(connection, account.account, since, changes)
            return state, sorted_out, more

        answer = await self._store.database.read(work)
        if answer is None:
            raise MethodError("cannotCalculateChanges", "That state is too old or was never one.")
        state, found, more = answer
        return {
            "accountId": account.id,
            "oldState": encode_state(since),
            "newState": encode_state(state),
            "hasMoreChanges": more,
            **{kind: [encode_id("T", one) for one in threads] for kind, threads in found.items()},
        }


def _sorted_out(connection: Any, account: Any, since: Position, changes: Any) -> dict[str, list[MessageId]]:
    """Threads that came, changed and went with these messages. Flags are no matter of a thread."""
    touched = list(dict.fromkeys(change.thread for change in changes if change.kind(since) in (CREATED, DESTROYED)))
    there = thread_messages(connection, account, touched)
    began = {change.thread for change in changes if change.kind(since) == CREATED and change.thread == change.message}
    return {
        "created": [one for one in touched if one in there and one in began],
        "updated": [one for one in touched if one in there and one not in began],
        "destroyed": [one for one in touched if one not in there and one not in began],
    }
