"""What every data type's /get, /changes, /set and /query have in common (RFC 8620 §5.1, §5.2, §5.3, §5.5)."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from appliance.mail.errors import StoreError, Trouble
from appliance.mail.ids import ModSeq
from appliance.protocol.jmap.arguments import Arguments
from appliance.protocol.jmap.errors import MethodError, SetError, invalid, invalid_properties
from appliance.protocol.jmap.references import created_id
from appliance.protocol.jmap.window import Window
from appliance.store.scope import StateStep

from .method import Call

MOST_CHANGES = 500
"""Changes told at once, whatever more the client would take."""


def read_properties(arguments: Arguments, known: Collection[str], default: Sequence[str], *, extra: str = "") -> list[str]:
    """Takes `properties`, `id` always first. Raises MethodError for one there is not; those that begin with `extra` are let through."""
    return list(dict.fromkeys(["id", *read_names(arguments, "properties", known, default, extra=extra)]))


def read_names(arguments: Arguments, argument: str, known: Collection[str], default: Sequence[str], *, extra: str = "") -> list[str]:
    """Takes a list of names of properties; `default` when it is left out. Raises as `read_properties`."""
    wanted = arguments.strings(argument)
    if wanted is None:
        return list(default)
    for name in wanted:
        if name not in known and not (extra and name.startswith(extra)):
            raise invalid(f'There is no property "{name[:100]}".')
    return list(dict.fromkeys(wanted))


def split(ids: Sequence[str], created: Mapping[str, str]) -> list[str]:
    """The ids with creation ids replaced; an unknown creation id stays, and names nothing."""
    return list(dict.fromkeys(created_id(one, created) or one for one in ids))


def get_response(account: str, state: str, wanted: Sequence[str] | None, found: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    """`wanted` None: all that were found."""
    return {
        "accountId": account,
        "state": state,
        "list": list(found.values()) if wanted is None else [found[one] for one in wanted if one in found],
        "notFound": [] if wanted is None else [one for one in wanted if one not in found],
    }


def query_response(
    account: str, state: str, ids: Sequence[str], window: Window, most: int, *, can_calculate_changes: bool
) -> dict[str, Any]:
    """The part of all results that `window` asks for, at most `most` ids (RFC 8620 §5.5). Raises MethodError anchorNotFound."""
    first, end = window.range_of(ids, most)
    return {
        "accountId": account,
        "queryState": state,
        "canCalculateChanges": can_calculate_changes,
        "position": first,
        "ids": ids[first:end],
        **({"total": len(ids)} if window.calculate_total else {}),
    }


def read_most_changes(arguments: Arguments) -> int:
    """Takes `maxChanges`."""
    asked = arguments.number("maxChanges", None, least=1)
    return min(asked or MOST_CHANGES, MOST_CHANGES)


# --- /set --------------------------------------------------------------------------------------------


@dataclass(slots=True)
class SetRequest:
    """The arguments of a /set. `destroy` may hold creation ids."""

    create: dict[str, dict[str, Any]]
    update: dict[str, dict[str, Any]]
    destroy: list[str]


@dataclass(slots=True)
class SetStates:
    """What a /set tells as `oldState` and `newState` (RFC 8620 §5.3). A client that was at the old one is at the new one by the answer
    alone, so nothing but the call's own changes is between them: what others did before or between them moves the old one on."""

    old: ModSeq
    new: ModSeq

    def add(self, step: StateStep) -> None:
        """The next commit of the call."""
        if step.before != self.new:
            self.old = step.before
        self.new = step.after


@dataclass(slots=True)
class SetOutcome:
    """What became of each object; encoded as the response."""

    created: dict[str, dict[str, Any]] = field(default_factory=dict)
    updated: dict[str, dict[str, Any] | None] = field(default_factory=dict)
    destroyed: list[str] = field(default_factory=list)
    refused: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)

    def refuse(self, member: str, name: str, error: SetError) -> None:
        self.refused.setdefault(member, {})[name] = error.response

    def encode(self, account: str, before: str, after: str) -> dict[str, Any]:
        return {
            "accountId": account,
            "oldState": before,
            "newState": after,
            "created": self.created or None,
            "updated": self.updated or None,
            "destroyed": self.destroyed or None,
            **{member: self.refused.get(member) for member in ("notCreated", "notUpdated", "notDestroyed")},
        }


def read_set(arguments: Arguments, state: str, most: int) -> SetRequest:
    """Takes ifInState, create, update and destroy. Raises MethodError: stateMismatch, requestTooLarge, invalidArguments."""
    expected = arguments.text("ifInState")
    if expected and expected != state:
        raise MethodError("stateMismatch", "Something changed meanwhile.")
    destroy = arguments.ids("destroy", most=most, limit="maxObjectsInSet") or []
    request = SetRequest(arguments.objects("create"), arguments.objects("update"), destroy)
    if len(request.create) + len(request.update) + len(request.destroy) > most:
        raise MethodError("requestTooLarge", f"At most {most} objects are changed at once (maxObjectsInSet).")
    return request


async def expect_same(
    get: Callable[[Call], Awaitable[dict[str, Any]]], call: Call, account: str, one: str, values: Mapping[str, Any]
) -> None:
    """Of an update: properties that only the server sets may be in it with the value they have, as a whole object is a patch too
    (RFC 8620 §5.3). `get`: the data type's /get. What is not there is told by the update itself. Raises SetError invalidProperties.
    """
    if not values:
        return
    arguments = Arguments({"accountId": account, "ids": [one], "properties": list(values)})
    try:
        found = (await get(Call(call.name, arguments, call.caller, call.created, call.using)))["list"]
    except MethodError:
        found = [{}]  # one of the properties is none
    wrong = [name for row in found for name, value in values.items() if row.get(name, ...) != value]
    if wrong:
        raise invalid_properties("These stay as they are.", *wrong)


async def attempt(outcome: SetOutcome, member: str, name: str, work: Callable[[], Awaitable[None]]) -> None:
    """Do one object's change; what the store or the method refuses becomes that object's error."""
    try:
        await work()
    except SetError as error:
        outcome.refuse(member, name, error)
    except StoreError as error:
        outcome.refuse(member, name, set_error(error))


_KINDS = {
    Trouble.OVER_QUOTA: "overQuota", Trouble.FULL: "overQuota", Trouble.TOO_BIG: "tooLarge", Trouble.NO_MAILBOX: "notFound",
    Trouble.GONE: "notFound", Trouble.NOT_ALLOWED: "forbidden", Trouble.TOO_MANY: "overQuota", Trouble.HAS_CHILDREN: "mailboxHasChild",
    Trouble.EXISTS: "invalidProperties", Trouble.BAD_NAME: "invalidProperties", Trouble.BUSY: "rateLimit",
    Trouble.NO_RIGHT: "forbidden",
}  # fmt: skip


def set_error(error: StoreError) -> SetError:
    """What the store refused, as RFC 8620 §5.3 names it."""
    return SetError(_KINDS.get(error.trouble, "serverFail"), str(error))
