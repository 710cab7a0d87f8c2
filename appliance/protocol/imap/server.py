"""Command framing of an IMAP server: octets in, events out (RFC 3501 §2.2, §4.3, §7.5; RFC 7888; RFC 3516 §4.4).

Phase and TRANSITIONS below are the whole state machine on the level of octets. Invariants: at most IMAP_COMMAND_OCTETS are
held for one command (far less before login), a synchronising literal that is too large is refused before its octets
are requested, a non-synchronising one is discarded up to LITERAL_DISCARD_OCTETS and ends the session
beyond that, so that octets of a literal are never read as a command. Messages are streamed, never collected.

A line ends with CRLF; a bare LF is accepted as well, because neither CR nor LF can be part of a line (RFC 9051 §4.3), so
no valid command changes its meaning and typing in a terminal works. A bare CR is a syntax error.

Before login a line of another protocol (an HTTP request, a TLS ClientHello) ends the session: nothing after it is executed.

Fails with events, not exceptions: `Refused` (answer BAD or NO and go on) and `Fatal` (send BYE). Calling a method in a
phase that does not allow it is a bug of the caller and raises RuntimeError.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from types import MappingProxyType

from appliance.mail.errors import MisuseError
from appliance.mail.limits import (
    AUTH_LINE_OCTETS,
    IMAP_COMMAND_OCTETS,
    IMAP_LINE_OCTETS,
    LITERAL_BEFORE_LOGIN_OCTETS,
    LITERAL_DISCARD_OCTETS,
)

from ..foreign import foreign_tagged, is_tls, words_for
from ..framing import Overlong, ReceiveBuffer
from .tokens import Tokens


class Phase(Enum):
    """What the next octets are."""

    TEXT = "a line of a command: its first, or what follows a literal"
    LITERAL = "octets of a literal that is collected"
    OFFERED = "none yet: a message is announced, the command accepts or refuses it"
    MESSAGE = "octets of a message, read chunk by chunk"
    SKIP = "octets of a refused literal, discarded"
    EXCHANGE = "lines of AUTHENTICATE or IDLE"
    ENDED = "nothing more is read"


class Step(Enum):
    """What causes a transition."""

    LINE = auto()  # a line without a literal: the command is complete
    KEEP = auto()  # a literal to collect is announced
    OFFER = auto()  # a literal to stream is announced
    REFUSE = auto()  # a synchronising literal is refused: the command ends here
    DISCARD = auto()  # a non-synchronising literal is refused: its octets are sent all the same
    ACCEPT = auto()  # the command wants the message
    FILLED = auto()  # the announced octets are complete
    BEGIN_EXCHANGE = auto()  # the command reads the following lines itself
    END_EXCHANGE = auto()  # commands follow again
    OVERFLOW = auto()  # more than is read, or octets of another protocol


TRANSITIONS: dict[tuple[Phase, Step], Phase] = {
    (Phase.TEXT, Step.LINE): Phase.TEXT,
    (Phase.TEXT, Step.KEEP): Phase.LITERAL,
    (Phase.TEXT, Step.OFFER): Phase.OFFERED,
    (Phase.TEXT, Step.REFUSE): Phase.TEXT,
    (Phase.TEXT, Step.DISCARD): Phase.SKIP,
    (Phase.TEXT, Step.BEGIN_EXCHANGE): Phase.EXCHANGE,
    (Phase.TEXT, Step.OVERFLOW): Phase.ENDED,
    (Phase.LITERAL, Step.FILLED): Phase.TEXT,
    (Phase.OFFERED, Step.ACCEPT): Phase.MESSAGE,
    (Phase.OFFERED, Step.REFUSE): Phase.TEXT,
    (Phase.OFFERED, Step.DISCARD): Phase.SKIP,
    (Phase.OFFERED, Step.OVERFLOW): Phase.ENDED,
    (Phase.MESSAGE, Step.FILLED): Phase.TEXT,
    (Phase.SKIP, Step.FILLED): Phase.TEXT,
    (Phase.EXCHANGE, Step.END_EXCHANGE): Phase.TEXT,
    (Phase.EXCHANGE, Step.OVERFLOW): Phase.ENDED,
}

_FIRST_LINE = re.compile(rb'([^\x00-\x20(){%*"\\+\x7f-\xff]{1,255}) ([A-Za-z0-9.-]{1,40})(?= |$)')
_TAG = re.compile(rb'([^\x00-\x20(){%*"\\+\x7f-\xff]{1,255})(?: |$)')
_ANNOUNCED = re.compile(rb"(~?)\{([0-9]+)(\+?)\}\Z")
_ENDLESS = 2**64
_LITERAL_COST_OCTETS = 64
LITERALS_MOST = 2**32
"""More arguments than any command has: of commands whose literals are collected."""
"""Added to a literal's octets, so that many empty ones are bounded too."""


@dataclass(slots=True)
class ReceivedCommand:
    """A complete command; `tokens` follow its name."""

    tag: bytes
    name: bytes
    tokens: Tokens


@dataclass(slots=True)
class Message:
    """A streamed literal is announced: `accept` or `refuse` it.

    `tokens` are those since the command's name or the last message. `synchronising`: the client waits for `+`.
    """

    tag: bytes
    name: bytes
    tokens: Tokens
    octets: int
    synchronising: bool
    binary: bool


@dataclass(slots=True)
class Rest:
    """The end of a command with messages: what followed the last one."""

    tokens: Tokens


@dataclass(slots=True)
class Refused:
    """A command was read to its end and is answered with this; `tag` is `*` when none could be read."""

    tag: bytes
    word: bytes
    code: bytes
    text: bytes


@dataclass(slots=True)
class Continue:
    """The client waits for `+` before it sends a literal."""


@dataclass(slots=True)
class Fatal:
    """Send BYE and close."""

    code: bytes
    text: bytes


@dataclass(slots=True)
class NeedMore:
    """Nothing is complete: feed more octets."""


Event = ReceivedCommand | Message | Rest | Refused | Continue | Fatal | NeedMore
NEED_MORE = NeedMore()
CONTINUE = Continue()
TOO_MUCH = Fatal(b"TOOBIG", b"The command is too large.")


class ImapReader:
    """Splits the octets of one client into commands. `streamed`: by command, after how many arguments its literals are messages."""

    __slots__ = ("_buffer", "_fatal", "_literals", "_name", "_octets", "_refused", "_remaining", "_skipped", "_streamed", "_streaming",
                 "_tag", "_text", "phase", "signed_in", "utf8")  # fmt: skip

    def __init__(self, streamed: Mapping[bytes, int] = MappingProxyType({})) -> None:
        self._buffer = ReceiveBuffer()
        self._streamed = streamed
        self.phase = Phase.TEXT
        self._fatal = TOO_MUCH
        self.signed_in = False
        self.utf8 = False
        self._reset()

    def _reset(self) -> None:
        """Between commands."""
        self._tag = self._name = b""
        self._text: list[bytes] = []
        self._literals: list[bytes] = []
        self._octets = self._remaining = self._skipped = 0
        self._refused: Refused | None = None
        self._streaming = False

    def _go(self, step: Step) -> None:
        try:
            self.phase = TRANSITIONS[self.phase, step]
        except KeyError:
            raise RuntimeError(f"{step.name} cannot happen in phase {self.phase.name}") from None

    # --- octets in ---------------------------------------------------------------------------

    def feed(self, octets: bytes) -> None:
        self._buffer.feed(octets)

    def pending(self) -> int:
        """Octets received and not yet used."""
        return len(self._buffer)

    def at_rest(self) -> bool:
        """Between two commands, with nothing received of the next."""
        return not self._tag and not self._buffer

    # --- events out --------------------------------------------------------------------------

    def next(self) -> Event:
        """The next event; NeedMore when octets are missing."""
        while True:
            event: Event | None
            if self.phase is Phase.TEXT:
                event = self._read_line()
            elif self.phase is Phase.LITERAL:
                event = self._collect()
            elif self.phase is Phase.SKIP:
                event = self._skip()
            elif self.phase is Phase.ENDED:
                event = self._fatal
            else:
                raise RuntimeError(f"phase {self.phase.name} has no events")
            if event is not None:
                return event

    def _read_line(self) -> Event | None:
        soft = IMAP_LINE_OCTETS if self.signed_in else AUTH_LINE_OCTETS
        begins = not self._tag and self._refused is None
        if begins and not self.signed_in and is_tls(self._buffer.peek(2)):  # it may never send a line end
            self._foreign("TLS")
            return None
        try:
            line = self._buffer.line(max(2 * soft, LITERAL_DISCARD_OCTETS))
        except Overlong:
            self._buffer.clear()
            self._go(Step.OVERFLOW)
            return None
        if line is None:
            return NEED_MORE
        line = line[:-2] if line.endswith(b"\r\n") else line[:-1]
        self._octets += len(line)
        if begins:
            if not self.signed_in and (foreign := foreign_tagged(line)):
                self._foreign(foreign)
                return None
            line = self._begin(line)
        if len(line) > soft:
            self._refuse(b"BAD", b"TOOBIG", b"The line is too long.")
        if line.endswith((b"}", b"+}")):
            found = _ANNOUNCED.search(line, max(0, len(line) - 80))
            if found is not None:
                return self._announced(line, found)
        return self._complete(line)

    def _foreign(self, protocol: str) -> None:
        """The client speaks another protocol: the session ends."""
        self._buffer.clear()
        self._fatal = Fatal(b"CLIENTBUG", words_for(protocol).encode("ascii"))
        self._go(Step.OVERFLOW)

    def _begin(self, line: bytes) -> bytes:
        """Tag and name of the command; what follows them."""
        found = _FIRST_LINE.match(line)
        if found is not None:
            self._tag, self._name = found[1], found[2].upper()
            return line[found.end() :]
        tag = _TAG.match(line)
        self._tag = tag[1] if tag else b"*"
        self._refuse(b"BAD", b"", b"A command is a tag, a space and a name." if tag else b"A line must begin with a tag.")
        return line

    def _complete(self, line: bytes) -> Event:
        self._go(Step.LINE)
        event: Event
        if self._refused is not None:
            event = self._refused
        elif self._streaming:
            event = Rest(self._tokens(line))
        else:
            event = ReceivedCommand(self._tag, self._name, self._tokens(line))
        self._reset()
        return event

    def _tokens(self, line: bytes) -> Tokens:
        text = b"".join((*self._text, line)) if self._text else line
        return Tokens(text, self._literals, utf8=self.utf8)

    def _announced(self, line: bytes, found: "re.Match[bytes]") -> Event | None:
        """The line ends with `{n}` or `{n+}`."""
        octets = int(found[2]) if len(found[2]) <= 20 else _ENDLESS
        synchronising = not found[3]
        if self._refused is None and self._is_message(line, found.start()):
            self._go(Step.OFFER)
            self._remaining = octets
            self._streaming = True
            event = Message(self._tag, self._name, self._tokens(line[: found.start()]), octets, synchronising, bool(found[1]))
            self._text, self._literals = [], []
            return event
        if self._refused is None:
            self._check_size(octets)
        if self._refused is None:
            self._go(Step.KEEP)
            self._text += (line, b"\r\n")
            self._octets += octets + _LITERAL_COST_OCTETS
            self._remaining = octets
            return CONTINUE if synchronising else None
        if synchronising:
            self._go(Step.REFUSE)
            event_refused = self._refused
            self._reset()
            return event_refused
        self._discard(octets)
        return None

    def _is_message(self, line: bytes, start: int) -> bool:
        if self._streaming:
            return True
        if not self.signed_in or (self._name not in self._streamed and self._name != b"UID"):
            return False
        words = b"".join((*self._text, line[:start])).split()  # a literal before is a word of its own: its announcement
        name = words.pop(0).upper() if self._name == b"UID" and words else self._name
        return len(words) >= self._streamed.get(name, LITERALS_MOST)

    def _check_size(self, octets: int) -> None:
        """Refuse the command if a literal of that many octets is too large."""
        if not self.signed_in and octets > LITERAL_BEFORE_LOGIN_OCTETS:
            self._refuse(b"NO", b"TOOBIG", b"Sign in first: the literal is too large.")
        elif self._octets + octets > (IMAP_COMMAND_OCTETS if self.signed_in else 2 * AUTH_LINE_OCTETS):
            self._refuse(b"NO", b"TOOBIG", b"The command is too large.")

    def _refuse(self, word: bytes, code: bytes, text: bytes) -> None:
        """Answer the command with this at its end; what is held of it is dropped now."""
        self._refused = self._refused or Refused(self._tag, word, code, text)
        self._text, self._literals = [], []

    def _discard(self, octets: int) -> None:
        self._skipped += octets + _LITERAL_COST_OCTETS
        if self._skipped > LITERAL_DISCARD_OCTETS + _LITERAL_COST_OCTETS:
            self._buffer.clear()
            self._go(Step.OVERFLOW)
        else:
            self._remaining = octets
            self._go(Step.DISCARD)

    def _collect(self) -> Event | None:
        octets = self._buffer.exactly(self._remaining)
        if octets is None:
            return NEED_MORE
        self._literals.append(octets)
        self._go(Step.FILLED)
        return None

    def _skip(self) -> Event | None:
        self._remaining -= self._buffer.skip(self._remaining)
        if self._remaining:
            return NEED_MORE
        self._go(Step.FILLED)
        return None

    # --- messages ----------------------------------------------------------------------------

    def accept(self) -> None:
        """Accept the message that `next` announced: read its octets with `chunk`."""
        self._go(Step.ACCEPT)

    def chunk(self) -> bytes | None:
        """Octets of the message, b"" at its end, None when more must be fed."""
        if self.phase is not Phase.MESSAGE:
            raise RuntimeError(f"phase {self.phase.name} has no message")
        if not self._remaining:
            self._go(Step.FILLED)
            return b""
        octets = self._buffer.take(self._remaining)
        self._remaining -= len(octets)
        return octets or None

    def refuse(self, message: Message) -> bool:
        """Refuse the message. True: the command ended here. False: call `next` until it gives Refused or Fatal."""
        if message.synchronising:
            self._go(Step.REFUSE)
            self._reset()
            return True
        self._refuse(b"NO", b"", b"Refused.")
        self._discard(message.octets)
        return False

    # --- AUTHENTICATE, IDLE ------------------------------------------------------------------

    def begin_exchange(self) -> None:
        """The following lines belong to the command that runs."""
        self._go(Step.BEGIN_EXCHANGE)

    def exchange_line(self, limit_octets: int = AUTH_LINE_OCTETS) -> bytes | None:
        """One of them without its line end, or None when it is not complete. Raises MisuseError when it is too long: then send BYE."""
        if self.phase is not Phase.EXCHANGE:
            raise RuntimeError(f"phase {self.phase.name} has no exchange")
        try:
            line = self._buffer.line(limit_octets)
        except Overlong:
            self._buffer.clear()
            self._go(Step.OVERFLOW)
            raise MisuseError("The line is too long.") from None
        if line is None:
            return None
        return line[:-2] if line.endswith(b"\r\n") else line[:-1]

    def end_exchange(self) -> None:
        """Commands follow again; nothing to do when the exchange has ended already, so it fits a `finally`."""
        if self.phase is Phase.EXCHANGE:
            self._go(Step.END_EXCHANGE)
