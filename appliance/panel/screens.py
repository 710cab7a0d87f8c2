"""The screens: a snapshot to lines of text, the frame around them, the first screen and the power screen. Pure.

line 0         the host's name, the screen's, whether it is unlocked, the clock
lines 1..20    the body; more of it, and longer lines, on a larger terminal
line 21        the last response, or a question, or what is being typed
line 22, 23    the keys of this screen, and those of the screens
"""

from collections.abc import Sequence
from dataclasses import dataclass
from time import gmtime, strftime

from appliance.languages.catalogues import SOURCE, Language
from appliance.mail.sentence import Sentence
from appliance.status.snapshot import Condition, Snapshot
from appliance.status.storage_life import life_text
from appliance.status.text import stamp, zone

from .screens_text import (
    BLANK,
    BODY,
    KEYS,
    STRONG,
    TICK,
    TITLE,
    Picture,
    Screen,
    TextLine,
    fit,
    line,
    octets_of,
    sized,
    span,
    when,
    wrap,
)

HEALTH = 4
"""Lines of the first screen for what needs attention; key h shows all of it."""
RECENT = 3
LABEL, WATCHED = 10, 15
"""Columns of the labels of the first screen, and of what is monitored."""
NAMES = (
    Sentence("Overview"), Sentence("Queue"), Sentence("Mail"), Sentence("Accounts"), Sentence("Network"), Sentence("Domain"),
    Sentence("Certs"), Sentence("Logs"), Sentence("Power"),
)  # fmt: skip
TABS = Sentence("1 Overview 2 Queue 3 Mail 4 Accounts 5 Network 6 Domain 7 Certs 8 Logs 9 Power")
"""At most 79 characters in any language."""
PHASES = {
    "recovering": Sentence("Recovering"), "updating": Sentence("Updating"), "starting": Sentence("Starting"), "ready": Sentence("Ready"),
    "draining": Sentence("Draining"), "stopped": Sentence("Stopped"), "silent": Sentence("Silent"),
}  # fmt: skip
SEVERITY_SIGNS = (("critical", "!!"), ("warning", "! "), ("notice", "- "))

HELP = Sentence(
    """\
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
)


@dataclass(frozen=True, slots=True)
class FrameText:
    """The texts around a screen's body; `typing`: the message is being typed."""

    rights: str = ""
    message: str = ""
    hint: str = ""
    typing: bool = False


def frame(name: str, body: Sequence[TextLine], s: Snapshot, screen: Screen, around: FrameText) -> Picture:
    """A whole picture; `typing` puts the cursor behind the message, whose end then matters more than its beginning."""
    message, _ = around.message, screen.language
    day = "%a %d %b" if _.tag == SOURCE else _.date
    now = strftime(f"{day} %H:%M", gmtime(max(0, s.at + s.utc_offset_s)))
    right = f"{around.rights}  {now} {zone(s.utc_offset_s)}"
    left = fit(f"{s.host.name or 'Pillarbox'}  {_(name)}", screen.columns - len(right) - 2)
    shown = [line(left.ljust(screen.columns - len(right)) + right, TITLE), *body[: screen.room]]
    shown += [BLANK] * (screen.rows - 3 - len(shown))
    cursor = None
    if around.typing:
        message = message if len(message) < screen.columns else ".." + message[-(screen.columns - 3) :]
        cursor = (screen.rows - 3, len(message))
    shown += [line(message, STRONG), line(around.hint), line(_(TABS), KEYS)]
    return Picture(tuple(sized(row, screen) for row in shown), name, cursor, screen)


def _wrapped(one: Condition, screen: Screen, *, remedy: bool = True) -> list[str]:
    _ = screen.language
    text = f"{dict(SEVERITY_SIGNS).get(one.severity, '- ')} {_(one.sentence)} {_(one.remedy) if remedy else ''}"
    return wrap(text, screen.columns, "   ")


def health(s: Snapshot, screen: Screen, most: int = 1000) -> list[TextLine]:
    """What needs attention, worst first, in at most `most` lines; one whose remedy has no room keeps its sentence."""
    _ = screen.language
    if not s.conditions:
        return [line(_("All is well."))]
    shown: list[TextLine] = []
    for at, one in enumerate(s.conditions):
        left = len(s.conditions) - at
        free = most - len(shown) - (left > 1)
        rows = next((rows for rows in (_wrapped(one, screen), _wrapped(one, screen, remedy=False)) if len(rows) <= free), None)
        if rows is None:
            return [*shown, line(_("   and %(left)s more: press h", left=left))]
        shown += [line(row, STRONG if one.severity != "notice" else "") for row in rows]
    return shown


def watched(s: Snapshot, screen: Screen) -> list[TextLine]:
    """Everything that is monitored and its state, for the page about health when nothing is wrong."""
    _, down = screen.language, sum(1 for row in s.listeners if row.reason)
    accounts = _.counted(
        "%(number)s account; whether one is full, or sends unusually much",
        "%(number)s accounts; whether one is full, or sends unusually much",
        s.accounts,
    )
    ports = _("%(up)s open, %(down)s closed", up=len(s.listeners) - down, down=down)
    rows = (
        _("  Storage      %(text)s", text=_storage(s, _)),
        _("  Ports        %(text)s", text=ports),
        _("  Certificate  %(text)s", text=_certificate(s, _)),
        _("  Network      %(text)s", text=", ".join(s.host.addresses) or _("no address")),
        _("  Outbound     %(text)s", text=_outbound(s, _)),
        _("  Queue        %(text)s", text=_delays(s, _)),
        _("  Mailboxes    %(text)s", text=accounts),
        _("  Passwords    %(number)s wrong in ten minutes", number=s.logins.failed_lately),
        _("  Program      %(text)s", text=_program(s, _)),
        _("  Clock        %(text)s", text=_clock(s, _)),
        _("  Console      whether another program uses its line"),
    )
    wrapped = [part for row in rows for part in wrap(row, screen.columns, " " * WATCHED)]
    return [BLANK, line(_("Monitored all the time:")), *map(line, wrapped)]


def _storage(s: Snapshot, _: Language) -> str:
    life, state = life_text(s.storage.total_octets, s.host.written_octets_a_day), s.storage
    worn = _("; %(percent)s %% worn", percent=state.worn_percent) if state.worn_percent else f"; {_(life)}" if life else ""
    return f"{_space(s, _)}{worn}; {_(state.trouble_text) if state.trouble_text else _('it can be written')}"


def _space(s: Snapshot, _: Language) -> str:
    free, total = (octets_of(octets, _) for octets in (s.storage.free_octets, s.storage.total_octets))
    return _("%(free)s of %(total)s free", free=free, total=total) if s.storage.total_octets else _("not checked yet")


def _certificate(s: Snapshot, _: Language) -> str:
    served = s.certificate
    if not served.not_after_at:
        return _("none yet; its names, its authority, your own files")
    return _("until %(time)s; its names, its authority, your own files", time=stamp(served.not_after_at, s.utc_offset_s, _.date))


def _delays(s: Snapshot, _: Language) -> str:
    return _(
        "%(waiting)s waiting, %(held)s held; relays, DNS, other servers: %(delayed)s of them delayed",
        waiting=s.queue.waiting,
        held=s.queue.held,
        delayed=len(s.delays),
    )


def _program(s: Snapshot, _: Language) -> str:
    tasks = _.counted("%(number)s task running", "%(number)s tasks running", len(s.tasks))
    failed = sum(row.failed for row in s.sessions)
    return f"{tasks}, " + _.counted("%(number)s session ended by an error", "%(number)s sessions ended by an error", failed)


def _outbound(s: Snapshot, _: Language) -> str:
    return _(s.outbound.sentence) if s.outbound.sentence else _("not checked yet")


def _clock(s: Snapshot, _: Language) -> str:
    return _("set") if s.clock_trusted else _("not set yet")


def overview(s: Snapshot, screen: Screen, notice: str = "") -> list[TextLine]:
    """The first screen. A larger one than a VT100's has more of what needs attention, then more of the last messages, uncut."""
    _, extra = screen.language, screen.room - BODY
    most, recent = HEALTH + extra // 2, RECENT + max(0, extra - 1) // 4
    shown = [line(f"{_(PHASES.get(s.phase, s.phase))}   {', '.join(s.host.addresses) or _('no address')}")]
    attention = [line(notice, STRONG)] if notice else []
    attention += health(s, screen, most - len(attention))
    shown += attention + [BLANK] * (HEALTH - len(attention)) + [BLANK]
    shown.append(line(_("Queue     %(text)s", text=_queue(s, _))))
    outbound = wrap(_("Outbound  %(text)s", text=_outbound(s, _)), screen.columns, " " * LABEL)
    shown += [line(row) for row in outbound[: 1 + (extra > 0)]]
    shown.append(line(_("Sessions  %(text)s", text=_sessions(s, _))))
    shown.append(line(_("In        %(text)s", text=_came(s, _))))
    arrived = [
        _("%(sender)s by %(protocol)s, %(size)s", sender=one.sender or "<>", protocol=one.protocol, size=octets_of(one.octets, _))
        for one in s.arrivals
    ]
    shown += _few([f"  {when(one.at, s):>11}  {text}" for one, text in zip(s.arrivals, arrived, strict=True)], recent, screen)
    shown.append(line(_("Out       %(text)s", text=_left(s, _))))
    left = [
        _("%(outcome)s to %(destination)s: %(text)s", outcome=_(one.outcome), destination=one.destination, text=_(one.text))
        for one in s.attempts
    ]
    shown += _few([f"  {when(one.at, s):>11}  {text}" for one, text in zip(s.attempts, left, strict=True)], recent, screen)
    return [*shown, *_host(s, _)]


def _came(s: Snapshot, _: Language) -> str:
    messages = _.counted("%(number)s message", "%(number)s messages", s.messages_accepted)
    size = octets_of(s.messages_octets, _)
    return _("%(messages)s, %(size)s; %(refused)s refused", messages=messages, size=size, refused=s.messages_refused)


def _left(s: Snapshot, _: Language) -> str:
    reached = _.counted("%(number)s recipient reached", "%(number)s recipients reached", s.messages_sent)
    return _("%(reached)s, %(failed)s failed", reached=reached, failed=s.messages_failed)


def _queue(s: Snapshot, _: Language) -> str:
    q = s.queue
    if not q.waiting and not q.held:
        return _("empty")
    text = _("%(waiting)s waiting, %(held)s held", waiting=q.waiting, held=q.held)
    if q.trying:
        text += _(", %(trying)s being tried", trying=q.trying)
    if q.oldest_at:
        text += _("; oldest since %(time)s", time=when(q.oldest_at, s))
    if q.next_attempt_at:
        text += _("; next try %(time)s", time=when(q.next_attempt_at, s))
    return text


def _sessions(s: Snapshot, _: Language) -> str:
    busy = ", ".join(f"{row.protocol} {row.open}" for row in s.sessions if row.open)
    text = _("%(number)s open", number=s.sessions_open) + (f" ({busy})" if busy else "")
    wrong = _.counted("%(number)s wrong password", "%(number)s wrong passwords", s.logins.failed)
    return _("%(open)s, %(opened)s so far; %(wrong)s", open=text, opened=sum(row.opened for row in s.sessions), wrong=wrong)


def _host(s: Snapshot, _: Language) -> list[TextLine]:
    storage, host = s.storage, s.host
    space = _space(s, _)
    if storage.total_octets:
        space = _("%(space)s, mail %(mail)s", space=space, mail=octets_of(storage.mail_octets, _))
    written = _("%(space)s; %(written)s written today", space=space, written=octets_of(host.written_octets_today, _))
    heat = f"; {host.temperature_c:.0f} C" if host.temperature_c is not None else ""
    memory = octets_of(host.memory_octets, _)
    runs = _("memory %(memory)s%(heat)s; running for %(span)s", memory=memory, heat=heat, span=span(s.running_s, _))
    return [
        line(_("Storage   %(text)s", text=written)),
        line(_("Host      %(text)s", text=runs), TICK),
        line(_("Clock     %(text)s", text=f"{stamp(s.at, s.utc_offset_s, _.date)}, {_clock(s, _)}"), TICK),
    ]


def _few(rows: list[str], most: int, screen: Screen) -> list[TextLine]:
    """So many lines; a row that is too long continues in the next where there is room for more than RECENT."""
    wrapped = rows[:RECENT] if most == RECENT else [part for row in rows for part in wrap(row, screen.columns, " " * 15)][:most]
    return [line(row) for row in wrapped] + [BLANK] * (RECENT - len(wrapped))


def text_body(text: Sequence[str], offset: int, screen: Screen) -> list[TextLine]:
    """A page of ready lines from `offset` on, and how many more there are."""
    shown, left = [line(row) for row in text[offset : offset + screen.room]], len(text) - offset - screen.room
    if left > 0:
        _ = screen.language
        shown[-1] = line(_.counted("   -- %(number)s line more: Down --", "   -- %(number)s lines more: Down --", left + 1))
    return shown


def power(s: Snapshot, screen: Screen) -> list[TextLine]:
    """What stopping the server means, before it is done."""
    _, q = screen.language, s.queue
    runs = _("The server has run for %(span)s.", span=span(s.running_s, _))
    sessions = _.counted("%(number)s session open", "%(number)s sessions open", s.sessions_open)
    sent = _.counted("%(number)s message being sent", "%(number)s messages being sent", q.trying)
    lossless = _("No accepted message is lost, however the server ends: by these keys, or by pulling the plug.")
    rows = [
        _("%(sessions)s, %(sent)s, %(waiting)s waiting.", sessions=sessions, sent=sent, waiting=q.waiting),
        *wrap(lossless, screen.columns - 1),
        "",
        *wrap(_("s   stop the server in order; the LEDs show when the plug may be pulled"), screen.columns - 1, "    "),
        *wrap(_("b   stop it and start again with new settings; mail programs reconnect"), screen.columns - 1, "    "),
    ]
    return [line(runs, TICK), BLANK, *map(line, rows)]
