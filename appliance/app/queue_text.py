"""The queue as text and JSON: the list, one message, and the timeline of a message."""

from collections.abc import Callable, Sequence
from time import localtime, strftime
from typing import Any

from appliance.control.requests import Response
from appliance.mail.sentence import Sentence, joined, parts_of, with_parts
from appliance.queue.entry import QueueEntry
from appliance.queue.history import HistoryLine
from appliance.status.plain import encode_plain
from appliance.status.snapshot import RefusalFacts
from appliance.status.text import zone

DueAt = Callable[[QueueEntry], int]
"""When an entry is tried next, UTC seconds; 0 for never."""


def facts_of(entry: QueueEntry, due_at: int) -> dict[str, Any]:
    """One row as JSON can say it."""
    return {
        "id": int(entry.id),
        "message": entry.message,
        "destination": entry.destination,
        "state": "held" if entry.held else "deferred" if entry.tries else "queued",
        "sender": str(entry.origin) if entry.origin else "",
        "recipients": [
            {
                "address": str(one.recipient),
                "status": one.last.status,
                "reason": one.last.reason,
                "text": one.last.text,
                "host": one.last.host,
                "reply": one.last.reply,
            }
            | ({"text_parts": parts} if (parts := parts_of(one.last.text)) else {})
            for one in entry.waiting
        ],
        "octets": entry.octets,
        "accepted_at": entry.accepted_at,
        "release_at": entry.options.release_at,
        "due_at": due_at,
        "attempts": entry.tries,
        "waited_s": entry.waited_s,
    }


def listed(entries: Sequence[QueueEntry], due_at: DueAt) -> Response:
    """`pillarbox queue list`."""
    rows = [facts_of(entry, due_at(entry)) for entry in entries]
    lines: list[str] = []
    for row in rows:
        to = ", ".join(one["address"] for one in row["recipients"][:3]) + (" ..." if len(row["recipients"]) > 3 else "")
        lines.append(f"{row['id']:>5}  {row['message']}  {row['sender'] or '<>'} -> {to}")
        lines.append(joined("      ", joined(_state(row), _why(row), by=": ")))
    return Response(joined(*lines, by="\n") or Sentence("The queue is empty."), {"messages": rows})


def _state(row: dict[str, Any]) -> str:
    if row["state"] == "held":
        return Sentence("held")
    due = when(row["due_at"])
    if row["release_at"] and not row["attempts"]:
        return Sentence("to leave at %(time)s", time=due)
    if not row["attempts"]:
        return Sentence("about to leave")
    return Sentence.counted("tried %(number)s time, next %(time)s", "tried %(number)s times, next %(time)s", row["attempts"], time=due)


def _why(row: dict[str, Any]) -> str:
    return next((_text_of(one) for one in row["recipients"] if one["text"]), "")


def _text_of(facts: dict[str, Any]) -> str:
    """The sentence of an outcome."""
    return with_parts(facts.get("text", ""), facts.get("text_parts"))


def shown(entries: Sequence[QueueEntry], due_at: DueAt) -> Response:
    """`pillarbox queue show`."""
    rows = [facts_of(entry, due_at(entry)) for entry in entries]
    first = rows[0]
    lines: list[str] = [
        Sentence("message   %(message)s", message=first["message"]),
        Sentence("from      %(sender)s", sender=first["sender"] or "<>"),
        Sentence("size      %(octets)s octets", octets=f"{first['octets']:,}"),
        Sentence("accepted  %(time)s", time=when(first["accepted_at"])),
    ]
    for row in rows:
        route = route_text(row["destination"])
        lines.append(Sentence("row %(id)s  %(route)s, %(state)s", id=row["id"], route=route, state=_state(row)))
        for one in row["recipients"]:
            lines.append(joined(Sentence("  to %(address)s", address=one["address"]), _text_of(one), by=": "))
            if one["reply"]:
                lines.append(Sentence("     %(host)s replied: %(reply)s", host=one["host"], reply=one["reply"]))
    lines.append(Sentence("All that happened: pillarbox message track %(message)s", message=first["message"]))
    return Response(joined(*lines, by="\n"), {"messages": rows})


def route_text(destination: str) -> str:
    """A destination for people."""
    if destination == ".":
        return Sentence("for this server")
    if destination.startswith("@"):
        return Sentence("by the relay %(relay)s", relay=destination[1:])
    return Sentence("to %(address)s", address=destination)


def timeline(lines: Sequence[HistoryLine]) -> Response:
    """`pillarbox message track`: the whole timeline."""
    message = lines[0].message
    facts = [{"at": line.at, "event": line.event, **line.facts} for line in lines]
    text: list[str] = [Sentence("The message %(message)s:", message=message)]
    for line in lines:
        text.append(joined(when(line.at), _SENTENCES.get(line.event, _other)(line), by="  "))
        text += [joined(" " * 21, detail) for detail in _details(line)]
    return Response(joined(*text, by="\n"), {"message": message, "events": facts})


def refused(refusals: Sequence[RefusalFacts], address: str, since_at: int) -> Response:
    """`pillarbox message track ADDRESS`: messages from or to it that were refused lately; "" for all.

    They are kept in memory only, so the answer says since when: `since_at`, the start of the server.
    """
    rows = [encode_plain(one) for one in refusals if address.lower() in ("", one.sender.lower(), one.recipient.lower())]
    nothing = Sentence("No message was refused since the server started, %(time)s.", time=when(since_at))
    if address:
        nothing = Sentence(
            "No message from or to %(address)s was refused since the server started, %(time)s.", address=address, time=when(since_at)
        )
    return Response(joined(*map(_refused, rows), by="\n") if rows else nothing, {"refused": rows, "since_at": since_at})


def _refused(row: dict[str, Any]) -> str:
    """A line about one; the refusal may have come before a recipient was named."""
    to = Sentence(" to %(recipient)s", recipient=row["recipient"]) if row["recipient"] else ""
    return Sentence(
        "%(time)s  from %(sender)s%(to)s over %(protocol)s [%(peer)s]: %(reply)s",
        time=when(row["at"]),
        sender=row["sender"] or "<>",
        to=to,
        protocol=row["protocol"],
        peer=row["peer"],
        reply=row["reply"],
    )


def _to(line: HistoryLine) -> str:
    to = line.facts.get("to", "")
    return to if isinstance(to, str) else ", ".join(to)


def _accepted(line: HistoryLine) -> str:
    sender, at = line.facts.get("sender") or Sentence("the server"), line.facts.get("release_at")
    if at:
        return Sentence("accepted from %(sender)s for %(to)s, to leave at %(time)s", sender=sender, to=_to(line), time=when(at))
    return Sentence("accepted from %(sender)s for %(to)s", sender=sender, to=_to(line))


def _sent(line: HistoryLine) -> str:
    return Sentence("sent to %(to)s: %(text)s", to=_to(line), text=_text_of(line.facts))


def _deferred(line: HistoryLine) -> str:
    again = span(line.facts.get("again_s", 0))
    return Sentence("deferred for %(to)s: %(text)s Tried again in %(span)s.", to=_to(line), text=_text_of(line.facts), span=again)


def _bounced(line: HistoryLine) -> str:
    return Sentence("not delivered to %(to)s: %(text)s", to=_to(line), text=_text_of(line.facts))


def _other(line: HistoryLine) -> str:
    event, destination = Sentence(line.event), line.facts.get("destination", "")
    if destination:
        event = Sentence("%(event)s (%(route)s)", event=event, route=route_text(destination))
    return joined(event, _text_of(line.facts), by=": ")


def _details(line: HistoryLine) -> list[str]:
    """Which servers were tried, how securely, and what they replied."""
    found: list[str] = []
    for host, address, port, tls, cipher, verified, took_s in line.facts.get("met", ()):
        safe: str = Sentence("no TLS")
        if tls:
            safe = f"{tls} {cipher}"
            if verified not in ("", "none"):
                safe = Sentence("%(tls)s, verified by %(verified)s", tls=safe, verified=verified)
        if verified == "downgraded":
            safe = Sentence("no TLS this time, though it offered TLS before")
        where = f"{host} [{address}]:{port}"
        found.append(Sentence("tried %(where)s, %(safe)s, %(took)s s", where=where, safe=safe, took=f"{took_s:g}"))
    if line.facts.get("reply"):
        host = line.facts.get("host") or Sentence("The server")
        found.append(Sentence("%(host)s replied: %(reply)s", host=host, reply=line.facts["reply"]))
    return found


_SENTENCES: dict[str, Callable[[HistoryLine], str]] = {
    "accepted": _accepted, "sent": _sent, "deferred": _deferred, "bounced": _bounced, "expired": _bounced,
}  # fmt: skip


def when(at: int) -> str:
    """An instant in the server's time zone, to the second; "-" for none."""
    local = localtime(at)
    return f"{strftime('%Y-%m-%d %H:%M:%S', local)} {zone(local.tm_gmtoff)}" if at else "-"


def span(seconds: float) -> str:
    """A duration in words, in its largest unit."""
    if seconds >= 86_400:
        return Sentence.counted("%(number)s day", "%(number)s days", round(seconds / 86_400))
    if seconds >= 3600:
        return Sentence.counted("%(number)s hour", "%(number)s hours", round(seconds / 3600))
    if seconds >= 60:
        return Sentence.counted("%(number)s minute", "%(number)s minutes", round(seconds / 60))
    return Sentence.counted("%(number)s second", "%(number)s seconds", round(seconds))
