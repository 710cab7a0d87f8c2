"""Mailbox: get, changes, query, queryChanges and set (RFC 8621 §2).

A mailbox of the store is named by its path ("Family/2024"); JMAP sees the last level as `name` and the mailbox above as `parentId`.
The role is its special use (RFC 8621 §2, IANA's mailbox name attributes); INBOX has the role "inbox".

| change                                      | in Mailbox/changes as                                                       |
|---------------------------------------------|-----------------------------------------------------------------------------|
| mailbox created, deleted                    | created, destroyed                                                          |
| renamed, moved, (un)subscribed              | updated                                                                     |
| messages came, left or changed flags        | updated; when only that happened `updatedProperties` names the four counts  |

Counts of threads are those of messages in the mailbox itself; a thread is unread when a message of it, in any mailbox, is neither seen
nor a draft.
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from appliance.mail.flags import INBOX
from appliance.mail.ids import AccountId, MailboxId, ModSeq
from appliance.protocol.jmap.arguments import Arguments
from appliance.protocol.jmap.errors import MethodError, SetError, invalid, invalid_properties
from appliance.protocol.jmap.patch import patched
from appliance.protocol.jmap.references import created_id
from appliance.protocol.jmap.request import JmapLimits
from appliance.protocol.jmap.window import query_changes, read_sort, read_window
from appliance.store.store import Store
from appliance.store.thread_counts import leave_out_deleted, thread_counts
from appliance.store.values import MailboxInfo

from .ids import encode_id, encode_state, parse_id, parse_state
from .method import Call, JmapAccount, Method
from .standard import SetOutcome, attempt, get_response, query_response, read_most_changes, read_properties, read_set, split

MAIL = "urn:ietf:params:jmap:mail"
COUNTS = ("totalEmails", "unreadEmails", "totalThreads", "unreadThreads")
PROPERTIES = ("id", "name", "parentId", "role", "sortOrder", *COUNTS, "myRights", "isSubscribed")
ROLES = {"\\Archive": "archive", "\\Drafts": "drafts", "\\Junk": "junk", "\\Sent": "sent", "\\Trash": "trash", "\\Scheduled": "scheduled"}
ORDER = {"inbox": 1, "drafts": 2, "scheduled": 3, "sent": 4, "archive": 5, "junk": 6, "trash": 7}
"""`sortOrder` of a role; other mailboxes come after, by name."""
SORTS = ("sortOrder", "name", "parentId")
FILTERS = ("parentId", "name", "role", "hasAnyRole", "isSubscribed")
SET_PROPERTIES = ("name", "parentId", "role", "isSubscribed", "sortOrder")
SEPARATOR = "/"
MOST_RESULTS = 2000
ACCOUNTS_COUNTED = 16

ThreadCounts = dict[MailboxId, tuple[int, int]]
"""Threads and unread threads of each mailbox."""


def role_of(info: MailboxInfo) -> str | None:
    return "inbox" if info.name == INBOX else ROLES.get(info.special_use)


def above(name: str) -> str:
    """The name of the mailbox above; "" for one at the top."""
    return name.rpartition(SEPARATOR)[0]


class MailboxMethods:
    """The methods of one server."""

    def __init__(self, store: Store, limits: JmapLimits) -> None:
        self._store = store
        self._limits = limits
        self._threads: OrderedDict[AccountId, tuple[ModSeq, ThreadCounts]] = OrderedDict()
        """What was counted at which MODSEQ, for the accounts used last."""

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
        state, infos = await self._read(account.account)
        by_name = {info.name: info for info in infos}
        chosen = None if wanted is None else split(wanted, call.created)
        shown = [info for info in infos if chosen is None or encode_id("F", info.id) in chosen]
        threads: dict[MailboxId, tuple[int, int]] = {}
        if {"totalThreads", "unreadThreads"} & set(properties):
            threads = await self._count_threads(account.account, state, [info.id for info in shown])
        found = {}
        for info in shown:
            whole = _object(account, info, by_name, threads.get(info.id, (0, 0)))
            found[whole["id"]] = {name: whole[name] for name in properties}
        return get_response(account.id, encode_state(state), chosen, found)

    async def _count_threads(self, account: AccountId, state: ModSeq, mailboxes: list[MailboxId]) -> ThreadCounts:
        """Counted again only after a change of the account."""
        modseq, known = self._threads.pop(account, (state, {}))
        missing = mailboxes if modseq != state else [one for one in mailboxes if one not in known]
        counted = await self._store.database.read(lambda connection: thread_counts(connection, account, missing)) if missing else {}
        counts = counted if modseq != state else known | counted
        self._threads[account] = (state, counts)
        if len(self._threads) > ACCOUNTS_COUNTED:
            self._threads.popitem(last=False)
        return counts

    async def changes(self, call: Call) -> dict[str, Any]:
        account = call.account()
        since = parse_state(call.arguments.text("sinceState"))
        most = read_most_changes(call.arguments)
        call.arguments.end()
        found = await self._store.mailbox_changes(account.account, since.modseq)
        if found is None or since.modseq > found.modseq:
            raise MethodError("cannotCalculateChanges", "That state is too old or was never one.")
        infos = await self._store.list(account.account)
        own = {*found.created, *found.changed}
        counted = [info.id for info in infos if info.highest_modseq > since.modseq and info.id not in own]
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
        state, infos = await self._read(account.account)
        ids = self._matching(call.arguments, infos)
        window = read_window(call.arguments)
        call.arguments.end()
        return query_response(account.id, encode_state(state), ids, window, MOST_RESULTS, can_calculate_changes=False)

    async def query_changes(self, call: Call) -> dict[str, Any]:
        """A server keeps no earlier results of a query, so only the answer to "nothing happened" is known."""
        account = call.account()
        since = call.arguments.text("sinceQueryState")
        state, infos = await self._read(account.account)
        ids = self._matching(call.arguments, infos)
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

    def _matching(self, arguments: Arguments, infos: Sequence[MailboxInfo]) -> list[str]:
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

    async def _read(self, account: AccountId) -> tuple[ModSeq, list[MailboxInfo]]:
        changes = await self._store.mailbox_changes(account, ModSeq(2**62))
        assert changes is not None  # noqa: S101 nothing is later than that
        infos = await self._store.list(account)
        await self._store.database.read(lambda connection: leave_out_deleted(connection, infos))
        return changes.modseq, infos

    # --- changing --------------------------------------------------------------------------------

    async def set(self, call: Call) -> dict[str, Any]:
        account = call.account(write=True)
        before = encode_state((await self._read(account.account))[0])
        request = read_set(call.arguments, before, self._limits.objects_in_set)
        remove_messages = call.arguments.flag("onDestroyRemoveEmails")
        call.arguments.end()
        outcome = SetOutcome()
        change = _MailboxChange(self._store, account, call.created)
        for name in _parents_first(request.create):
            await attempt(outcome, "notCreated", name, lambda name=name: change.create(outcome, name, request.create[name]))  # type: ignore[misc]
        for one, patch in request.update.items():
            await attempt(outcome, "notUpdated", one, lambda one=one, patch=patch: change.update(outcome, one, patch))  # type: ignore[misc]
        for one in await change.children_first(request.destroy):
            await attempt(outcome, "notDestroyed", one, lambda one=one: change.destroy(outcome, one, remove_messages))  # type: ignore[misc]
        return outcome.encode(account.id, before, encode_state((await self._read(account.account))[0]))


def _object(account: JmapAccount, info: MailboxInfo, by_name: dict[str, MailboxInfo], threads: tuple[int, int]) -> dict[str, Any]:
    """All properties of RFC 8621 §2."""
    role, parent, write = role_of(info), by_name.get(above(info.name)), not account.read_only
    scheduled = role == "scheduled"
    fixed = role == "inbox" or scheduled
    return {
        "id": encode_id("F", info.id),
        "name": info.name.rpartition(SEPARATOR)[2],
        "parentId": encode_id("F", parent.id) if parent else None,
        "role": role,
        "sortOrder": ORDER.get(role or "", 10),
        "totalEmails": info.messages,
        "unreadEmails": info.unseen,
        "totalThreads": threads[0],
        "unreadThreads": threads[1],
        "myRights": {
            "mayReadItems": info.selectable,
            "mayAddItems": write and info.selectable and not scheduled,
            "mayRemoveItems": write and info.selectable,
            "maySetSeen": write and info.selectable,
            "maySetKeywords": write and info.selectable,
            "mayCreateChild": write and not scheduled,
            "mayRename": write and not fixed,
            "mayDelete": write and not fixed,
            "maySubmit": write,
        },
        "isSubscribed": info.subscribed,
    }


# --- query -------------------------------------------------------------------------------------------


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


# --- set ---------------------------------------------------------------------------------------------


def _parents_first(create: dict[str, dict[str, Any]]) -> list[str]:
    """Creation ids, a mailbox after the one above it that is made in the same call."""
    ordered: list[str] = []
    left = dict(create)
    while left:
        ready = [name for name, wanted in left.items() if str(wanted.get("parentId") or "").removeprefix("#") not in left]
        ordered += ready or list(left)
        left = {} if not ready else {name: wanted for name, wanted in left.items() if name not in ready}
    return ordered


class _MailboxChange:
    """The changes of one Mailbox/set."""

    def __init__(self, store: Store, account: JmapAccount, created: dict[str, str]) -> None:
        self._store = store
        self._account = account.account
        self._created = created

    async def create(self, outcome: SetOutcome, name: str, wanted: dict[str, Any]) -> None:
        _check(wanted)
        special_use = self._special_use(wanted.get("role"))
        path = await self._path(wanted.get("name"), wanted.get("parentId"))
        info = await self._store.create(self._account, path, special_use)
        if wanted.get("isSubscribed"):
            await self._store.subscribe(self._account, path, True)
        one = encode_id("F", info.id)
        self._created[name] = one
        outcome.created[name] = {
            "id": one, "sortOrder": ORDER.get(role_of(info) or "", 10), **dict.fromkeys(COUNTS, 0),
            "myRights": _object(JmapAccount("", self._account, ""), info, {}, (0, 0))["myRights"],
        }  # fmt: skip

    async def update(self, outcome: SetOutcome, one: str, patch: dict[str, Any]) -> None:
        info = await self._find(one)
        parent = await self._parent_of(info)
        before = {"name": info.name.rpartition(SEPARATOR)[2], "parentId": parent, "role": role_of(info), "isSubscribed": info.subscribed}
        after = patched(before, patch)
        _check({name: after.get(name) for name in patch if "/" not in name} | {name: None for name in patch if "/" in name})
        if after.get("role") != before["role"]:
            raise invalid_properties("The role of a mailbox stays as it is.", "role")
        path = await self._path(after.get("name"), after.get("parentId"))
        if path != info.name:
            if info.name == INBOX:
                raise SetError("forbidden", "INBOX keeps its name and place.")
            await self._store.rename(self._account, info.name, path)
        if bool(after.get("isSubscribed")) != info.subscribed:
            await self._store.subscribe(self._account, path, bool(after.get("isSubscribed")))
        outcome.updated[one] = None

    async def destroy(self, outcome: SetOutcome, one: str, remove_messages: bool) -> None:
        info = await self._find(one)
        if info.has_children:
            raise SetError("mailboxHasChild", "There are mailboxes below this one.")
        if info.messages and not remove_messages:
            raise SetError("mailboxHasEmail", "There are messages in this mailbox.")
        await self._store.delete(self._account, info.name)
        if info.subscribed:
            await self._store.subscribe(self._account, info.name, False)
        outcome.destroyed.append(one)

    async def children_first(self, ids: list[str]) -> list[str]:
        depth = {encode_id("F", info.id): info.name.count(SEPARATOR) for info in await self._store.list(self._account)}
        return sorted(ids, key=lambda one: -depth.get(created_id(one, self._created) or one, 0))

    async def _find(self, one: str) -> MailboxInfo:
        number = parse_id("F", created_id(one, self._created) or "")
        for info in await self._store.list(self._account):
            if info.id == number:
                return info
        raise SetError("notFound", "There is no such mailbox.")

    async def _parent_of(self, info: MailboxInfo) -> str | None:
        parent = above(info.name)
        found = next((one for one in await self._store.list(self._account) if one.name == parent), None)
        return encode_id("F", found.id) if found else None

    async def _path(self, name: Any, parent: Any) -> str:
        """The full name. Raises SetError."""
        if not isinstance(name, str) or not name or SEPARATOR in name:
            raise invalid_properties(f'A mailbox has a name, without "{SEPARATOR}" in it.', "name")
        if parent is None:
            return name
        number = parse_id("F", created_id(parent, self._created) or "") if isinstance(parent, str) else None
        for info in await self._store.list(self._account):
            if info.id == number:
                return info.name + SEPARATOR + name
        raise invalid_properties("There is no such mailbox above.", "parentId")

    def _special_use(self, role: Any) -> str:
        if role is None:
            return ""
        for special_use, name in ROLES.items():
            if name == role and name != "scheduled":
                return special_use
        raise invalid_properties("There is no such role for a mailbox.", "role")


def _check(wanted: dict[str, Any]) -> None:
    """Raises SetError for properties that only the server sets, or of the wrong type."""
    unknown = [name for name in wanted if name not in SET_PROPERTIES]
    if unknown:
        raise invalid_properties("These cannot be set.", *unknown)
    if wanted.get("isSubscribed") is not None and not isinstance(wanted["isSubscribed"], bool):
        raise invalid_properties("isSubscribed is true or false.", "isSubscribed")
