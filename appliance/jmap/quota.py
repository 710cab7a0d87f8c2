"""Quota: what an account's mail takes, and its limits (RFC 9425).

| id         | counts                        | there                                    |
|------------|-------------------------------|------------------------------------------|
| `octets`   | octets of all messages        | when the account has a limit             |
| `messages` | messages, as often as shown   | always                                   |

A state holds the numbers themselves, so that whoever knows one hears precisely what changed since. Of another's account they are there
for who may put messages into a mailbox of it (right i): they count what is not in sight as well.
"""

import re
from collections.abc import Sequence
from typing import Any

from appliance.protocol.jmap.arguments import Arguments
from appliance.protocol.jmap.errors import MethodError, invalid
from appliance.protocol.jmap.request import JmapLimits
from appliance.protocol.jmap.window import Comparator, read_sort, read_window
from appliance.store.scope import Scope, in_sight
from appliance.store.store import Store

from .mailbox import MAIL
from .method import Call, Method
from .standard import get_response, query_response, read_most_changes, read_properties

QUOTA = "urn:ietf:params:jmap:quota"
PROPERTIES = (
    "id", "resourceType", "used", "hardLimit", "scope", "name", "types", "warnLimit", "softLimit", "description",
)  # fmt: skip
NONE = "none"
"""The state where the quotas are not there."""
_STATE = re.compile(r"([0-9]+)-([0-9]+|none)-([0-9]+)-([0-9]+)")


def quota_state(connection: Any, store: Store, scope: Scope) -> str:
    """The state of an account's quotas, for a client that uses mail."""
    if not scope.is_own and not any("i" in rights for rights in in_sight(connection, scope).values()):
        return NONE
    used, limit, messages, most = store.quota_as_of(connection, scope.account)
    return "-".join(str(one) for one in (used, "none" if limit is None else limit, messages, most))


class QuotaMethods:
    """The methods of one server."""

    def __init__(self, store: Store, limits: JmapLimits) -> None:
        self._store = store
        self._limits = limits

    def methods(self) -> tuple[Method, ...]:
        return (
            Method("Quota/get", QUOTA, self.get), Method("Quota/changes", QUOTA, self.changes), Method("Quota/query", QUOTA, self.query),
            Method("Quota/queryChanges", QUOTA, self.query_changes),
        )  # fmt: skip

    async def get(self, call: Call) -> dict[str, Any]:
        account = call.account()
        wanted = call.arguments.ids("ids", most=self._limits.objects_in_get)
        properties = read_properties(call.arguments, PROPERTIES, PROPERTIES)
        call.arguments.end()
        state = await self._state(call, account.scope)
        found = {one["id"]: {name: one[name] for name in properties} for one in _quotas(state)}
        return get_response(account.id, state, wanted, found)

    async def changes(self, call: Call) -> dict[str, Any]:
        account = call.account()
        since = call.arguments.text("sinceState")
        read_most_changes(call.arguments)
        call.arguments.end()
        if since != NONE and not _STATE.fullmatch(since):
            raise MethodError("cannotCalculateChanges", "This is no state of this server.")
        state = await self._state(call, account.scope)
        before, now = ({one["id"]: one for one in _quotas(text)} for text in (since, state))
        updated = [one for one in now if one in before and before[one] != now[one]]
        only_used = all(before[one] | {"used": 0} == now[one] | {"used": 0} for one in updated)
        return {
            "accountId": account.id, "oldState": since, "newState": state, "hasMoreChanges": False,
            "updatedProperties": ["used"] if only_used else None,
            "created": [one for one in now if one not in before], "updated": updated,
            "destroyed": [one for one in before if one not in now],
        }  # fmt: skip

    async def _state(self, call: Call, scope: Scope) -> str:
        if MAIL not in call.using:  # of a type that the client does not know there is no quota (RFC 9425 §4)
            return NONE
        return await self._store.database.read(lambda connection: quota_state(connection, self._store, scope))

    async def query(self, call: Call) -> dict[str, Any]:
        account = call.account()
        given = call.arguments.object("filter")
        sort = read_sort(call.arguments, ("name", "used"), ())
        window = read_window(call.arguments)
        call.arguments.end()
        state = await self._state(call, account.scope)
        chosen = _sorted([one for one in _quotas(state) if given is None or _matches(given, one)], sort)
        ids = [one["id"] for one in chosen]
        return query_response(account.id, state, ids, window, len(ids), can_calculate_changes=False)

    async def query_changes(self, call: Call) -> dict[str, Any]:
        call.account()
        raise MethodError("cannotCalculateChanges", "Ask again: there are two at most.")


def _quotas(state: str) -> list[dict[str, Any]]:
    if state == NONE:
        return []
    found = _STATE.fullmatch(state)
    assert found is not None  # noqa: S101 - the caller looked, or it is ours
    used, limit, messages, most = found.groups()
    shared = {"scope": "account", "types": ["Email"], "warnLimit": None, "softLimit": None}
    rows = [("messages", "count", messages, most, "Messages", "How many messages there are in all mailboxes.")]
    if limit != "none":
        rows.insert(0, ("octets", "octets", used, limit, "Storage", "What all messages take."))
    return [
        {"id": number, "resourceType": kind, "used": int(now), "hardLimit": int(top), "name": name, "description": text, **shared}
        for number, kind, now, top, name, text in rows
    ]


def _matches(given: dict[str, Any], quota: dict[str, Any], depth: int = 0) -> bool:
    """Raises MethodError."""
    if "operator" in given:
        inner, operator = given.get("conditions"), given["operator"]
        if (
            not isinstance(inner, list)
            or not all(isinstance(one, dict) for one in inner)
            or depth > 10
            or operator not in ("AND", "OR", "NOT")
        ):
            raise invalid("A filter has an operator and conditions.")
        results = [_matches(one, quota, depth + 1) for one in inner]
        return all(results) if operator == "AND" else any(results) if operator == "OR" else not any(results)
    arguments = Arguments(given)
    name, scope, kind, of = (arguments.text(one) for one in ("name", "scope", "resourceType", "type"))
    arguments.end()
    return (
        name.lower() in quota["name"].lower() and scope in ("", quota["scope"]) and kind in ("", quota["resourceType"])
        and (not of or of in quota["types"])
    )  # fmt: skip


def _sorted(quotas: list[dict[str, Any]], sort: Sequence[Comparator]) -> list[dict[str, Any]]:
    for one in reversed(sort):
        quotas.sort(key=lambda quota: quota[one.name], reverse=not one.is_ascending)
    return quotas
