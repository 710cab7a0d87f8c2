"""What one delivery attempt means for a queue entry: which recipients are deferred, which are final, when to try again. Pure.

| outcome of a recipient                         | becomes                                                                  |
|------------------------------------------------|--------------------------------------------------------------------------|
| not DEFERRED                                   | final                                                                    |
| FAILED for REPUTATION, and another route is left | deferred, at the other destination                                       |
| DEFERRED, waited `give_up_s`, no other route   | final: FAILED, 5.4.7 expired (RFC 3463 §3.5: 4.4.7 becomes permanent)    |
| DEFERRED                                       | deferred; past `warn_s` and for the first time: a delay DSN as well      |
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random

from appliance.mail.outcome import DsnAction, HostAttempt, Outcome, Reason

from .entry import LastAttempt, QueuedRecipient, QueueEntry
from .schedule import Intervals

OtherDestination = Callable[[QueueEntry, Sequence[Outcome], int], str | None]
"""`other_destination(entry, outcomes, refusals)`: where to send the deferred recipients instead; None to stay."""
REROUTED_S = 1.0
"""The interval before the attempt at another destination."""
_COUNTED = (Reason.REPUTATION, Reason.UNREACHABLE)


@dataclass(frozen=True, slots=True)
class AttemptResult:
    """`deferred` stay queued, `final` leave the queue, `delayed` get a delay DSN, each with its outcome.

    `wait_s` is the next interval, 0 when nothing is deferred; `refusals` counts attempts that failed for reasons another route
    may not meet.
    """

    entry: QueueEntry
    deferred: tuple[QueuedRecipient, ...]
    final: tuple[tuple[QueuedRecipient, Outcome], ...]
    delayed: tuple[tuple[QueuedRecipient, Outcome], ...]
    host_attempts: tuple[HostAttempt, ...]
    destination: str
    wait_s: float
    refusals: int


def stay(entry: QueueEntry, outcomes: Sequence[Outcome], refusals: int) -> str | None:
    """The OtherDestination of a queue without alternatives."""
    return None


def evaluate(
    entry: QueueEntry,
    outcomes: Sequence[Outcome],
    host_attempts: Sequence[HostAttempt],
    other_destination: OtherDestination,
    intervals: Intervals,
    random: Random,
) -> AttemptResult:
    """The result of an attempt with one outcome for each recipient, in order. `random` spreads the interval."""
    refusals = entry.refusals + any(one.reason in _COUNTED for one in outcomes)
    destination = other_destination(entry, outcomes, refusals)
    moved = destination is not None and destination != entry.destination
    waited_s = entry.waited_s + entry.interval_s
    over = waited_s >= intervals.give_up_s and not moved
    deferred: list[QueuedRecipient] = []
    final: list[tuple[QueuedRecipient, Outcome]] = []
    delayed: list[tuple[QueuedRecipient, Outcome]] = []
    for waiting, outcome in zip(entry.waiting, outcomes, strict=True):
        if moved and outcome.action is DsnAction.FAILED and outcome.reason is Reason.REPUTATION:
            outcome = replace(outcome, action=DsnAction.DEFERRED)
        if outcome.action is not DsnAction.DEFERRED:
            final.append((waiting, outcome))
        elif over:
            final.append((waiting, expired(outcome)))
        else:
            deferred.append(QueuedRecipient(waiting.recipient, last_attempt(outcome)))
            if waited_s >= intervals.warn_s and not entry.delay_sent:
                delayed.append((waiting, outcome))
    wait_s = 0.0
    if deferred:
        wait_s = REROUTED_S if moved else intervals.after(waited_s, random)
    place = destination if moved and destination else entry.destination
    return AttemptResult(entry, tuple(deferred), tuple(final), tuple(delayed), tuple(host_attempts), place, wait_s, refusals)


def expired(outcome: Outcome) -> Outcome:
    return replace(outcome, action=DsnAction.FAILED, status="5.4.7", reason=Reason.EXPIRED)


def last_attempt(outcome: Outcome) -> LastAttempt:
    return LastAttempt(outcome.status, outcome.reason.name, outcome.text, outcome.host, str(outcome.reply) if outcome.reply else "")
