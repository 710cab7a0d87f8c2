"""Exports as a stream of octets, for whoever has no folder to write into: a ZIP archive, or one mbox file; in constant memory.

| form    | the archive holds                                                                        |
|---------|------------------------------------------------------------------------------------------|
| mbox    | an mbox file for each mailbox, "a/b" as a/b.mbox, with flags and dates (`mbox`)          |
| maildir | one Maildir with a folder for each mailbox, flags in file names and `dovecot-keywords`   |

Messages that cannot be read are passed over, and a last entry of the archive says how many. What was deleted or arrives meanwhile may be
missing. `import` and most mail programs read both forms.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import BinaryIO, Literal, Protocol

import trio

from appliance.mail.archive import ImportedMessage

from .export_names import ExportNames
from .maildir import KEYWORDS_FILE, MaildirNames, with_lf_so_far
from .mbox import MboxWriter, with_lf
from .zip_writer import ZipWriter

Form = Literal["mbox", "maildir"]
Messages = AsyncIterator[tuple[ImportedMessage, AsyncIterator[bytes]]]

CHUNK_OCTETS = 64 * 2**10
ROOT = "Maildir/"
NOT_EXPORTED = "NOT-EXPORTED.txt"


class Entries(Protocol):
    """How messages become entries."""

    def begin(self, message: ImportedMessage) -> None: ...
    def write(self, chunk: bytes) -> None: ...
    def end(self) -> None: ...
    def close(self) -> None: ...


async def zipped(messages: Messages, form: Form, waiting: Callable[[], BinaryIO], now_at: int) -> AsyncIterator[bytes]:
    """The archive of `messages`. `waiting()` makes the store of its directory, which is closed at the end."""
    out = bytearray()
    lost = 0
    with waiting() as store:
        archive = ZipWriter(out.extend, store)
        entries: Entries = MaildirEntries(archive) if form == "maildir" else MboxEntries(archive, now_at)
        async with aclosing(messages):  # type: ignore[type-var]
            async for message, chunks in messages:
                lost += message.unreadable
                if message.unreadable:
                    continue
                entries.begin(message)
                async for chunk in chunks:
                    entries.write(chunk)
                    if len(out) >= CHUNK_OCTETS:
                        yield _taken(out)
                entries.end()
                if len(out) >= CHUNK_OCTETS:
                    yield _taken(out)
        entries.close()
        if lost:
            archive.begin(NOT_EXPORTED, now_at)
            archive.write(f"{lost} could not be read: the storage is damaged. See: pillarbox check\n".encode())
            archive.end()
        for _ in archive.close():
            if len(out) >= CHUNK_OCTETS:
                yield _taken(out)
            await trio.lowlevel.checkpoint()
        yield _taken(out)


async def mbox(messages: Messages) -> AsyncIterator[bytes]:
    """All of `messages` in one mbox file."""
    out = _Buffer()
    writer = MboxWriter(out)
    async with aclosing(messages):  # type: ignore[type-var]
        async for message, chunks in messages:
            if message.unreadable:
                continue
            writer.begin(message.internal_at, message.flags)
            async for chunk in chunks:
                writer.write(chunk)
                if len(out) >= CHUNK_OCTETS:
                    yield _taken(out)
            writer.end()
    yield _taken(out)


class _Buffer(bytearray):
    def write(self, octets: bytes, /) -> None:
        self.extend(octets)


def _taken(out: bytearray) -> bytes:
    octets = bytes(out)
    out.clear()
    return octets


class MboxEntries:
    """An mbox file for each mailbox; the messages of a mailbox come together."""

    def __init__(self, archive: ZipWriter, now_at: int) -> None:
        self._archive = archive
        self._now_at = now_at
        self._names = ExportNames(".mbox")
        self._mailbox: str | None = None
        self._writer = MboxWriter(archive)
        self.write, self.end = self._writer.write, self._writer.end

    def begin(self, message: ImportedMessage) -> None:
        if message.mailbox != self._mailbox:
            self.close()
            self._mailbox = message.mailbox
            self._archive.begin(self._names.path_of(message.mailbox).as_posix(), self._now_at, large=True)
        self._writer.begin(message.internal_at, message.flags)

    def close(self) -> None:
        if self._mailbox is not None:
            self._archive.end()


class MaildirEntries:
    """A file for each message, in the folder of its mailbox; the messages of a mailbox come together."""

    def __init__(self, archive: ZipWriter) -> None:
        self._archive = archive
        self._names = MaildirNames()
        self._mailbox: str | None = None
        self._at = 0
        self._rest = b""

    def begin(self, message: ImportedMessage) -> None:
        folder, self._at, self._rest = self._folder(message.mailbox), message.internal_at, b""
        if message.mailbox != self._mailbox:
            self.close()
            self._mailbox = message.mailbox
            for part in ("cur/", "new/", "tmp/"):
                self._archive.folder(folder + part, message.internal_at)
        name = self._names.message(message.mailbox, message.flags, message.internal_at)
        self._archive.begin(f"{folder}cur/{name}", message.internal_at)

    def _folder(self, mailbox: str) -> str:
        name = self._names.folder_of(mailbox)
        return f"{ROOT}{name}/" if name else ROOT

    def write(self, chunk: bytes) -> None:
        octets, self._rest = with_lf_so_far(self._rest + chunk)
        self._archive.write(octets)

    def end(self) -> None:
        self._archive.write(with_lf(self._rest))
        self._archive.end()

    def close(self) -> None:
        """The keywords of the folder that ends."""
        if self._mailbox is not None and (keywords := self._names.keywords_file(self._mailbox)):
            self._archive.begin(self._folder(self._mailbox) + KEYWORDS_FILE, self._at)
            self._archive.write(keywords)
            self._archive.end()
