"""The first list of the page, read together with it: one round trip less before there is something to see.

Every window of a list is read with QUERY and then READING: its rows, their conversations and what is shown of their members
(RFC 8621 §4.10). The page has both from here.
"""

from typing import Any

from appliance.mail.errors import StoreError
from appliance.mail.ids import AccountId

from ..message import HttpRefusal
from .mail_reader import MailReader

ROWS = 50
"""Of one window of a list."""
FIRST_ROWS = 25
"""Of the first list: what most screens show, and a few more. Whoever scrolls on reads a whole window."""
QUERY = {"sort": [{"property": "receivedAt", "isAscending": False}], "collapseThreads": True, "calculateTotal": True}
ROW = ("id", "blobId", "threadId", "mailboxIds", "keywords", "from", "to", "subject", "receivedAt", "preview", "hasAttachment")
MEMBER = ("id", "threadId", "mailboxIds", "keywords", "from", "receivedAt")


def _found(call: int, name: str, path: str) -> dict[str, str]:
    """A result of the call of that number (RFC 8620 §3.7)."""
    return {"resultOf": str(call), "name": name, "path": path}


READING = (
    ("Email/get", {"#ids": _found(0, "Email/query", "/ids"), "properties": ROW}),
    ("Thread/get", {"#ids": _found(1, "Email/get", "/list/*/threadId")}),
    ("Email/get", {"#ids": _found(2, "Thread/get", "/list/*/emailIds"), "properties": MEMBER}),
)


async def first_list(mail: MailReader, account: AccountId, jmap_account: str, inbox: str) -> dict[str, Any] | None:
    """The responses for the first window of the inbox; None when they cannot be read: the page asks for itself."""
    query = {**QUERY, "filter": {"inMailbox": inbox}, "position": 0, "limit": FIRST_ROWS}
    calls = [(name, {"accountId": jmap_account, **arguments}) for name, arguments in (("Email/query", query), *READING)]
    try:
        return {"inMailbox": inbox, "responses": await mail.calls(account, calls)}
    except (HttpRefusal, StoreError):
        return None
