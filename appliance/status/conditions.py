"""From facts to plain-language conditions with a severity and the remedy: one row each, shown everywhere.

A row's `find` gives the sentences that hold now (most rows: none or one). A new condition is a new row.
"""

from collections.abc import Callable
from dataclasses import dataclass

from .snapshot import Condition, DelayFacts, Snapshot

DAY_S = 86400
GUESSES_LATELY = 30
"""Wrong passwords within ten minutes that are no longer somebody's typing."""
FEW_OCTETS = 256 * 2**20
WORN_PERCENT = 90
DELAYED_S = 60
"""So long another server has put messages off before it is told: greylisting is over by then, most of the time."""
DOWN = frozenset({"unreachable", "lost", "no_answer", "tls", "sign_in", "dns", "no_route"})
"""Causes that speak of the relay itself, not of one message."""
REFUSED_LATELY_S = 3600
NAMED = 3
"""Destinations that are told one by one."""
FULL_OCTETS = 16 * 2**20
"""Twice the reserve that arriving mail may not use."""


@dataclass(frozen=True, slots=True)
class ConditionRow:
    key: str
    severity: str
    find: Callable[[Snapshot], list[str]]
    remedy: str | Callable[[Snapshot], str]


def conditions_of(s: Snapshot) -> tuple[Condition, ...]:
    """Every condition that holds, worst first."""
    return tuple(
        Condition(row.key, row.severity, sentence, row.remedy if isinstance(row.remedy, str) else row.remedy(s))
        for row in ROWS
        for sentence in row.find(s)
    )


def _found(key: str) -> Callable[[Snapshot], list[str]]:
    """The sentences that a part of the server published as `ConditionFound`."""
    return lambda s: [sentence for row in s.found if row.key == key for sentence in row.sentences]


def _mb(octets: int) -> str:
    return f"{octets / 1e9:.1f} GB" if octets >= 1e9 else f"{octets / 1e6:.0f} MB"


def _few(s: Snapshot) -> int:
    """Below this the card is nearly full: a twentieth of it, at least FEW_OCTETS, at most 2 GB."""
    return min(max(s.storage.total_octets // 20, FEW_OCTETS), 2 * 10**9)


def _card_full(s: Snapshot) -> list[str]:
    card = s.storage
    if card.trouble == "full" or (card.total_octets and card.free_octets < FULL_OCTETS):
        return ["The card is full: new messages are put off, reading and deleting go on."]
    return []


def _card_nearly_full(s: Snapshot) -> list[str]:
    card = s.storage
    if card.total_octets and FULL_OCTETS <= card.free_octets < _few(s) and card.trouble != "full":
        return [f"The card is nearly full: {_mb(card.free_octets)} of {_mb(card.total_octets)} are free."]
    return []


def _writer_broken(s: Snapshot) -> list[str]:
    text = f": {s.storage.trouble_text}" if s.storage.trouble_text else ""
    return [f"The card or its data cannot be written{text}."] if s.storage.trouble == "broken" else []


def _listeners_down(s: Snapshot) -> list[str]:
    return [f"Nobody is served at {row.protocol} port {row.port}: {row.reason}." for row in s.listeners if row.reason]


def _parts_down(s: Snapshot) -> list[str]:
    return [f"The part {row.part} failed and is being started again: {row.fault}." for row in s.parts if row.fault]


def _days_left(s: Snapshot) -> float | None:
    if not s.certificate.not_after_at or not s.clock_trusted:
        return None
    return (s.certificate.not_after_at - s.at) / DAY_S


def _certificate_over(s: Snapshot) -> list[str]:
    days = _days_left(s)
    return ["The certificate has ended: mail programs will warn or refuse."] if days is not None and days <= 0 else []


def _certificate_ending(s: Snapshot) -> list[str]:
    days = _days_left(s)
    return [f"The certificate ends in {days:.0f} days."] if days is not None and 0 < days < 14 else []


def _certificate_trouble(s: Snapshot) -> list[str]:
    if not s.certificate.trouble:
        return []
    instead = "the server shows one of its own meanwhile" if s.certificate.source == "server" else "the one before stays in use"
    return [f"A certificate cannot be used, {instead}: {s.certificate.trouble.rstrip('.')}."]


def _certificate_files(s: Snapshot) -> str:
    return s.certificate.remedy or "Look at the certificate and key files; they are read again when they change."


def _certificate_renewal(s: Snapshot) -> str:
    """What helps depends on whose certificate is in use."""
    if s.certificate.source == "server":
        return "Run `pillarbox certificate renew`; if its authority has ended, `pillarbox certificate new-authority`."
    return "Put a renewed one in place of the file; it is taken up by itself. Or take [certificate] out of the settings."


def _clock(s: Snapshot) -> list[str]:
    return [] if s.clock_trusted else ["The clock is not set yet: nothing is expired or refused by its date."]


def _guessing(s: Snapshot) -> list[str]:
    n = s.logins.failed_lately
    if n < GUESSES_LATELY:
        return []
    return [f"Somebody is guessing passwords: {n} wrong ones in ten minutes, from {s.logins.peers_lately} addresses."]


def _faults(s: Snapshot) -> list[str]:
    n = sum(row.failed for row in s.sessions)
    return [f"{n} sessions ended by a fault of the program."] if n else []


def _nobody(s: Snapshot) -> list[str]:
    return ["No people yet: every message is refused."] if s.accounts_known and not s.accounts else []


def _line_closed(s: Snapshot) -> list[str]:
    if s.line.route == "none" and (s.queue.waiting or s.line.port_25 == "blocked"):
        return [s.line.sentence]
    return []


def _stuck(s: Snapshot) -> list[str]:
    n = s.queue.stuck
    return [f"{n} {'message needs' if n == 1 else 'messages need'} you: waiting too long, or held."] if n else []


def _relay_down(s: Snapshot) -> list[str]:
    return [f"The relay {one.domain[1:]} takes no messages: {_sentence(one.reason)}" for one in s.delays if _is_relay(one)]


def _no_name_service(s: Snapshot) -> list[str]:
    rows = [one for one in s.delays if _is_dns(one)]
    others = f" and {len(rows) - 1} more" if len(rows) > 1 else ""
    return [f"The name service gives no answer for {rows[0].domain}{others}: {_sentence(rows[0].reason)}"] if rows else []


def _delayed(s: Snapshot) -> list[str]:
    rows = [one for one in s.delays if one.since_s >= DELAYED_S and not _is_relay(one) and not _is_dns(one)]
    told = [f"Messages {_to(one.domain)} wait: {_sentence(one.reason)}" for one in rows[:NAMED]]
    return told + ([f"Messages to {len(rows) - NAMED} more destinations wait."] if len(rows) > NAMED else [])


def _is_relay(one: DelayFacts) -> bool:
    return one.domain[:1] == "@" and one.cause in DOWN


def _is_dns(one: DelayFacts) -> bool:
    return one.cause == "dns" and one.domain[:1] != "@"


def _to(domain: str) -> str:
    return "for mailboxes here" if domain == "." else f"for the relay {domain[1:]}" if domain[:1] == "@" else f"to {domain}"


def _sentence(reason: str) -> str:
    return f"{reason.rstrip('.') or 'no reason is known'}."


def _mailbox_full(s: Snapshot) -> list[str]:
    """Mailboxes near their limit, and those for which a message was refused lately."""
    near = _found("mailbox-full")(s)
    lately = (row.recipient for row in s.refusals if "4.2.2" in row.reply and s.at - row.at < REFUSED_LATELY_S)
    refused = [who for who in dict.fromkeys(lately) if who and not any(who in sentence for sentence in near)]
    return near + [f"A message to {who} was put off lately: the mailbox had no room." for who in refused]


def _limited(s: Snapshot) -> list[str]:
    return [f"{who} has sent unusually much and is held back for a while." for who in s.limited]


def _no_network(s: Snapshot) -> list[str]:
    return [] if s.box.addresses or not s.box.host else ["The box has no address: no network is connected."]


def _wearing(s: Snapshot) -> list[str]:
    worn = s.storage.worn_percent
    return [f"The card says that {worn} % of its life is used up."] if worn >= WORN_PERCENT else []


def _damage(kind: str, sentence: str) -> Callable[[Snapshot], list[str]]:
    return lambda s: [sentence] if kind in dict(s.storage.damage) else []


def _bodies_aside(s: Snapshot) -> list[str]:
    n = s.storage.bodies_aside
    what = "1 message body is" if n == 1 else f"{n} message bodies are"
    return [f"{what} not in the database and kept aside for 30 days, in bodies/aside."] if n else []


def _phase(name: str, sentence: str) -> Callable[[Snapshot], list[str]]:
    return lambda s: [sentence] if s.phase == name else []


ROWS: tuple[ConditionRow, ...] = (
    ConditionRow("storage-broken", "critical", _writer_broken, "Back up; replace the card if this stays. `pillarbox check` looks at the data."),
    ConditionRow("bodies-missing", "critical", _found("bodies-missing"), "Put the missing files of DATA/bodies/kept back from a backup; "
        "`pillarbox check` says more."),
    ConditionRow("database-damaged", "critical", _damage("damaged", "A part of the database is damaged: some messages may not be readable."),
        "Bring out what can be read with `pillarbox export`, then restore a backup; `pillarbox check` says what is damaged."),
    ConditionRow("storage-full", "critical", _card_full, "Delete mail or use a larger card."),
    ConditionRow("listener-down", "critical", _listeners_down, "Another program may hold the port; it is tried again by itself."),
    ConditionRow("certificate-over", "critical", _certificate_over, _certificate_renewal),
    ConditionRow("part-down", "warning", _parts_down, "It is started again by itself; the journal says what went wrong."),
    ConditionRow("database-mended", "warning", _damage("mended", "An index of the database was damaged and has been made anew."),
        "Back up soon and think of a new card; `pillarbox check` looks at all of it."),
    ConditionRow("storage-low", "warning", _card_nearly_full, "Delete mail or use a larger card soon."),
    ConditionRow("storage-wearing", "warning", _wearing, "Export the mail to a new card soon: `pillarbox export`."),
    ConditionRow("no-network", "warning", _no_network, "See that the cable is plugged in, or that the box is in the wireless network."),
    ConditionRow("line-closed", "warning", _line_closed, "Set a relay in the settings, [[relay]]; waiting messages then leave by themselves."),
    ConditionRow("queue-stuck", "warning", _stuck, "See which with `pillarbox queue list`."),
    ConditionRow("relay-down", "warning", _relay_down, "Look at its name, port and password in the settings; it is tried again by itself."),
    ConditionRow("dns-down", "warning", _no_name_service, "Look at the network, or name others: sending.name_servers in the settings."),
    ConditionRow("mailbox-full", "warning", _mailbox_full, "Delete mail there, or give it more room: `pillarbox account set ADDRESS --quota-mb N`."),
    ConditionRow("sending-limited", "warning", _limited, "If that was not this person: `pillarbox account password ADDRESS` sets a new password."),
    ConditionRow("certificate-ending", "warning", _certificate_ending, _certificate_renewal),
    ConditionRow("certificate-trouble", "warning", _certificate_trouble, _certificate_files),
    ConditionRow("certificate-names", "warning", _found("certificate-names"), "To have a new one, which every device must then trust: "
        "`pillarbox certificate new-authority`."),
    ConditionRow("authority-trouble", "warning", _found("authority-trouble"), "To have a new one, which every device must then trust: "
        "`pillarbox certificate new-authority`."),
    ConditionRow("authority-new", "warning", _found("authority-new"), "Write it with `pillarbox certificate export --out FILE` and "
        "install it on each device."),
    ConditionRow("unsigned", "warning", _found("unsigned"), "Give the server's user its key files back, or take them away: new ones are made."),
    ConditionRow("console-shared", "warning", _found("console-shared"), "Stop it, a getty with `sudo systemctl disable --now "
        "serial-getty@LINE.service`, or take panel.console out of the settings."),
    ConditionRow("guessing", "warning", _guessing, "Nothing needs doing: guesses are slowed down. Long passwords are safe."),
    ConditionRow("bodies-aside", "notice", _bodies_aside, "If mail is missing, restore the newest copy of server.db; else nothing needs doing."),
    ConditionRow("clock", "notice", _clock, "Connect the box to the internet, or set the clock."),
    ConditionRow("queue-delayed", "notice", _delayed, "They are tried again by themselves. See `pillarbox queue list`."),
    ConditionRow("session-faults", "notice", _faults, "Please report the journal's lines about it."),
    ConditionRow("no-people", "notice", _nobody, "Add somebody: `pillarbox account add ADDRESS`."),
    ConditionRow("recovering", "notice", _phase("recovering", "Power was lost: the server puts its data in order."), "Wait a moment."),
    ConditionRow("updating", "notice", _phase("updating", "A new version is being put in place."), "Leave the plug in."),
    ConditionRow("starting", "notice", _phase("starting", "The server is starting."), "Wait a moment."),
    ConditionRow("draining", "notice", _phase("draining", "The server is closing: sessions are being ended."), "Wait a moment."),
)  # fmt: skip
