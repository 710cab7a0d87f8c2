"""The screens: a snapshot to lines of text, the frame around them, the first screen and the power screen. Pure.

line 0         the host's name, the screen's, whether it is unlocked, the clock
lines 1..20    the body; more of it, and longer lines, on a larger terminal
line 21        the last response, or a question, or what is being typed
line 22, 23    the keys of this screen, and those of the screens
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import gmtime, strftime

from appliance.status.snapshot import Condition, Snapshot
from appliance.status.storage_life import life_text
from appliance.status.text import size, stamp, zone

from .screens_text import BLANK, BODY, KEYS, STRONG, TICK, TITLE, Picture, ScreenSize, TextLine, count, fit, line, sized, span, when, wrap

HEALTH = 4
"""Lines of the first screen for what needs attention; key h shows all of it."""
RECENT = 3
NAMES = ("Overview", "Queue", "Mail", "Accounts", "Network", "Domain", "Certs", "Logs", "Power")
TABS = " ".join(f"{number} {name}" for number, name in enumerate(NAMES, 1))
SEVERITY_SIGNS = (("critical", "!!"), ("warning", "! "), ("notice", "- "))

HELP = """\
The whole server on one screen, updated whenever something happens.

1 to 9        the screens named on the last line
Up, Down      select a line (j, k do the same); Page Up, Page Down, Home, End
Enter         more about the selected line
Esc           back (so does backspace); q leaves, and locks
h             on the first screen: everything that needs you, and what to do
others        as the line above the last one says: each screen has its own

Anybody at the serial line may look. Changing something asks for the password
of an administrator, and asks again after some minutes without a key or when
the cable was unplugged. What cannot be undone asks once more: y does it, any
other key leaves everything as it was.

Ctrl-L        draw the screen again
t             plain lines and back, for terminals without cursor control

Use a VT100 or compatible terminal of 80 by 24: screen, minicom, tio, PuTTY,
with XON/XOFF. Times are local, those of the log (with a Z) are UTC."""


@dataclass(frozen=True, slots=True)
class FrameText:
    """The texts around a screen's body; `typing`: the message is being typed."""

    rights: str = ""
    message: str = ""
    hint: str = ""
    typing: bool = False


def frame(name: str, body: Sequence[TextLine], s: Snapshot, screen: ScreenSize, around: FrameText) -> Picture:
    """A whole picture; `typing` puts the cursor behind the message, whose end then matters more than its beginning."""
    message = around.message
    now = strftime("%a %d %b %H:%M", gmtime(max(0, s.at + s.utc_offset_s)))
    right = f"{around.rights}  {now} {zone(s.utc_offset_s)}"
    left = fit(f"{s.host.name or 'Pillarbox'}  {name}", screen.columns - len(right) - 2)
    shown = [line(left.ljust(screen.columns - len(right)) + right, TITLE), *body[: screen.room]]
    shown += [BLANK] * (screen.rows - 3 - len(shown))
    cursor = None
    if around.typing:
        message = message if len(message) < screen.columns else ".." + message[-(screen.columns - 3) :]
        cursor = (screen.rows - 3, len(message))
    shown += [line(message, STRONG), line(around.hint), line(TABS, KEYS)]
    return Picture(tuple(sized(row, screen) for row in shown), name, cursor, screen)


def _wrapped(one: Condition, screen: ScreenSize) -> list[str]:
    return wrap(f"{dict(SEVERITY_SIGNS).get(one.severity, '- ')} {one.sentence} {one.remedy}", screen.columns, "   ")


def health(s: Snapshot, screen: ScreenSize, most: int = 1000) -> list[TextLine]:
    """What needs attention, worst first, in at most `most` lines; one whose remedy has no room keeps its sentence."""
    if not s.conditions:
        return [line("All is well.")]
    shown: list[TextLine] = []
    for at, one in enumerate(s.conditions):
        left = len(s.conditions) - at
        free = most - len(shown) - (left > 1)
        rows = next((rows for rows in (_wrapped(one, screen), _wrapped(replace(one, remedy=""), screen)) if len(rows) <= free), None)
        if rows is None:
            return [*shown, line(f"   and {left} more: press h")]
        shown += [line(row, STRONG if one.severity != "notice" else "") for row in rows]
    return shown


def watched(s: Snapshot, screen: ScreenSize) -> list[TextLine]:
    """Everything that is monitored and its state, for the page about health when nothing is wrong."""
    storage, served, down = s.storage, s.certificate, [row for row in s.listeners if row.reason]
    space = f"{size(storage.free_octets)} of {size(storage.total_octets)} free" if storage.total_octets else "not checked yet"
    life = life_text(storage.total_octets, s.host.written_octets_a_day)
    worn = f"; {storage.worn_percent} % worn" if storage.worn_percent else f"; {life}" if life else ""
    until = f"until {stamp(served.not_after_at, s.utc_offset_s)}" if served.not_after_at else "none yet"
    rows = (
        ("Storage", f"{space}{worn}; {storage.trouble_text or 'it can be written'}"),
        ("Ports", f"{len(s.listeners) - len(down)} open, {len(down)} closed"),
        ("Certificate", f"{until}; its names, its authority, your own files"),
        ("Network", ", ".join(s.host.addresses) or "no address"),
        ("Outbound", s.outbound.sentence or "not checked yet"),
        ("Queue", f"{s.queue.waiting} waiting, {s.queue.held} held; relays, DNS, other servers: {len(s.delays)} of them delayed"),
        ("Mailboxes", f"{count(s.accounts, 'account')}; whether one is full, or sends unusually much"),
        ("Passwords", f"{s.logins.failed_lately} wrong in ten minutes"),
        ("Program", f"{count(len(s.tasks), 'task')} running, {count(sum(row.failed for row in s.sessions), 'session')} ended by an error"),
        ("Clock", "set" if s.clock_trusted else "not set yet"),
        ("Console", "whether another program uses its line"),
    )
    wrapped = [row for title, text in rows for row in wrap(f"  {title:<13}{text}", screen.columns, " " * 15)]
    return [BLANK, line("Monitored all the time:"), *map(line, wrapped)]


def overview(s: Snapshot, screen: ScreenSize, notice: str = "") -> list[TextLine]:
    """The first screen. A larger one than a VT100's has more of what needs attention, then more of the last messages, uncut."""
    extra = screen.room - BODY
    most, recent = HEALTH + extra // 2, RECENT + max(0, extra - 1) // 4
    shown = [line(f"{s.phase.capitalize()}   {', '.join(s.host.addresses) or 'no address'}")]
    attention = [line(notice, STRONG)] if notice else []
    attention += health(s, screen, most - len(attention))
    shown += attention + [BLANK] * (HEALTH - len(attention)) + [BLANK]
    shown.append(line(f"Queue     {_queue(s)}"))
    outbound = wrap(f"Outbound  {s.outbound.sentence or 'not checked yet'}", screen.columns, " " * 10)
    shown += [line(row) for row in outbound[: 1 + (extra > 0)]]
    shown.append(line(f"Sessions  {_sessions(s)}"))
    shown.append(line(f"In        {count(s.messages_accepted, 'message')}, {size(s.messages_octets)}; {s.messages_refused} refused"))
    arrived = [f"  {when(one.at, s):>11}  {one.sender or '<>'} by {one.protocol}, {size(one.octets)}" for one in s.arrivals]
    shown += _few(arrived, recent, screen)
    shown.append(line(f"Out       {count(s.messages_sent, 'recipient')} reached, {s.messages_failed} failed"))
    shown += _few([f"  {when(one.at, s):>11}  {one.outcome} to {one.destination}: {one.text}" for one in s.attempts], recent, screen)
    return [*shown, *_host(s)]


def _queue(s: Snapshot) -> str:
    q = s.queue
    text = f"{q.waiting} waiting, {q.held} held"
    if q.trying:
        text += f", {q.trying} being tried"
    if q.oldest_at:
        text += f"; oldest since {when(q.oldest_at, s)}"
    if q.next_attempt_at:
        text += f"; next try {when(q.next_attempt_at, s)}"
    return text if q.waiting or q.held else "empty"


def _sessions(s: Snapshot) -> str:
    busy = ", ".join(f"{row.protocol} {row.open}" for row in s.sessions if row.open)
    text = f"{s.sessions_open} open" + (f" ({busy})" if busy else "")
    return f"{text}, {sum(row.opened for row in s.sessions)} so far; {count(s.logins.failed, 'wrong password')}"


def _host(s: Snapshot) -> list[TextLine]:
    storage, host = s.storage, s.host
    space = f"{size(storage.free_octets)} of {size(storage.total_octets)} free, mail {size(storage.mail_octets)}"
    space = space if storage.total_octets else "not checked yet"
    heat = f"; {host.temperature_c:.0f} C" if host.temperature_c is not None else ""
    return [
        line(f"Storage   {space}; {size(host.written_octets_today)} written today"),
        line(f"Host      memory {size(host.memory_octets)}{heat}; running for {span(s.running_s)}", TICK),
        line(f"Clock     {stamp(s.at, s.utc_offset_s)}, {'set' if s.clock_trusted else 'not set yet'}", TICK),
    ]


def _few(rows: list[str], most: int, screen: ScreenSize) -> list[TextLine]:
    """So many lines; a row that is too long continues in the next where there is room for more than RECENT."""
    wrapped = rows[:RECENT] if most == RECENT else [part for row in rows for part in wrap(row, screen.columns, " " * 15)][:most]
    return [line(row) for row in wrapped] + [BLANK] * (RECENT - len(wrapped))


def text_body(text: Sequence[str], offset: int, screen: ScreenSize) -> list[TextLine]:
    """A page of ready lines from `offset` on, and how many more there are."""
    shown = [line(row) for row in text[offset : offset + screen.room]]
    if offset + screen.room < len(text):
        shown[-1] = line(f"   -- {count(len(text) - offset - screen.room + 1, 'line')} more: Down --")
    return shown


def power(s: Snapshot, screen: ScreenSize) -> list[TextLine]:
    """What stopping the server means, before it is done."""
    q, rows = s.queue, [f"The server is {s.phase} and has run for {span(s.running_s)}.", ""]
    rows.append(f"{count(s.sessions_open, 'session')} open, {count(q.trying, 'message')} being sent, {q.waiting} waiting.")
    rows += wrap("No accepted message is lost, however the server ends: by these keys, or by pulling the plug.", screen.columns - 1)
    rows += ["", "s   stop the server in order; the LEDs show when the plug may be pulled"]
    rows += ["b   stop it and start again with new settings; mail programs reconnect"]
    return [line(row, TICK if "has run for" in row else "") for row in rows]
