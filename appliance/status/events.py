"""The catalogue: every event the server announces, frozen, with units in the field names.

An event is a fact that happened; `Board.publish` folds it. What must not be lost is never an event.
`protocol` is one of smtp, submission, submissions, imap, imaps, pop3, pop3s; `peer` is an address
without port; `who` is a person's address or "" when nobody signed in.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ListenerUp:
    protocol: str
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class ListenerDown:
    protocol: str
    host: str
    port: int
    reason: str


@dataclass(frozen=True, slots=True)
class SessionOpened:
    protocol: str
    peer: str


@dataclass(frozen=True, slots=True)
class SessionClosed:
    """`reason` is "" for an orderly end."""

    protocol: str
    peer: str
    who: str
    octets_in: int
    octets_out: int
    duration_s: float
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SessionRefused:
    protocol: str
    peer: str
    reason: str


@dataclass(frozen=True, slots=True)
class SessionFailed:
    """A fault of ours ended one session; the others go on."""

    protocol: str
    peer: str
    who: str
    fault: str


@dataclass(frozen=True, slots=True)
class LoginSucceeded:
    protocol: str
    peer: str
    who: str
    mechanism: str


@dataclass(frozen=True, slots=True)
class LoginFailed:
    """`name` is what was tried, shortened and cleaned for printing."""

    protocol: str
    peer: str
    name: str
    mechanism: str


@dataclass(frozen=True, slots=True)
class MessageAccepted:
    """One message took its place in the store; of its `recipients` so many are `mailboxes` it is in now, the rest waits to leave."""

    protocol: str
    peer: str
    sender: str
    recipients: int
    octets: int
    duration_s: float
    message: str
    mailboxes: int = 1


@dataclass(frozen=True, slots=True)
class MessageRefused:
    protocol: str
    peer: str
    sender: str
    recipient: str
    reply: str


@dataclass(frozen=True, slots=True)
class StorageState:
    """Free and total octets of the card, octets of all mail as received; how much of its life the card says is used up."""

    free_octets: int
    total_octets: int
    mail_octets: int
    worn_percent: int = 0


@dataclass(frozen=True, slots=True)
class HostState:
    """The box itself: its name, the addresses by which others reach it (none without a network), resident memory of this process.

    `temperature_c` is None where it is not measured; what was written to the card counts from midnight (UTC), or from the start.
    """

    host: str
    addresses: tuple[str, ...]
    memory_octets: int
    temperature_c: float | None
    written_octets_today: int


@dataclass(frozen=True, slots=True)
class StorageTrouble:
    """The writer met a full or failing card; `kind` is "full" or "broken"; "" when writing works again."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class StorageDamage:
    """A part of the database cannot be read (`kind` "damaged"), or a damaged index was made anew ("mended")."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class BodiesAside:
    """So many body files are named by no row of the database and lie aside; they are removed after 30 days."""

    files: int


@dataclass(frozen=True, slots=True)
class PartCrashed:
    part: str
    fault: str
    restart_in_s: float


@dataclass(frozen=True, slots=True)
class PartRunning:
    part: str


@dataclass(frozen=True, slots=True)
class CertificateState:
    """The certificate being served: subject names, end of validity (UTC seconds), who made it ("own" or "server")."""

    names: tuple[str, ...]
    not_after_at: int
    source: str


@dataclass(frozen=True, slots=True)
class CertificateTrouble:
    """`remedy` is "" where only looking at the files helps."""

    reason: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class ConditionFound:
    """What a part of the server found out about itself: the `sentences` of the condition `key` that hold now, () for none.

    `key` is a row of `conditions.ROWS` that is found by `_found`.
    """

    key: str
    sentences: tuple[str, ...]


def bodies_missing(files: int) -> ConditionFound:
    """So many body files that messages need are gone."""
    what = "The file of 1 message body is" if files == 1 else f"The files of {files} message bodies are"
    return ConditionFound("bodies-missing", (f"{what} gone from the data directory: these messages cannot be read.",) if files else ())


@dataclass(frozen=True, slots=True)
class ClockState:
    trusted: bool
    step_s: float = 0.0


@dataclass(frozen=True, slots=True)
class ServerState:
    """`phase` is "recovering" (after a power cut), "updating" (a new version takes over the data), "starting", "ready", "draining"
    or "stopped" (nothing is open any more)."""

    phase: str


@dataclass(frozen=True, slots=True)
class AccountsState:
    accounts: int
    domains: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class QueueState:
    """What waits to leave: destinations of messages; `stuck` of them need a person (held, or refused a whole day).

    `oldest_s` is how long the oldest has waited; `next_s` is seconds to the next attempt, None when none is due ever.
    """

    waiting: int
    held: int
    trying: int
    stuck: int
    destinations: int
    oldest_s: float
    next_s: float | None


@dataclass(frozen=True, slots=True)
class AttemptBegun:
    """A conversation about one message with the server of `domain` begins."""

    message: str
    domain: str


@dataclass(frozen=True, slots=True)
class MessageSent:
    """The next server took the message for so many recipients; `tls` is "" for plain text."""

    message: str
    domain: str
    host: str
    recipients: int
    octets: int
    tls: str
    duration_s: float


@dataclass(frozen=True, slots=True)
class MessageDelayed:
    """It will be tried again in `again_s`; `reason` is a sentence, `cause` the name of a `mail.outcome.Reason` in lower case."""

    message: str
    domain: str
    recipients: int
    reason: str
    again_s: float
    cause: str = ""


@dataclass(frozen=True, slots=True)
class MessageFailed:
    """Given up; the sender is told. `reason` is a sentence."""

    message: str
    domain: str
    recipients: int
    reason: str


@dataclass(frozen=True, slots=True)
class OutboundState:
    """The way out: `port_25` is "open", "blocked" or "unknown"; `route` is how messages leave now ("direct", "relay NAME", "none")."""

    port_25: str
    route: str
    sentence: str


@dataclass(frozen=True, slots=True)
class SendingLimited:
    """A person has sent more than allowed; `limited` False when they may send again."""

    who: str
    limited: bool


Event = (
    ListenerUp
    | ListenerDown
    | SessionOpened
    | SessionClosed
    | SessionRefused
    | SessionFailed
    | LoginSucceeded
    | LoginFailed
    | MessageAccepted
    | MessageRefused
    | StorageState
    | StorageTrouble
    | PartCrashed
    | PartRunning
    | CertificateState
    | CertificateTrouble
    | ClockState
    | ServerState
    | AccountsState
    | QueueState
    | AttemptBegun
    | MessageSent
    | MessageDelayed
    | MessageFailed
    | OutboundState
    | SendingLimited
    | HostState
    | ConditionFound
    | BodiesAside
    | StorageDamage
)
