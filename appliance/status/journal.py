"""The journal: one line for each event to stderr, and the last few hundred lines in memory.

An event's line is its class's `journal` words and its fields as NAME=VALUE. Invariants: no line writes to storage; what others
sent (names, addresses, replies) cannot start a line of its own or control a terminal; a closed, full or stopped stderr never
blocks or ends the server: lines that do not fit are dropped and counted, and the count is written when lines fit again.
"""

import os
import select
import traceback
from collections import deque
from dataclasses import fields
from time import gmtime, strftime

import trio

from appliance.mail.clock import Clock

from .events import Event, SessionClosed

WITHOUT_LINES = ("http", "https")
"""Protocols whose sessions end without a line: a browser opens many, and looking at pages must write nothing anywhere."""
LINES = 300
"""Lines kept in memory, some 60 kB."""
PENDING = 2000
"""Events and lines that may wait to be written; beyond it the oldest is dropped."""
FRAMES = 6
"""Stack frames of a fault that are written: enough to find it."""
FIELD_CHARS = 200
LINE_CHARS = 2000
CHUNK_OCTETS = 4096 - 64
"""PIPE_BUF is what poll says will fit into a pipe without blocking; the rest is for the count of lost lines."""


class Journal:
    """Events and text in by `note` and `log`; lines out by `flush`, which `run` calls when there is something.

    `fd` is where lines go; `stamped` puts the time in front (systemd's journal has its own).
    """

    def __init__(self, clock: Clock, *, fd: int = 2, stamped: bool = True) -> None:
        self._clock = clock
        self._fd = fd
        self._stamped = stamped
        self._pending: deque[tuple[float, Event | str]] = deque()
        self._ring: deque[str] = deque(maxlen=LINES)
        self._wake: trio.Event | None = None
        self.quiet = False
        """Lines are kept for `lines` and not written."""
        self.count = 0
        """Lines since the start, so that a reader can go on where it stopped."""
        self.dropped = 0
        """Lines lost since the last line that reported it."""

    def note(self, event: Event) -> None:
        """Remember an event for the next flush: the board's `feed`."""
        self._add(event)

    def log(self, text: str) -> None:
        """One line of plain text; a traceback's lines are given one by one."""
        self._add(text)

    def _add(self, entry: Event | str) -> None:
        if len(self._pending) >= PENDING:
            self._pending.popleft()
            self.dropped += 1
        self._pending.append((self._clock.wall_s(), entry))
        if self._wake is not None:
            self._wake.set()

    def lines(self, since: int = 0) -> list[str]:
        """The lines in memory after the first `since` ones, oldest first, those not yet written among them; each with its time."""
        self.flush()
        new = self.count - since if since <= self.count else self.count  # a count of the server process before this one
        return list(self._ring)[-new:] if new else []

    async def run(self) -> None:
        """Write whatever comes until cancelled, then what is left; several lines of one moment share a system call."""
        try:
            while True:
                if not self._pending:
                    self._wake = trio.Event()
                    await self._wake.wait()
                    self._wake = None
                self.flush()
                await trio.lowlevel.checkpoint()
        finally:
            self._wake = None
            self.flush()

    def flush(self) -> None:
        """Write everything that is pending, or drop and count it; never blocks, never raises."""
        chunk: list[bytes] = []
        octets = 0
        while self._pending:
            at, entry = self._pending.popleft()
            text = clean(entry if isinstance(entry, str) else self._line(entry), LINE_CHARS)
            if not text:
                continue
            line = strftime("%Y-%m-%dT%H:%M:%SZ ", gmtime(max(0, int(at)))) + text
            self._ring.append(line)
            self.count += 1
            if self.quiet:
                continue
            raw = (line if self._stamped else text).encode("utf-8", "backslashreplace") + b"\n"
            if len(raw) > CHUNK_OCTETS:  # not within a character
                raw = raw[: CHUNK_OCTETS - 1].decode("utf-8", "ignore").encode() + b"\n"
            if octets + len(raw) > CHUNK_OCTETS:
                self._write(chunk)
                chunk, octets = [], 0
            chunk.append(raw)
            octets += len(raw)
        if chunk:
            self._write(chunk)

    def _write(self, chunk: list[bytes]) -> None:
        try:
            if self._fits():
                lost = b"%d lines of the journal were lost here\n" % self.dropped if self.dropped else b""
                os.write(self._fd, lost + b"".join(chunk))
                self.dropped = 0
                return
        except OSError:
            pass  # closed, or its disk is full: the same as no room
        self.dropped += len(chunk)

    def _fits(self) -> bool:
        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        found = poll.poll(0)
        return bool(found) and not found[0][1] & (select.POLLNVAL | select.POLLERR)

    def _line(self, event: Event) -> str:
        if not event.journal or (isinstance(event, SessionClosed) and event.protocol in WITHOUT_LINES):
            return ""
        parts = [event.journal]
        for field in fields(event):
            value = getattr(event, field.name)
            if value == "" or value == ():
                continue
            if field.name == "duration_s":
                parts.append(f"took={value:.3f}s")
            elif isinstance(value, float):
                parts.append(f"{field.name}={value:.1f}")
            else:
                parts.append(f"{field.name}={_field(','.join(value) if isinstance(value, tuple) else str(value))}")
        return " ".join(parts)


def frames_of(fault: BaseException) -> list[str]:
    """The innermost stack frames of an exception, one line each; of the first leaf in exception groups."""
    trace = fault.__traceback__
    while isinstance(fault, BaseExceptionGroup):
        fault = fault.exceptions[0]
        trace = fault.__traceback__ or trace
    return [f"  at {at.filename}:{at.lineno} in {at.name}: {at.line}" for at in traceback.extract_tb(trace)[-FRAMES:]]


def clean(text: str, chars: int = FIELD_CHARS) -> str:
    """`text` on one line, at most `chars` characters: control and invisible characters are escaped."""
    if len(text) > chars:
        text = text[: chars - 1] + "…"
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" if ord(c) < 256 else f"\\u{ord(c):04x}" for c in text)


def _field(value: str) -> str:
    value = clean(value)
    if any(c in value for c in ' "='):
        return '"' + value.replace('"', '\\"') + '"'
    return value
