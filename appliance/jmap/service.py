"""The JMAP service of one server: who calls, the methods, blobs; what `web` asks of it, and no HTTP.

Blobs: `B7` is message 7 as stored, `B7-1_2` the decoded body of its part 1.2. A blob is found by whoever may read the account of the
message, and stays as long as the message.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from appliance.accounts.directory import Directory
from appliance.mail.ids import AccountId
from appliance.protocol.imap.bodystructure_fields import parse_bodystructure
from appliance.protocol.imap.shown_parts import media_type
from appliance.protocol.jmap.request import JmapLimits
from appliance.store.account_messages import AccountMessage, account_messages
from appliance.store.store import Store

from .api import JmapApi
from .email import EmailMethods
from .email_content import decoded, extent_of, octets_of, open_message
from .email_order import SORTS
from .email_query import EmailQueryMethods
from .email_set import EmailSetMethods
from .ids import encode_id, parse_id
from .mailbox import MAIL, MailboxMethods
from .method import Caller, JmapAccount
from .search_snippet import SnippetMethods
from .session import session_object
from .thread import ThreadMethods

CAPABILITIES: dict[str, dict[str, Any]] = {
    MAIL: {
        "maxMailboxesPerEmail": None,
        "maxMailboxDepth": None,
        "maxSizeMailboxName": 250,
        "maxSizeAttachmentsPerEmail": 50_000_000,
        "emailQuerySortOptions": list(SORTS),
        "mayCreateTopLevelMailbox": True,
    }
}


@dataclass(frozen=True, slots=True)
class Blob:
    """Octets to be downloaded: `length` is None where it is only known at the end. `chunks` raises StoreError."""

    chunks: AsyncIterator[bytes]
    length: int | None
    media_type: str


class JmapService:
    """Made once, when the first request of JMAP comes. `report` gets faults of ours."""

    def __init__(self, store: Store, directory: Directory, report: Callable[[str, BaseException], None]) -> None:
        self._store = store
        self._directory = directory
        self.limits = JmapLimits()
        kinds = (MailboxMethods, ThreadMethods, EmailMethods, EmailQueryMethods, EmailSetMethods, SnippetMethods)
        methods = [method for kind in kinds for method in kind(store, self.limits).methods()]
        self._api = JmapApi(methods, CAPABILITIES, limits=self.limits, report=report)

    def caller(self, account: AccountId) -> Caller:
        """Whoever is signed in to this account."""
        found = self._directory.account(account)
        address = found.address if found is not None else ""
        return Caller(account, address, (JmapAccount(encode_id("A", account), account, address),))

    async def api(self, octets: bytes, account: AccountId) -> dict[str, Any]:
        """The response to a request. Raises RequestError."""
        return await self._api.handle(octets, self.caller(account))

    def session(self, account: AccountId, base_url: str) -> dict[str, Any]:
        return session_object(self.caller(account), self._api.capabilities, base_url)

    async def blob(self, account: AccountId, jmap_account: str, blob: str) -> Blob | None:
        """A blob for downloading; None when the caller has no such blob. Raises StoreError."""
        own = next((one for one in self.caller(account).accounts if one.id == jmap_account), None)
        name, _, section = blob.partition("-")
        number = parse_id("B", name)
        if own is None or number is None:
            return None
        found = await self._store.database.read(lambda connection: account_messages(connection, own.account, [number]))
        for message in found.values():
            return await self._opened(message, section)
        return None

    async def _opened(self, message: AccountMessage, section: str) -> Blob | None:
        opened = await open_message(self._store, message)
        if not section:
            return Blob(octets_of(opened, 0, opened.octets), opened.octets, "message/rfc822")
        for structure in parse_bodystructure(message.bodystructure).walk():
            if "_".join(map(str, structure.section)) == section and not structure.is_multipart:
                extent = extent_of(opened, structure.section)
                return Blob(decoded(opened, extent), None, media_type(structure)) if extent is not None else None
        return None
