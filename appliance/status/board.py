"""The status board: events in, one picture out, and a wake-up for whoever waits for the next picture.

`publish` is synchronous: it never waits, never fails and never writes to the card. It belongs to trio's thread.
No queues: a slow reader misses pictures in between, never the last. Memory is bounded: counters, and small rings
of recent messages, refusals and wrong passwords.
"""

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import trio

from appliance.mail.clock import Clock

from .events import (
    AccountsState,
    AttemptBegun,
    BodiesAside,
    CertificateState,
    CertificateTrouble,
    ClockState,
    ConditionFound,
    Event,
    HostState,
    ListenerDown,
    ListenerUp,
    LoginFailed,
    LoginSucceeded,
    MessageAccepted,
    MessageDelayed,
    MessageFailed,
    MessageRefused,
    MessageSent,
    OutboundState,
    PartCrashed,
    PartRunning,
    QueueState,
    SendingLimited,
    ServerState,
    SessionClosed,
    SessionFailed,
    SessionOpened,
    SessionRefused,
    StorageDamage,
    StorageState,
    StorageTrouble,
)

if TYPE_CHECKING:
    from .snapshot import Snapshot

RECENT = 20
"""Messages, refusals and sendings remembered."""
LIMITED = 64
"""People held back for sending too much who are named."""
DELAYS = 64
"""Destinations whose messages wait that are named."""
GUESSES = 256
"""Wrong passwords remembered for counting those of the last ten minutes."""
LATELY_S = 600
STALE_S = 1.0
"""A picture older than this is made anew, since some conditions depend on the time."""


class Sessions:
    """Counters of one protocol."""

    __slots__ = ("failed", "octets_in", "octets_out", "open", "opened", "refused")

    def __init__(self) -> None:
        self.open = self.opened = self.refused = self.failed = self.octets_in = self.octets_out = 0


class Board:
    """The one place where events are folded; `feed` is told every event after it was folded (the journal).

    The facts are for `drawing`; everybody else reads the snapshot.
    """

    def __init__(self, clock: Clock, feed: Callable[[Event], None] | None = None) -> None:
        self.version = 0
        self.clock = clock
        self._feed = feed
        self._moved: trio.Event | None = None
        self._picture: Snapshot | None = None
        self._pictured_mono = 0.0
        self.started_mono = clock.mono_s()
        self.phase = "starting"
        self.clock_step_s = 0.0
        self.accounts: AccountsState | None = None
        self.listeners: dict[tuple[str, str, int], str] = {}
        self.sessions: dict[str, Sessions] = {}
        self.logins = self.wrong = 0
        self.guesses: deque[tuple[float, str]] = deque(maxlen=GUESSES)
        self.accepted = self.arrived = self.refused = self.octets = 0
        self.deliveries: deque[tuple[float, MessageAccepted]] = deque(maxlen=RECENT)
        self.refusals: deque[tuple[float, MessageRefused]] = deque(maxlen=RECENT)
        self.queue = QueueState(0, 0, 0, 0, 0, 0.0, None)
        self.queue_at_mono = self.started_mono
        self.sending_mono = self.arrival_mono = float("-inf")
        self.sent = self.failed = 0
        self.sendings: deque[tuple[float, MessageSent | MessageDelayed | MessageFailed]] = deque(maxlen=RECENT)
        self.delays: dict[str, tuple[float, float, MessageDelayed]] = {}
        """By destination: since when its attempts end with a delay, when its next one is due (both monotonic), and the last one."""
        self.line = OutboundState("unknown", "direct", "")
        self.limited: dict[str, None] = {}
        self.box = HostState("", (), 0, None, 0)
        self.storage = StorageState(0, 0, 0)
        self.storage_trouble = StorageTrouble("", "")
        self.bodies_aside = 0
        self.storage_damage: dict[str, str] = {}
        self.certificate = CertificateState((), 0, "")
        self.certificate_trouble = CertificateTrouble("")
        self.found: dict[str, tuple[str, ...]] = {}
        self.parts: dict[str, tuple[int, PartCrashed | None]] = {}
        self._folds: dict[type, Callable[[Any], None]] = {
            ListenerUp: self._listener_up,
            ListenerDown: self._listener_down,
            SessionOpened: self._session_opened,
            SessionClosed: self._session_closed,
            SessionRefused: self._session_refused,
            SessionFailed: self._session_failed,
            LoginSucceeded: self._login_succeeded,
            LoginFailed: self._login_failed,
            MessageAccepted: self._message_accepted,
            MessageRefused: self._message_refused,
            StorageState: self._storage_seen,
            StorageTrouble: self._storage_troubled,
            StorageDamage: self._storage_damaged,
            BodiesAside: self._bodies_set_aside,
            PartCrashed: self._part_crashed,
            PartRunning: self._part_running,
            CertificateState: self._certificate_served,
            CertificateTrouble: self._certificate_troubled,
            ClockState: self._clock_state,
            ServerState: self._server_state,
            AccountsState: self._accounts_state,
            QueueState: self._queue_state,
            AttemptBegun: self._attempt_begun,
            MessageSent: self._message_sent,
            MessageDelayed: self._message_delayed,
            MessageFailed: self._message_failed,
            OutboundState: self._line_state,
            SendingLimited: self._sending_limited,
            HostState: self._box_seen,
            ConditionFound: self._condition_found,
        }

    def publish(self, event: Event) -> None:
        """Fold one event and wake who waits; an event of no known kind only raises the version."""
        fold = self._folds.get(type(event))
        if fold is not None:
            fold(event)
        self.touch()
        if self._feed is not None:
            self._feed(event)

    def touch(self) -> None:
        """Wake who waits: something beside the picture is new."""
        self.version += 1
        if self._moved is not None:
            self._moved.set()
            self._moved = None

    def snapshot(self) -> "Snapshot":
        """The picture now; the same object until something happened or a second passed."""
        mono = self.clock.mono_s()
        if self._picture is None or self._picture.version != self.version or mono - self._pictured_mono > STALE_S:
            from .drawing import draw  # with its 15 dataclasses 0.4 MB, which a server that nobody asks does without

            self._picture = draw(self, mono)
            self._pictured_mono = mono
        return self._picture

    async def changed(self, since: int) -> "Snapshot":
        """Wait until the version is above `since`; the latest picture."""
        while self.version <= since:
            if self._moved is None:
                self._moved = trio.Event()
            await self._moved.wait()
        return self.snapshot()

    # --- one fold an event ----------------------------------------------------------------------

    def _of(self, protocol: str) -> Sessions:
        row = self.sessions.get(protocol)
        if row is None:
            row = self.sessions[protocol] = Sessions()
        return row

    def _listener_up(self, e: ListenerUp) -> None:
        self.listeners[e.protocol, e.host, e.port] = ""

    def _listener_down(self, e: ListenerDown) -> None:
        if e.reason:
            self.listeners[e.protocol, e.host, e.port] = e.reason
        else:  # closed on purpose
            self.listeners.pop((e.protocol, e.host, e.port), None)

    def _session_opened(self, e: SessionOpened) -> None:
        row = self._of(e.protocol)
        row.open += 1
        row.opened += 1

    def _session_closed(self, e: SessionClosed) -> None:
        row = self._of(e.protocol)
        row.open -= 1
        row.octets_in += e.octets_in
        row.octets_out += e.octets_out

    def _session_refused(self, e: SessionRefused) -> None:
        self._of(e.protocol).refused += 1

    def _session_failed(self, e: SessionFailed) -> None:
        self._of(e.protocol).failed += 1

    def _login_succeeded(self, e: LoginSucceeded) -> None:
        self.logins += 1

    def _login_failed(self, e: LoginFailed) -> None:
        self.wrong += 1
        self.guesses.append((self.clock.mono_s(), e.peer))

    def _message_accepted(self, e: MessageAccepted) -> None:
        self.accepted += 1
        self.arrived += e.mailboxes > 0
        self.octets += e.octets
        self.arrival_mono = self.clock.mono_s()
        self.deliveries.append((self.clock.wall_s(), e))

    def _message_refused(self, e: MessageRefused) -> None:
        self.refused += 1
        self.refusals.append((self.clock.wall_s(), e))

    def _storage_seen(self, e: StorageState) -> None:
        self.storage = e

    def _storage_troubled(self, e: StorageTrouble) -> None:
        self.storage_trouble = e

    def _storage_damaged(self, e: StorageDamage) -> None:
        self.storage_damage.setdefault(e.kind, e.text)

    def _bodies_set_aside(self, e: BodiesAside) -> None:
        self.bodies_aside = e.files

    def _part_crashed(self, e: PartCrashed) -> None:
        self.parts[e.part] = (self.parts.get(e.part, (0, None))[0] + 1, e)

    def _part_running(self, e: PartRunning) -> None:
        self.parts[e.part] = (self.parts.get(e.part, (0, None))[0], None)

    def _certificate_served(self, e: CertificateState) -> None:
        self.certificate = e
        self.certificate_trouble = CertificateTrouble("")

    def _certificate_troubled(self, e: CertificateTrouble) -> None:
        self.certificate_trouble = e

    def _clock_state(self, e: ClockState) -> None:
        self.clock_step_s = e.step_s or self.clock_step_s

    def _server_state(self, e: ServerState) -> None:
        self.phase = e.phase

    def _accounts_state(self, e: AccountsState) -> None:
        self.accounts = e

    def _queue_state(self, e: QueueState) -> None:
        self.queue = e
        self.queue_at_mono = self.clock.mono_s()
        if not e.waiting:
            self.delays.clear()

    def _attempt_begun(self, e: AttemptBegun) -> None:
        self.sending_mono = self.clock.mono_s()

    def _message_sent(self, e: MessageSent) -> None:
        self.sent += e.recipients
        self.delays.pop(e.domain, None)
        self.sending_mono = self.clock.mono_s()
        self.sendings.append((self.clock.wall_s(), e))

    def _message_delayed(self, e: MessageDelayed) -> None:
        self.sendings.append((self.clock.wall_s(), e))
        now = self.clock.mono_s()
        if e.domain in self.delays or len(self.delays) < DELAYS:
            since = self.delays[e.domain][0] if e.domain in self.delays else now
            self.delays[e.domain] = (since, now + e.again_s, e)

    def _message_failed(self, e: MessageFailed) -> None:
        self.failed += e.recipients
        self.delays.pop(e.domain, None)
        self.sendings.append((self.clock.wall_s(), e))

    def _line_state(self, e: OutboundState) -> None:
        self.line = e

    def _sending_limited(self, e: SendingLimited) -> None:
        if e.limited and len(self.limited) < LIMITED:
            self.limited[e.who] = None
        elif not e.limited:
            self.limited.pop(e.who, None)

    def _box_seen(self, e: HostState) -> None:
        self.box = e

    def _condition_found(self, e: ConditionFound) -> None:
        if e.sentences:
            self.found[e.key] = e.sentences
        else:
            self.found.pop(e.key, None)
