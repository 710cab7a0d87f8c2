"""Events: the facts that parts of the server publish, frozen, with units in the field names.

`Board.publish` folds an event into the board; the journal writes a line about it. What must not be lost is a row in the
database, never an event. A new event is a class here: it states its own words for the journal, and needs code in
`board_state` only where it changes more than the latest state of its kind.

`protocol` is one of smtp, submission, submissions, imap, imaps, pop3, pop3s; `peer` is an address without port; `user` is
the address of the account that signed in, or "". `destination` is a domain, "@NAME" for a relay, or "." for mailboxes of this
server.
"""

from dataclasses import dataclass
from typing import ClassVar

from appliance.mail.sentence import Sentence

NAMED = 3
"""Recipients of a message that an event names; what became of the others is in the message's history."""


@dataclass(frozen=True, slots=True)
class Event:
    """`journal` begins the event's line in the journal; "" writes none."""

    journal: ClassVar[str] = ""


@dataclass(frozen=True, slots=True)
class StateEvent(Event):
    """The newest one says how things are; the board keeps it. Without arguments it is the state before anything is known."""


@dataclass(frozen=True, slots=True)
class ListenerUp(Event):
    journal = "listening"
    protocol: str
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class ListenerDown(Event):
    """`reason` is "" when the listener was closed on purpose."""

    journal = "not listening"
    protocol: str
    host: str
    port: int
    reason: str


@dataclass(frozen=True, slots=True)
class SessionOpened(Event):
    """No line in the journal: the one of SessionClosed says all of it."""

    protocol: str
    peer: str


@dataclass(frozen=True, slots=True)
class SessionClosed(Event):
    """`reason` is "" for an orderly end."""

    journal = "session closed"
    protocol: str
    peer: str
    user: str
    octets_in: int
    octets_out: int
    duration_s: float
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SessionRefused(Event):
    journal = "session refused"
    protocol: str
    peer: str
    reason: str


@dataclass(frozen=True, slots=True)
class SessionFailed(Event):
    """An exception of the server's own ended one session; the others go on."""

    journal = "session failed"
    protocol: str
    peer: str
    user: str
    fault: str


@dataclass(frozen=True, slots=True)
class LoginSucceeded(Event):
    journal = "signed in"
    protocol: str
    peer: str
    user: str
    mechanism: str


@dataclass(frozen=True, slots=True)
class LoginFailed(Event):
    """`name` is the name that was tried, shortened and cleaned for printing."""

    journal = "sign-in refused"
    protocol: str
    peer: str
    name: str
    mechanism: str


@dataclass(frozen=True, slots=True)
class MessageAccepted(Event):
    """A message was committed. `message` is its id; `mailboxes` of its `recipients` are local and have it already, the rest is queued.
    `to`: the first NAMED of its recipients, as the sender named them."""

    journal = "message accepted"
    protocol: str
    peer: str
    sender: str
    recipients: int
    octets: int
    duration_s: float
    message: str
    mailboxes: int = 1
    to: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MessageRefused(Event):
    """`recipient` is "" when the message was refused before any was named."""

    journal = "message refused"
    protocol: str
    peer: str
    sender: str
    recipient: str
    reply: str


@dataclass(frozen=True, slots=True)
class StorageState(StateEvent):
    """Free and total octets of the storage, octets of all mail as received; `worn_percent` of its life the storage reports as used
    (0: unknown)."""

    free_octets: int = 0
    total_octets: int = 0
    mail_octets: int = 0
    worn_percent: int = 0


@dataclass(frozen=True, slots=True)
class StorageTrouble(StateEvent):
    """The database writer met full or failing storage: `kind` is "full" or "broken"; "" when writing works again."""

    journal = "storage"
    kind: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class StorageDamage(Event):
    """A part of the database cannot be read (`kind` "damaged"), or a damaged index was rebuilt ("repaired")."""

    journal = "database"
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class OrphanedBodies(StateEvent):
    """So many body files have no row in the database and were set aside; they are removed after 30 days."""

    journal = "body files without a row"
    files: int = 0


@dataclass(frozen=True, slots=True)
class HostState(StateEvent):
    """The host: its name ("" before it was looked at), the addresses by which others reach it (none without a network).

    `memory_octets` is the resident memory of this process; `temperature_c` is None where it is not measured;
    `written_octets_today` counts from midnight (UTC), or from the start; `written_octets_a_day` is the mean since the start (0 within
    the first hour). `low_voltage`: the power supply was too weak within the last hour.
    """

    name: str = ""
    addresses: tuple[str, ...] = ()
    memory_octets: int = 0
    temperature_c: float | None = None
    written_octets_today: int = 0
    written_octets_a_day: int = 0
    low_voltage: bool = False


@dataclass(frozen=True, slots=True)
class TaskCrashed(Event):
    """A task of the supervisor ended with an exception and is started again in `restart_in_s`."""

    journal = "task crashed"
    task: str
    fault: str
    restart_in_s: float


@dataclass(frozen=True, slots=True)
class TaskRunning(Event):
    journal = "task running"
    task: str


@dataclass(frozen=True, slots=True)
class CertificateState(StateEvent):
    """The certificate in use: subject names, end of validity (UTC seconds), who issued it: "own" (files of the user's) or "server"."""

    journal = "certificate in use"
    names: tuple[str, ...] = ()
    not_after_at: int = 0
    source: str = ""


@dataclass(frozen=True, slots=True)
class CertificateTrouble(StateEvent):
    """A certificate cannot be used; `remedy` is "" where only looking at the files helps. A CertificateState ends it."""

    journal = "certificate not usable"
    reason: str = ""
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class ConditionFound(Event):
    """What a part of the server found out about itself: the `sentences` of the condition `key` that hold now, () for none.

    `key` is a row of `conditions.ROWS` made with `_found`.
    """

    journal = "condition"
    key: str
    sentences: tuple[str, ...]


def bodies_missing(files: int) -> ConditionFound:
    """So many body files that messages need are gone."""
    sentence = Sentence.counted(
        "The file of %(number)s message body is gone from the data directory: the message cannot be read.",
        "The files of %(number)s message bodies are gone from the data directory: these messages cannot be read.",
        files,
    )
    return ConditionFound("bodies-missing", (sentence,) if files else ())


@dataclass(frozen=True, slots=True)
class ClockState(StateEvent):
    """`step_s` is by how much the wall clock was set just now; 0 when it was not."""

    journal = "clock"
    trusted: bool = False
    step_s: float = 0.0


@dataclass(frozen=True, slots=True)
class ServerState(StateEvent):
    """`phase` is "recovering" (after a power cut), "updating" (a new version takes over the data), "starting", "ready", "draining"
    or "stopped" (nothing is open any more)."""

    journal = "server"
    phase: str = "starting"


@dataclass(frozen=True, slots=True)
class AccountsState(StateEvent):
    journal = "accounts"
    accounts: int = 0
    domains: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class QueueCounts(StateEvent):
    """Queue entries, one for each destination of a message: all that wait, those held, those with an attempt under way, and the
    `stuck` ones, which need the user (held, or delayed for a whole day)."""

    waiting: int = 0
    held: int = 0
    trying: int = 0
    stuck: int = 0
    destinations: int = 0


@dataclass(frozen=True, slots=True)
class QueueState(QueueCounts):
    """`oldest_s` is how long the oldest has waited; `next_s` is seconds to the next attempt, None when none is due ever."""

    oldest_s: float = 0.0
    next_s: float | None = None


@dataclass(frozen=True, slots=True)
class AttemptBegun(Event):
    """A delivery attempt begins. No line in the journal: its outcome is one."""

    message: str
    destination: str


@dataclass(frozen=True, slots=True)
class MessageSent(Event):
    """The next hop took the message for so many recipients, `to` the first NAMED of them; `tls` is "" for plain text."""

    journal = "message sent"
    message: str
    destination: str
    host: str
    recipients: int
    octets: int
    tls: str
    duration_s: float
    to: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MessageDelayed(Event):
    """The next attempt is in `retry_s`; `reason`: a sentence, `cause` the name of a `mail.outcome.Reason` in lower case, `to` as above."""

    journal = "message delayed"
    message: str
    destination: str
    recipients: int
    reason: str
    retry_s: float
    cause: str = ""
    to: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MessageFailed(Event):
    """Given up; the sender gets a DSN. `reason` is a sentence; `to` as above."""

    journal = "message failed"
    message: str
    destination: str
    recipients: int
    reason: str
    to: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OutboundState(StateEvent):
    """Outbound connectivity: `port_25` is "open", "blocked" or "unknown"; `route` is how messages leave ("direct", "relay NAME", "none");
    `sentence` is "" before it was looked at."""

    journal = "outbound"
    port_25: str = "unknown"
    route: str = "direct"
    sentence: str = ""


@dataclass(frozen=True, slots=True)
class SendingLimited(Event):
    """An account has sent more than its send quota; `limited` False when it may send again."""

    journal = "sending limited"
    account: str
    limited: bool
