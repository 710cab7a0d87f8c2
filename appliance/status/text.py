"""A snapshot as short text and as JSON values, for `pillarbox status`, and back; instants and sizes for people.

Each line of the text is a Sentence: the label's column is part of it, so a translation keeps it.
"""

from time import gmtime, localtime, strftime
from typing import Any

from appliance.mail.sentence import Sentence, joined, keyed

from .plain import decode_plain, encode_plain
from .snapshot import Condition, SessionFacts, Snapshot
from .storage_life import life_text

PHASES = (
    Sentence("recovering"), Sentence("updating"), Sentence("starting"), Sentence("ready"), Sentence("draining"), Sentence("stopped"),
)  # fmt: skip
OUTCOMES = {"sent": Sentence("  sent      "), "delayed": Sentence("  delayed   "), "failed": Sentence("  failed    ")}
ISSUERS = (Sentence("server"), Sentence("own"))
"""Codes of a snapshot in words; `Sentence(code)` finds their translation."""


def encode_snapshot(snapshot: Snapshot) -> dict[str, Any]:
    """For `pillarbox status --json`; field names as in `Snapshot`."""
    plain: dict[str, Any] = encode_plain(snapshot)
    return plain


def decode_snapshot(facts: dict[str, Any], kind: type[Snapshot] = Snapshot) -> Snapshot:
    """The inverse of `encode_snapshot`; what this version does not know is left out. Raises TypeError when something is missing."""
    snapshot: Snapshot = decode_plain(kind, facts)
    return snapshot


def readable(snapshot: Snapshot) -> str:
    """Some twenty lines: what needs attention first, then the facts."""
    s = snapshot
    attention = [_attention(one) for one in s.conditions]
    lines: list[str] = [*attention] or [Sentence("All is well.")]
    lines.append(Sentence("state        %(phase)s, running for %(span)s", phase=Sentence(s.phase), span=_span(s.running_s)))
    at = ", ".join(s.domains) or Sentence("no domain")
    lines.append(Sentence("accounts     %(number)s at %(domains)s", number=s.accounts, domains=at))
    for row in s.listeners:
        down = Sentence("  DOWN: %(reason)s", reason=keyed(row.reason)) if row.reason else ""
        where = f"{row.protocol:<12} {row.address}"
        lines.append(Sentence("listening    %(where)s%(down)s", where=where, down=down))
    lines += [_sessions(one) for one in s.sessions]
    lines += _messages(s)
    lines.append(Sentence("signing in   %(times)s times, %(failed)s wrong passwords", times=s.logins.succeeded, failed=s.logins.failed))
    return joined(*lines, *_host(s), by="\n")


def _attention(one: Condition) -> str:
    return Sentence("%(severity)s: %(text)s", severity=one.severity.upper(), text=joined(keyed(one.sentence), keyed(one.remedy)))


def _sessions(one: SessionFacts) -> str:
    return Sentence(
        "sessions     %(protocol)s %(open)s open, %(opened)s so far, %(refused)s refused, %(failed)s failed",
        protocol=f"{one.protocol:<12}",
        open=one.open,
        opened=one.opened,
        refused=one.refused,
        failed=one.failed,
    )


def _messages(s: Snapshot) -> list[str]:
    """In, waiting and out, with the newest few of each."""

    def local(at: int) -> str:
        return stamp(at, s.utc_offset_s)

    octets = size(s.messages_octets)
    lines: list[str] = [
        Sentence(
            "messages     %(accepted)s accepted (%(size)s), %(refused)s refused since the start",
            accepted=s.messages_accepted,
            size=octets,
            refused=s.messages_refused,
        )
    ]
    for message in s.arrivals[:3]:
        came = {
            "time": local(message.at),
            "sender": message.sender or "<>",
            "protocol": message.protocol or Sentence("the server"),
            "size": size(message.octets),
        }
        lines.append(Sentence("  accepted   %(time)s from %(sender)s by %(protocol)s, %(size)s", **came))
    for refusal in s.refusals[:3]:
        to = Sentence(" to %(recipient)s", recipient=refusal.recipient) if refusal.recipient else ""
        refused = {"time": local(refusal.at), "sender": refusal.sender or "<>", "to": to, "reply": refusal.reply}
        lines.append(Sentence("  refused    %(time)s from %(sender)s%(to)s: %(reply)s", **refused))
    if s.outbound.sentence:
        lines.append(Sentence("outbound     %(text)s", text=keyed(s.outbound.sentence)))
    if s.queue.waiting or s.queue.held:
        soon = Sentence(", next try %(time)s", time=local(s.queue.next_attempt_at)) if s.queue.next_attempt_at else ""
        queue = {"waiting": s.queue.waiting, "held": s.queue.held, "time": local(s.queue.oldest_at), "soon": soon}
        lines.append(Sentence("queue        %(waiting)s waiting, %(held)s held, oldest since %(time)s%(soon)s", **queue))
    if s.messages_sent or s.messages_failed:
        sent = {"sent": s.messages_sent, "failed": s.messages_failed}
        lines.append(Sentence("sent         %(sent)s recipients, %(failed)s failed since the start", **sent))
    for one in s.attempts[:3]:
        attempt = {"time": local(one.at), "message": one.message, "to": one.destination, "text": keyed(one.text)}
        lines.append(joined(OUTCOMES.get(one.outcome, one.outcome), Sentence("%(time)s %(message)s to %(to)s: %(text)s", **attempt)))
    return lines


def _host(s: Snapshot) -> list[str]:
    """Storage, host, certificate and clock."""
    lines: list[str] = []
    storage, host, served = s.storage, s.host, s.certificate
    if storage.total_octets:
        octets = {"free": size(storage.free_octets), "total": size(storage.total_octets), "mail": size(storage.mail_octets)}
        written = {"written": size(host.written_octets_today), "life": _life(s)}
        facts = octets | written
        lines.append(Sentence("storage      %(free)s of %(total)s free, mail %(mail)s, %(written)s written today%(life)s", **facts))
    if host.name:
        heat = f", {host.temperature_c:.0f} C" if host.temperature_c is not None else ""
        addresses = ", ".join(host.addresses) or Sentence("no address")
        about = {"name": host.name, "addresses": addresses, "memory": size(host.memory_octets), "heat": heat}
        lines.append(Sentence("host         %(name)s at %(addresses)s, memory %(memory)s%(heat)s", **about))
    if served.names:
        until, issuer = stamp(served.not_after_at, s.utc_offset_s), Sentence(served.source) if served.source else ""
        names = ", ".join(served.names[:4])
        lines.append(Sentence("certificate  %(names)s, until %(time)s, issued by %(issuer)s", names=names, time=until, issuer=issuer))
    return [*lines, Sentence("clock        set") if s.clock_trusted else Sentence("clock        not set yet")]


def _life(s: Snapshot) -> str:
    life = life_text(s.storage.total_octets, s.host.written_octets_a_day)
    return Sentence(" (%(life)s)", life=life) if life else ""


def stamp(at: int, utc_offset_s: int | None = None, date: str = "%Y-%m-%d") -> str:
    """An instant for people, as a clock `utc_offset_s` seconds east of Greenwich shows it, with the name of its zone.

    None: as the clock of this process does. `date`: how dates are written (strftime; `Language.date`).
    """
    if utc_offset_s is None:
        utc_offset_s = localtime(at).tm_gmtoff
    return f"{strftime(f'{date} %H:%M', gmtime(max(0, at + utc_offset_s)))} {zone(utc_offset_s)}"


def zone(utc_offset_s: int) -> str:
    """ "UTC", "UTC+1", "UTC-3:30"."""
    hours, minutes = divmod(abs(utc_offset_s) // 60, 60)
    if not utc_offset_s:
        return "UTC"
    return f"UTC{'+' if utc_offset_s > 0 else '-'}{hours}{f':{minutes:02}' if minutes else ''}"


def size(octets: int) -> str:
    """For people, in units of a thousand."""
    for unit, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if octets >= unit:
            return f"{octets / unit:.1f} {name}"
    return f"{octets} bytes"


def _span(seconds: float) -> str:
    if seconds >= 2 * 86_400:
        return Sentence("%(number)s days", number=f"{seconds / 86_400:.0f}")
    if seconds >= 2 * 3600:
        return Sentence("%(number)s hours", number=f"{seconds / 3600:.0f}")
    if seconds >= 120:
        return Sentence("%(number)s minutes", number=f"{seconds / 60:.0f}")
    return Sentence("%(number)s seconds", number=f"{seconds:.0f}")
