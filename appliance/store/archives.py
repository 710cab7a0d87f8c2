"""Archives as streams of messages: an mbox file, a folder of mbox files, or a Maildir with its folders.

Each message comes with the position its archive stands at after it, so that an import can go on there. Reading is
plain and blocking. What cannot be read is passed over and counted; no symbolic link is followed (archive_files).
Raises SetupError for a source that is no archive, cannot be read at all, or has changed since the position was noted.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import BinaryIO

from appliance.mail.archive import ImportedMessage
from appliance.mail.errors import SetupError
from appliance.mail.limits import MB, MESSAGE_OCTETS
from appliance.mail.sentence import Sentence

from . import maildir, mbox
from .archive_files import LEVELS, PassedOver, open_file, open_folder, open_given, printable, reason_of
from .export_names import unescaped

Source = Iterator[tuple[ImportedMessage, Iterator[bytes]]]

TOO_LARGE = f"it is larger than {MESSAGE_OCTETS // MB} MB"


def messages_of(path: Path, position: str = "", mailbox: str = "", passed: PassedOver | None = None) -> Source:
    """The messages beyond `position`, each with the place it has in `mailbox` or in its own, and its chunks.

    The chunks are to be read before the next message is asked for; they raise OSError when the file cannot be read on.
    What was passed over is counted in `passed`.
    """
    passed = passed if passed is not None else PassedOver()
    given = _opened(path)
    try:
        if not stat.S_ISDIR(os.fstat(given).st_mode):
            with open(given, "rb", closefd=False) as file:
                yield from _mbox(file, path, printable(path.stem), position, mailbox)
        elif every := _folders(path, beside := PassedOver()):
            passed.add(beside)
            yield from _maildir(every, position, mailbox, passed)
        else:
            yield from _mboxes(path, position, mailbox, passed)
    finally:
        os.close(given)


def mailboxes_of(path: Path) -> list[str]:
    """The mailboxes an archive has, also those without a message; those of mbox archives are known by their messages alone."""
    given = _opened(path)
    is_folder = stat.S_ISDIR(os.fstat(given).st_mode)
    os.close(given)
    return [folder.mailbox for folder in _folders(path, PassedOver())] if is_folder else []


def _opened(path: Path) -> int:
    try:
        return open_given(path)
    except OSError as error:
        raise _unreadable(path, error) from error


def _folders(path: Path, passed: PassedOver) -> list[maildir.Folder]:
    try:
        return maildir.folders(path, passed)
    except OSError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: OSError) -> SetupError:
    return SetupError(
        Sentence("%(path)s cannot be read: %(strerror)s.", path=path, strerror=error.strerror), "See that it is there and may be read."
    )


# --- mbox ------------------------------------------------------------------------------------------------------


def _mboxes(root: Path, position: str, mailbox: str, passed: PassedOver) -> Source:
    """Position: offset, a space, the file's path below the root."""
    offset, _, reached = position.partition(" ")
    found = bool(position)
    for parts in sorted(_files_below(root, passed), key=_below):
        name = _below(parts)
        if name < reached:
            continue
        descriptor = _open_below(root, parts, passed)
        if descriptor is None:
            continue
        with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor, not a path
            if not mbox.is_mbox(file):
                continue
            found = True
            for message, chunks in _mbox(file, root.joinpath(*parts), mailbox_of(parts), offset if name == reached else "", mailbox):
                yield ImportedMessage(message.mailbox, message.flags, message.internal_at, f"{message.position} {name}"), chunks
    if not found and not passed.count:
        raise SetupError(
            Sentence("%(root)s is not a Maildir, and no mbox file is in it.", root=root), "A Maildir has the folders cur, new and tmp."
        )


def _below(parts: tuple[str, ...]) -> str:
    return "/".join(map(printable, parts))


def mailbox_of(parts: tuple[str, ...]) -> str:
    """The mailbox an mbox file is, by the names that lead to it."""
    levels = [unescaped(printable(part).removesuffix(".sbd").removesuffix(".mbox")) for part in parts]
    if len(levels) > 1 and levels[-1] == "mbox":  # Apple Mail: a folder NAME.mbox with a file mbox
        levels.pop()
    return "/".join(levels)


def _files_below(root: Path, passed: PassedOver, parts: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """All that is no folder, by the names that lead to it."""
    try:
        opened = open_folder(root, parts)
    except OSError as error:
        if not parts:
            raise _unreadable(root, error) from error
        passed.note(root.joinpath(*parts), reason_of(error))
        return
    try:
        with os.scandir(opened) as entries:
            kinds = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    finally:
        os.close(opened)
    for name, directory in kinds:
        if not directory:
            yield (*parts, name)
        elif len(parts) < LEVELS:
            yield from _files_below(root, passed, (*parts, name))
        else:
            passed.note(root.joinpath(*parts, name), "too many folders inside each other")


def _open_below(root: Path, parts: tuple[str, ...], passed: PassedOver) -> int | None:
    path = PurePath(root, *parts)
    try:
        folder = open_folder(root, parts[:-1])
        try:
            return open_file(folder, parts[-1], path, passed)
        finally:
            os.close(folder)
    except OSError as error:
        passed.note(path, reason_of(error))
        return None


def _mbox(file: BinaryIO, path: Path, own: str, position: str, mailbox: str) -> Source:
    """Position: the offset of the next separator."""
    if not mbox.is_mbox(file):
        raise SetupError(
            Sentence("%(path)s is neither an mbox file nor a Maildir.", path=path), "An mbox file begins with the word From and a space."
        )
    try:
        for place in mbox.places(file, int(position or 0)):
            yield ImportedMessage(mailbox or own, mbox.flags_of(file, place), place.internal_at, str(place.after)), mbox.chunks(file, place)
    except OSError as error:
        raise _unreadable(path, error) from error
    except ValueError as trouble:
        raise SetupError(
            Sentence("%(path)s has changed since the last import: %(trouble)s.", path=path, trouble=trouble),
            "To read it from its beginning: --again. To keep both apart: another name, into a mailbox of its own.",
        ) from trouble


# --- Maildir ---------------------------------------------------------------------------------------------------


def _maildir(every: list[maildir.Folder], position: str, mailbox: str, passed: PassedOver) -> Source:
    """Position: the folder's mailbox name, a line feed, the base name of the file."""
    reached, _, after = position.partition("\n")
    names = [folder.mailbox for folder in every]
    for folder in every[names.index(reached) if reached in names else 0 :]:
        keywords = maildir.keyword_names(folder)
        for name, file in maildir.messages(folder, after if folder.mailbox == reached else "", passed):
            found = os.fstat(file.fileno())
            if found.st_size > MESSAGE_OCTETS:
                passed.note(folder.path / printable(name), TOO_LARGE)
                continue
            flags, at = maildir.flags_of(name, keywords), max(0, int(found.st_mtime))
            yield ImportedMessage(mailbox or folder.mailbox, flags, at, f"{folder.mailbox}\n{maildir.unique(name)}"), maildir.chunks(file)
