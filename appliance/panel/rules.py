"""What the LEDs show: one row for each meaning, most urgent first; an LED shows the first of its meanings that holds.

Problems are read from the conditions' keys, so LEDs, console and `pillarbox status` cannot disagree. Conditions that
need no action ("password-guessing", "session-failed") light no LED: an LED that always blinks is soon ignored.
A momentary meaning is shown for a few seconds when something `happened` between two snapshots.
"""

from collections.abc import Callable
from dataclasses import dataclass

from appliance.status.snapshot import Snapshot

SERVER, TROUBLE, MAIL = "server", "trouble", "mail"
GROUPS: tuple[tuple[str, str], ...] = (
    (SERVER, "The server itself: leave the plug in until it is safe"),
    (TROUBLE, "Something needs you"),
    (MAIL, "All is well"),
)
"""An LED can be limited to one of these; the texts are the headings of the printed card."""


def _never(before: Snapshot, now: Snapshot) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class LedRule:
    """`sentence` is for the printed card: what is the matter and what to do."""

    meaning: str
    group: str
    holds: Callable[[Snapshot], bool]
    sentence: str
    happened: Callable[[Snapshot, Snapshot], bool] = _never


def _phase(name: str) -> Callable[[Snapshot], bool]:
    return lambda s: s.phase == name


def _condition(*keys: str) -> Callable[[Snapshot], bool]:
    return lambda s: any(condition.key in keys for condition in s.conditions)


def _arrived(before: Snapshot, now: Snapshot) -> bool:
    return now.messages_arrived > before.messages_arrived


def _sent(before: Snapshot, now: Snapshot) -> bool:
    return before.queue.trying > 0 or now.messages_sent > before.messages_sent


RULES: tuple[LedRule, ...] = (
    LedRule("recovering", SERVER, _phase("recovering"), "Power was lost: the server checks its data."),
    LedRule("starting", SERVER, _phase("starting"), "The server is starting."),
    LedRule("updating", SERVER, _phase("updating"), "A new version is being installed."),
    LedRule("stopping", SERVER, _phase("draining"), "The server is stopping. Wait until it is safe."),
    LedRule("safe", SERVER, _phase("stopped"), "The server has stopped. The plug may be pulled."),
    LedRule(
        "storage", TROUBLE, _condition(
            "storage-error", "database-damaged", "bodies-missing", "storage-full", "database-repaired", "storage-low", "storage-worn",
            "storage-writes",
        ),
        "Storage is full or wearing out, or data is damaged.",
    ),
    LedRule(
        "broken", TROUBLE, _condition("listener-down", "task-down", "server-silent", "settings-error", "low-voltage", "too-hot"),
        "A part does not work, lacks power or is too hot.",
    ),
    LedRule("stuck", TROUBLE, _condition("queue-stuck"), "Messages cannot leave and need you."),
    LedRule(
        "certificate", TROUBLE, _condition(
            "certificate-expired", "certificate-expiring", "certificate-error", "certificate-names", "authority-error", "authority-new",
        ),
        "The certificate expires soon, or a new one does not fit.",
    ),
    LedRule(
        "network", TROUBLE, _condition("no-network", "outbound-blocked", "relay-down", "dns-down"),
        "No network, or messages cannot get out.",
    ),
    LedRule("clock", TROUBLE, _condition("clock-not-set"), "The clock is not set: connect the internet."),
    LedRule(
        "other", TROUBLE, _condition("sending-limited", "mailbox-full", "console-shared", "dkim-unsigned", "dkim-new", "no-accounts"),
        "Something else: look at the console.",
    ),
    LedRule("arrived", MAIL, lambda s: False, "Mail just arrived.", _arrived),
    LedRule("sending", MAIL, lambda s: s.queue.trying > 0, "A message is being sent.", _sent),
    LedRule("waiting", MAIL, lambda s: s.queue.waiting > 0, "Messages wait for their next try."),
    LedRule("ready", MAIL, _phase("ready"), "Ready."),
)  # fmt: skip
ALL: frozenset[str] = frozenset(rule.meaning for rule in RULES)


def meanings_of(s: Snapshot) -> tuple[str, ...]:
    """Every meaning that holds, most urgent first."""
    return tuple(rule.meaning for rule in RULES if rule.holds(s))


def moments(before: Snapshot, now: Snapshot) -> tuple[str, ...]:
    """What happened between two snapshots and is shown for a few seconds."""
    return tuple(rule.meaning for rule in RULES if rule.happened(before, now))


def shown_by(text: str) -> frozenset[str]:
    """The meanings of "all" or of groups and meanings with commas between; raises ValueError with a sentence."""
    found: set[str] = set()
    for word in text.split(","):
        of_group = {rule.meaning for rule in RULES if word in ("all", rule.group, rule.meaning)}
        if not of_group:
            known = ", ".join(["all", *(name for name, _ in GROUPS), *(rule.meaning for rule in RULES)])
            raise ValueError(f"An LED cannot show {word!r}; it can show {known}.")
        found |= of_group
    return frozenset(found)
