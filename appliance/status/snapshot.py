"""One frozen picture of the server, made by the board on demand; LEDs, console, web and command line read this one.

Units are in the names; `_at` is UTC seconds, 0 when unknown.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Condition:
    """One plain sentence about the server. `severity` is "critical", "warning" or "notice"."""

    key: str
    severity: str
    sentence: str
    remedy: str


@dataclass(frozen=True, slots=True)
class ListenerFacts:
    """`reason` is "" while it stands."""

    protocol: str
    host: str
    port: int
    reason: str

    @property
    def where(self) -> str:
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


@dataclass(frozen=True, slots=True)
class DeliveryFacts:
    at: int
    protocol: str
    peer: str
    sender: str
    recipients: int
    octets: int
    duration_s: float
    message: str


@dataclass(frozen=True, slots=True)
class RefusalFacts:
    at: int
    protocol: str
    peer: str
    sender: str
    recipient: str
    reply: str


@dataclass(frozen=True, slots=True)
class QueueFacts:
    """Destinations of messages that wait to leave. `stuck` need a person; `oldest_at` and `next_try_at` are 0 when there is none."""

    waiting: int
    held: int
    trying: int
    stuck: int
    destinations: int
    oldest_at: int
    next_try_at: int


@dataclass(frozen=True, slots=True)
class SendingFacts:
    """One end of an attempt: `what` is "sent", "delayed" or "failed"; `text` the host and its TLS, or the reason."""

    at: int
    what: str
    message: str
    domain: str
    recipients: int
    text: str


@dataclass(frozen=True, slots=True)
class DelayFacts:
    """A destination ("@NAME" for a relay, "." for mailboxes here) whose attempts have ended with a delay for `since_s` seconds."""

    domain: str
    cause: str
    reason: str
    since_s: float


@dataclass(frozen=True, slots=True)
class OutboundFacts:
    """The way out of the server, see `LineState`; `sentence` is "" until it was looked at."""

    port_25: str
    route: str
    sentence: str


@dataclass(frozen=True, slots=True)
class LoginFacts:
    """`failed_lately` counts wrong passwords of the last ten minutes, from `peers_lately` addresses."""

    succeeded: int
    failed: int
    failed_lately: int
    peers_lately: int


@dataclass(frozen=True, slots=True)
class StorageFacts:
    """`trouble` is "", "full" or "broken"; `worn_percent` is 0 where the card does not say."""

    free_octets: int
    total_octets: int
    mail_octets: int
    trouble: str
    trouble_text: str
    worn_percent: int = 0
    bodies_aside: int = 0
    """Body files no row of the database names."""
    damage: tuple[tuple[str, str], ...] = ()
    """"damaged" (a part of the database cannot be read) and "mended" (an index was made anew), each with what SQLite said first."""


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    names: tuple[str, ...]
    not_after_at: int
    source: str
    trouble: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class HostFacts:
    """The box itself, see `BoxState`; `host` is "" until it was looked at."""

    host: str
    addresses: tuple[str, ...]
    memory_octets: int
    temperature_c: float | None
    written_octets_today: int


@dataclass(frozen=True, slots=True)
class PartFacts:
    """`fault` is "" while the part runs."""

    part: str
    fault: str
    crashes: int
    restart_in_s: float


@dataclass(frozen=True, slots=True)
class FoundFacts:
    """The sentences of one condition that a part of the server found out, see `ConditionFound`."""

    key: str
    sentences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The server at `at`. `version` rises with every event folded in. A message accepted has arrived when it is in a mailbox here."""

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
    deliveries: tuple[DeliveryFacts, ...]
    refusals: tuple[RefusalFacts, ...]
    queue: QueueFacts
    messages_sent: int
    messages_failed: int
    sendings: tuple[SendingFacts, ...]
    line: OutboundFacts
    limited: tuple[str, ...]
    storage: StorageFacts
    certificate: CertificateFacts
    parts: tuple[PartFacts, ...]
    box: HostFacts
    utc_offset_s: int = 0
    """The box's own time zone, as of `at`."""
    found: tuple[FoundFacts, ...] = ()
    delays: tuple[DelayFacts, ...] = ()
    conditions: tuple[Condition, ...] = ()

    @property
    def sessions_open(self) -> int:
        return sum(row.open for row in self.sessions)

    @property
    def severity(self) -> str:
        """The worst of the conditions; "" when all is well."""
        kinds = {condition.severity for condition in self.conditions}
        return next((kind for kind in ("critical", "warning", "notice") if kind in kinds), "")
