"""The server's side of a POP3 conversation as a state table (RFC 1939 §3, RFC 5034 §4).

| state         | may come                                                        | leads to                                     |
|---------------|-----------------------------------------------------------------|----------------------------------------------|
| AUTHORIZATION | USER PASS AUTH STLS UTF8 CAPA NOOP QUIT                         | EXCHANGE by AUTH, TRANSACTION by a sign-in   |
| EXCHANGE      | one line of base64, or "*"                                      | AUTHORIZATION or TRANSACTION                 |
| TRANSACTION   | STAT LIST UIDL RETR TOP DELE RSET NOOP CAPA QUIT                | UPDATE by QUIT                               |
| UPDATE        | nothing                                                         |                                              |

Octets in, events out, nothing else: `Line` is a whole line to act on, `Misuse` one to answer with -ERR. Lines may be
pipelined (RFC 2449 §6.6). A line over its limit is one Misuse, thrown away as it comes; one that goes on beyond
THROWN_AWAY_OCTETS is `Endless`: close. A line of another protocol (an HTTP request, a TLS hello) is `Foreign`: close, and
nothing behind it is obeyed. A bare LF ends a line too, as every server has it.
APOP is no verb here: it needs the password itself kept on the card, and MD5 (RFC 1939 §13 calls for both).
"""

from dataclasses import dataclass, field
from enum import Flag, auto

from appliance.mail.errors import MisuseError
from appliance.mail.limits import AUTH_LINE_OCTETS, POP3_LINE_OCTETS

from ..foreign import foreign_protocol, is_tls, words_for
from .grammar import Command, parse_command

THROWN_AWAY_OCTETS = 64 * 2**10


class State(Flag):
    AUTHORIZATION = auto()
    EXCHANGE = auto()
    TRANSACTION = auto()
    UPDATE = auto()


_BOTH = State.AUTHORIZATION | State.TRANSACTION


@dataclass(frozen=True, slots=True)
class Verb:
    """A row of the table: where a command may come and how many arguments it takes."""

    name: bytes
    states: State
    least: int
    most: int
    rfc: str


VERBS: tuple[Verb, ...] = (
    Verb(b"USER", State.AUTHORIZATION, 1, 1, "RFC 1939 §7"),
    Verb(b"PASS", State.AUTHORIZATION, 1, 1, "RFC 1939 §7"),
    Verb(b"AUTH", State.AUTHORIZATION, 0, 2, "RFC 5034 §4"),
    Verb(b"STLS", State.AUTHORIZATION, 0, 0, "RFC 2595 §4"),
    Verb(b"UTF8", State.AUTHORIZATION, 0, 0, "RFC 6856 §2.1"),
    Verb(b"CAPA", _BOTH, 0, 0, "RFC 2449 §5"),
    Verb(b"NOOP", _BOTH, 0, 0, "RFC 1939 §5"),
    Verb(b"QUIT", _BOTH, 0, 0, "RFC 1939 §4, §6"),
    Verb(b"STAT", State.TRANSACTION, 0, 0, "RFC 1939 §5"),
    Verb(b"LIST", State.TRANSACTION, 0, 1, "RFC 1939 §5"),
    Verb(b"RETR", State.TRANSACTION, 1, 1, "RFC 1939 §5"),
    Verb(b"DELE", State.TRANSACTION, 1, 1, "RFC 1939 §5"),
    Verb(b"RSET", State.TRANSACTION, 0, 0, "RFC 1939 §5"),
    Verb(b"TOP", State.TRANSACTION, 2, 2, "RFC 1939 §7"),
    Verb(b"UIDL", State.TRANSACTION, 0, 1, "RFC 1939 §7"),
)
_TABLE = {verb.name: verb for verb in VERBS}


@dataclass(frozen=True, slots=True)
class CommandReceived:
    """A client's answer within EXCHANGE, its line end removed."""

    octets: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Misuse:
    """Answer -ERR with `text`."""

    text: str


@dataclass(frozen=True, slots=True)
class Endless:
    """Close the connection: a line that never ends."""


@dataclass(frozen=True, slots=True)
class Foreign:
    """Answer -ERR with `text` and close: the client speaks another protocol."""

    text: str


Event = Command | CommandReceived | Misuse | Endless | Foreign


class Pop3ServerState:
    """What has come and what it means now. The caller moves `state`: only it knows whether a sign-in worked."""

    __slots__ = ("_buffer", "_looked_at", "_thrown_away", "state")

    def __init__(self) -> None:
        self.state = State.AUTHORIZATION
        self._buffer = bytearray()
        self._looked_at = 0
        self._thrown_away = 0

    def receive(self, octets: bytes) -> None:
        self._buffer += octets

    def forget(self) -> None:
        """Throw away what came before TLS: it may be somebody else's (RFC 2595 §4)."""
        self._buffer.clear()
        self._looked_at = self._thrown_away = 0

    @property
    def line_octets(self) -> int:
        """The longest line of this state: SASL responses and passwords are longer than commands."""
        return POP3_LINE_OCTETS if self.state is State.TRANSACTION else AUTH_LINE_OCTETS

    def next_event(self) -> Event | None:
        """What the next whole line means; None when more octets are needed."""
        end = self._buffer.find(b"\n", self._looked_at)
        if end < 0:
            return self._unfinished()
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        self._looked_at = 0
        if self._thrown_away:
            self._thrown_away = 0
            return Misuse("The line is too long.")
        if foreign := foreign_protocol(line):
            return Foreign(words_for(foreign))
        if len(line) > self.line_octets:
            return Misuse("The line is too long.")
        return self._read(line.removesuffix(b"\r"))

    def _unfinished(self) -> Event | None:
        self._looked_at = len(self._buffer)
        if not self._thrown_away and is_tls(bytes(self._buffer[:2])):
            return Foreign(words_for("TLS"))
        if not self._thrown_away and self._looked_at > self.line_octets and foreign_protocol(bytes(self._buffer)):
            return Foreign(words_for("HTTP"))
        if self._thrown_away or self._looked_at > self.line_octets:
            self._thrown_away += self._looked_at
            self._buffer.clear()
            self._looked_at = 0
            if self._thrown_away > THROWN_AWAY_OCTETS:
                return Endless()
        return None

    def _read(self, line: bytes) -> Event:
        if self.state is State.EXCHANGE:
            return CommandReceived(line)
        try:
            command = parse_command(line)
        except MisuseError as e:
            return Misuse(str(e))
        verb = _TABLE.get(command.verb)
        if verb is None:
            return Misuse("There is no such command here.")
        if not verb.states & self.state:
            return Misuse("Sign in first." if self.state is State.AUTHORIZATION else "Not after signing in.")
        if not verb.least <= len(command.arguments) <= verb.most:
            return Misuse("Wrong number of arguments.")
        return command
