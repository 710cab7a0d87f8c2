"""A snapshot as short text and as JSON values, for `pillarbox status`, and back; instants and sizes for people."""

from time import gmtime, localtime, strftime
from typing import Any

from .plain import decode_plain, encode_plain
from .snapshot import Snapshot
from .storage_life import life_text


def encode_snapshot(snapshot: Snapshot) -> dict[str, Any]:
    """For `pillarbox status --json`; field names as in `Snapshot`."""
    plain: dict[str, Any] = encode_plain(snapshot)
    return plain


def decode_snapshot(facts: dict[str, Any], kind: type[Snapshot] = Snapshot) -> Snapshot:
    """The inverse of `encode_snapshot`; what this version does not know is left out. Raises TypeError when something is missing."""
    snapshot: Snapshot = decode_plain(kind, facts)
    return snapshot


def readable(snapshot: Snapshot) -> str:
    """Some twenty lines: what needs attention first, then the facts. Ends with a line end."""
    s = snapshot
    lines = [f"{c.severity.upper()}: {c.sentence} {c.remedy}" for c in s.conditions] or ["All is well."]
    lines.append(f"state        {s.phase}, running for {_span(s.running_s)}")
    lines.append(f"accounts     {s.accounts} at {', '.join(s.domains) or 'no domain'}")
    for row in s.listeners:
        lines.append(f"listening    {row.protocol:<12} {row.address}{f'  DOWN: {row.reason}' if row.reason else ''}")
    for one in s.sessions:
        lines.append(f"sessions     {one.protocol:<12} {one.open} open, {one.opened} so far, {one.refused} refused, {one.failed} failed")
    lines += _messages(s)
    lines.append(f"signing in   {s.logins.succeeded} times, {s.logins.failed} wrong passwords")
    return "\n".join([*lines, *_host(s)]) + "\n"


def _messages(s: Snapshot) -> list[str]:
    """In, waiting and out, with the newest few of each."""

    def local(at: int) -> str:
        return stamp(at, s.utc_offset_s)

    lines = [f"messages     {s.messages_accepted} accepted ({size(s.messages_octets)}), {s.messages_refused} refused since the start"]
    for message in s.arrivals[:3]:
        lines.append(f"  accepted   {local(message.at)} from {message.sender or '<>'} by {message.protocol}, {size(message.octets)}")
    for refusal in s.refusals[:3]:
        to = f" to {refusal.recipient}" if refusal.recipient else ""
        lines.append(f"  refused    {local(refusal.at)} from {refusal.sender or '<>'}{to}: {refusal.reply}")
    if s.outbound.sentence:
        lines.append(f"outbound     {s.outbound.sentence}")
    if s.queue.waiting or s.queue.held:
        soon = f", next try {local(s.queue.next_attempt_at)}" if s.queue.next_attempt_at else ""
        lines.append(f"queue        {s.queue.waiting} waiting, {s.queue.held} held, oldest since {local(s.queue.oldest_at)}{soon}")
    if s.messages_sent or s.messages_failed:
        lines.append(f"sent         {s.messages_sent} recipients, {s.messages_failed} failed since the start")
    for one in s.attempts[:3]:
        lines.append(f"  {one.outcome:<10} {local(one.at)} {one.message} to {one.destination}: {one.text}")
    return lines


def _host(s: Snapshot) -> list[str]:
    """Storage, host, certificate and clock."""
    lines = []
    storage, host, served = s.storage, s.host, s.certificate
    if storage.total_octets:
        space = f"{size(storage.free_octets)} of {size(storage.total_octets)} free, mail {size(storage.mail_octets)}"
        lines.append(f"storage      {space}, {size(host.written_octets_today)} written today{_life(s)}")
    if host.name:
        heat = f", {host.temperature_c:.0f} C" if host.temperature_c is not None else ""
        lines.append(f"host         {host.name} at {', '.join(host.addresses) or 'no address'}, memory {size(host.memory_octets)}{heat}")
    if served.names:
        lines.append(
            f"certificate  {', '.join(served.names[:4])}, until {stamp(served.not_after_at, s.utc_offset_s)}, issued by {served.source}"
        )
    return [*lines, f"clock        {'set' if s.clock_trusted else 'not set yet'}"]


def _life(s: Snapshot) -> str:
    life = life_text(s.storage.total_octets, s.host.written_octets_a_day)
    return f" ({life})" if life else ""


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
    for unit, name in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.0f} seconds"
