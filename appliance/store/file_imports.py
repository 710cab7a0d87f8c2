"""Brings the messages of received files into their accounts, one file at a time, in the background.

A file is read in a thread, its messages are received like any other and committed several at once together with the position behind them
(`transfer.ImportSession`): stopped anywhere, also by a power cut, it goes on there and no message is lost or doubled. What a mailbox has
already, octet for octet, is not stored again (`known_messages`). What is counted as stored is committed.

How it fails: a refusal of the store or of the file stops that file with a reason, and its user may go on; nobody else's waits for it.
"""

import os
from collections.abc import AsyncIterable, AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import trio

from appliance.mail.archive import ImportedMessage
from appliance.mail.clock import Clock
from appliance.mail.errors import PillarboxError, SetupError, StoreError, Trouble
from appliance.mail.ids import AccountId
from appliance.mail.limits import MB

from .archive_files import PassedOver
from .import_files import Steps, examine, steps_of
from .known_messages import KnownMessages
from .received_files import ReceivedFile, ReceivedFiles
from .store import Store
from .transfer import TOGETHER, ImportSession

RESERVE_OCTETS = 256 * MB
"""Of the storage stays free for arriving mail."""
WRITE_OCTETS = BATCH_OCTETS = 2**20
BUSY_S = 5.0
"""Before going on when the server receives too much at once."""
REASONS = {Trouble.OVER_QUOTA: "over-quota", Trouble.FULL: "full"}


class OffsetConflict(PillarboxError):
    """What was sent does not go on where the file ends, at `offset`."""

    def __init__(self, offset: int) -> None:
        super().__init__(f"the file has {offset} octets so far")
        self.offset = offset


class RunningImport(NamedTuple):
    """The file that is being brought in."""

    file: ReceivedFile
    scope: trio.CancelScope
    ended: trio.Event


class FileImports:
    """Every account's file. `run` is the background task."""

    def __init__(self, store: Store, directory: Path, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._received = ReceivedFiles(directory)
        self._received.load(clock.wall_s() if clock.trusted() else None)
        self._thread = trio.CapacityLimiter(1)
        self._sending: set[AccountId] = set()
        self._wake = trio.Event()
        self._running: RunningImport | None = None

    def of(self, account: AccountId) -> ReceivedFile | None:
        return self._received.files.get(account)

    def room_octets(self, account: AccountId) -> int:
        """How large a file may be: what is free on storage, and not more than all the account may have."""
        _, limit = self._store.quota(account)
        free = self._free_octets()
        return free if limit is None else min(free, limit)

    def _free_octets(self) -> int:
        directory = self._received.directory
        space = os.statvfs(directory if directory.exists() else directory.parent)
        return max(0, space.f_bavail * space.f_frsize - RESERVE_OCTETS)

    # --- receiving ---------------------------------------------------------------------------------

    async def begin(self, account: AccountId, name: str, octets: int, stamp: str) -> ReceivedFile:
        """The file to send, which may have octets already. Raises SetupError."""
        file = self.of(account)
        if file is not None and file.state == "receiving" and (file.name, file.octets, file.stamp) == (name, octets, stamp) and stamp:
            return file
        if account in self._sending or (file is not None and file.state == "running"):
            raise SetupError("Another file is on its way.", "Wait until it is in, or throw it away.")
        if octets > self.room_octets(account):
            raise SetupError("There is no room for a file of this size.", "Make room, or send it in parts.")
        self._sending.add(account)
        try:
            made: ReceivedFile = await self._hop(self._received.make, account, name[:200], octets, stamp[:100], int(self._clock.wall_s()))
        except OSError as error:
            raise StoreError(Trouble.FULL) from error
        finally:
            self._sending.discard(account)
        return made

    async def append(self, file: ReceivedFile, offset: int, chunks: AsyncIterable[bytes]) -> int:
        """Take the octets that go on at `offset`; how many the file has then. What came before an error is kept.

        Raises OffsetConflict, SetupError for too many or a file of no known kind, StoreError FULL, and what `chunks` raises.
        """
        if file.state != "receiving" or file.account in self._sending or offset != file.received:
            raise OffsetConflict(file.received)
        self._sending.add(file.account)
        try:
            await self._append(file, chunks)
        finally:
            self._sending.discard(file.account)
        return file.received

    async def _append(self, file: ReceivedFile, chunks: AsyncIterable[bytes]) -> None:
        held, count = [], 0
        try:
            async for chunk in chunks:
                if file.received + count + len(chunk) > file.octets:
                    raise SetupError("More was sent than was said before.", "Send the file again.")
                held.append(chunk)
                count += len(chunk)
                if count >= WRITE_OCTETS:
                    octets, held, count = b"".join(held), [], 0
                    await self._write(file, octets)
        finally:
            if held:
                with trio.CancelScope(shield=True):
                    await self._write(file, b"".join(held))

    async def _write(self, file: ReceivedFile, octets: bytes) -> None:
        if self._free_octets() < len(octets):  # several files may have begun while there was room for each of them
            raise StoreError(Trouble.FULL, "the file cannot be kept: the storage is full")
        try:
            await self._hop(self._received.append, file, octets)
        except OSError as error:
            raise StoreError(Trouble.FULL, "the file cannot be kept: the storage is full") from error

    async def complete(self, file: ReceivedFile, octets: int = -1) -> None:
        """All was sent (`octets`: that many, where it was not known before): look what it is. Raises SetupError; then it is gone."""
        if octets >= 0:
            file.octets = octets
        if file.state != "receiving" or file.received != file.octets:
            raise OffsetConflict(file.received)
        self._sending.add(file.account)
        try:
            await self._hop(self._received.keep, file)
            with await self._hop(self._received.open, file) as opened:
                steps = examine(opened)
                while (facts := await self._hop(next, steps, None)) is not None:
                    file.kind, file.messages, file.unpacked = facts.kind, facts.messages, facts.octets
            file.state = "received"
            await self._hop(self._received.save, file)
        except SetupError:
            await self._hop(self._received.remove, file.account)
            raise
        finally:
            self._sending.discard(file.account)

    # --- what its user says ------------------------------------------------------------------------

    async def start(self, account: AccountId, mailbox: str) -> None:
        """Bring it in, or go on; `mailbox` "" keeps the mailboxes of the file. Raises SetupError."""
        file = self.of(account)
        if file is None or file.state not in ("received", "stopped"):
            raise SetupError("There is no file to bring in.", "Choose one.")
        if file.unpacked > self.room_octets(account):
            raise SetupError("There is no room for all the mail in this file.", "Make room, or bring it in in parts.")
        file.state, file.reason = "running", ""
        file.mailbox = mailbox if not file.stored else file.mailbox
        await self._hop(self._received.save, file)
        self._wake.set()

    async def discard(self, account: AccountId) -> None:
        """Throw the file away, or what is known of one that is done."""
        if account in self._sending:
            raise SetupError("The file is being sent just now.", "Stop that first.")
        file = self.of(account)
        if (running := self._running) is not None and running.file is file:
            running.file.state = "discarded"
            running.scope.cancel()
            await running.ended.wait()
        if self.of(account) is file:  # it had ended already, and what became of it was just being kept
            await self._hop(self._received.remove, account)

    async def forget(self, account: AccountId) -> None:
        """The account was erased: its file goes too, at the latest when whoever sends it stops."""
        with suppress(SetupError):
            await self.discard(account)

    # --- bringing in -------------------------------------------------------------------------------

    async def run(self) -> None:
        """For ever: whatever is to be brought in, the oldest first."""
        while True:
            waiting = [file for file in self._received.files.values() if file.state == "running"]
            if not waiting:
                self._wake = trio.Event()
                await self._wake.wait()
                continue
            await self._import(min(waiting, key=lambda file: file.made_at))

    async def _import(self, file: ReceivedFile) -> None:
        source = f"file {file.id}"
        running = self._running = RunningImport(file, trio.CancelScope(), trio.Event())
        try:
            with running.scope:
                await self._try(file, source)
            with trio.CancelScope(shield=True):
                await self._note(file, source)
        finally:
            self._running = None
            running.ended.set()

    async def _try(self, file: ReceivedFile, source: str) -> None:
        """Bring it in; its state says how that ended: still running when the server receives too much just now."""
        try:
            await self._bring_in(file, source)
            file.state = "done"
        except StoreError as refusal:
            if refusal.trouble is Trouble.BUSY:
                await trio.sleep(BUSY_S)
                return
            file.state, file.reason = "stopped", REASONS.get(refusal.trouble, str(refusal))
        except (SetupError, OSError) as fault:
            file.state, file.reason = "stopped", str(getattr(fault, "strerror", "") or fault)
        except Exception:
            file.state, file.reason = "stopped", "the server failed; its log says why"
            await self._note(file, source)
            raise

    async def _note(self, file: ReceivedFile, source: str) -> None:
        """Keep what became of it. In this order: an import that is done is never begun again."""
        if file.state == "running":
            return
        if file.state == "discarded":
            await self._hop(self._received.remove, file.account)
        elif file.state == "done":
            await self._hop(self._received.end, file)
        else:
            await self._hop(self._received.save, file)
        if file.state in ("done", "discarded"):
            statement, values = "DELETE FROM import_progress WHERE account = ? AND source = ?", (file.account, source)
            await self._store.database.write(lambda transaction: transaction.execute(statement, values))

    async def _bring_in(self, file: ReceivedFile, source: str) -> None:
        session = await ImportSession.begin(self._store.database, self._store, file.account, source, file.mailbox, together=TOGETHER)
        session.known = KnownMessages(self._store)
        counts, passed, left_out = (file.stored, file.doubled, file.left_out), PassedOver(), 0
        with await self._hop(self._received.open, file) as opened:
            steps = steps_of(opened, file.name, self._received.directory, session.position, file.mailbox, passed)
            try:
                while (step := await self._hop(_step, steps)) is not END:
                    if step is not None:
                        left_out += not await session.take(step.message, self._chunks(file, step))
                    file.stored, file.doubled = counts[0] + session.stored, counts[1] + session.doubled
                    file.left_out, file.reason = counts[2] + left_out + passed.count, file.reason or passed.first
                await session.finish()
            finally:
                file.stored = counts[0] + session.stored
                with trio.CancelScope(shield=True):
                    await session.aclose()
                    await self._hop(steps.close)  # type: ignore[attr-defined]

    async def _chunks(self, file: ReceivedFile, step: "ImportStep") -> AsyncIterator[bytes]:
        batch = step.first
        while True:
            for chunk in batch.chunks:
                yield chunk
            if batch.fault is not None:
                file.reason = file.reason or batch.fault.strerror or "it cannot be read"
                raise batch.fault
            if batch.last:
                return
            batch = await self._hop(_batch, step.rest)

    async def _hop(self, call: Any, *arguments: Any) -> Any:
        return await trio.to_thread.run_sync(lambda: call(*arguments), limiter=self._thread)


END = object()


class ChunkBatch(NamedTuple):
    """Octets of a message: the next ones, why there are no more, whether those were the last."""

    chunks: list[bytes]
    fault: OSError | None
    last: bool


class ImportStep(NamedTuple):
    """A message with its first octets."""

    message: ImportedMessage
    first: ChunkBatch
    rest: Iterator[bytes]


def _step(steps: Steps) -> Any:
    """The next ImportStep, None for a pause, END."""
    found: Any = next(steps, END)
    return found if found is END or found is None else ImportStep(found[0], _batch(found[1]), found[1])


def _batch(chunks: Iterator[bytes]) -> ChunkBatch:
    held: list[bytes] = []
    octets = 0
    try:
        for chunk in chunks:
            held.append(chunk)
            octets += len(chunk)
            if octets >= BATCH_OCTETS:
                return ChunkBatch(held, None, last=False)
    except OSError as fault:
        return ChunkBatch(held, fault, last=True)
    return ChunkBatch(held, None, last=True)
