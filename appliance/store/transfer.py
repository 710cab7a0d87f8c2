"""The door for whole archives: letters in from mbox files and Maildirs, letters out, in constant memory.

An import says before each letter where its source stands after it, and that position is written in the commit that
stores the letter: begun again, it goes on where it stopped, and no letter is lost or doubled by a power cut. Reading
and writing the archives is plain and blocking; it belongs into a process or thread of its own.

Fails with SetupError for a source that cannot be read or has changed, StoreError FULL and OVER_QUOTA.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

from appliance.database.database import House
from appliance.database.writer import Transaction
from appliance.mail.errors import SetupError, StoreError, Trouble
from appliance.mail.flags import KEYWORD_SHIFT, SYSTEM_NAMES
from appliance.mail.ids import MailboxId, PersonId, Uid
from appliance.mail.limits import MESSAGE_OCTETS, READ_OCTETS
from appliance.status.controls import Letter

from . import maildir, mbox
from .mailbox import Filing, Mailbox, StagedBody, Store, Want
from .mailbox import Letter as Opened
from .mailboxes import create, row_named
from .maildir import MaildirWriter
from .mbox import MboxWriter
from .names import proper

__all__ = ("ImportSession", "MaildirWriter", "MboxWriter", "export", "import_into", "letters_of")

IMPORTED = "Imported"
"""Where letters go whose own mailbox has a name no mailbox can have."""
TOGETHER = 32
"""Letters an import may commit at once: a thirtieth of the flushes."""
TOGETHER_OCTETS = 2**20
WINDOW = 100

Source = Iterator[tuple[Letter, Iterator[bytes]]]


# --- reading archives --------------------------------------------------------------------------------------


def letters_of(path: Path, position: str = "", mailbox: str = "") -> Source:
    """The letters of an mbox file, of a folder of mbox files, or of a Maildir with its folders, beyond `position`.

    Each comes with the place it has in `mailbox` or in its own, and its pieces, to be read before the next is asked for.
    """
    try:
        if path.is_dir():
            yield from _maildir(path, position, mailbox) if maildir.folders(path) else _mboxes(path, position, mailbox)
        else:
            yield from _mbox(path, path.stem, position, mailbox)
    except OSError as trouble:
        raise SetupError(
            f"{trouble.filename or path} cannot be read: {trouble.strerror}.", "See that it is there and may be read."
        ) from trouble


def _mboxes(root: Path, position: str, mailbox: str) -> Source:
    """Position: offset, a space, the file's path below the root."""
    offset, _, reached = position.partition(" ")
    found = bool(position)
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if not path.is_file() or name < reached:
            continue
        with path.open("rb") as file:
            known = mbox.is_mbox(file)
        if not known:
            continue
        found = True
        levels = [level.removesuffix(".sbd").removesuffix(".mbox") for level in name.split("/")]
        if len(levels) > 1 and levels[-1] == "mbox":  # Apple's way: a folder NAME.mbox with a file mbox
            levels.pop()
        for letter, pieces in _mbox(path, "/".join(levels), offset if name == reached else "", mailbox):
            letter_of_file = Letter(letter.mailbox, letter.flags, letter.internal_at, f"{letter.position} {name}")
            yield letter_of_file, pieces
    if not found:
        raise SetupError(f"{root} is no Maildir, and no mbox file is in it.", "A Maildir has the folders cur, new and tmp.")


def _mbox(path: Path, own: str, position: str, mailbox: str) -> Source:
    """Position: the offset of the next separator."""
    with path.open("rb") as file:
        if not mbox.is_mbox(file):
            raise SetupError(f"{path} is no mbox file and no Maildir.", "An mbox file begins with the word From and a space.")
        try:
            for place in mbox.places(file, int(position or 0)):
                yield Letter(mailbox or own, mbox.flags_of(file, place), place.internal_at, str(place.after)), mbox.pieces(file, place)
        except ValueError as trouble:
            raise SetupError(
                f"{path} has changed since the last import: {trouble}.", "Import it under another name, into a mailbox of its own."
            ) from trouble


def _maildir(root: Path, position: str, mailbox: str) -> Source:
    """Position: the folder's mailbox name, a line feed, the unique name of the file."""
    reached, _, after = position.partition("\n")
    every = maildir.folders(root)
    names = [folder.mailbox for folder in every]
    for folder in every[names.index(reached) if reached in names else 0 :]:
        keywords = maildir.keyword_names(folder)
        for path in maildir.files(folder, after if folder.mailbox == reached else ""):
            flags, at = maildir.flags_of(path.name, keywords), max(0, int(path.stat().st_mtime))
            yield Letter(mailbox or folder.mailbox, flags, at, f"{folder.mailbox}\n{maildir.unique(path.name)}"), maildir.pieces(path)


# --- into the store ------------------------------------------------------------------------------------------


class ImportSession:
    """An import under way: `take` each letter, `finish` at the end.

    With `together` above 1 small letters gather and one commit stores them all with the last position: until then, or
    `finish`, they are not stored, and an import begun again takes them once more.
    """

    def __init__(self, database: House, store: Store, person: PersonId, source: str, mailbox: str, position: str, together: int) -> None:
        self.position = position
        """Where to go on: "" at the beginning."""
        self._database = database
        self._store = store
        self._person = person
        self._source = source
        self._mailbox = mailbox
        self._together = together
        self._places: dict[str, MailboxId] = {}
        self._staged: list[tuple[StagedBody, Filing]] = []
        self._octets = 0
        self._open = AsyncExitStack()

    @classmethod
    async def begin(
        cls, database: House, store: Store, person: PersonId, source: str, mailbox: str = "", *, together: int = 1
    ) -> "ImportSession":
        """`source` names where the letters come from; `mailbox` "" keeps the mailboxes of the source."""
        row: tuple[str] | None = await database.read(
            lambda connection: connection.execute(
                "SELECT position FROM import_progress WHERE person = ? AND source = ?", (person, source)
            ).fetchone()
        )
        return cls(database, store, person, source, mailbox, row[0] if row else "", together)

    async def take(self, letter: Letter, pieces: AsyncIterator[bytes]) -> bool:
        """Store one letter with its position; False when it was too large and left out, which its position then says.

        Raises FULL, OVER_QUOTA: nothing of it is stored, and nothing of those that gathered.
        """
        incoming = await self._open.enter_async_context(self._store.receive(MESSAGE_OCTETS))
        try:
            async for piece in pieces:
                await incoming.write(piece)
        except StoreError as refusal:
            if refusal.trouble is not Trouble.TOO_BIG:
                raise
            async for _ in pieces:
                pass  # the rest of it
            self.position = letter.position
            await self.finish()
            return False
        body = await incoming.finish()
        arrived = letter.internal_at or body.description.sent_at or 0
        self._staged.append((body, Filing(await self._place(letter.mailbox), b"", letter.flags, max(0, arrived))))
        self._octets += body.octets
        self.position = letter.position
        if len(self._staged) >= self._together or self._octets >= TOGETHER_OCTETS:
            await self.finish()
        return True

    async def finish(self) -> None:
        """Commit what has gathered, with the position."""
        staged, self._staged, self._octets = self._staged, [], 0
        async with self._open:
            await self._store.file_all(staged, also=self._note)
        self._open = AsyncExitStack()

    async def aclose(self) -> None:
        """Give back what has gathered and was not committed."""
        self._staged = []
        await self._open.aclose()

    def _note(self, transaction: Transaction) -> None:
        transaction.execute(
            "INSERT INTO import_progress(person, source, position) VALUES (?, ?, ?)"
            " ON CONFLICT DO UPDATE SET position = excluded.position",
            (self._person, self._source, self.position),
        )

    async def _place(self, mailbox: str) -> MailboxId:
        """The mailbox of that name, made when it is missing."""
        name = self._mailbox or mailbox
        if name not in self._places:
            person = self._person

            def work(transaction: Transaction) -> MailboxId:
                target = _possible(name)
                row = row_named(transaction, person, target)
                return MailboxId(row[0]) if row is not None and row[4] else create(transaction, person, target)

            self._places[name] = await self._database.write(work)
        return self._places[name]


def _possible(name: str) -> str:
    """The name a letter's mailbox can have here: what no mailbox may be called goes into IMPORTED."""
    try:
        return proper(name)
    except StoreError:
        return IMPORTED


async def import_into(
    store: Store, person: PersonId, path: Path, mailbox: str = "", *, source: str = "", together: int = TOGETHER
) -> AsyncIterator[tuple[int, int]]:
    """Bring in an archive; tells (letters taken, letters left out) after each. Blocks the loop while it reads the archive."""
    session = await ImportSession.begin(store.database, store, person, source or str(path), mailbox, together=together)
    taken = left_out = 0
    try:
        for letter, pieces in letters_of(path, session.position):
            if await session.take(letter, _each(pieces)):
                taken += 1
            else:
                left_out += 1
            yield taken, left_out
        await session.finish()
    finally:
        await session.aclose()


async def _each(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


# --- out of the store ------------------------------------------------------------------------------------------


async def export(store: Store, person: PersonId, mailbox: str = "") -> AsyncIterator[tuple[Letter, AsyncIterator[bytes]]]:
    """A person's letters, mailbox by mailbox ("": all), as they were when their window was read; each with its pieces.

    A letter that was removed meanwhile is passed over. Raises SetupError for a mailbox there is not.
    """
    infos = [info for info in await store.list(person) if info.selectable and mailbox in ("", info.name)]
    if mailbox and not infos:
        try:
            infos = [await store.find(person, mailbox)]
        except StoreError as trouble:
            raise SetupError(f"There is no mailbox “{mailbox}”.", "See them: pillarbox mailbox list ADDRESS") from trouble
    for info in infos:
        box = await store.open(person, info.name, read_only=True)
        try:
            async for found in _exported(box, info.name):
                yield found
        finally:
            box.close()


async def _exported(box: Mailbox, name: str) -> AsyncIterator[tuple[Letter, AsyncIterator[bytes]]]:
    lo = 1
    while rows := await box.rows(Uid(lo), Uid(2**32 - 1), Want.DATES | Want.BODY, WINDOW):
        keywords = (await box.changes(box.newest())).keywords
        for row in rows:
            flags = [flag for bit, flag in SYSTEM_NAMES if row.flags & bit]
            flags += [flag for bit, flag in enumerate(keywords) if row.flags >> (KEYWORD_SHIFT + bit) & 1]
            try:
                opened = await box.open_row(row)
                head = await opened.read(0, READ_OCTETS)
            except StoreError as trouble:
                if trouble.trouble is not Trouble.GONE:
                    raise
                continue
            yield Letter(name, tuple(flags), row.internal_at), _pieces(opened, head)
        lo = rows[-1].uid + 1


async def _pieces(opened: Opened, head: bytes) -> AsyncIterator[bytes]:
    at = len(head)
    yield head
    while at < opened.octets:
        piece = await opened.read(at, READ_OCTETS)
        at += len(piece)
        yield piece
