"""The console: a session over a byte stream, the task of the serial console, and the terminal of `pillarbox console`.

`run` is the supervisor's task: it opens the serial port, serves the session, and opens the port again when it ended.

| the port  | event                                   | next     | what happens                                                  |
|-----------|-----------------------------------------|----------|---------------------------------------------------------------|
| closed    | opener succeeds                         | open     | the first screen at once, locked                              |
| closed    | opener fails                            | closed   | again after a pause that doubles, REOPEN_S at most            |
| open      | first octet after SILENT_S, or DCD rose | open     | the whole screen: the terminal may have just been connected   |
| open      | octets that are no key                  | open     | the whole screen, every NOISY_S at most                       |
| open      | every minute after SILENT_S             | open     | the whole screen: somebody may look without pressing a key    |
| open      | end of stream, error                    | closed   | opened again                                                  |

Nothing queues: the newest picture is drawn when the stream has taken the last one whole; while the terminal does not
read, nothing is drawn at all. Output is paced at the speed of the line, so that the kernel's buffer holds no old pictures.
Failures: errors of the port close it; nothing else comes out of `run`.
"""

import os
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace

import trio

from appliance.languages.catalogues import Language
from appliance.status.snapshot import Snapshot

from .dialogue import Dialogue
from .keys import NOISE, Keys
from .ports import AccessGuard, ConsoleOptions, ControlPort, SnapshotSource, spoken
from .screens import NAMES, FrameText, frame, overview
from .screens_text import HEIGHT, VT100, WIDTH, screen_of
from .terminal import PlainTerminal, Terminal, Vt100
from .wakeup import Wakeup

ESC_S = 0.3
"""Silence after an ESC that makes it the Esc key; at 9600 baud a sequence takes 3 ms, over a network perhaps 200."""
CALM_S = 0.5
"""Shortest time between pictures drawn because something happened; keys do not wait for it."""
READ_OCTETS = 256
HEARD_OCTETS_PER_S = 20_000.0
"""How fast input is read at most; more than the fastest line of 115,200 baud."""
SILENT_S = 300.0
"""After so long without an octet it may be another terminal."""
NOISY_S = 10.0
DCD_S = 1.0
REOPEN_S = (0.5, 10.0)
"""First and longest pause before the port is opened again."""
STABLE_S = 5.0
"""After a port was open so long the pauses start with the first again."""


class ConsoleSession:
    """One terminal, as long as its stream is open."""

    def __init__(
        self, stream: trio.abc.Stream, board: SnapshotSource, control: ControlPort, options: ConsoleOptions, access: AccessGuard
    ) -> None:
        self._stream = stream
        self._board = board
        self._options = options
        self._wake = Wakeup()
        self.dialogue = Dialogue(board, control, options, access, touched=self.touch)
        self._terminal = self._new_terminal()
        self._read_octets = self._redrawn_at = float("-inf")
        self._scope = trio.CancelScope()
        self.octets_out = self.pictures = 0

    def _new_terminal(self) -> Terminal:
        kind = PlainTerminal if self.dialogue.plain else Vt100
        return kind(utf8=self._options.utf8)

    def touch(self) -> None:
        self._wake.set()

    async def run(self) -> None:
        """Until the stream ends or the user leaves."""
        self.touch()
        with self._scope:
            async with trio.open_nursery() as nursery:
                for task in (self.dialogue.work, self._paint, self._watch, self._minutes, self._watch_dcd):
                    nursery.start_soon(task)
                with suppress(trio.BrokenResourceError, trio.ClosedResourceError):  # unplugged: the same as its end
                    await self._read()
                nursery.cancel_scope.cancel()

    async def leave(self) -> None:
        """Restore the terminal."""
        with trio.move_on_after(1):
            await self._stream.send_all(self._terminal.leave())

    async def _paint(self) -> None:
        try:
            while not self.dialogue.left:
                await self._wake.wait()
                octets = self._drawn()
                question = self.dialogue.question
                if octets:
                    await self._stream.send_all(octets)
                    self.octets_out += len(octets)
                    self.pictures += 1
                self.dialogue.seen(question)
                await trio.sleep(len(octets) / self._options.octets_per_s)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        self._scope.cancel()

    def _drawn(self) -> bytes:
        if self.dialogue.repaint:
            self.dialogue.repaint = False
            before = b"" if isinstance(self._terminal, PlainTerminal) == self.dialogue.plain else self._terminal.leave()
            if before:
                self._terminal = self._new_terminal()
            self._terminal.forget()
            return before + self._terminal.render(self.dialogue.picture())
        return self._terminal.render(self.dialogue.picture())

    def resize(self, columns: int, rows: int) -> None:
        """The terminal has so many columns and rows; it is drawn whole."""
        self.dialogue.screen = screen_of(columns, rows, spoken(self._options))
        self.redraw()

    def redraw(self) -> None:
        """What the terminal shows is unknown: the next picture is sent whole."""
        self._terminal.forget()
        self.touch()

    async def _read(self) -> None:
        keys = Keys()
        while True:
            with trio.move_on_after(ESC_S if keys.waiting else float("inf")) as silence:
                octets = bytes(await self._stream.receive_some(READ_OCTETS))
            if silence.cancelled_caught:
                octets, pressed = b"", keys.idle()
            elif not octets:
                return
            else:
                pressed = keys.feed(octets)
            now = trio.current_time()
            if octets and now - self._read_octets > SILENT_S:
                self.redraw()
            self._read_octets = now
            if NOISE in pressed and now - self._redrawn_at > NOISY_S:
                self._redrawn_at = now
                self.redraw()
            for key in pressed:
                self.dialogue.press(key)
            await trio.sleep(len(octets) / HEARD_OCTETS_PER_S)

    async def _watch(self) -> None:
        version = self._board.snapshot().version
        while True:
            version = (await self._board.changed(version)).version
            self.touch()
            await trio.sleep(CALM_S)

    async def _minutes(self) -> None:
        while True:
            await trio.sleep(60 - self._board.snapshot().at % 60 + 0.1)
            self.dialogue.check_idle()
            if trio.current_time() - self._read_octets > SILENT_S and not self._options.can_quit and not self.dialogue.plain:
                self.redraw()
            self.touch()

    async def _watch_dcd(self) -> None:
        """Where the port has DCD, a terminal that is connected gets the whole screen, and one that is disconnected is locked."""
        dcd: Callable[[], bool | None] | None = getattr(self._stream, "dcd", None)
        if dcd is None:
            return
        was = dcd()
        while True:
            await trio.sleep(DCD_S)
            now = dcd()
            if now and was is False:
                self.redraw()
            elif now is False and was:
                self.dialogue.away()
            was = now


async def run(
    port_opener: Callable[[], Awaitable[trio.abc.Stream]],
    board: SnapshotSource,
    control: ControlPort,
    options: ConsoleOptions,
    access: AccessGuard,
    *,
    log: Callable[[str], object] = lambda text: None,
    task_status: "trio.TaskStatus[None]" = trio.TASK_STATUS_IGNORED,
) -> None:
    """The task of the serial console, until cancelled. `log` gets a sentence when the port goes and comes back."""
    task_status.started()
    pause_s, reported = REOPEN_S[0], ""
    while True:
        opened_mono = trio.current_time()
        trouble = "it was closed"
        try:
            stream = await port_opener()
        except OSError as error:
            trouble = str(error)
        else:
            if reported:
                log("The serial port of the console is back.")
                reported = ""
            try:
                await ConsoleSession(stream, board, control, options, access).run()
            finally:
                await trio.aclose_forcefully(stream)
            if trio.current_time() - opened_mono > STABLE_S:
                pause_s = REOPEN_S[0]
        if trouble != reported:
            log(f"The serial port of the console cannot be used ({trouble}); it is tried again and again.")
            reported = trouble
        await trio.sleep(pause_s)
        pause_s = min(pause_s * 2, REOPEN_S[1])


# --- the terminal of `pillarbox console` ----------------------------------------------------------


def terminal_options(options: ConsoleOptions, environment: Mapping[str, str], size: tuple[int, int] = (0, 0)) -> ConsoleOptions:
    """The options for a terminal by its environment: UTF-8 or not, commands or not; `size` is columns and rows, 0 for unknown."""
    locale = next((value for name in ("LC_ALL", "LC_CTYPE", "LANG") if (value := environment.get(name, ""))), "")
    small = 0 < size[0] <= WIDTH or 0 < size[1] < HEIGHT
    plain = small or environment.get("TERM", "") in ("", "dumb", "unknown")
    utf8 = locale.upper().replace("-", "").endswith("UTF8")
    return replace(options, can_quit=True, utf8=utf8, plain=options.plain or plain, octets_per_s=1e6)


async def on_terminal(
    board: SnapshotSource,
    control: ControlPort,
    options: ConsoleOptions,
    access: AccessGuard,
    *,
    descriptor: int = 0,
    environment: Mapping[str, str] = os.environ,
) -> None:
    """`pillarbox console`: on the terminal behind `descriptor`, in raw mode until q, SIGTERM or SIGHUP; the mode is always restored.

    Raises OSError when there is no terminal there (see `once`).
    """
    import signal
    import termios

    # an open file description of our own: O_NONBLOCK must not affect the shell, which shares the given one
    opened = os.open(os.ttyname(descriptor), os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
    try:
        before = termios.tcgetattr(opened)
        raw = termios.tcgetattr(opened)
        raw[0] &= ~(termios.BRKINT | termios.ICRNL | termios.INLCR | termios.IGNCR | termios.INPCK | termios.ISTRIP)
        raw[0] |= termios.IXON
        raw[1] &= ~termios.OPOST
        raw[3] &= ~(termios.ECHO | termios.ICANON | termios.IEXTEN | termios.ISIG)
    except BaseException:
        os.close(opened)
        raise
    stream = trio.lowlevel.FdStream(opened)
    session = ConsoleSession(stream, board, control, terminal_options(options, environment, os.get_terminal_size(opened)), access)
    session.resize(*os.get_terminal_size(opened))
    try:
        termios.tcsetattr(opened, termios.TCSANOW, raw)
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGHUP, signal.SIGWINCH) as signals:
            async with trio.open_nursery() as nursery:

                async def ended() -> None:
                    async for one in signals:
                        if one == signal.SIGWINCH:
                            session.resize(*os.get_terminal_size(opened))
                        else:
                            nursery.cancel_scope.cancel()

                nursery.start_soon(ended)
                await session.run()
                nursery.cancel_scope.cancel()
    finally:
        try:
            with trio.CancelScope(shield=True):
                await session.leave()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the terminal is gone: nothing to restore
        finally:
            with suppress(termios.error):
                termios.tcsetattr(opened, termios.TCSANOW, before)
            await trio.aclose_forcefully(stream)


def once(s: Snapshot, language: Language) -> str:
    """The first screen as plain lines, for a pipe. Ends with a line end."""
    screen = replace(VT100, language=language)
    picture = frame(NAMES[0], overview(s, screen), s, screen, FrameText())
    return "\n".join(row.text.rstrip() for row in picture.lines[:-3]) + "\n"
