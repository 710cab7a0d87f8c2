"""OBJECTID: ids of mailboxes, messages and threads that stay whatever is renamed, copied or moved (RFC 8474).

They come from durable counters, so none is used twice: `F` with the mailbox's number, `M` with the message's identity, which copies
share, `T` with the identity of the thread's first message. Another form of id names nothing.
"""

from typing import TYPE_CHECKING

from appliance.mail.query import MessageIs, Or, Query, ThreadIs
from appliance.protocol.imap.search import SearchKey, SearchTokens
from appliance.store.values import Want

from ..contract import ImapExtension, StatusItem
from ..row_items import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from appliance.store.values import MailboxInfo

    from ..contract import CommandSession

NUMBER_MOST = 2**63 - 1


def mailbox_id(info: "MailboxInfo") -> bytes:
    """A mailbox made again under its old name has another one (RFC 8474 §4)."""
    return b"(F%d)" % info.id


async def after_select(session: "CommandSession", parameters: "Mapping[bytes, Any]") -> None:
    """RFC 8474 §4.2."""
    if session.selected is not None:
        await session.send(b"* OK [MAILBOXID ", mailbox_id(session.selected.mailbox.info), b"] The mailbox's id.\r\n")


def reads(prefix: bytes, query: "Callable[[int], Query]") -> "Callable[[SearchTokens], Query]":
    """`SP objectid`; ids are case-sensitive (RFC 8474 §7)."""

    def read(words: SearchTokens) -> Query:
        words.tokens.space()
        named = words.tokens.atom()
        number = named[1:]
        if named[:1] != prefix or not number.isdigit() or len(number) > 19 or number[:1] == b"0" or int(number) > NUMBER_MOST:
            return Or(())
        return query(int(number))

    return read


EXTENSION = ImapExtension(
    name="OBJECTID",
    rfc="RFC 8474",
    capability=lambda session: (b"OBJECTID",),
    fetch_items=(
        plain(b"EMAILID", Want.DATES, b"EMAILID (M%d)", "message"),
        plain(b"THREADID", Want.RARE, b"THREADID (T%d)", "thread"),
    ),
    search_keys=(SearchKey(b"EMAILID", reads(b"M", MessageIs)), SearchKey(b"THREADID", reads(b"T", ThreadIs))),
    status_items=(StatusItem(b"MAILBOXID", lambda session, info: mailbox_id(info)),),
    after_select=after_select,
    created_code=lambda info: b"MAILBOXID " + mailbox_id(info),
    response_codes=(b"MAILBOXID",),
)
