"""Thread: get and changes (RFC 8621 §3). A thread's messages never change threads, so it changes only as they come and go."""

from collections.abc import Sequence
from typing import Any

from appliance.mail.ids import MessageId
from appliance.protocol.jmap.errors import MethodError
from appliance.protocol.jmap.request import JmapLimits
from appliance.store.account_changes import CREATED, DESTROYED, WHOLE, MessageChange, Position, message_changes
from appliance.store.account_messages import thread_messages
from appliance.store.scope import Scope, scope_modseq
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
            lambda connection: (scope_modseq(connection, account.scope), thread_messages(connection, account.scope, numbers))
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
            found = message_changes(connection, account.scope, since)
            if found is None:
                return None
            modseq, changes = found
            if since.modseq > modseq:
                return None
            more = len(changes) > most
            state = changes[most - 1].place(since) if more else Position(modseq, WHOLE)
            return state, _sorted_out(connection, account.scope, since, changes, most), more

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


def _sorted_out(connection: Any, scope: Scope, since: Position, changes: Sequence[MessageChange], most: int) -> dict[str, list[MessageId]]:
    """Threads that came, changed and went with the first of these messages. Flags are no matter of a thread, which is there as long as
    one of its messages is."""
    told = [change.thread for change in changes[:most] if change.kind(since) in (CREATED, DESTROYED)]
    touched = list(dict.fromkeys(told))
    there = thread_messages(connection, scope, touched)
    created = {change.message for change in changes if change.kind(since) == CREATED}
    known = {change.thread for change in changes if change.kind(since) == DESTROYED}
    began = {thread for thread in touched if thread not in known and created.issuperset(there.get(thread, ()))}
    return {
        "created": [one for one in touched if one in there and one in began],
        "updated": [one for one in touched if one in there and one not in began],
        "destroyed": [one for one in touched if one not in there and one not in began],
    }
