"""The board's facts to a snapshot with its conditions; loaded when somebody first asks."""

from dataclasses import replace

from .board import LATELY_S, Board
from .conditions import conditions_of
from .events import MessageDelayed, MessageFailed, MessageSent
from .snapshot import (
    CertificateFacts,
    DelayFacts,
    DeliveryFacts,
    FoundFacts,
    HostFacts,
    ListenerFacts,
    LoginFacts,
    OutboundFacts,
    PartFacts,
    QueueFacts,
    RefusalFacts,
    SendingFacts,
    SessionFacts,
    Snapshot,
    StorageFacts,
)

PROTOCOLS = ("smtp", "submission", "submissions", "imap", "imaps", "pop3", "pop3s")
"""The order sessions are shown in."""


OVERDUE_S = 600.0
"""So long after its next attempt was due a delay says nothing any more: the message was cancelled, or takes another route."""


def draw(board: Board, mono: float) -> Snapshot:
    """The picture at `mono` on the board's clock."""
    lately = [peer for at, peer in board.guesses if mono - at < LATELY_S]
    bad = board.certificate_trouble
    accounts, storage, trouble, served, box = board.accounts, board.storage, board.storage_trouble, board.certificate, board.box
    bare = Snapshot(
        version=board.version,
        at=int(board.clock.wall_s()),
        phase=board.phase,
        running_s=mono - board.started_mono,
        clock_trusted=board.clock.trusted(),
        clock_step_s=board.clock_step_s,
        accounts=accounts.accounts if accounts else 0,
        domains=accounts.domains if accounts else (),
        accounts_known=accounts is not None,
        listeners=tuple(
            ListenerFacts(*key, reason) for key, reason in sorted(board.listeners.items(), key=lambda item: _place(item[0][0]))
        ),
        sessions=tuple(
            SessionFacts(name, row.open, row.opened, row.refused, row.failed, row.octets_in, row.octets_out)
            for name, row in sorted(board.sessions.items(), key=lambda item: _place(item[0]))
        ),
        logins=LoginFacts(board.logins, board.wrong, len(lately), len(set(lately))),
        messages_accepted=board.accepted,
        messages_arrived=board.arrived,
        messages_refused=board.refused,
        messages_octets=board.octets,
        deliveries=tuple(
            DeliveryFacts(int(at), e.protocol, e.peer, e.sender, e.recipients, e.octets, e.duration_s, e.message)
            for at, e in reversed(board.deliveries)
        ),
        refusals=tuple(RefusalFacts(int(at), e.protocol, e.peer, e.sender, e.recipient, e.reply) for at, e in reversed(board.refusals)),
        queue=_queue(board, mono),
        messages_sent=board.sent,
        messages_failed=board.failed,
        sendings=tuple(_sending(at, e) for at, e in reversed(board.sendings)),
        line=OutboundFacts(board.line.port_25, board.line.route, board.line.sentence),
        limited=tuple(board.limited),
        storage=StorageFacts(
            storage.free_octets,
            storage.total_octets,
            storage.mail_octets,
            trouble.kind,
            trouble.text if trouble.kind else "",
            storage.worn_percent,
            board.bodies_aside,
            tuple(board.storage_damage.items()),
        ),
        certificate=CertificateFacts(served.names, served.not_after_at, served.source, bad.reason, bad.remedy),
        parts=tuple(
            PartFacts(part, crash.fault if crash else "", crashes, crash.restart_in_s if crash else 0.0)
            for part, (crashes, crash) in board.parts.items()
        ),
        box=HostFacts(box.host, box.addresses, box.memory_octets, box.temperature_c, box.written_octets_today),
        utc_offset_s=board.clock.utc_offset_s(),
        found=tuple(FoundFacts(key, sentences) for key, sentences in board.found.items()),
        delays=tuple(
            DelayFacts(e.domain, e.cause, e.reason, mono - since) for since, due, e in board.delays.values() if mono < due + OVERDUE_S
        ),
    )
    return replace(bare, conditions=conditions_of(bare))


def _queue(board: Board, mono: float) -> QueueFacts:
    """Instants are told as the wall clock reads now, so that a step of it leaves no trace in them."""
    e, now = board.queue, board.clock.wall_s()
    seen_at = now - (mono - board.queue_at_mono)
    oldest_at = int(seen_at - e.oldest_s) if e.waiting or e.held else 0
    next_try_at = int(seen_at + e.next_s) if e.next_s is not None else 0
    return QueueFacts(e.waiting, e.held, e.trying, e.stuck, e.destinations, oldest_at, next_try_at)


def _sending(at: float, e: MessageSent | MessageDelayed | MessageFailed) -> SendingFacts:
    if isinstance(e, MessageSent):
        return SendingFacts(int(at), "sent", e.message, e.domain, e.recipients, f"{e.host}, {e.tls or 'not encrypted'}")
    what = "failed" if isinstance(e, MessageFailed) else "delayed"
    return SendingFacts(int(at), what, e.message, e.domain, e.recipients, e.reason)


def _place(protocol: str) -> int:
    return PROTOCOLS.index(protocol) if protocol in PROTOCOLS else len(PROTOCOLS)
