"""One frozen snapshot of the server, built from the board on demand; LEDs, console, web, command line and metrics read this one.

Its fields are the keys of `pillarbox status --json`, which scripts rely on. A field whose type is a StateEvent is filled
with the newest of them; rows derived from an event inherit its fields: a new field of such an event is a new fact here without
more code. Units are in the names; `_at` is UTC seconds, 0 when unknown.
"""

from dataclasses import dataclass, field

from .events import (
    CertificateState,
    ConditionFound,
    HostState,
    MessageAccepted,
    MessageRefused,
    OutboundState,
    QueueCounts,
    StorageState,
)


@dataclass(frozen=True, slots=True)
class Condition:
    """One plain sentence about the server. `severity` is "critical", "warning" or "notice"."""

    key: str
    severity: str
    sentence: str
    remedy: str


@dataclass(frozen=True, slots=True)
class ListenerFacts:
    """`reason` is "" while it is open."""

    protocol: str
    host: str
    port: int
    reason: str

    @property
    def address(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """Sessions of one protocol since the start."""

    protocol: str
    open: int
    opened: int
    refused: int
    failed: int
    octets_in: int
    octets_out: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrivalFacts(MessageAccepted):
    """A message that was accepted."""

    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusalFacts(MessageRefused):
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueFacts(QueueCounts):
    """`oldest_at` and `next_attempt_at` are 0 when there is none."""

    oldest_at: int = 0
    next_attempt_at: int = 0


@dataclass(frozen=True, slots=True)
class AttemptFacts:
    """The end of a delivery attempt: `outcome` is "sent", "delayed" or "failed"; `text` the next hop and its TLS, or the reason; `to` the
    first of the recipients."""

    at: int
    outcome: str
    message: str
    destination: str
    recipients: int
    text: str
    to: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DelayFacts:
    """A destination whose attempts have ended with a delay for `since_s` seconds."""

    destination: str
    cause: str
    reason: str
    since_s: float


@dataclass(frozen=True, slots=True)
class LoginFacts:
    """`failed_lately` counts failed logins of the last ten minutes, from `peers_lately` addresses."""

    succeeded: int
    failed: int
    failed_lately: int
    peers_lately: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageFacts(StorageState):
    """`trouble` is "", "full" or "broken"."""

    trouble: str = ""
    trouble_text: str = ""
    orphaned_bodies: int = 0
    """Body files without a row in the database."""
    damage: tuple[tuple[str, str], ...] = ()
    """"damaged" (a part of the database cannot be read) and "repaired" (an index was rebuilt), each with what SQLite said first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateFacts(CertificateState):
    """`trouble` says why a newer certificate cannot be used; "" when there is none."""

    trouble: str = ""
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class TaskFacts:
    """`fault` is "" while the task runs."""

    task: str
    fault: str
    crashes: int
    restart_in_s: float


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The server at `at`. `version` rises with every event. A message has arrived when it is in a mailbox of this server."""

    version: int
    at: int
    phase: str
    running_s: float
    clock_trusted: bool
    clock_step_s: float
    accounts: int
    domains: tuple[str, ...]
    accounts_known: bool
    listeners: tuple[ListenerFacts, ...]
    sessions: tuple[SessionFacts, ...]
    logins: LoginFacts
    messages_accepted: int
    messages_arrived: int
    messages_refused: int
    messages_octets: int
    arrivals: tuple[ArrivalFacts, ...]
    refusals: tuple[RefusalFacts, ...]
    queue: QueueFacts
    messages_sent: int
    messages_failed: int
    attempts: tuple[AttemptFacts, ...]
    delays: tuple[DelayFacts, ...]
    send_limited: tuple[str, ...]
    storage: StorageFacts
    certificate: CertificateFacts
    tasks: tuple[TaskFacts, ...]
    utc_offset_s: int
    """The host's own time zone, as of `at`."""
    conditions_found: tuple[ConditionFound, ...]
    conditions: tuple[Condition, ...] = ()
    outbound: OutboundState = field(default_factory=OutboundState)
    host: HostState = field(default_factory=HostState)

    @property
    def sessions_open(self) -> int:
        return sum(row.open for row in self.sessions)

    @property
    def severity(self) -> str:
        """The worst of the conditions; "" when all is well."""
        kinds = {condition.severity for condition in self.conditions}
        return next((kind for kind in ("critical", "warning", "notice") if kind in kinds), "")
