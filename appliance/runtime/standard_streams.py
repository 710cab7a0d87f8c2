"""Standard input, output and errors as the caller left them: closed, on a full disk, without a reader, unable to encode our characters.

| stream | cannot be written |
|---|---|
| a command's output | `OutputError`; BrokenPipeError where nobody reads any more |
| a command's errors, both of a server | what was written is dropped: a server serves without them |

A character that the encoding lacks is written as an escape. A stream that was closed leads to /dev/null: the next file or socket would
get its number, and the words for it.
"""

import io
import os
import sys
from typing import TYPE_CHECKING

from appliance.mail.errors import SetupError
from appliance.mail.sentence import Sentence

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

NAMES = ("stdin", "stdout", "stderr")
BUFFER_OCTETS = 8192


class OutputError(SetupError):
    """Standard output cannot be written."""


class _Checked(io.FileIO):
    def write(self, octets: "ReadableBuffer") -> int:
        try:
            return super().write(octets)
        except BrokenPipeError:
            raise
        except OSError as error:
            problem = Sentence("The output cannot be written: %(strerror)s.", strerror=error.strerror)
            raise OutputError(problem, "Choose another place for it.") from error


class _Dropping(io.FileIO):
    def write(self, octets: "ReadableBuffer") -> int:
        try:
            return super().write(octets)
        except OSError:
            return memoryview(octets).nbytes


def prepare(*, strict: bool) -> None:
    """For the whole process, before it opens anything else. `strict`: a failure of standard output is raised."""
    while (number := os.open(os.devnull, os.O_RDWR)) < len(NAMES):  # the lowest number that is free
        os.set_inheritable(number, True)
        _replace(NAMES[number], io.TextIOWrapper(io.FileIO(number, "w" if number else "r", closefd=False), encoding="utf-8"))
    os.close(number)
    for name, kind in (("stdout", _Checked if strict else _Dropping), ("stderr", _Dropping)):
        given = getattr(sys, name)
        if isinstance(given, io.TextIOWrapper) and given is getattr(sys, f"__{name}__"):  # not one of a test
            raw = io.BufferedWriter(kind(given.fileno(), "w", closefd=False), BUFFER_OCTETS)
            lines, at_once = given.line_buffering, given.write_through
            _replace(name, io.TextIOWrapper(raw, given.encoding, "backslashreplace", None, lines, at_once))


def drop_output() -> None:
    """What is still to be written goes nowhere, without an error at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _replace(name: str, stream: io.TextIOWrapper) -> None:
    """Both names of it: what the interpreter itself says at its end goes there as well."""
    setattr(sys, name, stream)
    setattr(sys, f"__{name}__", stream)
