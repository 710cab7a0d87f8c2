"""A mailbox as JMAP shows it (RFC 8621 §2).

A mailbox of the store is named by its path ("Family/2024"); JMAP sees the last level as `name` and the mailbox above as `parentId`. Where
an account sees a mailbox of another without the one above it, the name is what the path has below the nearest one in sight: so no two
have the same name. The role is its special use (IANA's mailbox name attributes); INBOX has the role "inbox".

| myRights                         | rights of RFC 4314    | never                    |
|----------------------------------|-----------------------|--------------------------|
| mayReadItems                     | l and r               |                          |
| mayAddItems                      | i                     | the Outbox               |
| mayRemoveItems                   | t and e               |                          |
| maySetSeen, maySetKeywords       | s, w                  |                          |
| mayCreateChild                   | k                     | the Outbox               |
| mayRename, mayDelete             | x                     | INBOX, the Outbox        |
| maySubmit                        | p                     |                          |
"""

from collections.abc import Sequence
from typing import Any

from appliance.mail.flags import INBOX
from appliance.store.mailbox_counts import MailboxCounts
from appliance.store.values import MailboxInfo

from .ids import encode_id
from .method import JmapAccount

COUNTS = ("totalEmails", "unreadEmails", "totalThreads", "unreadThreads")
PROPERTIES = ("id", "name", "parentId", "role", "sortOrder", *COUNTS, "myRights", "isSubscribed")
ROLES = {"\\Archive": "archive", "\\Drafts": "drafts", "\\Junk": "junk", "\\Sent": "sent", "\\Trash": "trash", "\\Scheduled": "scheduled"}
ORDER = {"inbox": 1, "drafts": 2, "scheduled": 3, "sent": 4, "archive": 5, "junk": 6, "trash": 7}
"""`sortOrder` of a role; other mailboxes come after, by name."""
SEPARATOR = "/"
NO_COUNTS = MailboxCounts()


def path_of(info: MailboxInfo) -> str:
    """The name in the account that owns it."""
    return info.own_name or info.name


def role_of(info: MailboxInfo) -> str | None:
    return "inbox" if path_of(info) == INBOX else ROLES.get(info.special_use)


def _above(name: str) -> str:
    """The name of the mailbox above; "" for one at the top."""
    return name.rpartition(SEPARATOR)[0]


class MailboxTree:
    """An account's mailboxes, as far as they are in sight."""

    def __init__(self, infos: Sequence[MailboxInfo]) -> None:
        self.infos = infos
        self._by_path = {path_of(info): info for info in infos}

    def parent(self, info: MailboxInfo) -> MailboxInfo | None:
        """The nearest mailbox above it."""
        path = path_of(info)
        while path := _above(path):
            if path in self._by_path:
                return self._by_path[path]
        return None

    def parent_id(self, info: MailboxInfo) -> str | None:
        parent = self.parent(info)
        return encode_id("F", parent.id) if parent is not None else None

    def name(self, info: MailboxInfo) -> str:
        parent = self.parent(info)
        return path_of(info)[len(path_of(parent)) + 1 :] if parent is not None else path_of(info)

    def superiors(self, info: MailboxInfo) -> list[MailboxInfo]:
        found = []
        above = self.parent(info)
        while above is not None:
            found.append(above)
            above = self.parent(above)
        return found


def mailbox_object(account: JmapAccount, info: MailboxInfo, tree: MailboxTree, counts: MailboxCounts = NO_COUNTS) -> dict[str, Any]:
    """All properties of RFC 8621 §2."""
    role = role_of(info)
    return {
        "id": encode_id("F", info.id),
        "name": tree.name(info),
        "parentId": tree.parent_id(info),
        "role": role,
        "sortOrder": ORDER.get(role or "", 10),
        **dict(zip(COUNTS, counts, strict=True)),
        "myRights": _rights(account, info, role),
        "isSubscribed": info.subscribed,
    }


def _rights(account: JmapAccount, info: MailboxInfo, role: str | None) -> dict[str, bool]:
    write = account.viewer is not None or not account.read_only
    given = info.rights if write else info.rights & frozenset("lr")
    holds, is_outbox = given if info.selectable else frozenset(), role == "scheduled"
    is_fixed = role == "inbox" or is_outbox
    return {
        "mayReadItems": holds.issuperset("lr"),
        "mayAddItems": "i" in holds and not is_outbox,
        "mayRemoveItems": holds.issuperset("te"),
        "maySetSeen": "s" in holds,
        "maySetKeywords": "w" in holds,
        "mayCreateChild": "k" in given and not is_outbox,
        "mayRename": "x" in given and not is_fixed,
        "mayDelete": "x" in given and not is_fixed,
        "maySubmit": "p" in given,
    }
