"""Protocol dialogs: the grammar of `tests/dialogs/*/*.txt` and their player.

    # comment                       a rule of a standard with its section
    ! account mary@example.org      accounts beside fred (all have the password Blurdybloop-7); before the first line
    ! relay-check                   messages can be sent to other servers and be held; without it neither
    ! tls-only                      passwords are not taken in plain text
    ! message INBOX \\Seen            append the indented lines that follow (up to a line without indent) to the mailbox
    C: a1 NOOP                      the client sends a line; `C2:` is a second session (connected when first named)
    C~: ab\\r\\n\\x00                  the client sends these octets, escapes read, no line end added
    S: a1 OK <.*>                   the server must send this line; `<...>` is a regular expression, all else is exact
    S*: a1 OK <.*>                  lines are passed over until one matches
    S?: * 3 RECENT                  the line may come
    S: <closed>                     the server closes the connection

The protocol is the name of the folder.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

import trio

from appliance.delivery.rights import NO_REMOTE_ADDRESSES
from tests.support.routes import SomeRemoteAddresses
from tests.support.services import Components, some_components
from tests.support.streams import ClientStream

PATIENCE_S = 10
_LINE = re.compile(r"(?P<who>[CS])(?P<session>[0-9]?)(?P<how>[~*?]?):(?: (?P<text>.*))?")


@dataclass
class Step:
    number: int
    who: str
    session: str
    how: str
    text: str


@dataclass
class Dialog:
    accounts: list[str] = field(default_factory=lambda: ["fred@example.org"])
    plaintext: bool = True
    relay_check: bool = False
    messages: list[tuple[str, tuple[str, ...], bytes]] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)


def parse_dialog(text: str) -> Dialog:
    dialog, lines = Dialog(), text.split("\n")
    number = 0
    while number < len(lines):
        line = lines[number]
        number += 1
        if not line.strip() or line.startswith("#"):
            continue
        if line.startswith("! "):
            number = _setting(dialog, lines, number, line[2:].split())
            continue
        found = _LINE.fullmatch(line)
        assert found, f"line {number} is no part of a dialog: {line!r}"
        dialog.steps.append(Step(number, found["who"], found["session"], found["how"], found["text"] or ""))
    return dialog


def _setting(dialog: Dialog, lines: list[str], number: int, words: list[str]) -> int:
    if words[0] == "account":
        dialog.accounts.append(words[1])
    elif words[0] == "tls-only":
        dialog.plaintext = False
    elif words[0] == "relay-check":
        dialog.relay_check = True
    elif words[0] == "message":
        octets = b""
        while number < len(lines) and (lines[number].startswith("    ") or (lines[number] == "" and lines[number + 1].startswith("    "))):
            octets += lines[number][4:].encode() + b"\r\n"
            number += 1
        dialog.messages.append((words[1], tuple(words[2:]), octets))
    else:
        raise AssertionError(f"line {number}: no such setting: {words[0]}")
    return number


def pattern(text: str) -> re.Pattern[bytes]:
    """`* 3 FETCH (UID <[0-9]+>)` as a regular expression."""
    parts = re.split(r"<((?:[^>\\]|\\.)*)>", text)
    return re.compile(b"".join((f"(?:{part})" if place % 2 else re.escape(part)).encode() for place, part in enumerate(parts)), re.DOTALL)


class Lines:
    """The server's lines as the client reads them."""

    def __init__(self, stream: ClientStream) -> None:
        self.stream = stream
        self._held = b""

    async def next(self) -> bytes | None:
        """A line without its CRLF; None at the end."""
        while b"\n" not in self._held:
            try:
                more = await self.stream.receive_some()
            except trio.BrokenResourceError:
                more = b""
            if not more:
                assert not self._held, f"the server stopped within a line: {self._held!r}"
                return None
            self._held += more
        line, _, self._held = self._held.partition(b"\n")
        assert line.endswith(b"\r"), f"a line of the server ends without CR: {line!r}"
        return line[:-1]


class Player:
    """Plays one dialog on one server."""

    def __init__(self, components: Components, protocol: str) -> None:
        self._components = components
        self._protocol = protocol
        self._sessions: dict[str, Lines] = {}

    def _session(self, name: str) -> Lines:
        if name not in self._sessions:
            self._sessions[name] = Lines(self._components.connect(self._protocol))
        return self._sessions[name]

    async def play(self, steps: list[Step]) -> None:
        held: dict[str, bytes | None] = {}
        for step in steps:
            session = self._session(step.session)
            if step.who == "C":
                octets = step.text.encode() + b"\r\n"
                if step.how == "~":
                    octets = step.text.encode("latin-1", "backslashreplace").decode("unicode_escape").encode("latin-1")
                await session.stream.send_all(octets)
                continue
            await self._expect(step, session, held)

    async def _expect(self, step: Step, session: Lines, held: "dict[str, bytes | None]") -> None:
        wanted = None if step.text == "<closed>" else pattern(step.text)
        passed: list[bytes] = []
        while True:
            line: bytes | None = b""
            with trio.move_on_after(PATIENCE_S) as patience:
                line = held.pop(step.session) if step.session in held else await session.next()
            assert not patience.cancelled_caught, f"line {step.number}: waited in vain for {step.text!r}; came before: {passed}"
            if (line is None) if wanted is None else (line is not None and wanted.fullmatch(line)):
                return
            if step.how == "?":
                held[step.session] = line
                return
            assert step.how == "*" and line is not None, f"line {step.number}: wanted {step.text!r}\nbut came {line!r}"
            passed.append(line)


async def play(path: Path, directory: Path) -> None:
    """Play the dialog in the file on a fresh server."""
    dialog = parse_dialog(await trio.Path(path).read_text())
    relay_check = SomeRemoteAddresses() if dialog.relay_check else NO_REMOTE_ADDRESSES
    async with some_components(directory, *dialog.accounts, plaintext=dialog.plaintext, relay_check=relay_check) as components:
        for mailbox, flags, octets in dialog.messages:
            await components.deliver(octets, mailbox, flags=flags)
        await Player(components, path.parent.name).play(dialog.steps)
