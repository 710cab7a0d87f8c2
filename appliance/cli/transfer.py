"""`pillarbox import` and `pillarbox export`: mbox files and Maildirs of any size, in constant memory.

The archive is read and written here, with the caller's rights; messages go to and from the server one by one. An interrupted
import continues where it stopped; an export never overwrites anything.
"""

import json
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, ExitStack
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

from appliance.control.import_result import import_response
from appliance.control.requests import Control, Export, Import, ListAccounts, Request, Response
from appliance.mail.archive import ImportedMessage
from appliance.mail.errors import SetupError
from appliance.mail.sentence import Sentence, joined
from appliance.store.transfer import ExportNames, MaildirWriter, MboxWriter, PassedOver, mailboxes_of, messages_of, printable

from .wording import words

TransferApi = Callable[[Request], AbstractAsyncContextManager[Control]]
"""Opens the running server, or the data directory in this process."""
PROGRESS_EVERY = 100
"""Messages between two lines of progress."""


READ = str(Sentence("%(number)s messages read ..."))
WRITTEN = str(Sentence("%(number)s messages written ..."))


async def import_messages(args: Any, server: TransferApi) -> int:
    """`import`: the exit status."""
    source, name = _source(args)
    request = Import(args.address, name, args.mailbox)
    passed = PassedOver()
    taken = left_out = 0
    async with server(request) as admin_api, admin_api.import_messages(request) as intake:
        continues = bool(intake.position)
        found = messages_of(source, intake.position, passed=passed)
        first = next(found, None)  # a source that is no archive raises before a mailbox is made for it
        await intake.make([] if continues else mailboxes_of(source))
        for message, chunks in chain([first] if first else [], found):
            if await intake.take(message, _each(chunks)):
                taken += 1
            else:
                left_out += 1
            _progress(taken + left_out, READ)
    answer = import_response(taken, left_out)
    text = answer.text
    if passed.count:
        skipped = Sentence(
            "%(count)s skipped, because they cannot be read or are no message files. The first: %(first)s.",
            count=passed.count,
            first=passed.first,
        )
        text = joined(text, skipped)
    if continues:
        text = joined(text, Sentence("It continued where an earlier import of the same source ended; --again starts from the beginning."))
    return _printed(args, Response(text, {**answer.facts, "skipped": passed.count, "first_skipped": passed.first}))


async def export_messages(args: Any, server: TransferApi) -> int:
    """`export`: the exit status."""
    address, target = _account_and_target(args)
    exports = ExportNames("")
    count = lost = 0
    try:
        _expect_new(target)
        async with server(Export(address, args.mailbox)) as admin_api:
            addresses = [str(row["address"]) for row in (await admin_api.ask(ListAccounts())).facts["accounts"]] if args.all else [address]
            for one in addresses:
                place = target / exports.folder_of(one) if args.all else target
                if args.all:
                    place.mkdir(parents=True)
                given, unreadable = await _export_messages(admin_api, Export(one, args.mailbox), place, args.format)
                count, lost = count + given, lost + unreadable
    except OSError as error:
        raise SetupError(
            Sentence("%(filename)s cannot be written: %(strerror)s.", filename=error.filename or target, strerror=error.strerror),
            "Choose another place.",
        ) from error
    text = joined(_exported(count, len(addresses) if args.all else 0, target), _skipped(lost))
    facts = {"exported": count, **({"unreadable": lost} if lost else {}), **({"addresses": addresses} if args.all else {})}
    _printed(args, Response(text, facts))
    return 1 if lost else 0


def _exported(count: int, accounts: int, target: Path) -> str:
    messages = Sentence.counted("%(number)s message", "%(number)s messages", count)
    if accounts:
        of = Sentence.counted("of %(number)s account", "of %(number)s accounts", accounts)
        return Sentence("%(messages)s %(of)s exported to %(target)s.", messages=messages, of=of, target=target)
    return Sentence("%(messages)s exported to %(target)s.", messages=messages, target=target)


def _skipped(lost: int) -> str:
    if not lost:
        return ""
    return Sentence.counted(
        "%(number)s could not be read and was skipped: the storage is damaged. See: pillarbox check",
        "%(number)s could not be read and were skipped: the storage is damaged. See: pillarbox check",
        lost,
    )


async def _export_messages(admin_api: Control, request: Export, target: Path, form: str) -> tuple[int, int]:
    """Export one account: how many messages were written, and how many could not be read."""
    count = lost = 0
    with ExitStack() as files:
        writer = _Maildir(target) if form == "maildir" else _Mboxes(target, files, one=bool(request.mailbox))
        async for message, chunks in admin_api.export_messages(request):
            if message.unreadable:
                lost += message.unreadable
                async for _ in chunks:
                    pass  # nothing follows for a message that cannot be read
                continue
            writer.begin(message)
            async for chunk in chunks:
                writer.write(chunk)
            writer.end()
            count += 1
            _progress(count, WRITTEN)
    return count, lost


def _account_and_target(args: Any) -> tuple[str, Path]:
    """Address ("" for all) and target."""
    remedy = Sentence("See: pillarbox export --help")
    if args.all and args.mailbox:
        raise SetupError("--all exports every mailbox, --mailbox only one.", remedy)
    if args.all and args.target:
        raise SetupError("--all exports every account: give no address, only the TARGET.", remedy)
    target = args.address if args.all else args.target
    if not target:
        raise SetupError("TARGET is missing." if args.all or args.address else "ADDRESS and TARGET are missing.", remedy)
    return "" if args.all else args.address, Path(target)


def _source(args: Any) -> tuple[Path, str]:
    """The archive, and the name its import is remembered by."""
    if not args.source:
        raise SetupError("SOURCE is missing.", "See: pillarbox import --help")
    source = Path(args.source)
    try:
        source.lstat()
        name = printable(str(source.resolve()))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise SetupError(Sentence("%(source)s does not exist.", source=source), "Name an mbox file or a Maildir directory.") from error
    except (OSError, RuntimeError, ValueError) as error:  # RuntimeError: links that lead in a circle; ValueError: a NUL in the name
        reason = getattr(error, "strerror", error)
        raise SetupError(
            Sentence("%(source)s cannot be read: %(reason)s.", source=source, reason=reason), "Check its name and permissions."
        ) from error
    return source, name + (f" again {uuid4().hex}" if args.again else "")


def _expect_new(target: Path) -> None:
    if os.geteuid() == 0 and target.is_dir() and target.stat().st_uid != 0:
        raise SetupError(
            Sentence("%(target)s belongs to another user, who could redirect what root writes there.", target=target),
            "Name a new directory.",
        )
    if os.path.lexists(target) and not (target.is_dir() and not any(target.iterdir())):
        raise SetupError(
            Sentence("%(target)s exists already.", target=target), "Name a new file or directory: an export never overwrites anything."
        )


class _Maildir:
    def __init__(self, root: Path) -> None:
        self._writer = MaildirWriter(root)
        self.write = self._writer.write
        self.end = self._writer.end

    def begin(self, message: ImportedMessage) -> None:
        self._writer.begin(message.mailbox, message.flags, message.internal_at)


class _Mboxes:
    """One mbox file, or a directory with one for each mailbox ("a/b" becomes a/b.mbox)."""

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
        self._writer.begin(message.internal_at, message.flags)

    def write(self, chunk: bytes) -> None:
        self._writer.write(chunk)

    def end(self) -> None:
        self._writer.end()


async def _each(chunks: Iterator[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


def _progress(count: int, done: str) -> None:
    if count % PROGRESS_EVERY == 0 and sys.stderr.isatty():
        sys.stderr.write(f"\r{words()(done, number=f'{count:,}')}")
        sys.stderr.flush()


def _printed(args: Any, answer: Response) -> int:
    if sys.stderr.isatty():
        sys.stderr.write("\r\033[K")
    print(json.dumps(answer.facts, indent=2) if args.json else words()(answer.text))
    return 0
