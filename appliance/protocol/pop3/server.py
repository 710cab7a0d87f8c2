"""The server's side of a POP3 session as a state table (RFC 1939 §3, RFC 5034 §4).

| state         | commands                                                        | leads to                                     |
|---------------|-----------------------------------------------------------------|----------------------------------------------|
| AUTHORIZATION | USER PASS AUTH STLS UTF8 CAPA NOOP QUIT                         | EXCHANGE by AUTH, TRANSACTION by sign-in     |
| EXCHANGE      | one line of base64, or "*"                                      | AUTHORIZATION or TRANSACTION                 |
| TRANSACTION   | STAT LIST UIDL RETR TOP DELE RSET NOOP CAPA QUIT                | UPDATE by QUIT                               |
| UPDATE        | nothing                                                         |                                              |

Octets in, events out, nothing else: `Pop3Command` and `SaslResponse` are lines to act on, `Misuse` one to answer with -ERR. Lines may be
pipelined (RFC 2449 §6.6). A line over its limit is one Misuse, discarded as it is received; one longer than
DISCARDED_OCTETS is `Endless`: close. A line of another protocol (an HTTP request, a TLS ClientHello) is `Foreign`: close, and
nothing after it is executed. A bare LF ends a line too, as in other servers.
APOP is not implemented: it needs the stored plain-text password, and MD5 (RFC 1939 §7, §13).
"""

from dataclasses import dataclass, field
from enum import Flag, auto

from appliance.mail.errors import MisuseError
from appliance.mail.limits import AUTH_LINE_OCTETS, POP3_LINE_OCTETS

from ..foreign import foreign_protocol, is_tls, words_for
from .grammar import Pop3Command, parse_command

DISCARDED_OCTETS = 64 * 2**10


class Pop3State(Flag):
    AUTHORIZATION = auto()
    EXCHANGE = auto()
    TRANSACTION = auto()
    UPDATE = auto()


_BOTH = Pop3State.AUTHORIZATION | Pop3State.TRANSACTION


@dataclass(frozen=True, slots=True)
class Verb:
    """A row of the table: the states a command is allowed in and how many arguments it takes."""

    name: bytes
    states: Pop3State
    least: int
    most: int
    rfc: str


VERBS: tuple[Verb, ...] = (
    Verb(b"USER", Pop3State.AUTHORIZATION, 1, 1, "RFC 1939 §7"),
    Verb(b"PASS", Pop3State.AUTHORIZATION, 1, 1, "RFC 1939 §7"),
    Verb(b"AUTH", Pop3State.AUTHORIZATION, 0, 2, "RFC 5034 §4"),
    Verb(b"STLS", Pop3State.AUTHORIZATION, 0, 0, "RFC 2595 §4"),
    Verb(b"UTF8", Pop3State.AUTHORIZATION, 0, 0, "RFC 6856 §2.1"),
    Verb(b"CAPA", _BOTH, 0, 0, "RFC 2449 §5"),
    Verb(b"NOOP", _BOTH, 0, 0, "RFC 1939 §5"),
    Verb(b"QUIT", _BOTH, 0, 0, "RFC 1939 §4, §6"),
    Verb(b"STAT", Pop3State.TRANSACTION, 0, 0, "RFC 1939 §5"),
    Verb(b"LIST", Pop3State.TRANSACTION, 0, 1, "RFC 1939 §5"),
    Verb(b"RETR", Pop3State.TRANSACTION, 1, 1, "RFC 1939 §5"),
    Verb(b"DELE", Pop3State.TRANSACTION, 1, 1, "RFC 1939 §5"),
    Verb(b"RSET", Pop3State.TRANSACTION, 0, 0, "RFC 1939 §5"),
    Verb(b"TOP", Pop3State.TRANSACTION, 2, 2, "RFC 1939 §7"),
    Verb(b"UIDL", Pop3State.TRANSACTION, 0, 1, "RFC 1939 §7"),
)
_TABLE = {verb.name: verb for verb in VERBS}


@dataclass(frozen=True, slots=True)
class SaslResponse:
    """A client's response in EXCHANGE, its line end removed."""

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


Event = Pop3Command | SaslResponse | Misuse | Endless | Foreign


class Pop3ServerState:
    """The received octets as events. The caller sets `state`: only it knows whether a sign-in succeeded."""

    __slots__ = ("_buffer", "_discarded", "_searched", "state")

    def __init__(self) -> None:
        self.state = Pop3State.AUTHORIZATION
        self._buffer = bytearray()
        self._searched = 0
        self._discarded = 0

    def receive(self, octets: bytes) -> None:
        self._buffer += octets

    def discard_buffer(self) -> None:
        """Discard what was received before TLS: an attacker may have sent it (RFC 2595 §4)."""
        self._buffer.clear()
        self._searched = self._discarded = 0

    @property
    def line_octets(self) -> int:
        """The longest line of this state: SASL responses and passwords are longer than commands."""
        return POP3_LINE_OCTETS if self.state is Pop3State.TRANSACTION else AUTH_LINE_OCTETS

    def next_event(self) -> Event | None:
        """The event of the next complete line; None when more octets are needed."""
        end = self._buffer.find(b"\n", self._searched)
        if end < 0:
            return self._unfinished()
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        self._searched = 0
        if self._discarded:
            self._discarded = 0
            return Misuse("The line is too long.")
        if foreign := foreign_protocol(line):
            return Foreign(words_for(foreign))
        if len(line) > self.line_octets:
            return Misuse("The line is too long.")
        return self._read(line.removesuffix(b"\r"))

    def _unfinished(self) -> Event | None:
        self._searched = len(self._buffer)
        if not self._discarded and is_tls(bytes(self._buffer[:2])):
            return Foreign(words_for("TLS"))
        if not self._discarded and self._searched > self.line_octets and foreign_protocol(bytes(self._buffer)):
            return Foreign(words_for("HTTP"))
        if self._discarded or self._searched > self.line_octets:
            self._discarded += self._searched
            self._buffer.clear()
            self._searched = 0
            if self._discarded > DISCARDED_OCTETS:
                return Endless()
        return None

    def _read(self, line: bytes) -> Event:
        if self.state is Pop3State.EXCHANGE:
            return SaslResponse(line)
        try:
            command = parse_command(line)
        except MisuseError as e:
            return Misuse(str(e))
        verb = _TABLE.get(command.verb)
        if verb is None:
            return Misuse("No such command.")
        if not verb.states & self.state:
            return Misuse("Sign in first." if self.state is Pop3State.AUTHORIZATION else "Not allowed after signing in.")
        if not verb.least <= len(command.arguments) <= verb.most:
            return Misuse("Wrong number of arguments.")
        return command
