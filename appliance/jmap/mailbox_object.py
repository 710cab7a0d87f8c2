"""A mailbox as JMAP shows it (RFC 8621 §2).

A mailbox of the store is named by its path ("Family/2024"); JMAP sees the last level as `name` and the mailbox above as `parentId`.
The role is its special use (RFC 8621 §2, IANA's mailbox name attributes); INBOX has the role "inbox".
"""

from typing import Any

from appliance.mail.flags import INBOX
from appliance.store.values import MailboxInfo

from .ids import encode_id
from .method import JmapAccount

COUNTS = ("totalEmails", "unreadEmails", "totalThreads", "unreadThreads")
PROPERTIES = ("id", "name", "parentId", "role", "sortOrder", *COUNTS, "myRights", "isSubscribed")
ROLES = {"\\Archive": "archive", "\\Drafts": "drafts", "\\Junk": "junk", "\\Sent": "sent", "\\Trash": "trash", "\\Scheduled": "scheduled"}
ORDER = {"inbox": 1, "drafts": 2, "scheduled": 3, "sent": 4, "archive": 5, "junk": 6, "trash": 7}
"""`sortOrder` of a role; other mailboxes come after, by name."""
SEPARATOR = "/"


def role_of(info: MailboxInfo) -> str | None:
    return "inbox" if info.name == INBOX else ROLES.get(info.special_use)


def above(name: str) -> str:
    """The name of the mailbox above; "" for one at the top."""
    return name.rpartition(SEPARATOR)[0]


def mailbox_object(account: JmapAccount, info: MailboxInfo, by_name: dict[str, MailboxInfo], threads: tuple[int, int]) -> dict[str, Any]:
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
