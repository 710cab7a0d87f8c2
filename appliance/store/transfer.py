"""Import and export of whole archives: messages in from mbox files and Maildirs, messages out, in constant memory.

An import says before each message where its source stands after it, and that position is written in the commit that
stores the message: begun again, it goes on where it stopped, and no message is lost or doubled by a power cut. Reading
and writing the archives is plain and blocking; it belongs into a process or thread of its own.

A message that cannot be read to its end is left out. When space runs out, everything that still fits is taken in first.

Fails with SetupError for a source that cannot be read or has changed, StoreError FULL and OVER_QUOTA.
"""

from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import NamedTuple

from appliance.database.database import AnyDatabase
from appliance.database.writer import Transaction
from appliance.mail.archive import ImportedMessage
from appliance.mail.errors import SetupError, StoreError, Trouble
from appliance.mail.flags import KEYWORD_SHIFT, SYSTEM_NAMES
from appliance.mail.ids import AccountId, MailboxId
from appliance.mail.limits import MESSAGE_OCTETS, READ_OCTETS
from appliance.mail.sentence import Sentence

from .archive_files import PassedOver, printable
from .archives import mailboxes_of, messages_of
from .body_readers import StoredMessage, whole_in_row
from .export_names import ExportNames
from .incoming import StagedBody
from .known_messages import KnownMessages
from .mailboxes import create, row_named, subscribe
from .maildir import MaildirWriter
from .mbox import MboxWriter
from .names import known_as, proper
from .salvage import Salvage, Salvaged, SalvagedFolder
from .store import Store
from .values import Placement

__all__ = (
    "ExportNames",
    "ImportSession",
    "MaildirWriter",
    "MboxWriter",
    "PassedOver",
    "export",
    "import_into",
    "mailboxes_of",
    "messages_of",
    "printable",
)  # fmt: skip

IMPORTED = "Imported"
"""Where messages go whose own mailbox has a name no mailbox can have."""
TOGETHER = 32
"""Messages an import may commit at once: a thirtieth of the flushes."""
TOGETHER_OCTETS = 2**20
NO_ROOM = (Trouble.FULL, Trouble.OVER_QUOTA)


# --- into the store ------------------------------------------------------------------------------------------


class StagedMessage(NamedTuple):
    """A message that waits for the commit; `position` is the source's behind it."""

    body: StagedBody
    placement: Placement
    position: str


class ImportSession:
    """An import under way: `take` each message, `finish` at the end.

    With `together` above 1 small messages gather and one commit stores them all with the last position: until then, or
    `finish`, they are not stored, and an import begun again takes them once more.
    """

    def __init__(
        self, database: AnyDatabase, store: Store, account: AccountId, source: str, mailbox: str, position: str, together: int
    ) -> None:
        self.position = position
        """Where to go on: "" at the beginning."""
        self.stored = 0
        """Messages committed so far."""
        self.known: KnownMessages | None = None
        """Set to leave out messages that were there before."""
        self.doubled = 0
        """How many that were; `take` says True for them."""
        self._database = database
        self._store = store
        self._account = account
        self._source = source
        self._mailbox = mailbox
        self._together = together
        self._places: dict[str, MailboxId] = {}
        self._staged: list[StagedMessage] = []
        self._octets = 0
        self._open = AsyncExitStack()

    @classmethod
    async def begin(
        cls, database: AnyDatabase, store: Store, account: AccountId, source: str, mailbox: str = "", *, together: int = 1
    ) -> "ImportSession":
        """`source` names where the messages come from; `mailbox` "" keeps the mailboxes of the source."""
        row: tuple[str] | None = await database.read(
            lambda connection: connection.execute(
                "SELECT position FROM import_progress WHERE account = ? AND source = ?", (account, source)
            ).fetchone()
        )
        return cls(database, store, account, source, mailbox, row[0] if row else "", together)

    async def make(self, mailboxes: Iterable[str]) -> None:
        """Make the mailboxes of the source, so that those without a message come along as well. Once, at the beginning.

        Names no mailbox can have, and what is beyond the limit of mailboxes, are passed over. Raises FULL.
        """
        for name in () if self.position else (self._mailbox,) if self._mailbox else mailboxes:
            try:
                proper(name)
                await self._place(name)
            except StoreError as refusal:
                if refusal.trouble in NO_ROOM:
                    raise

    async def take(self, message: ImportedMessage, chunks: AsyncIterator[bytes]) -> bool:
        """Store one message with its position; False when it was too large or ended unread, and was left out, which its position then says.

        Raises FULL, OVER_QUOTA: nothing of it is stored; those that gathered are, as many as fit.
        """
        async with AsyncExitStack() as own:
            incoming = await own.enter_async_context(self._store.receive(MESSAGE_OCTETS))
            try:
                async for chunk in chunks:
                    await incoming.write(chunk)
            except OSError:
                return await self._leave_out(message)
            except StoreError as refusal:
                if refusal.trouble is not Trouble.TOO_BIG:
                    await self.finish()
                    raise
                with suppress(OSError):
                    async for _ in chunks:
                        pass  # the rest of it
                return await self._leave_out(message)
            body = await incoming.finish()
            place = await self._place(message.mailbox)
            if self.known is not None and await self.known.has(place, body):
                self.doubled += 1
                self.position = message.position
                return True
            self._open.push_async_exit(own.pop_all())
        arrived = message.internal_at or body.description.sent_at or 0
        placement = Placement(place, b"", message.flags, max(0, arrived))
        self._staged.append(StagedMessage(body, placement, message.position))
        self._octets += body.octets
        self.position = message.position
        if len(self._staged) >= self._together or self._octets >= TOGETHER_OCTETS:
            await self.finish()
        return True

    async def _leave_out(self, message: ImportedMessage) -> bool:
        self.position = message.position
        await self.finish()
        return False

    async def finish(self) -> None:
        """Commit what has gathered, with the position. Where that does not fit, what does fit is committed one by one."""
        staged, self._staged, self._octets = self._staged, [], 0
        gathered, self._open = self._open, AsyncExitStack()
        async with gathered:
            try:
                await self._commit(staged, self.position)
            except StoreError as refusal:
                if refusal.trouble not in NO_ROOM or len(staged) < 2:
                    raise
                for one in staged:
                    await self._commit([one], one.position)

    async def _commit(self, staged: list[StagedMessage], position: str) -> None:
        messages = [(one.body, one.placement) for one in staged]
        await self._store.file_all(messages, also=lambda transaction: self._note(transaction, position))
        self.stored += len(staged)

    async def aclose(self) -> None:
        """Give back what has gathered and was not committed."""
        self._staged = []
        await self._open.aclose()

    def _note(self, transaction: Transaction, position: str) -> None:
        transaction.execute(
            "INSERT INTO import_progress(account, source, position) VALUES (?, ?, ?) "
            "ON CONFLICT DO UPDATE SET position = excluded.position",
            (self._account, self._source, position),
        )

    async def _place(self, mailbox: str) -> MailboxId:
        """The mailbox of that name, made when it is missing; subscribed, because many clients show nothing else."""
        name = self._mailbox or mailbox
        if name not in self._places:
            account, effects = self._account, self._store.effects

            def work(transaction: Transaction) -> MailboxId:
                target = _possible(name)
                row = row_named(transaction, account, target)
                subscribe(transaction, account, target, True, when_room=True)
                found = row.id if row is not None and row.selectable else create(transaction, account, target)
                effects.mailbox_changed(transaction, account)
                return found

            self._places[name] = await self._database.write(work)
        return self._places[name]


def _possible(name: str) -> str:
    """The name a message's mailbox can have here: what no mailbox may be called goes into IMPORTED."""
    try:
        return proper(name)
    except StoreError:
        return IMPORTED


async def import_into(
    store: Store, account: AccountId, path: Path, mailbox: str = "", *, source: str = "", together: int = TOGETHER
) -> AsyncIterator[tuple[int, int]]:
    """Bring in an archive; yields (messages taken, messages left out or passed over) after each. Blocks the loop while it reads."""
    session = await ImportSession.begin(store.database, store, account, source or str(path), mailbox, together=together)
    passed = PassedOver()
    taken = left_out = 0
    reported = (0, 0)
    try:
        await session.make(mailboxes_of(path))
        for message, chunks in messages_of(path, session.position, passed=passed):
            if await session.take(message, _each(chunks)):
                taken += 1
            else:
                left_out += 1
            reported = (taken, left_out + passed.count)
            yield reported
        await session.finish()
        if reported != (taken, left_out + passed.count):
            yield taken, left_out + passed.count
    finally:
        await session.aclose()


async def _each(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


# --- out of the store ------------------------------------------------------------------------------------------


async def export(store: Store, account: AccountId, mailbox: str = "") -> AsyncIterator[tuple[ImportedMessage, AsyncIterator[bytes]]]:
    """An account's messages, mailbox by mailbox ("": all), as they were when their batch was read; each with its chunks.

    A message that was removed meanwhile is passed over. One that cannot be read, since the database or a file is damaged, is
    passed over and counted: after each mailbox comes a Message with that count and no octets. Raises SetupError for a mailbox there is not.
    """
    salvage = Salvage(store.database)
    folders = await salvage.folders(account)
    if salvage.damaged:
        yield ImportedMessage("", (), 0, unreadable=1), _no_chunks()
    if mailbox:
        folders = [folder for folder in folders if folder.name == known_as(mailbox)]
        if not folders:
            raise SetupError(Sentence("There is no mailbox “%(mailbox)s”.", mailbox=mailbox), "See them: pillarbox mailbox list ADDRESS")
    for folder in folders:
        async for found in _exported(store, folder):
            yield found


async def _exported(store: Store, folder: SalvagedFolder) -> AsyncIterator[tuple[ImportedMessage, AsyncIterator[bytes]]]:
    salvage = Salvage(store.database)
    seen = lost = 0
    async for rows in salvage.rows(folder.id):
        for row in rows:
            seen += 1
            flags = [flag for bit, flag in SYSTEM_NAMES if row.flags & bit]
            flags += [flag for bit, flag in enumerate(row.keywords) if flag and row.flags >> (KEYWORD_SHIFT + bit) & 1]
            try:
                opened, head = await _opened(store, salvage, row)
            except StoreError as trouble:
                if trouble.trouble not in (Trouble.GONE, Trouble.BROKEN):
                    raise
                lost += trouble.trouble is Trouble.BROKEN or await salvage.has(folder.id, row.uid)
                continue
            yield ImportedMessage(folder.name, tuple(flags), row.internal_at), _chunks(opened, head)
    if salvage.damaged:
        lost += max(0, folder.messages - seen)
    if lost:
        yield ImportedMessage(folder.name, (), 0, unreadable=lost), _no_chunks()


async def _opened(store: Store, salvage: Salvage, row: Salvaged) -> tuple[StoredMessage, bytes]:
    """The message and its first octets; one of several chunks is read through first, so that none is yielded half. Raises GONE, BROKEN."""
    try:
        body = await store.bodies.open_body(row.body)
    except StoreError as trouble:
        stored = await salvage.small_body(row.body) if trouble.trouble is Trouble.BROKEN else None
        if stored is None:
            raise
        body = whole_in_row(stored)
    opened = StoredMessage(row.prefix, b"", body)
    head = await opened.read(0, READ_OCTETS)
    at = len(head)
    while at < opened.octets:
        chunk = await opened.read(at, READ_OCTETS)
        if not chunk:
            raise StoreError(Trouble.BROKEN, "a body is shorter than it was")
        at += len(chunk)
    return opened, head


async def _no_chunks() -> AsyncIterator[bytes]:
    return
    yield b""


async def _chunks(opened: StoredMessage, head: bytes) -> AsyncIterator[bytes]:
    at = len(head)
    yield head
    while at < opened.octets:
        chunk = await opened.read(at, READ_OCTETS)
        at += len(chunk)
        yield chunk
