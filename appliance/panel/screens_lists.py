"""Lists to select a line from: the queue, messages in, out and refused, accounts, domains. Pure.

A ListItem is one line, with details that are shown below the list while it is selected, and the key that names it to the server.
A list is one or more groups, each with a heading; the groups share the rows, and each scrolls to its selected line.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from appliance.languages.catalogues import Language
from appliance.mail.sentence import with_parts
from appliance.status.snapshot import Snapshot
from appliance.status.text import stamp

from .screens_text import BLANK, BODY, SELECTED, Screen, TextLine, columns, line, octets_of, when, wrap

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


def list_body(groups: Sequence[ListGroup], selected: int, screen: Screen) -> list[TextLine]:
    """The groups in the rows there are; the item number `selected` of all is marked, its details stand below."""
    _, below = screen.language, DETAIL + (screen.room - BODY) // 3
    left = screen.room - below - len(groups)
    shown: list[TextLine] = []
    before = 0
    for at, group in enumerate(groups):
        share = left // (len(groups) - at)
        left -= share
        local = selected - before
        chosen = local if 0 <= local < len(group.items) else -1
        first = min(max(0, chosen - share + 1), max(0, len(group.items) - share))
        more = _("   (%(first)s to %(last)s of %(all)s)", first=first + 1, last=first + share, all=len(group.items))
        shown.append(line(group.heading + (more if len(group.items) > share else "")))
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


def queue_groups(facts: Mapping[str, Any], s: Snapshot, screen: Screen) -> list[ListGroup]:
    """`facts` of the response to ListQueue."""
    _, q = screen.language, s.queue
    heading = _(
        "%(waiting)s waiting, %(held)s held, %(trying)s being tried, %(stuck)s need you",
        waiting=q.waiting,
        held=q.held,
        trying=q.trying,
        stuck=q.stuck,
    )
    items = tuple(_queue_item(row, s, screen) for row in facts.get("messages", ()))
    return [ListGroup(heading, items, _("Nothing waits to leave."))]


def _queue_item(row: Mapping[str, Any], s: Snapshot, screen: Screen) -> ListItem:
    _, to = screen.language, [str(one.get("address", "")) for one in row.get("recipients", ())]
    whom = ", ".join(to[:3])
    if len(to) > 3:
        whom = _("%(addresses)s and %(more)s more", addresses=whom, more=len(to) - 3)
    tries, due = int(row.get("attempts") or 0), when(int(row.get("due_at") or 0), s)
    message, sender, held = str(row.get("message", "")), str(row.get("sender") or "<>"), row.get("state") == "held"
    state = _("held") if held else _("tried %(tries)s, next %(due)s", tries=tries, due=due) if tries else _("due %(due)s", due=due)
    text = columns((str(row.get("id", "")), 5), (state, 22), (sender, 20 + screen.extra_columns // 3), ("->", 2), (whom, 0))
    about = _("%(message)s to %(whom)s", message=message, whom=whom)
    return ListItem(str(row.get("id", "")), text, _queue_detail(row, s, _), message, about, held)


def _queue_detail(row: Mapping[str, Any], s: Snapshot, _: Language) -> str:
    lines = [
        _(
            "%(message)s from %(sender)s, %(size)s, here since %(since)s.",
            message=row.get("message", ""),
            sender=row.get("sender") or "<>",
            size=octets_of(int(row.get("octets") or 0), _),
            since=stamp(int(row.get("accepted_at") or 0), s.utc_offset_s, _.date),
        )
    ]
    for one in row.get("recipients", ()):
        if one.get("text") or one.get("reply"):
            reply = _(" %(host)s said: %(reply)s", host=one["host"] or _("The next hop"), reply=one["reply"]) if one.get("reply") else ""
            lines.append(f"{one.get('address', '')}: {_(said_of(one))}{reply}")
    return "\n".join(lines)


def message_groups(s: Snapshot, screen: Screen) -> list[ListGroup]:
    """The last messages in, out, and refused."""
    _ = screen.language
    came, left, refused = (tuple(make(one, s, screen) for one in facts) for make, facts in (
        (_came, s.arrivals), (_left, s.attempts), (_refused, s.refusals)
    ))  # fmt: skip
    reached = _.counted("%(number)s recipient reached", "%(number)s recipients reached", s.messages_sent)
    none = _("None yet.")
    return [
        ListGroup(_("In: %(number)s since the start", number=s.messages_accepted), came, none),
        ListGroup(_("Out: %(reached)s, %(failed)s failed", reached=reached, failed=s.messages_failed), left, none),
        ListGroup(_("Refused: %(number)s", number=s.messages_refused), refused, none),
    ]


def _came(one: Any, s: Snapshot, screen: Screen) -> ListItem:
    _, size = screen.language, octets_of(one.octets, screen.language)
    detail = _(
        "%(message)s from %(sender)s at %(peer)s by %(protocol)s, for %(recipients)s, %(size)s, stored in %(took)s s.",
        message=one.message,
        sender=one.sender or "<>",
        peer=one.peer,
        protocol=one.protocol,
        recipients=_recipients(one.recipients, _),
        size=size,
        took=f"{one.duration_s:.2f}".replace(".", _.decimal),
    )
    text = columns((when(one.at, s), 11), (one.sender or "<>", 39 + screen.extra_columns), (one.protocol, 11), (size, 9))
    return ListItem(one.message, text, detail, one.message)


def _left(one: Any, s: Snapshot, screen: Screen) -> ListItem:
    _, outcome, text = screen.language, screen.language(one.outcome), screen.language(one.text)
    detail = _(
        "%(message)s %(outcome)s to %(destination)s, %(recipients)s: %(text)s",
        message=one.message,
        outcome=outcome,
        destination=one.destination,
        recipients=_recipients(one.recipients, _),
        text=text,
    )
    shown = columns((when(one.at, s), 11), (outcome, _widest(_)), (one.destination, 22 + screen.extra_columns // 4), (text, 0))
    return ListItem(f"{one.message} {one.destination}", shown, detail, one.message)


def _widest(_: Language) -> int:
    """Columns of the outcomes."""
    return max(len(_(word)) for word in ("sent", "delayed", "failed"))


def _refused(one: Any, s: Snapshot, screen: Screen) -> ListItem:
    _, sender = screen.language, one.sender or "<>"
    whom = (
        _("from %(sender)s to %(recipient)s", sender=sender, recipient=one.recipient)
        if one.recipient
        else _("from %(sender)s", sender=sender)
    )
    detail = _(
        "%(time)s, %(peer)s by %(protocol)s: %(whom)s: %(reply)s",
        time=stamp(one.at, s.utc_offset_s, _.date),
        peer=one.peer,
        protocol=one.protocol,
        whom=whom,
        reply=one.reply,
    )
    wide = screen.extra_columns // 4
    text = columns((when(one.at, s), 11), (sender, 22 + wide), (one.recipient, 20 + wide), (one.reply, 0))
    return ListItem(f"{one.at} {one.recipient}", text, detail)


def _recipients(number: int, _: Language) -> str:
    return _.counted("%(number)s recipient", "%(number)s recipients", number)


def accounts_groups(facts: Mapping[str, Any], s: Snapshot, screen: Screen) -> list[ListGroup]:
    """`facts` of the response to ListAccounts."""
    _, items = screen.language, []
    for row in facts.get("accounts", ()):
        limit, used = row.get("quota_octets"), octets_of(int(row.get("octets") or 0), _)
        if limit:
            used = _("%(used)s of %(limit)s", used=used, limit=octets_of(int(limit), _))
        address, added_at = str(row.get("address", "")), int(row.get("added_at") or 0)
        since = _("Added %(time)s.", time=stamp(added_at, s.utc_offset_s, _.date)) if added_at else ""
        text = columns((address, 42 + screen.extra_columns // 2), (used, 18), (_("administrator") if row.get("admin") else "", 0))
        items.append(ListItem(address, text, since, about=address, held=bool(row.get("admin"))))
    empty = _("There are no accounts yet: every message is refused. Press a to add one.")
    return [ListGroup(_.counted("%(number)s account", "%(number)s accounts", len(items)), tuple(items), empty)]


def domain_groups(facts: Mapping[str, Any], screen: Screen) -> list[ListGroup]:
    """`facts` of the response to ListDomains."""
    _, items = screen.language, []
    detail = _("Enter shows what to publish in the DNS; c checks whether it is there.")
    for row in facts.get("domains", ()):
        name, others = str(row.get("name", "")), str(row.get("catch_all") or "")
        caught = _("unknown names go to %(others)s", others=others) if others else ""
        items.append(ListItem(name, columns((name, 40 + screen.extra_columns // 3), (caught, 0)), detail, about=name))
    empty = _("No domain yet: it comes with the first account.")
    return [ListGroup(_.counted("%(number)s domain", "%(number)s domains", len(items)), tuple(items), empty)]


def said_of(recipient: Mapping[str, Any]) -> str:
    """What a recipient's last attempt came to; a Sentence where the response has its parts."""
    return with_parts(str(recipient.get("text", "")), recipient.get("text_parts"))
