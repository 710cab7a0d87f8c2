"""Prompts of a command on the terminal: a confirmation, or a password.

Prompts go to stderr; stdout is for the answer. Without a terminal nothing is prompted for: a program that runs a command gets a
sentence and exit status 2, never a prompt that waits for ever.
"""

import getpass
import sys
from pathlib import Path

from appliance.mail.errors import SetupError
from appliance.mail.sentence import Sentence

from .wording import words

LONGEST_OCTETS = 4096
"""Of the line with a password; a file without lines, such as a device, is never read whole."""


def make_sure(question: str, typed: str = "yes") -> None:
    """Ask for confirmation; raises SetupError unless the answer is `typed`, upper or lower case."""
    if not sys.stdin.isatty():
        raise SetupError(Sentence("%(question)s Nothing was done.", question=question), "To do it without a question, add --yes.")
    _ = words()
    how = _("Type yes to go on:") if typed == "yes" else _("Type the address %(address)s to go on:", address=typed)
    print(f"{question} {how} ", end="", file=sys.stderr, flush=True)
    given = sys.stdin.readline().strip().lower()
    if given != typed.lower() and not (typed == "yes" and given == "y"):
        raise SetupError("Nothing was done.")


def password_of(file: str | None) -> str:
    """The password of --password-file; without one "" (the server generates it), if there is a terminal to show it on."""
    if file is None:
        expect_terminal()
        return ""
    password = _typed() if file == "-" and sys.stdin.isatty() else _read(file)
    if not password:
        raise SetupError("The password is empty.", "Type one." if file == "-" else "The file's first line is the password.")
    return password


def expect_terminal(remedy: str = "Give one with --password-file.") -> None:
    """Raises SetupError where a generated password could not be shown on a terminal."""
    if not sys.stdout.isatty():
        raise SetupError("A generated password is shown on a terminal only, never in a file or log.", remedy)


def _typed() -> str:
    """On a terminal: twice, without echo."""
    try:
        first = getpass.getpass(words()("New password:") + " ")
        again = getpass.getpass(words()("The same again:") + " ")
    except EOFError:
        raise SetupError("No password was typed.", "Nothing was done.") from None
    if first != again:
        raise SetupError("The two passwords differ.", "Nothing was done; try again.")
    return first


def _read(file: str) -> str:
    try:
        given = sys.stdin.buffer if file == "-" else Path(file).open("rb")  # noqa: SIM115 - closed by `with`
        with given:
            raw = given.readline(LONGEST_OCTETS + 1)
        if len(raw) > LONGEST_OCTETS:
            raise SetupError(Sentence("The password has more than %(most)s octets.", most=LONGEST_OCTETS), "Is it the right file?")
        return raw.rstrip(b"\r\n").decode("utf-8-sig")  # some editors begin a file with U+FEFF
    except OSError as error:
        raise SetupError(
            Sentence("The password file %(file)s cannot be read: %(strerror)s.", file=file, strerror=error.strerror), "Check its name."
        ) from error
    except UnicodeDecodeError as error:
        raise SetupError("The password is not UTF-8 text.", "Save the file as UTF-8.") from error
