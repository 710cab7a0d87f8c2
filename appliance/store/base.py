"""What the store and every open mailbox work with: database, bodies, scanner, cache, quota, Outbox."""

from collections.abc import Sequence

from appliance.database.database import AnyDatabase
from appliance.mail.clock import Clock
from appliance.mail.description import Describe

from . import loading
from .account_watch import AccountWatches
from .bodies import Bodies
from .body_readers import StoredMessage
from .column_cache import ColumnCache
from .mailbox_cache import MailboxCache
from .observers import Effects, Observers
from .outbox import Outboxes
from .quota import Quota, QuotaOf
from .search_found import TextIndex
from .shared_accounts import SharedAccounts
from .values import Row


class StoreBase:
    """The parts of one server's store. `Store` adds what servers ask of it."""

    def __init__(
        self,
        database: AnyDatabase,
        bodies: Bodies,
        *,
        describe: Describe,
        quota_of: QuotaOf,
        observers: Observers,
        clock: Clock | None = None,
    ) -> None:
        self.database = database
        self.bodies = bodies
        self.describe = describe
        self.clock = clock
        self.described_by = describe().finish().described_by
        self.mailbox_cache = MailboxCache()
        self.watches = AccountWatches()
        self.columns = ColumnCache()
        self.quotas = Quota(quota_of)
        self.outboxes = Outboxes(bodies)
        self.shared_accounts = SharedAccounts()
        own = Observers(expunged=(self.outboxes.expunged,), mailbox_changed=(self.shared_accounts.changed,))
        self.effects = Effects(bodies.release, self.quotas, own.followed_by(observers), clock)
        self.outboxes.effects = self.effects
        self.search_index: TextIndex | None = None
        """Set by whoever builds the store; without one, searches read all messages."""

    async def messages(self, rows: Sequence[Row], octets: int) -> list[StoredMessage]:
        """The messages of the first rows, at least one, as many as fit in `octets`, in one read. One that is gone raises GONE when read."""
        chosen = loading.fitting(rows, octets)
        bodies = await self.database.read(lambda connection: loading.load(connection, self.bodies, chosen, octets))
        return loading.messages(chosen, bodies)
