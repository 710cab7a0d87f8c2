"""One file that a user gives, as a stream of messages: an mbox file, a ZIP archive of mbox files or Maildirs, or a single message.

Like `archives`, but for a file nobody vouches for, and as steps: between messages, and every STEP_OCTETS of an mbox file being unpacked,
comes None, so that whoever drives it in a thread can stop. Positions are as an import notes them:

| file   | position                                                                                   |
|--------|--------------------------------------------------------------------------------------------|
| mbox   | the offset of the next separator                                                           |
| zip    | where the next entry stands in the directory; in an mbox file in it, a space and an offset |
| single | "1" when it is taken                                                                       |

In a ZIP archive a name says what an entry is: below `cur` or `new` a message of a Maildir; `.eml` one message; any other may be an mbox
file, and is looked at. Nothing is made from a name but a mailbox, whose name the store checks.
"""

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO

from appliance.mail.archive import ImportedMessage
from appliance.mail.errors import SetupError, StoreError, Trouble
from appliance.mail.flags import INBOX
from appliance.mail.limits import MESSAGE_OCTETS
from appliance.mail.sentence import Sentence

from . import mbox
from .archive_files import PassedOver
from .archives import TOO_LARGE, mailbox_of
from .maildir import KEYWORDS_FILE, KEYWORDS_OCTETS, crlf_chunks, flags_of, keywords_in, mailbox_below
from .zip_reader import ZipArchive, ZipEntry, ZipFault

Steps = Iterator[tuple[ImportedMessage, Iterator[bytes]] | None]

STEP_OCTETS = 16 * 2**20
KEYWORD_FOLDERS = 2_000
"""Folders whose keywords are remembered."""
PASSED_BY = (".msf", ".dat", ".html", ".json", ".ds_store", ".sbd", ".txt", ".log", ".lock", ".uidvalidity", "maildirfolder")
"""Endings of files that mail programs keep beside mail."""
_FIELD = re.compile(rb"(?:From |[!-9;-~]+[ \t]*:)")
NO_ARCHIVE = SetupError("This file is neither an mbox file, nor a ZIP archive, nor a message.", "Choose an .mbox, .zip or .eml file.")


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What can be said before: `kind` "mbox", "zip" or "message"; `messages` 0 where they are not counted; `octets` unpacked."""

    kind: str
    messages: int
    octets: int


def kind_of(file: BinaryIO) -> str:
    """ "mbox", "zip" or "message". Raises SetupError."""
    file.seek(0)
    start = file.read(mbox.LINE_OCTETS).removeprefix(mbox.BOM).lstrip(b"\r\n")
    if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return "zip"
    if start.startswith(b"From "):
        return "mbox"
    if _FIELD.match(start):
        return "message"
    raise NO_ARCHIVE


def examine(file: BinaryIO) -> Iterator[FileFacts]:
    """The facts, better at each step; the last are right. Raises SetupError."""
    kind, octets = kind_of(file), file.seek(0, os.SEEK_END)
    if kind != "zip":
        yield FileFacts(kind, int(kind == "message"), octets)
        return
    messages = total = 0
    try:
        for number, entry in enumerate(ZipArchive(file).walk(), 1):
            if _part(entry) != "other":
                total += entry.octets
                messages += _part(entry) != "mbox"
            if number % 1000 == 0:
                yield FileFacts(kind, messages, total)
    except ZipFault as fault:
        raise SetupError(
            Sentence("This ZIP archive cannot be read: %(strerror)s.", strerror=fault.strerror),
            "Make it anew, or send its files one by one.",
        ) from fault
    yield FileFacts(kind, messages, total)


def steps_of(file: BinaryIO, name: str, scratch: Path, position: str, mailbox: str, passed: PassedOver) -> Steps:
    """The messages beyond `position`; as `archives.messages_of`. `name`: the file's own; `scratch`: where mbox files are unpacked.

    Raises SetupError, StoreError FULL.
    """
    kind = kind_of(file)
    if kind == "zip":
        yield from ZipSteps(ZipArchive(file), scratch, mailbox, passed).steps(position)
    elif kind == "message":
        if not position:
            yield ImportedMessage(mailbox or INBOX, (), 0, "1"), _whole(file)
    else:
        own = mailbox_of((Path(name).name,)) or "mbox"
        yield from _mbox(file, mailbox or own, position, lambda offset: offset)


def _mbox(file: BinaryIO, mailbox: str, offset: str, position: Callable[[str], str]) -> Steps:
    try:
        for place in mbox.places(file, int(offset or 0)):
            message = ImportedMessage(mailbox, mbox.flags_of(file, place), place.internal_at, position(str(place.after)))
            yield message, mbox.chunks(file, place)
    except ValueError as trouble:
        raise SetupError(Sentence("The file has changed: %(trouble)s.", trouble=trouble), "Send it again.") from trouble


def _whole(file: BinaryIO) -> Iterator[bytes]:
    file.seek(0)
    yield from crlf_chunks(iter(lambda: file.read(mbox.CHUNK_OCTETS), b""))


class ZipSteps:
    """The messages of a ZIP archive."""

    def __init__(self, archive: ZipArchive, scratch: Path, mailbox: str, passed: PassedOver) -> None:
        self._archive = archive
        self._scratch = scratch
        self._mailbox = mailbox
        self._passed = passed
        self._root: tuple[str, ...] = ()
        self._keywords: dict[str, dict[str, str]] = {}

    def steps(self, position: str) -> Steps:
        yield from self._look()
        at, _, offset = position.partition(" ")
        for entry in self._archive.walk(int(at or 0)):
            part = _part(entry)
            try:
                if part == "mbox":
                    yield from self._from_mbox(entry, offset)
                elif part != "other":
                    yield from self._message(entry, maildir=part == "maildir")
            except ZipFault as fault:
                self._pass(entry, fault.strerror or "")
            offset = ""

    def _look(self) -> Steps:
        """Once through the directory: the folder all Maildirs are in, and their keywords."""
        shared: tuple[str, ...] | None = None
        for number, entry in enumerate(self._archive.walk(), 1):
            parts = _parts(entry)
            if _part(entry) == "maildir":
                folder = _plain(parts[:-2])
                shared = folder if shared is None else _shared(shared, folder)
            elif parts[-1:] == (KEYWORDS_FILE,) and entry.octets <= KEYWORDS_OCTETS and len(self._keywords) < KEYWORD_FOLDERS:
                try:
                    self._keywords["/".join(parts[:-1])] = keywords_in(b"".join(self._archive.chunks(entry)).decode(errors="replace"))
                except ZipFault as fault:
                    self._pass(entry, fault.strerror or "")
            if number % 1000 == 0:
                yield None
        self._root = shared or ()

    def _message(self, entry: ZipEntry, *, maildir: bool) -> Steps:
        if entry.octets > MESSAGE_OCTETS:
            self._pass(entry, TOO_LARGE)
            return
        parts = _parts(entry)
        flags: tuple[str, ...] = ()
        if maildir:
            folder = parts[:-2]
            flags = flags_of(parts[-1], self._keywords.get("/".join(folder), {}))
            mailbox = mailbox_below(folder[len(self._root) :])
        else:
            mailbox = mailbox_of(parts[:-1])
        arrived_at = entry.modified_at if maildir else 0
        message = ImportedMessage(self._mailbox or mailbox or INBOX, flags, arrived_at, str(entry.after))
        yield message, crlf_chunks(self._archive.chunks(entry))

    def _from_mbox(self, entry: ZipEntry, offset: str) -> Steps:
        first = next(self._archive.chunks(entry), b"").removeprefix(mbox.BOM).lstrip(b"\r\n")
        if not first.startswith(b"From "):
            if entry.octets:
                self._pass(entry, "it is no mbox file")
            return
        with TemporaryFile(dir=self._scratch) as file:
            yield from self._unpack(entry, file)
            mailbox = self._mailbox or mailbox_of(_parts(entry)) or INBOX
            yield from _mbox(file, mailbox, offset, lambda offset: f"{entry.at} {offset}")

    def _unpack(self, entry: ZipEntry, file: BinaryIO) -> Steps:
        """Raises StoreError FULL, ZipFault."""
        space = os.statvfs(self._scratch)
        if entry.octets > space.f_bavail * space.f_frsize // 2:
            raise StoreError(Trouble.FULL, "there is no room to unpack the archive")
        octets = 0
        for chunk in self._archive.chunks(entry):
            file.write(chunk)
            octets += len(chunk)
            if octets >= STEP_OCTETS:
                octets = 0
                yield None

    def _pass(self, entry: ZipEntry, reason: str) -> None:
        self._passed.note(Path(entry.name or "?"), reason)


def _parts(entry: ZipEntry) -> tuple[str, ...]:
    return tuple(part for part in entry.name.replace("\\", "/").split("/") if part)


def _part(entry: ZipEntry) -> str:
    """What an entry is: "maildir" or "eml" for one message, "mbox" for what may be an mbox file, "other"."""
    parts = _parts(entry)
    if entry.name.endswith("/") or not parts or parts[0] == "__MACOSX":
        return "other"
    name = parts[-1].lower()
    if len(parts) > 1 and parts[-2] in ("cur", "new"):
        return "maildir"
    if name.endswith(".eml"):
        return "eml"
    if name.startswith((".", "dovecot")) or name.endswith(PASSED_BY) or (len(parts) > 1 and parts[-2] == "tmp"):
        return "other"
    return "mbox"


def _plain(folder: tuple[str, ...]) -> tuple[str, ...]:
    """The levels above the first that is Maildir++'s."""
    for depth, level in enumerate(folder):
        if level.startswith("."):
            return folder[:depth]
    return folder


def _shared(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    same = [first == second for first, second in zip(one, other, strict=False)]
    return one[: (*same, False).index(False)]
