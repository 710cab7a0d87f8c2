"""The board's state to a snapshot with its conditions; loaded when somebody first asks for one."""

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any, TypeVar, get_type_hints

from appliance.mail.protocols import PROTOCOL_NAMES
from appliance.mail.sentence import Sentence

from .board_state import Attempt, BoardState
from .conditions import conditions_of
from .events import (
    AccountsState,
    CertificateState,
    CertificateTrouble,
    MessageFailed,
    MessageSent,
    OrphanedBodies,
    QueueState,
    ServerState,
    StateEvent,
    StorageState,
    StorageTrouble,
)
from .snapshot import (
    ArrivalFacts,
    AttemptFacts,
    CertificateFacts,
    DelayFacts,
    ListenerFacts,
    LoginFacts,
    QueueFacts,
    RefusalFacts,
    SessionFacts,
    Snapshot,
    StorageFacts,
    TaskFacts,
)

LATELY_S = 600
OVERDUE_S = 600.0
"""So long after its next attempt was due a delay says nothing any more: the message was cancelled, or takes another route."""

Row = TypeVar("Row")


def build_snapshot(state: BoardState, mono: float, kind: type[Snapshot] = Snapshot) -> Snapshot:
    """The snapshot at `mono` on the board's clock; `kind` may have more StateEvent fields than Snapshot."""
    accounts = state.state(AccountsState)
    facts: dict[str, Any] = dict(
        **_message_facts(state, mono),
        version=state.version,
        at=int(state.clock.wall_s()),
        phase=state.state(ServerState).phase,
        running_s=mono - state.started_mono,
        clock_trusted=state.clock.trusted(),
        clock_step_s=state.clock_step_s,
        utc_offset_s=state.clock.utc_offset_s(),
        accounts=accounts.accounts,
        domains=accounts.domains,
        accounts_known=AccountsState in state.latest,
        listeners=tuple(
            ListenerFacts(protocol, host, port, reason) for (protocol, host, port), reason in _in_order(state.listeners, lambda key: key[0])
        ),
        sessions=tuple(derive(SessionFacts, row, protocol=name) for name, row in _in_order(state.sessions, lambda name: name)),
        logins=_logins(state, mono),
        send_limited=tuple(state.limited),
        storage=_storage(state),
        certificate=_certificate(state),
        tasks=tuple(
            TaskFacts(task, crash.fault if crash else "", crashes, crash.restart_in_s if crash else 0.0)
            for task, (crashes, crash) in state.tasks.items()
        ),
        conditions_found=tuple(state.conditions_found.values()),
    )
    for name, hint in get_type_hints(kind).items():
        if name not in facts and isinstance(hint, type) and issubclass(hint, StateEvent):
            facts[name] = state.state(hint)
    bare = kind(**facts)
    return replace(bare, conditions=conditions_of(bare))


def derive(kind: Callable[..., Row], source: Any, **more: Any) -> Row:
    """A row of `kind` with the fields it has in common with the dataclass `source`, and `more`."""
    wanted = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    return kind(**{field.name: getattr(source, field.name) for field in fields(source) if field.name in wanted}, **more)


def _in_order(rows: dict[Any, Any], protocol: Callable[[Any], str]) -> list[tuple[Any, Any]]:
    def place(item: tuple[Any, Any]) -> int:
        name = protocol(item[0])
        return PROTOCOL_NAMES.index(name) if name in PROTOCOL_NAMES else len(PROTOCOL_NAMES)

    return sorted(rows.items(), key=place)


def _message_facts(state: BoardState, mono: float) -> dict[str, Any]:
    """What came in, what waits and what left, newest first."""
    return {
        "messages_accepted": state.accepted,
        "messages_arrived": state.arrived,
        "messages_refused": state.refused,
        "messages_octets": state.accepted_octets,
        "messages_sent": state.sent,
        "messages_failed": state.failed,
        "arrivals": tuple(derive(ArrivalFacts, event, at=int(at)) for at, event in reversed(state.arrivals)),
        "refusals": tuple(derive(RefusalFacts, event, at=int(at)) for at, event in reversed(state.refusals)),
        "attempts": tuple(_attempt(at, event) for at, event in reversed(state.attempts)),
        "queue": _queue(state, mono),
        "delays": tuple(
            derive(DelayFacts, one.event, since_s=mono - one.since_mono) for one in state.delays.values() if mono < one.due_mono + OVERDUE_S
        ),
    }


def _queue(state: BoardState, mono: float) -> QueueFacts:
    """Instants as the wall clock reads now, so that a step of it leaves no trace in them."""
    event = state.state(QueueState)
    seen_at = state.clock.wall_s() - (mono - state.state_mono(QueueState))
    return derive(
        QueueFacts,
        event,
        oldest_at=int(seen_at - event.oldest_s) if event.waiting or event.held else 0,
        next_attempt_at=int(seen_at + event.next_s) if event.next_s is not None else 0,
    )


def _attempt(at: float, event: Attempt) -> AttemptFacts:
    if isinstance(event, MessageSent):
        text = Sentence("%(host)s, %(tls)s", host=event.host, tls=event.tls or Sentence("not encrypted"))
        return derive(AttemptFacts, event, at=int(at), outcome="sent", text=text)
    outcome = "failed" if isinstance(event, MessageFailed) else "delayed"
    return derive(AttemptFacts, event, at=int(at), outcome=outcome, text=event.reason)


def _logins(state: BoardState, mono: float) -> LoginFacts:
    lately = [peer for at, peer in state.guesses if mono - at < LATELY_S]
    return LoginFacts(state.logins, state.failed_logins, len(lately), len(set(lately)))


def _storage(state: BoardState) -> StorageFacts:
    trouble = state.state(StorageTrouble)
    return derive(
        StorageFacts,
        state.state(StorageState),
        trouble=trouble.kind,
        trouble_text=trouble.text if trouble.kind else "",
        orphaned_bodies=state.state(OrphanedBodies).files,
        damage=tuple(state.damage.items()),
    )


def _certificate(state: BoardState) -> CertificateFacts:
    trouble = state.state(CertificateTrouble)
    return derive(CertificateFacts, state.state(CertificateState), trouble=trouble.reason, remedy=trouble.remedy)
