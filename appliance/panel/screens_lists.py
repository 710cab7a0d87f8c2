"""Lists to select a line from: the queue, messages in, out and refused, accounts, domains. Pure.

A ListItem is one line, with details that are shown below the list while it is selected, and the key that names it to the server.
A list is one or more groups, each with a heading; the groups share the rows, and each scrolls to its selected line.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from appliance.status.snapshot import Snapshot
from appliance.status.text import size, stamp

from .screens_text import BLANK, BODY, SELECTED, ScreenSize, TextLine, columns, count, line, when, wrap

DETAIL = 4
"""Lines of a VT100 below a list for the selected item, an empty one among them."""


@dataclass(frozen=True, slots=True)
class ListItem:
    """`key` names it to the server; `message` is the message id where there is one; `about` names it in questions. `held`: the message
    is held, or the account is an administrator: the key that changes it goes the other way."""

    key: str
    text: str
    detail: str = ""
    message: str = ""
    about: str = ""
    held: bool = False


@dataclass(frozen=True, slots=True)
class ListGroup:
    heading: str
    items: tuple[ListItem, ...]
    empty: str = ""


def items_of(groups: Sequence[ListGroup]) -> list[ListItem]:
    return [item for group in groups for item in group.items]


def list_body(groups: Sequence[ListGroup], selected: int, screen: ScreenSize) -> list[TextLine]:
    """The groups in the rows there are; the item number `selected` of all is marked, its details stand below."""
    below = DETAIL + (screen.room - BODY) // 3
    left = screen.room - below - len(groups)
    shown: list[TextLine] = []
    before = 0
    for at, group in enumerate(groups):
        share = left // (len(groups) - at)
        left -= share
        local = selected - before
        chosen = local if 0 <= local < len(group.items) else -1
        first = min(max(0, chosen - share + 1), max(0, len(group.items) - share))
        more = f"   ({first + 1} to {first + share} of {len(group.items)})" if len(group.items) > share else ""
        shown.append(line(group.heading + more))
        rows = [
            line(f"{'>' if first + i == chosen else ' '} {item.text}", SELECTED if first + i == chosen else "")
            for i, item in enumerate(group.items[first : first + share])
        ]
        if not rows and group.empty:
            rows = [line(f"  {row}") for row in wrap(group.empty, screen.columns - 4)[:share]]
        shown += rows + [BLANK] * (share - len(rows))
        before += len(group.items)
    every = items_of(groups)
    detail = (
        wrap(every[selected].detail, screen.columns, "  ")[: below - 1] if 0 <= selected < len(every) and every[selected].detail else []
    )
    return [*shown, BLANK, *map(line, detail)]


def queue_groups(facts: Mapping[str, Any], s: Snapshot, screen: ScreenSize) -> list[ListGroup]:
    """`facts` of the response to ListQueue."""
    items = []
    for row in facts.get("messages", ()):
        to = [str(one.get("address", "")) for one in row.get("recipients", ())]
        whom = ", ".join(to[:3]) + (f" and {len(to) - 3} more" if len(to) > 3 else "")
        held = row.get("state") == "held"
        tries = int(row.get("attempts") or 0)
        due = when(int(row.get("due_at") or 0), s)
        state = "held" if held else f"tried {tries}, next {due}" if tries else f"due {due}"
        sender = str(row.get("sender") or "<>")
        since = stamp(int(row.get("accepted_at") or 0), s.utc_offset_s)
        detail = f"{row.get('message', '')} from {sender}, {size(int(row.get('octets') or 0))}, here since {since}."
        for one in row.get("recipients", ()):
            if one.get("text") or one.get("reply"):
                reply = f" {one['host'] or 'The next hop'} said: {one['reply']}" if one.get("reply") else ""
                detail += f"\n{one.get('address', '')}: {one.get('text', '')}{reply}"
        text = columns((str(row.get("id", "")), 5), (state, 22), (sender, 20 + screen.extra_columns // 3), ("->", 2), (whom, 0))
        items.append(
            ListItem(str(row.get("id", "")), text, detail, str(row.get("message", "")), f"{row.get('message', '')} to {whom}", held)
        )
    q = s.queue
    heading = f"{q.waiting} waiting, {q.held} held, {q.trying} being tried, {q.stuck} need you"
    return [ListGroup(heading, tuple(items), "Nothing waits to leave.")]


def message_groups(s: Snapshot, screen: ScreenSize) -> list[ListGroup]:
    """The last messages in, out, and refused."""
    came = tuple(
        ListItem(
            one.message,
            columns((when(one.at, s), 11), (one.sender or "<>", 39 + screen.extra_columns), (one.protocol, 11), (size(one.octets), 9)),
            f"{one.message} from {one.sender or '<>'} at {one.peer} by {one.protocol}, for {count(one.recipients, 'recipient')}, "
            f"{size(one.octets)}, stored in {one.duration_s:.2f} s.",
            one.message,
        )
        for one in s.arrivals
    )
    left = tuple(
        ListItem(
            f"{one.message} {one.destination}",
            columns((when(one.at, s), 11), (one.outcome, 7), (one.destination, 22 + screen.extra_columns // 4), (one.text, 0)),
            f"{one.message} {one.outcome} to {one.destination}, {count(one.recipients, 'recipient')}: {one.text}",
            one.message,
        )
        for one in s.attempts
    )
    refused = tuple(
        ListItem(
            f"{one.at} {one.recipient}",
            columns(
                (when(one.at, s), 11),
                (one.sender or "<>", 22 + screen.extra_columns // 4),
                (one.recipient, 20 + screen.extra_columns // 4),
                (one.reply, 0),
            ),
            f"{stamp(one.at, s.utc_offset_s)}, {one.peer} by {one.protocol}: "
            f"from {one.sender or '<>'}{f' to {one.recipient}' if one.recipient else ''}: {one.reply}",
        )
        for one in s.refusals
    )
    return [
        ListGroup(f"In: {s.messages_accepted} since the start", came, "None yet."),
        ListGroup(f"Out: {count(s.messages_sent, 'recipient')} reached, {s.messages_failed} failed", left, "None yet."),
        ListGroup(f"Refused: {s.messages_refused}", refused, "None yet."),
    ]


def accounts_groups(facts: Mapping[str, Any], s: Snapshot, screen: ScreenSize) -> list[ListGroup]:
    """`facts` of the response to ListAccounts."""
    items = []
    for row in facts.get("accounts", ()):
        limit = row.get("quota_octets")
        used = size(int(row.get("octets") or 0)) + (f" of {size(int(limit))}" if limit else "")
        address = str(row.get("address", ""))
        since = f"Added {stamp(int(row['added_at']), s.utc_offset_s)}." if row.get("added_at") else ""
        role = "administrator" if row.get("admin") else ""
        text = columns((address, 42 + screen.extra_columns // 2), (used, 18), (role, 0))
        items.append(ListItem(address, text, since, about=address, held=bool(role)))
    empty = "There are no accounts yet: every message is refused. Press a to add one."
    return [ListGroup(count(len(items), "account", "accounts"), tuple(items), empty)]


def domain_groups(facts: Mapping[str, Any], screen: ScreenSize) -> list[ListGroup]:
    """`facts` of the response to ListDomains."""
    items = []
    for row in facts.get("domains", ()):
        name, others = str(row.get("name", "")), str(row.get("catch_all") or "")
        text = columns((name, 40 + screen.extra_columns // 3), (f"unknown names go to {others}" if others else "", 0))
        items.append(ListItem(name, text, "Enter shows what to publish in the DNS; c checks whether it is there.", about=name))
    return [ListGroup(count(len(items), "domain"), tuple(items), "No domain yet: it comes with the first account.")]
