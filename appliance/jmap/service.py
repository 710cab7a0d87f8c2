"""The JMAP service of one server: who calls, the methods, blobs; what `web` asks of it, and no HTTP."""

from collections import Counter
from collections.abc import AsyncIterable, AsyncIterator, Callable
from typing import Any

from appliance.accounts.directory import Directory
from appliance.accounts.push_subscriptions import Credentials
from appliance.mail.errors import SetupError
from appliance.mail.ids import AccountId
from appliance.protocol.jmap.errors import RequestError
from appliance.protocol.jmap.push import EventRequest
from appliance.protocol.jmap.request import JmapLimits
from appliance.store.store import Store

from .api import JmapApi
from .blob_facts import BLOB, blob_facts
from .blobs import Blob, Blobs
from .email import EmailMethods
from .email_order import SORTS
from .email_query import EmailQueryMethods
from .email_set import EmailSetMethods
from .event_source import EventSources
from .identity import SUBMISSION, IdentityMethods
from .ids import encode_id
from .mailbox import MAIL, MailboxMethods
from .method import CORE, Caller, JmapAccount, Method, Methods, late_methods
from .push_states import PushStates
from .pushing import Pushing
from .quota import QUOTA, QuotaMethods
from .session import VAPID, WEBSOCKET, session_object
from .submission import SubmissionMethods
from .submission_query import SubmissionQueryMethods
from .submission_set import Sending as Sending
from .submission_set import SubmissionSetMethods, submission_facts
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

KINDS = (MailboxMethods, ThreadMethods, EmailMethods, EmailQueryMethods, EmailSetMethods, QuotaMethods)
"""What contributes the methods that every client calls."""


def mail_methods(store: Store, limits: JmapLimits) -> list[Method]:
    """All methods but those of sending."""

    def importing() -> Methods:
        from .email_import import EmailImportMethods

        return EmailImportMethods(store, limits)

    def parsing() -> Methods:
        from .email_parse import EmailParseMethods

        return EmailParseMethods(store, limits)

    def snippets() -> Methods:
        from .search_snippet import SnippetMethods

        return SnippetMethods(store, limits)

    def blobs() -> Methods:
        from .blob_methods import BlobMethods

        return BlobMethods(store, limits)

    return [
        *(method for kind in KINDS for method in kind(store, limits).methods()),
        *late_methods(importing, MAIL, "Email/import", "Email/copy"),
        *late_methods(parsing, MAIL, "Email/parse"),
        *late_methods(snippets, MAIL, "SearchSnippet/get"),
        *late_methods(blobs, CORE, "Blob/copy"),
        *late_methods(blobs, BLOB, "Blob/upload", "Blob/get", "Blob/lookup"),
    ]


ACCOUNTS = 100
"""In one session object; push states have as many (`parse_states`)."""


class JmapService:
    """Made once, when the first request of JMAP comes. `report` gets faults of ours."""

    def __init__(
        self,
        store: Store,
        directory: Directory,
        report: Callable[[str, BaseException], None],
        sending: Sending | None = None,
        pushing: Pushing | None = None,
    ) -> None:
        """`sending` None: nothing is sent, and that is not announced. `pushing` None: nothing is pushed to push services."""
        self.store = store
        self._directory = directory
        self.limits = JmapLimits()
        methods = mail_methods(store, self.limits)
        self._blobs = Blobs(store)
        self._uploading: Counter[AccountId] = Counter()
        capabilities = {**CAPABILITIES, BLOB: blob_facts(self.limits), QUOTA: {}, WEBSOCKET: {}}
        identities = IdentityMethods(store, directory, self.limits)
        if sending is not None:
            methods += self._sending_methods(sending, identities)
            capabilities[SUBMISSION] = submission_facts(sending)
        self._pushing = pushing
        if pushing is not None:
            methods += self._pushing_methods(pushing)
        self._report = report
        self._api = JmapApi(methods, capabilities, limits=self.limits, report=report)
        self.states = PushStates(store, identities.state_of if sending is not None else None)
        self._events = EventSources(store, self.states)

    def _sending_methods(self, sending: Sending, identities: IdentityMethods) -> list[Method]:
        store, limits = self.store, self.limits
        kinds = (
            identities, SubmissionMethods(store, limits), SubmissionQueryMethods(store, limits),
            SubmissionSetMethods(store, sending, EmailSetMethods(store, limits).set, limits),
        )  # fmt: skip
        return [method for kind in kinds for method in kind.methods()]

    def _pushing_methods(self, pushing: Pushing) -> tuple[Method, ...]:
        def make() -> Methods:
            from .push_subscription import PushSubscriptionMethods

            return PushSubscriptionMethods(pushing, self.limits)

        return late_methods(make, CORE, "PushSubscription/get", "PushSubscription/set")

    async def announce_push(self) -> None:
        """With the key that push services know this server by (RFC 9749 §3). Without one there is nothing to announce."""
        if self._pushing is None or VAPID in self._api.capabilities:
            return
        try:
            self._api.capabilities[VAPID] = {"applicationServerKey": (await self._pushing.key.key()).public}
        except SetupError as error:
            self._report("VAPID key", error)
            self._pushing = None  # the next start tries again

    def caller(self, account: AccountId, credentials: Credentials | None = None) -> Caller:
        """Whoever is signed in to this account, with the accounts that share mailboxes with it (RFC 8620 §1.6.2)."""
        own = JmapAccount(encode_id("A", account), account, self._address(account))
        others = [
            JmapAccount(encode_id("A", one), one, self._address(one), is_personal=False, read_only=not can_change, viewer=account)
            for one, can_change in self.store.shared_accounts.of(account)[: ACCOUNTS - 1]
        ]
        return Caller(account, own.name, (own, *others), credentials)

    def _address(self, account: AccountId) -> str:
        found = self._directory.account(account)
        return found.address if found is not None else ""

    async def api(self, octets: bytes, account: AccountId, credentials: Credentials | None = None) -> dict[str, Any]:
        """The response to a request; `credentials`: what it came with, None for the server's own. Raises RequestError."""
        await self.announce_push()
        return await self._api.handle(octets, self.caller(account, credentials))

    async def session(self, account: AccountId, base_url: str) -> dict[str, Any]:
        await self.announce_push()
        return session_object(self.caller(account), self._api.capabilities, base_url)

    async def blob(self, account: AccountId, jmap_account: str, blob: str) -> Blob | None:
        """A blob for downloading; None when the caller has no such blob. Raises StoreError."""
        own = self._account(account, jmap_account)
        return await self._blobs.find(own.scope, blob) if own is not None else None

    async def upload(self, account: AccountId, jmap_account: str, chunks: AsyncIterable[bytes], media_type: str) -> dict[str, Any]:
        """Take octets in for later use (RFC 8620 §6.1): what the client gets. Raises RequestError, StoreError, what `chunks` raises."""
        own = self._account(account, jmap_account)
        if own is None or own.read_only:
            raise RequestError("notRequest", "There is no such account, or it can be read only.", status=404 if own is None else 403)
        if self._uploading[account] >= self.limits.uploads:
            raise RequestError("limit", f"At most {self.limits.uploads} uploads at once.", limit="maxConcurrentUpload", status=429)
        self._uploading[account] += 1
        try:
            kept = await self.store.uploads.keep(account, chunks, self.limits.upload_octets, media_type)
        finally:
            self._uploading[account] -= 1
            if not self._uploading[account]:
                del self._uploading[account]
        return {"accountId": own.id, "blobId": encode_id("U", kept.id), "type": kept.media_type, "size": kept.octets}

    def events(self, account: AccountId, wanted: EventRequest, is_live: Callable[[], bool]) -> AsyncIterator[bytes] | None:
        """The event stream of an account (RFC 8620 §7.3); None when it has too many open."""
        if not self._events.has_room(account):
            return None
        return self._events.stream(account, lambda: self.caller(account).accounts, wanted, is_live)

    def changes(self, account: AccountId, types: frozenset[str] | None, last: str) -> AsyncIterator[tuple[dict[str, Any], str]]:
        """StateChange objects of an account, each with the push state after it (RFC 8887 §4.3.5)."""
        return self._events.changes(account, lambda: self.caller(account).accounts, types, last)

    def _account(self, account: AccountId, jmap_account: str) -> JmapAccount | None:
        return next((one for one in self.caller(account).accounts if one.id == jmap_account), None)
