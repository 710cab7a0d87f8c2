"""A snapshot as short text for people and as what JSON can say, for `pillarbox status`."""

from time import gmtime, localtime, strftime
from typing import Any

from .plain import encode_plain
from .snapshot import Snapshot


def encode_snapshot(snapshot: Snapshot) -> dict[str, Any]:
    """For `pillarbox status --json`; field names as in `Snapshot`."""
    plain: dict[str, Any] = encode_plain(snapshot)
    return plain


def readable(snapshot: Snapshot) -> str:
    """Some twenty lines: what needs attention first, then the facts. Ends with a line end."""
    s = snapshot
    lines = []

    def local(at: int) -> str:
        return stamp(at, s.utc_offset_s)

    for c in s.conditions:
        lines.append(f"{c.severity.upper()}: {c.sentence} {c.remedy}")
    if not s.conditions:
        lines.append("All is well.")
    lines.append(f"state        {s.phase}, running for {_span(s.running_s)}")
    lines.append(f"people       {s.accounts} at {', '.join(s.domains) or 'no domain'}")
    for listening_socket in s.listeners:
        lines.append(
            f"listening    {listening_socket.protocol:<12} {listening_socket.where}{f'  DOWN: {listening_socket.reason}' if listening_socket.reason else ''}"
        )
    for row in s.sessions:
        lines.append(f"sessions     {row.protocol:<12} {row.open} open, {row.opened} so far, {row.refused} refused, {row.failed} failed")
    lines.append(f"messages      {s.messages_accepted} accepted ({size(s.messages_octets)}), {s.messages_refused} refused since the start")
    for message in s.deliveries[:3]:
        lines.append(f"  accepted   {local(message.at)} from {message.sender or '<>'} by {message.protocol}, {size(message.octets)}")
    for refusal in s.refusals[:3]:
        to = f" to {refusal.recipient}" if refusal.recipient else ""  # refused before anybody was named
        lines.append(f"  refused    {local(refusal.at)} from {refusal.sender or '<>'}{to}: {refusal.reply}")
    if s.line.sentence:
        lines.append(f"way out      {s.line.sentence}")
    if s.queue.waiting or s.queue.held:
        soon = f", next try {local(s.queue.next_try_at)}" if s.queue.next_try_at else ""
        lines.append(f"queue        {s.queue.waiting} waiting, {s.queue.held} held, oldest since {local(s.queue.oldest_at)}{soon}")
    if s.messages_sent or s.messages_failed:
        lines.append(f"sent         {s.messages_sent} recipients, {s.messages_failed} failed since the start")
    for one in s.sendings[:3]:
        lines.append(f"  {one.what:<10} {local(one.at)} {one.message} to {one.domain}: {one.text}")
    lines.append(f"signing in   {s.logins.succeeded} times, {s.logins.failed} wrong passwords")
    card, box = s.storage, s.box
    if card.total_octets:
        space = f"{size(card.free_octets)} of {size(card.total_octets)} free, mail {size(card.mail_octets)}"
        lines.append(f"card         {space}, {size(box.written_octets_today)} written today")
    if box.host:
        heat = f", {box.temperature_c:.0f} C" if box.temperature_c is not None else ""
        lines.append(f"box          {box.host} at {', '.join(box.addresses) or 'no address'}, memory {size(box.memory_octets)}{heat}")
    if s.certificate.names:
        served = s.certificate
        lines.append(f"certificate  {', '.join(served.names[:4])}, until {local(served.not_after_at)}, made by {served.source}")
    lines.append(f"clock        {'set' if s.clock_trusted else 'not set yet'}")
    return "\n".join(lines) + "\n"


def stamp(at: int, utc_offset_s: int | None = None) -> str:
    """An instant for people, as a clock `utc_offset_s` seconds east of Greenwich shows it, with the name of its zone.

    None: as the clock of this process does.
    """
    if utc_offset_s is None:
        utc_offset_s = localtime(at).tm_gmtoff
    return f"{strftime('%Y-%m-%d %H:%M', gmtime(max(0, at + utc_offset_s)))} {zone(utc_offset_s)}"


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
    return f"{octets} octets"


def _span(seconds: float) -> str:
    for unit, name in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.0f} seconds"
