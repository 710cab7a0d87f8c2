"""The console: one far end over a byte stream, from the first picture to its going; and the terminal of `pillarbox console`.

`run` is what the supervisor keeps: it opens the port, attends to whoever is there, and opens it again when it went.

| the port  | event                                       | next     | what happens                                             |
|-----------|---------------------------------------------|----------|----------------------------------------------------------|
| closed    | opener succeeds                             | open     | the first screen at once, locked                         |
| closed    | opener fails                                | closed   | again after a pause that doubles, AGAIN_S at most        |
| open      | first octet after long silence, or transport  | open     | the screen whole: the far end may have just been plugged |
| open      | octets that are no key                      | open     | the screen whole, every NOISY_S at most                  |
| open      | a minute, and nobody was heard for long     | open     | the screen whole: somebody may be there without a word   |
| open      | end of stream, error                        | closed   | opened again                                             |

Nothing queues: the painter draws the newest picture when the stream took the last one whole; while the far end does not
read, nothing is drawn at all. What the line carries in a second is not sent faster, so that the kernel's buffer holds no
old pictures. How it fails: errors of the port close it; nothing else comes out of `run`.
"""

import os
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import replace

import trio

from appliance.status.snapshot import Snapshot

from .dialogue import Dialogue
from .keys import NOISE, Keys
from .ports import AccessGuard, ControlPort, Options, SnapshotSource
from .screens import NAMES, frame, overview
from .screens_text import HEIGHT, SCREEN, WIDTH, Screen
from .terminal import PlainTerminal, Terminal, Vt100

ESC_S = 0.3
"""Silence after an ESC that makes it the Esc key; at 9600 baud a sequence takes 3 ms, over a network perhaps 200."""
CALM_S = 0.5
"""Pause between pictures drawn because something happened; keys do not wait for it."""
READ_OCTETS = 256
HEARD_OCTETS_PER_S = 20_000.0
"""What is listened to of a far end that never stops; more than the fastest line of 115,200 baud."""
SILENT_S = 300.0
"""After so long without an octet the far end may be another one."""
NOISY_S = 10.0
CARRIER_DETECT_S = 1.0
AGAIN_S = (0.5, 10.0)
"""First and longest pause before the port is opened again."""
STOOD_S = 5.0
"""A port that stood so long begins again with the first pause."""


class ConsoleSession:
    """One far end, as long as its stream lives."""

    def __init__(
        self, stream: trio.abc.Stream, board: SnapshotSource, controls: ControlPort, options: Options, keeper: AccessGuard
    ) -> None:
        self._stream = stream
        self._board = board
        self._options = options
        self._wake = trio.Event()
        self.screen = Screen()
        """How large the far end is; who knows resizes it and calls `anew`."""
        self.dialogue = Dialogue(board, controls, options, keeper, touched=self.touch)
        self._terminal = self._made()
        self._heard = self._cleaned = float("-inf")
        self._scope = trio.CancelScope()
        self.octets_out = self.pictures = 0

    def _made(self) -> Terminal:
        kind = PlainTerminal if self.dialogue.plain else Vt100
        return kind(utf8=self._options.utf8)

    def touch(self) -> None:
        self._wake.set()

    async def run(self) -> None:
        """Until the stream ends or the person leaves."""
        SCREEN.set(self.screen)  # for this task and those it starts
        self.touch()
        with self._scope:
            async with trio.open_nursery() as nursery:
                for task in (self.dialogue.work, self._paint, self._watch, self._minutes, self._carrier_detect):
                    nursery.start_soon(task)
                with suppress(trio.BrokenResourceError, trio.ClosedResourceError):  # unplugged: the same as its end
                    await self._read()
                nursery.cancel_scope.cancel()

    async def leave(self) -> None:
        """A person's terminal is given back as it was."""
        SCREEN.set(self.screen)
        with trio.move_on_after(1):
            await self._stream.send_all(self._terminal.leave())

    async def _paint(self) -> None:
        try:
            while not self.dialogue.left:
                await self._wake.wait()
                self._wake = trio.Event()
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
                self._terminal = self._made()
            self._terminal.forget()
            return before + self._terminal.render(self.dialogue.picture())
        return self._terminal.render(self.dialogue.picture())

    def anew(self) -> None:
        """Who knows what is shown now: the next picture goes out whole."""
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
            if octets and now - self._heard > SILENT_S:
                self.anew()
            self._heard = now
            if NOISE in pressed and now - self._cleaned > NOISY_S:
                self._cleaned = now
                self.anew()
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
            self.dialogue.quiet()
            if trio.current_time() - self._heard > SILENT_S and not self._options.leaves and not self.dialogue.plain:
                self.anew()
            self.touch()

    async def _carrier_detect(self) -> None:
        """Where the port can tell that a cable was plugged in, whoever did it sees the screen, and nobody's rights outlive the cable."""
        carrier_detect: Callable[[], bool | None] | None = getattr(self._stream, "carrier_detect", None)
        if carrier_detect is None:
            return
        was = carrier_detect()
        while True:
            await trio.sleep(CARRIER_DETECT_S)
            now = carrier_detect()
            if now and was is False:
                self.anew()
            elif now is False and was:
                self.dialogue.away()
            was = now


async def run(
    port_opener: Callable[[], Awaitable[trio.abc.Stream]],
    board: SnapshotSource,
    controls: ControlPort,
    options: Options,
    keeper: AccessGuard,
    *,
    say: Callable[[str], object] = lambda text: None,
    task_status: "trio.TaskStatus[None]" = trio.TASK_STATUS_IGNORED,
) -> None:
    """The part the supervisor runs: until cancelled. `say` is told in a sentence when the port goes and comes."""
    task_status.started()
    pause_s, said = AGAIN_S[0], ""
    while True:
        opened_mono = trio.current_time()
        trouble = "it was closed"
        try:
            stream = await port_opener()
        except OSError as error:
            trouble = str(error)
        else:
            if said:
                say("The console's port is there again.")
                said = ""
            try:
                await ConsoleSession(stream, board, controls, options, keeper).run()
            finally:
                await trio.aclose_forcefully(stream)
            if trio.current_time() - opened_mono > STOOD_S:
                pause_s = AGAIN_S[0]
        if trouble != said:
            say(f"The console's port is not there ({trouble}); it is looked for again and again.")
            said = trouble
        await trio.sleep(pause_s)
        pause_s = min(pause_s * 2, AGAIN_S[1])


# --- a person's own terminal --------------------------------------------------------------------


def suits(options: Options, environment: Mapping[str, str], size: tuple[int, int] = (0, 0)) -> Options:
    """The options for a terminal as its environment tells: UTF-8 or not, commands or not; `size` is columns and rows, 0 for unknown."""
    tongue = next((value for name in ("LC_ALL", "LC_CTYPE", "LANG") if (value := environment.get(name, ""))), "")
    small = 0 < size[0] <= WIDTH or 0 < size[1] < HEIGHT
    plain = small or environment.get("TERM", "") in ("", "dumb", "unknown")
    utf8 = tongue.upper().replace("-", "").endswith("UTF8")
    return replace(options, leaves=True, utf8=utf8, plain=options.plain or plain, octets_per_s=1e6)


async def on_terminal(
    board: SnapshotSource,
    controls: ControlPort,
    options: Options,
    keeper: AccessGuard,
    *,
    descriptor: int = 0,
    environment: Mapping[str, str] = os.environ,
) -> None:
    """`pillarbox console`: on the terminal behind `descriptor`, in raw mode until q, SIGTERM or SIGHUP; the mode is always restored.

    Raises OSError when there is no terminal there (see `once`).
    """
    import signal
    import termios

    # a description of its own: O_NONBLOCK must not spread to the shell, which shares the one we were given
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
    attendance = ConsoleSession(stream, board, controls, suits(options, environment, os.get_terminal_size(opened)), keeper)
    attendance.screen.resize(*os.get_terminal_size(opened))
    try:
        termios.tcsetattr(opened, termios.TCSANOW, raw)
        with trio.open_signal_receiver(signal.SIGTERM, signal.SIGHUP, signal.SIGWINCH) as signals:
            async with trio.open_nursery() as nursery:

                async def ended() -> None:
                    async for one in signals:
                        if one == signal.SIGWINCH:  # the window has another size, and what it likes in it
                            attendance.screen.resize(*os.get_terminal_size(opened))
                            attendance.anew()
                        else:
                            nursery.cancel_scope.cancel()

                nursery.start_soon(ended)
                await attendance.run()
                nursery.cancel_scope.cancel()
    finally:
        try:
            with trio.CancelScope(shield=True):
                await attendance.leave()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the terminal is gone: nothing to give back
        finally:
            with suppress(termios.error):
                termios.tcsetattr(opened, termios.TCSANOW, before)
            await trio.aclose_forcefully(stream)


def once(s: Snapshot) -> str:
    """The first screen as plain lines, for a pipe. Ends with a line end."""
    picture = frame(NAMES[0], overview(s), s, rights="", message="", hint="")
    return "\n".join(row.text.rstrip() for row in picture.lines[:-3]) + "\n"
