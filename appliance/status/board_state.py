"""What the board has folded from events: the latest state of each kind, counters, and bounded rings of recent events.

A StateEvent replaces the one of its kind without any code here. Every other event has a row in `FOLDS`, and so has a
StateEvent that changes more than itself. Memory is bounded by RECENT, LIMITED, DELAYS and GUESSES.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

from appliance.mail.clock import Clock

from . import events as e

RECENT = 20
"""Messages, refusals and delivery attempts remembered."""
LIMITED = 64
"""Accounts over their send quota that are named."""
DELAYS = 64
"""Destinations with delayed messages that are named."""
GUESSES = 256
"""Failed logins remembered for counting those of the last ten minutes."""

Kind = TypeVar("Kind", bound=e.StateEvent)
Attempt = e.MessageSent | e.MessageDelayed | e.MessageFailed


@dataclass(slots=True)
class SessionCounters:
    """Sessions of one protocol since the start; the names are those of `SessionFacts`."""

    open: int = 0
    opened: int = 0
    refused: int = 0
    failed: int = 0
    octets_in: int = 0
    octets_out: int = 0


class Delay(NamedTuple):
    """Since when the attempts for a destination end with a delay, when the next is due (both monotonic), and the last of them."""

    since_mono: float
    due_mono: float
    event: e.MessageDelayed


class BoardState:
    """Read by `build_snapshot`; everybody else reads the snapshot."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.version = 0
        self.started_mono = clock.mono_s()
        self.latest: dict[type[e.Event], tuple[float, Any]] = {}
        """The newest StateEvent of each kind, with the monotonic instant it came."""
        self.clock_step_s = 0.0
        self.listeners: dict[tuple[str, str, int], str] = {}
        """Why each listener is down; "" while it is up."""
        self.sessions: dict[str, SessionCounters] = {}
        self.logins = self.failed_logins = 0
        self.guesses: deque[tuple[float, str]] = deque(maxlen=GUESSES)
        """(monotonic instant, peer) of failed logins."""
        self.accepted = self.arrived = self.refused = self.accepted_octets = 0
        self.arrivals: deque[tuple[float, e.MessageAccepted]] = deque(maxlen=RECENT)
        self.refusals: deque[tuple[float, e.MessageRefused]] = deque(maxlen=RECENT)
        self.sent = self.failed = 0
        self.attempts: deque[tuple[float, Attempt]] = deque(maxlen=RECENT)
        self.delays: dict[str, Delay] = {}
        self.limited: dict[str, None] = {}
        self.damage: dict[str, str] = {}
        self.conditions_found: dict[str, e.ConditionFound] = {}
        self.tasks: dict[str, tuple[int, e.TaskCrashed | None]] = {}
        """Crashes since the start, and the last one while the task is down."""

    def fold(self, event: e.Event) -> None:
        """Take one event in; of an unknown kind only the version changes."""
        self.version += 1
        if isinstance(event, e.StateEvent):
            self.latest[type(event)] = self.clock.mono_s(), event
        change = FOLDS.get(type(event))
        if change is not None:
            change(self, event)

    def state(self, kind: type[Kind]) -> Kind:
        """The newest event of a kind, or its defaults."""
        found: Kind = self.latest[kind][1] if kind in self.latest else kind()
        return found

    def state_mono(self, kind: type[e.StateEvent]) -> float:
        """When it came."""
        return self.latest[kind][0] if kind in self.latest else self.started_mono

    def counters(self, protocol: str) -> SessionCounters:
        row = self.sessions.get(protocol)
        if row is None:
            row = self.sessions[protocol] = SessionCounters()
        return row


def _listener_up(s: BoardState, event: e.ListenerUp) -> None:
    s.listeners[event.protocol, event.host, event.port] = ""


def _listener_down(s: BoardState, event: e.ListenerDown) -> None:
    key = (event.protocol, event.host, event.port)
    if event.reason:
        s.listeners[key] = event.reason
    else:
        s.listeners.pop(key, None)


def _session_opened(s: BoardState, event: e.SessionOpened) -> None:
    row = s.counters(event.protocol)
    row.open += 1
    row.opened += 1


def _session_closed(s: BoardState, event: e.SessionClosed) -> None:
    row = s.counters(event.protocol)
    row.open -= 1
    row.octets_in += event.octets_in
    row.octets_out += event.octets_out


def _session_refused(s: BoardState, event: e.SessionRefused) -> None:
    s.counters(event.protocol).refused += 1


def _session_failed(s: BoardState, event: e.SessionFailed) -> None:
    s.counters(event.protocol).failed += 1


def _login_succeeded(s: BoardState, event: e.LoginSucceeded) -> None:
    s.logins += 1


def _login_failed(s: BoardState, event: e.LoginFailed) -> None:
    s.failed_logins += 1
    s.guesses.append((s.clock.mono_s(), event.peer))


def _message_accepted(s: BoardState, event: e.MessageAccepted) -> None:
    s.accepted += 1
    s.arrived += event.mailboxes > 0
    s.accepted_octets += event.octets
    s.arrivals.append((s.clock.wall_s(), event))


def _message_refused(s: BoardState, event: e.MessageRefused) -> None:
    s.refused += 1
    s.refusals.append((s.clock.wall_s(), event))


def _storage_damage(s: BoardState, event: e.StorageDamage) -> None:
    s.damage.setdefault(event.kind, event.text)


def _task_crashed(s: BoardState, event: e.TaskCrashed) -> None:
    s.tasks[event.task] = (s.tasks.get(event.task, (0, None))[0] + 1, event)


def _task_running(s: BoardState, event: e.TaskRunning) -> None:
    s.tasks[event.task] = (s.tasks.get(event.task, (0, None))[0], None)


def _certificate_state(s: BoardState, event: e.CertificateState) -> None:
    s.latest.pop(e.CertificateTrouble, None)


def _clock_state(s: BoardState, event: e.ClockState) -> None:
    s.clock_step_s = event.step_s or s.clock_step_s


def _queue_state(s: BoardState, event: e.QueueState) -> None:
    if not event.waiting:
        s.delays.clear()


def _message_sent(s: BoardState, event: e.MessageSent) -> None:
    s.sent += event.recipients
    s.delays.pop(event.destination, None)
    s.attempts.append((s.clock.wall_s(), event))


def _message_delayed(s: BoardState, event: e.MessageDelayed) -> None:
    s.attempts.append((s.clock.wall_s(), event))
    now, before = s.clock.mono_s(), s.delays.get(event.destination)
    if before is not None or len(s.delays) < DELAYS:
        s.delays[event.destination] = Delay(before.since_mono if before else now, now + event.retry_s, event)


def _message_failed(s: BoardState, event: e.MessageFailed) -> None:
    s.failed += event.recipients
    s.delays.pop(event.destination, None)
    s.attempts.append((s.clock.wall_s(), event))


def _sending_limited(s: BoardState, event: e.SendingLimited) -> None:
    if event.limited and len(s.limited) < LIMITED:
        s.limited[event.account] = None
    elif not event.limited:
        s.limited.pop(event.account, None)


def _condition_found(s: BoardState, event: e.ConditionFound) -> None:
    if event.sentences:
        s.conditions_found[event.key] = event
    else:
        s.conditions_found.pop(event.key, None)


FOLDS: dict[type[e.Event], Callable[[BoardState, Any], None]] = {
    e.ListenerUp: _listener_up,
    e.ListenerDown: _listener_down,
    e.SessionOpened: _session_opened,
    e.SessionClosed: _session_closed,
    e.SessionRefused: _session_refused,
    e.SessionFailed: _session_failed,
    e.LoginSucceeded: _login_succeeded,
    e.LoginFailed: _login_failed,
    e.MessageAccepted: _message_accepted,
    e.MessageRefused: _message_refused,
    e.StorageDamage: _storage_damage,
    e.TaskCrashed: _task_crashed,
    e.TaskRunning: _task_running,
    e.CertificateState: _certificate_state,
    e.ClockState: _clock_state,
    e.QueueState: _queue_state,
    e.MessageSent: _message_sent,
    e.MessageDelayed: _message_delayed,
    e.MessageFailed: _message_failed,
    e.SendingLimited: _sending_limited,
    e.ConditionFound: _condition_found,
}
