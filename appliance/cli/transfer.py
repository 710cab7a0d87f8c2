"""Whole archives in and out: `pillarbox import` and `pillarbox export`, in constant memory.

The archive is read and written here, with the caller's rights; messages travel to and from the server one by one. An import
that was interrupted goes on where it stopped; an export never writes over anything.
"""

import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, ExitStack
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

from appliance.control.import_result import import_response
from appliance.control.requests import Control, Export, Import, ListAccounts, Request, Response
from appliance.mail.archive import ImportedMessage
from appliance.mail.errors import SetupError
from appliance.store.transfer import ExportNames, MaildirWriter, MboxWriter, PassedOver, mailboxes_of, messages_of

TransferApi = Callable[[Request], AbstractAsyncContextManager[Control]]
"""Whoever can answer a request: the running server, or this process."""
TELL_EVERY = 100


async def import_messages(words: Any, server: TransferApi) -> int:
    """`import`: the exit status."""
    source, name = _source(words)
    request = Import(words.address, name, words.mailbox)
    passed = PassedOver()
    taken = left_out = 0
    async with server(request) as admin_api, admin_api.import_messages(request) as intake:
        goes_on = bool(intake.position)
        await intake.make([] if goes_on else mailboxes_of(source))
        for message, chunks in messages_of(source, intake.position, passed=passed):
            if await intake.take(message, _each(chunks)):
                taken += 1
            else:
                left_out += 1
            _progress(taken + left_out, "read")
    answer = import_response(taken, left_out)
    text = answer.text
    if passed.count:
        text += f" {passed.count} passed over, because they cannot be read or are no message files. The first: {passed.first}."
    if goes_on:
        text += " It went on where an earlier import of the same source ended; --again begins anew."
    return _told(words, Response(text, {**answer.facts, "passed_over": passed.count, "first_passed_over": passed.first}))


async def export_messages(words: Any, server: TransferApi) -> int:
    """`export`: the exit status."""
    address, target = _whose(words)
    exports = ExportNames("")
    count = lost = 0
    try:
        _expect_new(target)
        async with server(Export(address, words.mailbox)) as admin_api:
            addresses = [str(row["address"]) for row in (await admin_api.ask(ListAccounts())).facts["accounts"]] if words.all else [address]
            for one in addresses:
                place = target / exports.folder_of(one) if words.all else target
                if words.all:
                    place.mkdir(parents=True)
                given, unreadable = await _export_messages(admin_api, Export(one, words.mailbox), place, words.form)
                count, lost = count + given, lost + unreadable
    except OSError as error:
        raise SetupError(f"{error.filename or target} cannot be written: {error.strerror}.", "Choose another place.") from error
    text = f"{count} message{'s' * (count != 1)}" + (f" of {len(addresses)} account{'s' * (len(addresses) != 1)}" if words.all else "")
    text += f" exported to {target}."
    if lost:
        text += f" {lost} could not be read and {'was' if lost == 1 else 'were'} passed over: the storage is damaged. See: pillarbox check"
    facts = {"exported": count, **({"unreadable": lost} if lost else {}), **({"addresses": addresses} if words.all else {})}
    _told(words, Response(text, facts))
    return 1 if lost else 0


async def _export_messages(admin_api: Control, request: Export, target: Path, form: str) -> tuple[int, int]:
    """One account's messages: how many were written, and how many could not be read."""
    count = lost = 0
    with ExitStack() as files:
        writer = _Maildir(target) if form == "maildir" else _Mboxes(target, files, one=bool(request.mailbox))
        async for message, chunks in admin_api.export_messages(request):
            if message.unreadable:
                lost += message.unreadable
                async for _ in chunks:
                    pass  # the end mark of its octets
                continue
            writer.begin(message)
            async for chunk in chunks:
                writer.write(chunk)
            writer.end()
            count += 1
            _progress(count, "written")
    return count, lost


def _whose(words: Any) -> tuple[str, Path]:
    """Address ("" for all) and target."""
    remedy = "See: pillarbox export --help"
    if words.all and words.mailbox:
        raise SetupError("--all takes every mailbox, --mailbox one of them.", remedy)
    if words.all and words.target:
        raise SetupError("--all takes everybody's mail: name no address, only the TARGET.", remedy)
    target = words.address if words.all else words.target
    if not target:
        raise SetupError("TARGET is missing." if words.all or words.address else "ADDRESS and TARGET are missing.", remedy)
    return "" if words.all else words.address, Path(target)


def _source(words: Any) -> tuple[Path, str]:
    """The archive, and the name its import is remembered by."""
    source = Path(words.source)
    try:
        source.lstat()
        name = str(source.resolve())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise SetupError(f"{source} is not there.", "Name an mbox file or a Maildir folder.") from error
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: links that lead in a circle; ValueError: a NUL in the name
        reason = getattr(error, "strerror", error)
        raise SetupError(f"{source} cannot be read: {reason}.", "See that it is there and may be read.") from error
    return source, name + (f" again {uuid4().hex}" if words.again else "")


def _expect_new(target: Path) -> None:
    if os.geteuid() == 0 and target.is_dir() and target.stat().st_uid != 0:
        raise SetupError(f"{target} belongs to somebody else, who could redirect what root writes there.", "Name a new folder.")
    if os.path.lexists(target) and not (target.is_dir() and not any(target.iterdir())):
        raise SetupError(f"{target} exists already.", "Name a new file or folder: an export never writes over anything.")


class _Maildir:
    def __init__(self, root: Path) -> None:
        self._writer = MaildirWriter(root)
        self.write = self._writer.write
        self.end = self._writer.end

    def begin(self, message: ImportedMessage) -> None:
        self._writer.begin(message.mailbox, message.flags, message.internal_at)


class _Mboxes:
    """One mbox file, or a folder with one for each mailbox ("a/b" becomes a/b.mbox)."""

    def __init__(self, target: Path, files: ExitStack, *, one: bool) -> None:
        self._target = target
        self._files = files
        self._one = one
        self._names = ExportNames(".mbox")
        self._name: str | None = None
        self._writer: MboxWriter
        if one:
            self._open(target)
        else:
            target.mkdir(parents=True, exist_ok=True)

    def _open(self, path: Path) -> None:
        self._files.close()
        path.parent.mkdir(parents=True, exist_ok=True)
        file: BinaryIO = self._files.enter_context(path.open("xb"))
        self._writer = MboxWriter(file)

    def begin(self, message: ImportedMessage) -> None:
        if not self._one and message.mailbox != self._name:
            self._open(self._target / self._names.path_of(message.mailbox))
            self._name = message.mailbox
        self._writer.begin(message.internal_at)

    def write(self, chunk: bytes) -> None:
        self._writer.write(chunk)

    def end(self) -> None:
        self._writer.end()


async def _each(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


def _progress(count: int, done: str) -> None:
    if count % TELL_EVERY == 0 and sys.stderr.isatty():
        sys.stderr.write(f"\r{count:,} messages {done} ...")
        sys.stderr.flush()


def _told(words: Any, answer: Response) -> int:
    if sys.stderr.isatty():
        sys.stderr.write("\r\033[K")
    print(json.dumps(answer.facts, indent=2) if words.json else answer.text)
    return 0
