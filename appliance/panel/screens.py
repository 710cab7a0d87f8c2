"""The screens: a snapshot and the box's own figures to lines of text, the frame around them, and the first screen. Pure.

line 0         the box's name, the screen's, what the person may do, the clock
lines 1..20    the body; more of it, and longer lines, on a larger terminal
line 21        what was just said, or the question being asked, or what is being typed
line 22, 23    the keys of this screen, and the screens' own
"""

from collections.abc import Sequence
from dataclasses import replace
from time import gmtime, strftime

from appliance.status.snapshot import Condition, Snapshot
from appliance.status.text import size, stamp, zone

from .screens_text import BLANK, BODY, KEYS, STRONG, TICK, TITLE, Picture, TextLine, count, fit, line, room, span, tall, when, wide, wrap

HEALTH = 4
"""Lines of the first screen for what needs attention; key h shows all of it."""
RECENT = 3
NAMES = ("Overview", "Queue", "Letters", "People", "Network", "Domain", "Certs", "Logs", "Power")
TABS = " ".join(f"{number} {name}" for number, name in enumerate(NAMES, 1))
MARKS = (("critical", "!!"), ("warning", "! "), ("notice", "- "))

HELP = """\
The whole box in one window. It shows itself anew whenever something happens.

1 to 9        the screens named on the last line
Up, Down      choose a line (j, k do the same); Page Up, Page Down, Home, End
Enter         more about the chosen line
Esc           back (so does backspace); q leaves, and locks
h             on the first screen: everything that needs you, and what helps
others        as the line above the last says: each screen has its own

Looking is open to whoever stands at the box. Changing something asks for the
admin password, and asks again after some minutes without a key or when the
cable was out. What cannot be taken back asks once more: y does it, any other
key leaves everything as it was.

Ctrl-L        draw the screen again
t             plain lines and back, for terminals that know no commands

A VT100 or its kin of 80 by 24 is right: screen, minicom, tio, PuTTY, with
XON/XOFF. Times are the box's own, the log's (with a Z) are UTC."""


def frame(name: str, body: Sequence[TextLine], s: Snapshot, *, rights: str, message: str, hint: str, typing: bool = False) -> Picture:
    """A whole picture; `typing` puts the cursor behind the message, whose end then counts more than its beginning."""
    now = strftime("%a %d %b %H:%M", gmtime(max(0, s.at + s.utc_offset_s)))
    right = f"{rights}  {now} {zone(s.utc_offset_s)}"
    left = fit(f"{s.host.name or 'Pillarbox'}  {name}", wide() - len(right) - 2)
    shown = [line(left.ljust(wide() - len(right)) + right, TITLE), *body[: room()]]
    shown += [BLANK] * (tall() - 3 - len(shown))
    cursor = None
    if typing:
        message = message if len(message) < wide() else ".." + message[-(wide() - 3) :]
        cursor = (tall() - 3, len(message))
    shown += [line(message, STRONG), line(hint), line(TABS, KEYS)]
    return Picture(tuple(shown), name, cursor)


def _told(one: Condition) -> list[str]:
    return wrap(f"{dict(MARKS).get(one.severity, '- ')} {one.sentence} {one.remedy}", indent="   ")


def health(s: Snapshot, most: int = 1000) -> list[TextLine]:
    """What needs attention, worst first, in at most `most` lines; one whose remedy has no room keeps its sentence."""
    if not s.conditions:
        return [line("All is well.")]
    shown: list[TextLine] = []
    for at, one in enumerate(s.conditions):
        left = len(s.conditions) - at
        free = most - len(shown) - (left > 1)
        rows = next((rows for rows in (_told(one), _told(replace(one, remedy=""))) if len(rows) <= free), None)
        if rows is None:
            return [*shown, line(f"   and {left} more: press h")]
        shown += [line(row, STRONG if one.severity != "notice" else "") for row in rows]
    return shown


def watched(s: Snapshot) -> list[TextLine]:
    """All that is looked at, and how it is: what a page about health says when nothing is wrong."""
    card, served, down = s.storage, s.certificate, [row for row in s.listeners if row.reason]
    space = f"{size(card.free_octets)} of {size(card.total_octets)} free" if card.total_octets else "not looked at yet"
    worn = f"; {card.worn_percent} % worn" if card.worn_percent else ""
    until = f"until {stamp(served.not_after_at, s.utc_offset_s)}" if served.not_after_at else "none yet"
    rows = (
        ("Storage", f"{space}{worn}; {card.trouble_text or 'it can be written'}"),
        ("Ports", f"{len(s.listeners) - len(down)} open, {len(down)} closed"),
        ("Certificate", f"{until}; its names, its authority, the files of your own"),
        ("Network", ", ".join(s.host.addresses) or "no address"),
        ("Way out", s.outbound.sentence or "not looked at yet"),
        ("Queue", f"{s.queue.waiting} waiting, {s.queue.held} held; relays, name service, other servers: {len(s.delays)} of them late"),
        ("Mailboxes", f"{count(s.accounts, 'account')}; whether one is full, or sends unusually much"),
        ("Passwords", f"{s.logins.failed_lately} wrong ones in ten minutes"),
        ("Program", f"{count(len(s.tasks), 'part')} running, {count(sum(row.failed for row in s.sessions), 'session')} ended by a fault"),
        ("Clock", "set" if s.clock_trusted else "not set yet"),
        ("Console", "whether another program uses its line"),
    )
    told = [row for title, text in rows for row in wrap(f"  {title:<13}{text}", indent=" " * 15)]
    return [BLANK, line("Watched all the time:"), *map(line, told)]


def overview(s: Snapshot, notice: str = "") -> list[TextLine]:
    """The first screen. A larger one than a VT100's has more of what needs attention, then more of the last messages, told in full."""
    extra = room() - BODY
    most, recent = HEALTH + extra // 2, RECENT + max(0, extra - 1) // 4
    shown = [line(f"{s.phase.capitalize()}   {', '.join(s.host.addresses) or 'no address'}")]
    said = [line(notice, STRONG)] if notice else []
    said += health(s, most - len(said))
    shown += said + [BLANK] * (HEALTH - len(said)) + [BLANK]
    q = s.queue
    waits = f"{q.waiting} waiting, {q.held} held"
    if q.trying:
        waits += f", {q.trying} being tried"
    if q.oldest_at:
        waits += f"; oldest since {when(q.oldest_at, s)}"
    if q.next_attempt_at:
        waits += f"; next try {when(q.next_attempt_at, s)}"
    shown.append(line(f"Queue     {waits if q.waiting or q.held else 'empty'}"))
    shown += [line(row) for row in wrap(f"Way out   {s.outbound.sentence or 'not looked at yet'}", indent=" " * 10)[: 1 + (extra > 0)]]
    shown.append(line(f"Sessions  {_sessions(s)}"))
    came = f"{count(s.messages_accepted, 'letter')}, {size(s.messages_octets)}"
    shown.append(line(f"In        {came}; {s.messages_refused} refused at the door"))
    shown += _few([f"  {when(one.at, s):>11}  {one.sender or '<>'} by {one.protocol}, {size(one.octets)}" for one in s.arrivals], recent)
    shown.append(line(f"Out       {count(s.messages_sent, 'recipient')} reached, {s.messages_failed} given up"))
    shown += _few([f"  {when(one.at, s):>11}  {one.outcome} to {one.destination}: {one.text}" for one in s.attempts], recent)
    card, box = s.storage, s.host
    space = f"{size(card.free_octets)} of {size(card.total_octets)} free, mail {size(card.mail_octets)}"
    space = space if card.total_octets else "not looked at yet"
    shown.append(line(f"Card      {space}; {size(box.written_octets_today)} written today"))
    heat = f"; {box.temperature_c:.0f} C" if box.temperature_c is not None else ""
    shown.append(line(f"Box       memory {size(box.memory_octets)}{heat}; running for {span(s.running_s)}", TICK))
    shown.append(line(f"Clock     {stamp(s.at, s.utc_offset_s)}, {'set' if s.clock_trusted else 'not set yet'}", TICK))
    return shown


def _few(rows: list[str], most: int) -> list[TextLine]:
    """So many lines; a row that is too long goes on in the next where there is room for more than RECENT."""
    told = rows[:RECENT] if most == RECENT else [part for row in rows for part in wrap(row, indent=" " * 15)][:most]
    return [line(row) for row in told] + [BLANK] * (RECENT - len(told))


def _sessions(s: Snapshot) -> str:
    busy = ", ".join(f"{row.protocol} {row.open}" for row in s.sessions if row.open)
    told = f"{s.sessions_open} open" + (f" ({busy})" if busy else "")
    return f"{told}, {sum(row.opened for row in s.sessions)} so far; {count(s.logins.failed, 'wrong password')}"


def text_body(text: Sequence[str], offset: int, *, more: bool = True) -> list[TextLine]:
    """A page of ready lines from `offset` on; says when there are more."""
    shown = [line(row) for row in text[offset : offset + room()]]
    if more and offset + room() < len(text):
        shown[-1] = line(f"   -- {count(len(text) - offset - room() + 1, 'line')} more: Down --")
    return shown


def power(s: Snapshot) -> list[TextLine]:
    """What ending the box means, before anybody does it."""
    q, rows = s.queue, [f"The server is {s.phase} and has run for {span(s.running_s)}.", ""]
    rows.append(f"{count(s.sessions_open, 'session')} open, {count(q.trying, 'letter')} being handed over, {q.waiting} waiting to leave.")
    rows += wrap("Nothing that was acknowledged is lost, whichever way the box ends: by these keys, or by its plug.", wide() - 1)
    rows += ["", "s   close the server in order; the LEDs say when the plug may be pulled"]
    rows += ["b   close it and begin again, with new settings; mail programs come back alone"]
    return [line(row, TICK if "has run for" in row else "") for row in rows]
