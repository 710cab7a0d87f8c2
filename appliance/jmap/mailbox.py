"""Mailbox: get, changes, query, queryChanges and set (RFC 8621 §2).

| change                                      | in Mailbox/changes as                                                       |
|---------------------------------------------|-----------------------------------------------------------------------------|
| mailbox created, deleted                    | created, destroyed                                                          |
| renamed, moved, (un)subscribed              | updated                                                                     |
| messages of it, or of its threads, came,    | updated; when only that happened `updatedProperties` names the four counts  |
| left or changed flags                       |                                                                             |

Another's mailboxes (`store/scope`) are created when they come into sight, and destroyed when they go out of it.
"""

from collections import OrderedDict
from typing import Any, NamedTuple

import trio

from appliance.mail.ids import MailboxId, ModSeq
from appliance.protocol.jmap.errors import MethodError
from appliance.protocol.jmap.request import JmapLimits
from appliance.protocol.jmap.window import query_changes, read_window
from appliance.store.mailbox_counts import MailboxCounts, ScopeCounts, recounted_since
from appliance.store.scope import Scope, scope_modseq
from appliance.store.sharing import listed
from appliance.store.store import Store
from appliance.store.values import MailboxInfo

from .ids import encode_id, encode_state, parse_state
from .mailbox_object import COUNTS, NO_COUNTS, PROPERTIES, MailboxTree, mailbox_object
from .mailbox_query import matching
from .mailbox_set import SET_PROPERTIES, MailboxChange, parents_first
from .method import Call, JmapAccount, Method
from .standard import SetOutcome, attempt, expect_same, get_response, query_response, read_most_changes, read_properties, read_set, split

MAIL = "urn:ietf:params:jmap:mail"
MOST_RESULTS = 2000
SCOPES_COUNTED = 16


class Mailboxes(NamedTuple):
    """Of one snapshot. `counts`: empty when nobody asked."""

    state: ModSeq
    infos: list[MailboxInfo]
    counts: dict[MailboxId, MailboxCounts]


class _KeptCounts:
    """The counts of one scope, and the lock under which one task at a time brings them up to date."""

    __slots__ = ("counts", "lock")

    def __init__(self) -> None:
        self.counts = ScopeCounts()
        self.lock = trio.Lock()


class MailboxMethods:
    """The methods of one server."""

    def __init__(self, store: Store, limits: JmapLimits) -> None:
        self._store = store
        self._limits = limits
        self._counts: OrderedDict[Scope, _KeptCounts] = OrderedDict()
        """Of what was looked at last."""

    def methods(self) -> tuple[Method, ...]:
        return (
            Method("Mailbox/get", MAIL, self.get),
            Method("Mailbox/changes", MAIL, self.changes),
            Method("Mailbox/query", MAIL, self.query),
            Method("Mailbox/queryChanges", MAIL, self.query_changes),
            Method("Mailbox/set", MAIL, self.set),
        )

    # --- reading ---------------------------------------------------------------------------------

    async def get(self, call: Call) -> dict[str, Any]:
        account = call.account()
        wanted = call.arguments.ids("ids", most=self._limits.objects_in_get)
        properties = read_properties(call.arguments, PROPERTIES, PROPERTIES)
        call.arguments.end()
        counting = wanted != [] and not set(COUNTS).isdisjoint(properties)
        state, infos, counts = await (self._read_counted if counting else self._read)(account.scope)
        tree = MailboxTree(infos)
        chosen = None if wanted is None else split(wanted, call.created)
        shown = [info for info in infos if chosen is None or encode_id("F", info.id) in chosen]
        found = {}
        for info in shown:
            whole = mailbox_object(account, info, tree, counts.get(info.id, NO_COUNTS))
            found[whole["id"]] = {name: whole[name] for name in properties}
        return get_response(account.id, encode_state(state), chosen, found)

    async def changes(self, call: Call) -> dict[str, Any]:
        account = call.account()
        since = parse_state(call.arguments.text("sinceState"))
        most = read_most_changes(call.arguments)
        call.arguments.end()
        found = await self._store.mailbox_changes(account.scope, since.modseq)
        if found is None or since.modseq > found.modseq:
            raise MethodError("cannotCalculateChanges", "That state is too old or was never one.")
        touched = await self._store.database.read(lambda connection: recounted_since(connection, account.scope, since))
        own = {*found.created, *found.changed}
        counted = [one for one in touched if one not in own]
        updated = [*found.changed, *counted]
        if len(found.created) + len(updated) + len(found.deleted) > most:
            raise MethodError("cannotCalculateChanges", "Too much has changed; read all mailboxes again.")
        return {
            "accountId": account.id,
            "oldState": encode_state(since),
            "newState": encode_state(found.modseq),
            "hasMoreChanges": False,
            "created": [encode_id("F", one) for one in found.created],
            "updated": [encode_id("F", one) for one in updated],
            "destroyed": [encode_id("F", one) for one in found.deleted],
            "updatedProperties": list(COUNTS) if not found.changed and counted else None,
        }

    async def query(self, call: Call) -> dict[str, Any]:
        account = call.account()
        state, infos, _ = await self._read(account.scope)
        ids = matching(call.arguments, infos)
        window = read_window(call.arguments)
        call.arguments.end()
        return query_response(account.id, encode_state(state), ids, window, MOST_RESULTS, can_calculate_changes=False)

    async def query_changes(self, call: Call) -> dict[str, Any]:
        """A server keeps no earlier results of a query, so only the answer to "nothing happened" is known."""
        account = call.account()
        since = call.arguments.text("sinceQueryState")
        state, infos, _ = await self._read(account.scope)
        ids = matching(call.arguments, infos)
        if since != encode_state(state):
            raise MethodError("cannotCalculateChanges", "Something changed since; query again.")
        removed, added = query_changes(ids, ids, frozenset())
        return {
            "accountId": account.id,
            "oldQueryState": since,
            "newQueryState": since,
            "total": len(ids),
            "removed": removed,
            "added": [{"index": index, "id": one} for index, one in added],
        }

    async def _read(self, scope: Scope) -> Mailboxes:
        state, infos = await self._store.database.read(lambda connection: (scope_modseq(connection, scope), listed(connection, scope)))
        return Mailboxes(state, infos, {})

    async def _read_counted(self, scope: Scope) -> Mailboxes:
        kept = self._counts.pop(scope, None) or _KeptCounts()
        self._counts[scope] = kept
        if len(self._counts) > SCOPES_COUNTED:
            self._counts.popitem(last=False)

        def work(connection: Any) -> Mailboxes:
            kept.counts.bring_up_to_date(connection, scope)
            return Mailboxes(kept.counts.modseq, listed(connection, scope), kept.counts.by_mailbox())

        async with kept.lock:
            return await self._store.database.read(work)

    async def _state(self, scope: Scope) -> ModSeq:
        return await self._store.database.read(lambda connection: scope_modseq(connection, scope))

    # --- changing --------------------------------------------------------------------------------

    async def set(self, call: Call) -> dict[str, Any]:
        account = call.account()
        if account.viewer is None:  # else what is subscribed is the viewer's, and rights decide on all else
            account.expect_writable()
        before = encode_state(await self._state(account.scope))
        request = read_set(call.arguments, before, self._limits.objects_in_set)
        remove_messages = call.arguments.flag("onDestroyRemoveEmails")
        call.arguments.end()
        outcome = SetOutcome()
        change = MailboxChange(self._store, account, call.created)
        for name in parents_first(request.create):
            await attempt(outcome, "notCreated", name, lambda name=name: change.create(outcome, name, request.create[name]))  # type: ignore[misc]
        for one, patch in request.update.items():
            await attempt(outcome, "notUpdated", one, lambda one=one, patch=patch: self._update(call, account, change, outcome, one, patch))  # type: ignore[misc]
        for one in await change.children_first(request.destroy):
            await attempt(outcome, "notDestroyed", one, lambda one=one: change.destroy(outcome, one, remove_messages))  # type: ignore[misc]
        return outcome.encode(account.id, before, encode_state(await self._state(account.scope)))

    async def _update(
        self, call: Call, account: JmapAccount, change: MailboxChange, outcome: SetOutcome, one: str, patch: dict[str, Any]
    ) -> None:
        fixed = {name: value for name, value in patch.items() if name.partition("/")[0] not in SET_PROPERTIES}
        await expect_same(self.get, call, account.id, one, fixed)
        await change.update(outcome, one, {name: value for name, value in patch.items() if name not in fixed})
