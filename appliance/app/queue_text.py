"""The queue as text and JSON: the list, one message, and the timeline of a message."""

from collections.abc import Callable, Sequence
from time import localtime, strftime
from typing import Any

from appliance.control.requests import Response
from appliance.mail.sentence import parts_of
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
    lines = []
    for row in rows:
        to = ", ".join(one["address"] for one in row["recipients"][:3]) + (" ..." if len(row["recipients"]) > 3 else "")
        lines.append(f"{row['id']:>5}  {row['message']}  {row['sender'] or '<>'} -> {to}")
        lines.append(f"       {_state(row)}{_why(row)}")
    return Response("\n".join(lines) or "The queue is empty.", {"messages": rows})


def _state(row: dict[str, Any]) -> str:
    if row["state"] == "held":
        return "held"
    if row["release_at"] and not row["attempts"]:
        return f"to leave at {when(row['due_at'])}"
    return (
        f"tried {row['attempts']} time{'s' * (row['attempts'] != 1)}, next {when(row['due_at'])}" if row["attempts"] else "about to leave"
    )


def _why(row: dict[str, Any]) -> str:
    text = next((one["text"] for one in row["recipients"] if one["text"]), "")
    return f": {text}" if text else ""


def shown(entries: Sequence[QueueEntry], due_at: DueAt) -> Response:
    """`pillarbox queue show`."""
    rows = [facts_of(entry, due_at(entry)) for entry in entries]
    first = rows[0]
    lines = [
        f"message   {first['message']}",
        f"from      {first['sender'] or '<>'}",
        f"size      {first['octets']:,} octets",
        f"accepted  {when(first['accepted_at'])}",
    ]
    for row in rows:
        lines.append(f"row {row['id']}  {route_text(row['destination'])}, {_state(row)}")
        for one in row["recipients"]:
            lines.append(f"  to {one['address']}" + (f": {one['text']}" if one["text"] else ""))
            if one["reply"]:
                lines.append(f"     {one['host']} replied: {one['reply']}")
    lines.append(f"All that happened: pillarbox message track {first['message']}")
    return Response("\n".join(lines), {"messages": rows})


def route_text(destination: str) -> str:
    """A destination for people."""
    return (
        f"by the relay {destination[1:]}"
        if destination.startswith("@")
        else "for this server"
        if destination == "."
        else f"to {destination}"
    )


def timeline(lines: Sequence[HistoryLine]) -> Response:
    """`pillarbox message track`: the whole timeline."""
    message = lines[0].message
    facts = [{"at": line.at, "event": line.event, **line.facts} for line in lines]
    text = [f"The message {message}:"]
    for line in lines:
        text.append(f"{when(line.at)}  {_SENTENCES.get(line.event, _other)(line)}")
        text += [f"                      {detail}" for detail in _details(line)]
    return Response("\n".join(text), {"message": message, "events": facts})


def refused(refusals: Sequence[RefusalFacts], address: str, since_at: int) -> Response:
    """`pillarbox message track ADDRESS`: messages from or to it that were refused lately; "" for all.

    They are kept in memory only, so the answer says since when: `since_at`, the start of the server.
    """
    rows = [encode_plain(one) for one in refusals if address.lower() in ("", one.sender.lower(), one.recipient.lower())]
    lines = [
        f"{when(row['at'])}  from {row['sender'] or '<>'}{_to_whom(row)} over {row['protocol']} [{row['peer']}]: {row['reply']}"
        for row in rows
    ]
    nothing = f"No message{f' from or to {address}' if address else ''} was refused since the server started, {when(since_at)}."
    return Response("\n".join(lines) or nothing, {"refused": rows, "since_at": since_at})


def _to_whom(row: dict[str, Any]) -> str:
    """The recipient; "" where the refusal came before one was named."""
    return f" to {row['recipient']}" if row["recipient"] else ""


def _to(line: HistoryLine) -> str:
    to = line.facts.get("to", "")
    return to if isinstance(to, str) else ", ".join(to)


def _accepted(line: HistoryLine) -> str:
    sender = line.facts.get("sender") or "the server"
    later = f", to leave at {when(line.facts['release_at'])}" if line.facts.get("release_at") else ""
    return f"accepted from {sender} for {_to(line)}{later}"


def _sent(line: HistoryLine) -> str:
    return f"sent to {_to(line)}: {line.facts.get('text', '')}"


def _deferred(line: HistoryLine) -> str:
    return f"deferred for {_to(line)}: {line.facts.get('text', '')} Tried again in {span(line.facts.get('again_s', 0))}."


def _bounced(line: HistoryLine) -> str:
    return f"not delivered to {_to(line)}: {line.facts.get('text', '')}"


def _other(line: HistoryLine) -> str:
    text = line.facts.get("text", "")
    destination = line.facts.get("destination", "")
    return f"{line.event}{f' ({route_text(destination)})' if destination else ''}{f': {text}' if text else ''}"


def _details(line: HistoryLine) -> list[str]:
    """Which servers were tried, how securely, and what they replied."""
    found = []
    for host, address, port, tls, cipher, verified, took_s in line.facts.get("met", ()):
        safe = f"{tls} {cipher}, verified by {verified}" if tls and verified not in ("", "none") else f"{tls} {cipher}" if tls else "no TLS"
        if verified == "downgraded":
            safe = "no TLS this time, though it offered TLS before"
        found.append(f"tried {host} [{address}]:{port}, {safe}, {took_s:g} s")
    if line.facts.get("reply"):
        found.append(f"{line.facts.get('host') or 'The server'} replied: {line.facts['reply']}")
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
    for unit_s, name in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= unit_s:
            count = round(seconds / unit_s)
            return f"{count} {name}{'s' * (count != 1)}"
    count = round(seconds)
    return f"{count} second{'s' * (count != 1)}"
