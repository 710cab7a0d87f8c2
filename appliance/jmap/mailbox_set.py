"""Mailbox/set: mailboxes made, changed and destroyed (RFC 8621 §2.5)."""

from typing import Any

from appliance.mail.flags import INBOX
from appliance.protocol.jmap.errors import SetError, invalid_properties
from appliance.protocol.jmap.patch import patched
from appliance.protocol.jmap.references import created_id
from appliance.store.store import Store
from appliance.store.values import MailboxInfo
from appliance.store.visible import VisibleMailboxes

from .ids import encode_id, parse_id
from .mailbox_object import COUNTS, ORDER, ROLES, SEPARATOR, MailboxTree, mailbox_object, path_of, role_of
from .method import JmapAccount
from .standard import SetOutcome

SET_PROPERTIES = ("name", "parentId", "role", "isSubscribed", "sortOrder")


def parents_first(create: dict[str, dict[str, Any]]) -> list[str]:
    """Creation ids, a mailbox after the one above it that is made in the same call."""
    ordered: list[str] = []
    left = dict(create)
    while left:
        ready = [name for name, wanted in left.items() if str(wanted.get("parentId") or "").removeprefix("#") not in left]
        ordered += ready or list(left)
        left = {} if not ready else {name: wanted for name, wanted in left.items() if name not in ready}
    return ordered


class MailboxChange:
    """The changes of one Mailbox/set."""

    def __init__(self, store: Store, account: JmapAccount, created: dict[str, str]) -> None:
        self._store = store
        self._account = account
        self._mailboxes = VisibleMailboxes(store, account.scope.viewer)
        self._created = created

    async def create(self, outcome: SetOutcome, name: str, wanted: dict[str, Any]) -> None:
        _check(wanted)
        special_use = self._special_use(wanted.get("role"))
        path = self._path(await self._tree(), wanted.get("name"), wanted.get("parentId"))
        info = await self._mailboxes.create(path, special_use)
        subscribed = wanted.get("isSubscribed")
        if subscribed is not None and subscribed != info.subscribed:
            await self._mailboxes.subscribe(path, subscribed)
        one = encode_id("F", info.id)
        self._created[name] = one
        outcome.created[name] = {
            "id": one, "sortOrder": ORDER.get(role_of(info) or "", 10), **dict.fromkeys(COUNTS, 0),
            "myRights": mailbox_object(self._account, info, MailboxTree([info]))["myRights"],
        }  # fmt: skip

    async def update(self, outcome: SetOutcome, one: str, patch: dict[str, Any]) -> None:
        tree = await self._tree()
        info = self._find(tree, one)
        place = {"name": tree.name(info), "parentId": tree.parent_id(info)}
        before = {**place, "role": role_of(info), "isSubscribed": info.subscribed}
        after = patched(before, patch)
        _check({name: after.get(name) for name in patch if "/" not in name} | {name: None for name in patch if "/" in name})
        if after.get("role") != before["role"]:
            raise invalid_properties("The role of a mailbox stays as it is.", "role")
        path = info.name
        if {name: after.get(name) for name in place} != place:
            path = self._path(tree, after.get("name"), after.get("parentId"))
        if path != info.name:
            if path_of(info) == INBOX:
                raise SetError("forbidden", "INBOX keeps its name and place.")
            await self._mailboxes.rename(info.name, path)
        if bool(after.get("isSubscribed")) != info.subscribed:
            await self._mailboxes.subscribe(path, bool(after.get("isSubscribed")))
        outcome.updated[one] = None

    async def destroy(self, outcome: SetOutcome, one: str, remove_messages: bool) -> None:
        info = self._find(await self._tree(), one)
        if info.has_children:
            raise SetError("mailboxHasChild", "There are mailboxes below this one.")
        # those marked as \Deleted are not there (RFC 8621 §4.1.1)
        if (info.messages > info.deleted or "r" not in info.rights) and not remove_messages:
            raise SetError("mailboxHasEmail", "There are messages in this mailbox.")
        await self._mailboxes.delete(info.name)
        if info.subscribed:
            await self._mailboxes.subscribe(info.name, False)
        outcome.destroyed.append(one)

    async def children_first(self, ids: list[str]) -> list[str]:
        depth = {encode_id("F", info.id): info.name.count(SEPARATOR) for info in (await self._tree()).infos}
        return sorted(ids, key=lambda one: -depth.get(created_id(one, self._created) or one, 0))

    async def _tree(self) -> MailboxTree:
        return MailboxTree(await self._store.mailboxes_in(self._account.scope))

    def _find(self, tree: MailboxTree, one: str) -> MailboxInfo:
        number = parse_id("F", created_id(one, self._created) or "")
        for info in tree.infos:
            if info.id == number:
                return info
        raise SetError("notFound", "There is no such mailbox.")

    def _path(self, tree: MailboxTree, name: Any, parent: Any) -> str:
        """The full name, as the caller has it. Raises SetError."""
        if not isinstance(name, str) or not name or SEPARATOR in name:
            raise invalid_properties(f'A mailbox has a name, without "{SEPARATOR}" in it.', "name")
        if parent is None and self._account.viewer is not None:
            raise SetError("forbidden", "At the top are the owner's own mailboxes.")
        if parent is None:
            return name
        number = parse_id("F", created_id(parent, self._created) or "") if isinstance(parent, str) else None
        for info in tree.infos:
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
