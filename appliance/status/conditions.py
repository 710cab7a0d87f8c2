"""Conditions: facts of a snapshot that somebody should know of, in plain language with a severity and the remedy; shown everywhere.

A row's `find` gives the sentences that hold now (most rows: none or one). A new condition is a new row. The keys are stable: scripts
and the rules of the LEDs rely on them.
"""

from collections.abc import Callable
from dataclasses import dataclass

from appliance.mail.sentence import Sentence

from .snapshot import Condition, DelayFacts, Snapshot
from .storage_life import SHORT_YEARS, life_text, life_years

DAY_S = 86400
GUESSES_LATELY = 30
"""Failed logins within ten minutes that are no longer typing errors."""
FEW_OCTETS = 256 * 2**20
WORN_PERCENT = 90
HOT_C = 80.0
"""From here on every Raspberry Pi slows down (85 is its limit)."""
DELAYED_S = 60
"""A delay is reported when it lasts longer than this: greylisting is over by then, most of the time."""
DOWN = frozenset({"unreachable", "lost", "no_answer", "tls", "sign_in", "dns", "no_route"})
"""Causes of a delay that concern the relay itself, not one message."""
REFUSED_LATELY_S = 3600
NAMED = 3
"""Destinations that are listed one by one."""
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
    return lambda s: [sentence for row in s.conditions_found if row.key == key for sentence in row.sentences]


def _mb(octets: int) -> str:
    return f"{octets / 1e9:.1f} GB" if octets >= 1e9 else f"{octets / 1e6:.0f} MB"


def _few(s: Snapshot) -> int:
    """Below this the storage is nearly full: a twentieth of it, at least FEW_OCTETS, at most 2 GB."""
    return min(max(s.storage.total_octets // 20, FEW_OCTETS), 2 * 10**9)


def _storage_full(s: Snapshot) -> list[str]:
    storage = s.storage
    if storage.trouble == "full" or (storage.total_octets and storage.free_octets < FULL_OCTETS):
        return [Sentence("The storage is full: new messages are deferred, reading and deleting go on.")]
    return []


def _storage_low(s: Snapshot) -> list[str]:
    storage = s.storage
    if storage.total_octets and FULL_OCTETS <= storage.free_octets < _few(s) and storage.trouble != "full":
        free, total = _mb(storage.free_octets), _mb(storage.total_octets)
        return [Sentence("The storage is nearly full: %(free)s of %(total)s are free.", free=free, total=total)]
    return []


def _storage_broken(s: Snapshot) -> list[str]:
    if s.storage.trouble != "broken":
        return []
    if not s.storage.trouble_text:
        return [Sentence("The storage or the database cannot be written.")]
    return [Sentence("The storage or the database cannot be written: %(reason)s", reason=_sentence(s.storage.trouble_text))]


def _listeners_down(s: Snapshot) -> list[str]:
    return [
        Sentence(
            "The %(protocol)s port %(port)s is not open: %(reason)s", protocol=row.protocol, port=row.port, reason=_sentence(row.reason)
        )
        for row in s.listeners
        if row.reason
    ]


def _tasks_down(s: Snapshot) -> list[str]:
    return [
        Sentence("The task %(task)s failed and is being started again: %(fault)s.", task=row.task, fault=row.fault)
        for row in s.tasks
        if row.fault
    ]


def _days_left(s: Snapshot) -> float | None:
    if not s.certificate.not_after_at or not s.clock_trusted:
        return None
    return (s.certificate.not_after_at - s.at) / DAY_S


def _certificate_expired(s: Snapshot) -> list[str]:
    days = _days_left(s)
    return [Sentence("The certificate has expired: mail programs will warn or refuse.")] if days is not None and days <= 0 else []


def _certificate_expiring(s: Snapshot) -> list[str]:
    days = _days_left(s)
    if days is None or not 0 < days < 14:
        return []
    return [Sentence.counted("The certificate expires in %(number)s day.", "The certificate expires in %(number)s days.", round(days))]


def _certificate_trouble(s: Snapshot) -> list[str]:
    if not s.certificate.trouble:
        return []
    trouble = _sentence(s.certificate.trouble)
    if s.certificate.source == "server":
        return [Sentence("A certificate cannot be used, the server uses one of its own meanwhile: %(trouble)s", trouble=trouble)]
    return [Sentence("A certificate cannot be used, the previous one stays in use: %(trouble)s", trouble=trouble)]


def _certificate_files(s: Snapshot) -> str:
    return s.certificate.remedy or Sentence("Look at the certificate and key files; they are read again when they change.")


def _certificate_renewal(s: Snapshot) -> str:
    """What helps depends on who issued the certificate in use."""
    if s.certificate.source == "server":
        return Sentence("Run `pillarbox certificate renew`; if its authority has expired, `pillarbox certificate new-authority`.")
    return Sentence("Put a renewed one in place of the file; it is used without a restart. Or take [certificate] out of the settings.")


def _clock(s: Snapshot) -> list[str]:
    return [] if s.clock_trusted else [Sentence("The clock is not set yet: nothing expires or is refused because of its date.")]


def _guessing(s: Snapshot) -> list[str]:
    n = s.logins.failed_lately
    if n < GUESSES_LATELY:
        return []
    peers = s.logins.peers_lately
    return [Sentence("Somebody is guessing passwords: %(n)s wrong ones in ten minutes, from %(peers)s addresses.", n=n, peers=peers)]


def _session_failures(s: Snapshot) -> list[str]:
    n = sum(row.failed for row in s.sessions)
    if not n:
        return []
    return [
        Sentence.counted(
            "%(number)s session was ended by an error of the server.", "%(number)s sessions were ended by an error of the server.", n
        )
    ]


def _no_accounts(s: Snapshot) -> list[str]:
    return [Sentence("There are no accounts yet: every message is refused.")] if s.accounts_known and not s.accounts else []


def _outbound_blocked(s: Snapshot) -> list[str]:
    if s.outbound.route == "none" and (s.queue.waiting or s.outbound.port_25 == "blocked"):
        return [s.outbound.sentence]
    return []


def _stuck(s: Snapshot) -> list[str]:
    n = s.queue.stuck
    if not n:
        return []
    return [
        Sentence.counted(
            "%(number)s message needs you: waiting too long, or held.", "%(number)s messages need you: waiting too long, or held.", n
        )
    ]


def _relay_down(s: Snapshot) -> list[str]:
    return [
        Sentence("The relay %(relay)s accepts no messages: %(reason)s", relay=one.destination[1:], reason=_sentence(one.reason))
        for one in s.delays
        if _is_relay(one)
    ]


def _dns_down(s: Snapshot) -> list[str]:
    rows = [one for one in s.delays if _is_dns(one)]
    if not rows:
        return []
    domain, reason = rows[0].destination, _sentence(rows[0].reason)
    if len(rows) == 1:
        return [Sentence("DNS gives no answer for %(domain)s: %(reason)s", domain=domain, reason=reason)]
    return [Sentence("DNS gives no answer for %(domain)s and %(more)s more: %(reason)s", domain=domain, more=len(rows) - 1, reason=reason)]


def _delayed(s: Snapshot) -> list[str]:
    rows = [one for one in s.delays if one.since_s >= DELAYED_S and not _is_relay(one) and not _is_dns(one)]
    sentences = [_waits(one.destination, _sentence(one.reason)) for one in rows[:NAMED]]
    more = len(rows) - NAMED
    if more > 0:
        sentences.append(
            Sentence.counted("Messages to %(number)s more destination wait.", "Messages to %(number)s more destinations wait.", more)
        )
    return sentences


def _is_relay(one: DelayFacts) -> bool:
    return one.destination[:1] == "@" and one.cause in DOWN


def _is_dns(one: DelayFacts) -> bool:
    return one.cause == "dns" and one.destination[:1] != "@"


def _waits(destination: str, reason: str) -> str:
    if destination == ".":
        return Sentence("Messages for mailboxes here wait: %(reason)s", reason=reason)
    if destination[:1] == "@":
        return Sentence("Messages for the relay %(relay)s wait: %(reason)s", relay=destination[1:], reason=reason)
    return Sentence("Messages to %(domain)s wait: %(reason)s", domain=destination, reason=reason)


def _sentence(reason: str) -> str:
    """With a full stop."""
    if not reason:
        return Sentence("no reason is known.")
    return reason if reason.endswith(".") else Sentence("%(text)s.", text=reason)


def _mailbox_full(s: Snapshot) -> list[str]:
    """Mailboxes near their limit, and those for which a message was refused lately."""
    near = _found("mailbox-full")(s)
    lately = (row.recipient for row in s.refusals if "4.2.2" in row.reply and s.at - row.at < REFUSED_LATELY_S)
    refused = [address for address in dict.fromkeys(lately) if address and not any(address in sentence for sentence in near)]
    return near + [Sentence("A message to %(address)s was deferred lately: the mailbox had no room.", address=one) for one in refused]


def _limited(s: Snapshot) -> list[str]:
    return [Sentence("%(account)s has sent unusually much and may not send for a while.", account=account) for account in s.send_limited]


def _no_network(s: Snapshot) -> list[str]:
    return [] if s.host.addresses or not s.host.name else [Sentence("The box has no IP address: no network is connected.")]


def _storage_worn(s: Snapshot) -> list[str]:
    worn = s.storage.worn_percent
    return [Sentence("The SD card reports that %(worn)s %% of its life is used up.", worn=worn)] if worn >= WORN_PERCENT else []


def _storage_writes(s: Snapshot) -> list[str]:
    years, rate = life_years(s.storage.total_octets, s.host.written_octets_a_day), s.host.written_octets_a_day
    if years is None or years >= SHORT_YEARS:
        return []
    life = life_text(s.storage.total_octets, rate)
    return [Sentence("%(rate)s a day are written to the storage: %(life)s, if it is an SD card.", rate=_mb(rate), life=life)]


def _low_voltage(s: Snapshot) -> list[str]:
    weak = Sentence("The power supply is too weak: the board was short of voltage within the last hour.")
    return [weak] if s.host.low_voltage else []


def _hot(s: Snapshot) -> list[str]:
    heat = s.host.temperature_c
    if heat is None or heat < HOT_C:
        return []
    return [Sentence("The board is %(degrees)s °C hot and slows itself down.", degrees=f"{heat:.0f}")]


def _damage(kind: str, sentence: str) -> Callable[[Snapshot], list[str]]:
    return lambda s: [sentence] if kind in dict(s.storage.damage) else []


def _bodies_orphaned(s: Snapshot) -> list[str]:
    n = s.storage.orphaned_bodies
    if not n:
        return []
    return [
        Sentence.counted(
            "%(number)s message body is not in the database and kept aside for 30 days, in bodies/aside.",
            "%(number)s message bodies are not in the database and kept aside for 30 days, in bodies/aside.",
            n,
        )
    ]


def _phase(name: str, sentence: str) -> Callable[[Snapshot], list[str]]:
    return lambda s: [sentence] if s.phase == name else []


ROWS: tuple[ConditionRow, ...] = (
    ConditionRow("storage-error", "critical", _storage_broken,
        "Back up; replace the storage if this stays. `pillarbox check` looks at the data."),
    ConditionRow("bodies-missing", "critical", _found("bodies-missing"), "Put the missing files of DATA/bodies/kept back from a backup; "
        "`pillarbox check` says more."),
    ConditionRow("database-damaged", "critical",
        _damage("damaged", "A part of the database is damaged: some messages may not be readable."),
        "Save what can be read with `pillarbox export`, then restore a backup; `pillarbox check` says what is damaged."),
    ConditionRow("storage-full", "critical", _storage_full, "Delete mail or use larger storage."),
    ConditionRow("listener-down", "critical", _listeners_down, "Another program may hold the port; it is tried again automatically."),
    ConditionRow("certificate-expired", "critical", _certificate_expired, _certificate_renewal),
    ConditionRow("task-down", "warning", _tasks_down, "It is started again automatically; the journal says what went wrong."),
    ConditionRow("database-repaired", "warning", _damage("repaired", "An index of the database was damaged and has been rebuilt."),
        "Back up soon and consider new storage; `pillarbox check` looks at all of it."),
    ConditionRow("storage-low", "warning", _storage_low, "Delete mail or use larger storage soon."),
    ConditionRow("storage-worn", "warning", _storage_worn, "Export the mail to a new card soon: `pillarbox export`."),
    ConditionRow("storage-writes", "warning", _storage_writes, "Look for a program beside Pillarbox that writes; export the mail in time."),
    ConditionRow("low-voltage", "warning", _low_voltage, "Use the power supply made for this board, and a short, thick cable."),
    ConditionRow("too-hot", "warning", _hot, "Give it air, a larger case or a heat sink."),
    ConditionRow("settings-error", "warning", _found("settings-error"), "Correct pillarbox.toml on the card's first partition; "
        "pillarbox-errors.txt beside it says the same. Until then the settings before it are used."),
    ConditionRow("no-network", "warning", _no_network,
        "Check that the cable is plugged in, or that the box has joined the wireless network."),
    ConditionRow("outbound-blocked", "warning", _outbound_blocked,
        "Set a relay in the settings, [[relay]]; waiting messages then leave automatically."),
    ConditionRow("queue-stuck", "warning", _stuck, "See which with `pillarbox queue list`."),
    ConditionRow("relay-down", "warning", _relay_down,
        "Check its name, port and password in the settings; it is tried again automatically."),
    ConditionRow("dns-down", "warning", _dns_down, "Check the network, or set other name servers: sending.name_servers in the settings."),
    ConditionRow("mailbox-full", "warning", _mailbox_full,
        "Delete mail there, or give it more room: `pillarbox account set ADDRESS --quota-mb N`."),
    ConditionRow("sending-limited", "warning", _limited,
        "If that was not the user: `pillarbox account password ADDRESS` sets a new password."),
    ConditionRow("certificate-expiring", "warning", _certificate_expiring, _certificate_renewal),
    ConditionRow("certificate-error", "warning", _certificate_trouble, _certificate_files),
    ConditionRow("certificate-names", "warning", _found("certificate-names"), "To have a new one, which every device must then trust: "
        "`pillarbox certificate new-authority`."),
    ConditionRow("authority-error", "warning", _found("authority-error"), "To have a new one, which every device must then trust: "
        "`pillarbox certificate new-authority`."),
    ConditionRow("authority-new", "warning", _found("authority-new"), "Write it with `pillarbox certificate export --out FILE` and "
        "install it on each device."),
    ConditionRow("dkim-unsigned", "warning", _found("dkim-unsigned"),
        "Give the server's user its key files back, or take them away: new ones are made."),
    ConditionRow("dkim-new", "warning", _found("dkim-new"), "Publish the records of `pillarbox domain records`, or put DATA/dkim back "
        "from a backup and start again."),
    ConditionRow("console-shared", "warning", _found("console-shared"), "Stop it, a getty with `sudo systemctl disable --now "
        "serial-getty@LINE.service`, or take panel.console out of the settings."),
    ConditionRow("password-guessing", "warning", _guessing, "Nothing needs doing: guesses are slowed down. Long passwords are safe."),
    ConditionRow("bodies-orphaned", "notice", _bodies_orphaned,
        "If mail is missing, restore the newest copy of the database; otherwise nothing needs doing."),
    ConditionRow("clock-not-set", "notice", _clock, "Connect the box to the internet, or set the clock."),
    ConditionRow("queue-delayed", "notice", _delayed, "They are tried again automatically. See `pillarbox queue list`."),
    ConditionRow("session-failed", "notice", _session_failures, "Please report what the journal says about it."),
    ConditionRow("no-accounts", "notice", _no_accounts, "Add one: `pillarbox account add ADDRESS`."),
    ConditionRow("recovering", "notice", _phase("recovering", "Power was lost: the server checks its data."), "Wait a moment."),
    ConditionRow("updating", "notice", _phase("updating", "A new version is being installed."), "Leave the plug in."),
    ConditionRow("starting", "notice", _phase("starting", "The server is starting."), "Wait a moment."),
    ConditionRow("draining", "notice", _phase("draining", "The server is shutting down: sessions are being ended."), "Wait a moment."),
)  # fmt: skip
