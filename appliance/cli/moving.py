"""Whole archives in and out: `pillarbox import` and `pillarbox export`, in constant memory.

The archive is read and written here, with the caller's rights; letters travel to and from the house one by one. An import
that was interrupted goes on where it stopped; an export never writes over anything.
"""

import json
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, ExitStack
from pathlib import Path
from typing import Any, BinaryIO
from uuid import uuid4

from appliance.mail.errors import SetupError
from appliance.status.controls import Answer, Controls, Export, Import, Letter, Request
from appliance.store.transfer import MaildirWriter, MboxWriter, letters_of
from appliance.system.control import counted

House = Callable[[Request], AbstractAsyncContextManager[Controls]]
"""Whoever can answer a request: the running house, or this process."""
TELL_EVERY = 100


async def take_in(words: Any, house: House) -> int:
    """`import`: the exit status."""
    source, name = _source(words)
    request = Import(words.address, name, words.mailbox)
    taken = left_out = 0
    async with house(request) as hands, hands.take_in(request) as intake:
        goes_on = bool(intake.position)
        for letter, pieces in letters_of(source, intake.position):
            if await intake.take(letter, _each(pieces)):
                taken += 1
            else:
                left_out += 1
            _progress(taken + left_out, "read")
    answer = counted(taken, left_out)
    note = " It went on where an earlier import of the same source ended; --again begins anew." if goes_on else ""
    return _told(words, Answer(answer.text + note, answer.facts))


async def give_out(words: Any, house: House) -> int:
    """`export`: the exit status."""
    target = _target(words)
    request = Export(words.address, words.mailbox)
    count = 0
    try:
        with ExitStack() as files:
            writer = _Maildir(target) if words.form == "maildir" else _Mboxes(target, files, one=bool(words.mailbox))
            async with house(request) as hands:
                async for letter, pieces in hands.give_out(request):
                    writer.begin(letter)
                    async for piece in pieces:
                        writer.write(piece)
                    writer.end()
                    count += 1
                    _progress(count, "written")
    except OSError as error:
        raise SetupError(f"{error.filename or target} cannot be written: {error.strerror}.", "Choose another place.") from error
    return _told(words, Answer(f"{count} letter{'s' * (count != 1)} exported to {target}.", {"exported": count}))


def _source(words: Any) -> tuple[Path, str]:
    """The archive, and the name its import is remembered by."""
    source = Path(words.source)
    if not source.exists():
        raise SetupError(f"{source} is not there.", "Name an mbox file or a Maildir folder.")
    return source, str(source.resolve()) + (f" again {uuid4().hex}" if words.again else "")


def _target(words: Any) -> Path:
    target = Path(words.target)
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise SetupError(f"{target} exists already.", "Name a new file or folder: an export never writes over anything.")
    return target


class _Maildir:
    def __init__(self, root: Path) -> None:
        self._writer = MaildirWriter(root)
        self.write = self._writer.write
        self.end = self._writer.end

    def begin(self, letter: Letter) -> None:
        self._writer.begin(letter.mailbox, letter.flags, letter.internal_at)


class _Mboxes:
    """One mbox file, or a folder with one for each mailbox ("a/b" becomes a/b.mbox)."""

    def __init__(self, target: Path, files: ExitStack, *, one: bool) -> None:
        self._target = target
        self._files = files
        self._one = one
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

    def begin(self, letter: Letter) -> None:
        if not self._one and letter.mailbox != self._name:
            levels = [level.replace(".", "%2E") if level.strip(".") == "" else level for level in letter.mailbox.split("/")]
            self._open(self._target.joinpath(*levels[:-1], levels[-1] + ".mbox"))
            self._name = letter.mailbox
        self._writer.begin(letter.internal_at)

    def write(self, piece: bytes) -> None:
        self._writer.write(piece)

    def end(self) -> None:
        self._writer.end()


async def _each(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


def _progress(count: int, done: str) -> None:
    if count % TELL_EVERY == 0 and sys.stderr.isatty():
        sys.stderr.write(f"\r{count:,} letters {done} ...")
        sys.stderr.flush()


def _told(words: Any, answer: Answer) -> int:
    if sys.stderr.isatty():
        sys.stderr.write("\r\033[K")
    print(json.dumps(answer.facts, indent=2) if words.json else answer.text)
    return 0
