"""One person at the far end: what they look at, what they may do, what they are being asked. No input or output here.

| state    | key                    | next     | what happens                                                          |
|----------|------------------------|----------|-----------------------------------------------------------------------|
| looking  | 1..9, ?, movement      | looking  | another view, page or line                                            |
| looking  | a view's message        | looking  | an errand; or, if it changes something:                               |
| looking  | the same, locked       | typing   | the admin password is asked for; then as below                        |
| looking  | the same, open         | asked    | where it cannot be taken back; else the errand                        |
| typing   | characters, backspace  | typing   | at most TYPED of them                                                 |
| typing   | Enter / Esc            | looking  | what was typed is used / thrown away                                  |
| asked    | y, once the question was seen | looking | the errand                                                      |
| asked    | anything else          | looking  | nothing                                                               |
| any      | silence of `lock_s`    | looking  | locked, typing and pages with secrets thrown away, the first screen   |

An errand is work for the server; one at a time, further ones are refused in a sentence. `work` does errands and fetches
lists; the console runs it. A person's question is answered only after its picture went out, so that line noise or
pasted text answers nothing. How it fails: whatever an errand raises becomes a sentence; the dialogue goes on.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import trio

from appliance.control.requests import Request, Response

from . import screens
from .keys import NOISE, moved
from .ports import AccessGuard, ControlPort, Options, SnapshotSource
from .screens_text import Picture, clean, room, wide, wrap
from .view import View
from .views import make_views

TYPED = 200
ASK_S = 60.0
"""The longest an answer of the server is waited for."""
FETCH_S = 2.0
"""Pause between two fetches of a list because something happened."""
PAGE_LINES = 1000


@dataclass(slots=True)
class Typing:
    label: str
    then: Callable[[str], None]
    hidden: bool = False
    text: str = field(default="", repr=False)


@dataclass(slots=True)
class Question:
    text: str
    then: Callable[[], None]
    seen: bool = False


@dataclass(slots=True)
class Page:
    title: str
    lines: list[str] = field(repr=False)
    secret: bool = False
    offset: int = 0


class Dialogue:
    """`press` keys, `picture` what to show, `work` in a task of its own; `touched` is called when there is something new."""

    def __init__(
        self, board: SnapshotSource, controls: ControlPort, options: Options, keeper: AccessGuard, *, touched: Callable[[], None]
    ) -> None:
        self.board, self.options, self.keeper = board, options, keeper
        self._controls, self._touched = controls, touched
        self.views: tuple[View, ...] = make_views()
        self.view: View = self.views[0]
        self.page: Page | None = None
        self.typing: Typing | None = None
        self.question: Question | None = None
        self.message = ""
        self.plain = options.plain
        self.repaint = self.left = False
        self._open_until = float("-inf")
        self._key_mono = trio.current_time()
        self._errand: Callable[[], Awaitable[None]] | None = None
        self._fetch = self._stale = False
        self._fetch_mono = 0.0
        self._todo = trio.Event()

    # --- what is shown ---------------------------------------------------------------------------

    @property
    def unlocked(self) -> bool:
        return not self.keeper.asks or trio.current_time() < self._open_until

    def picture(self) -> Picture:
        """What the far end should show now."""
        s = self.board.snapshot()
        rights = "" if not self.keeper.asks else "unlocked" if self.unlocked else "read only"
        message, typing = self.message, False
        if self.typing is not None:
            typed = "*" * len(self.typing.text) if self.typing.hidden else self.typing.text
            message, typing = f"{self.typing.label} {typed}", True
        elif self.question is not None:
            message = f"{self.question.text[: wide() - 6]} (y/n)"
        elif self._errand is not None and not message:
            message = "One moment ..."
        if self.page is not None:
            body, hint, name = screens.text_body(self.page.lines, self.page.offset), "Up Down  Esc back  ? help", self.page.title
        else:
            body, hint, name = self.view.body(s, self), self.view.hint(self), self.view.name
            if self.view.needs is not None and not self._stale and self.view.outdated(s):
                self._stale = True
                self._todo.set()
        return screens.frame(name, body, s, rights=rights, message=clean(message), hint=hint, typing=typing)

    def seen(self, question: Question | None) -> None:
        """A picture with this question went out whole."""
        if question is not None:
            question.seen = True

    # --- keys --------------------------------------------------------------------------------------

    def press(self, key: str) -> None:
        """One key; never raises, never waits."""
        if key == NOISE:
            return
        now = trio.current_time()
        if self.keeper.asks and self.unlocked:
            self._open_until = now + self.options.lock_s
        self._key_mono = now
        self._touched()
        if self.typing is not None:
            self._type(self.typing, key)
        elif self.question is not None:
            question, self.question = self.question, None
            if not question.seen:
                self.question = question  # it was not on the screen yet: no answer to it
            elif key in ("y", "Y"):
                question.then()
            else:
                self.message = "Left as it was."
        else:
            self.message = ""
            self._look(key)

    def _look(self, key: str) -> None:
        if key.isascii() and key.isdigit() and key != "0":
            self.go(int(key) - 1)
        elif key in ("?", "H"):
            self.show("Help", screens.HELP)
        elif key == "ctrl-l":
            self.repaint = True
        elif key == "t" and self.page is None:
            self.plain = not self.plain
            self.repaint = True
        elif key in ("q", "ctrl-c", "ctrl-d"):
            self.leave()
        elif self.page is not None:
            self._turn(self.page, key)
        elif not self.view.press(self, key) and key in ("esc", "backspace"):
            self.go(0)

    def _turn(self, page: Page, key: str) -> None:
        last = max(0, len(page.lines) - room())
        step = moved(key, room() - 1, len(page.lines))
        if step is not None:
            page.offset = min(max(0, page.offset + step), last)
        elif key in ("esc", "backspace", "enter", "left"):
            self.page = None

    def _type(self, typing: Typing, key: str) -> None:
        if key == "enter":
            self.typing = None
            typing.then(typing.text)
        elif key in ("esc", "ctrl-c", "ctrl-d"):
            self.typing = None
            self.message = "Left as it was."
        elif key == "backspace":
            typing.text = typing.text[:-1]
        elif key == "ctrl-u":
            typing.text = ""
        elif key == "ctrl-l":
            self.repaint = True
        elif len(key) == 1 and len(typing.text) < TYPED:
            typing.text += key

    # --- what views do with it ---------------------------------------------------------------------

    def go(self, number: int) -> None:
        """To one of the screens, seen anew."""
        self.page = None
        self.view = self.views[number]
        self.view.enter()
        self.fetch()

    def show(self, title: str, text: str, *, secret: bool = False) -> None:
        """A page over the view."""
        rows = [row for part in text.splitlines()[:PAGE_LINES] for row in wrap(part, indent="    ")]
        self.page = Page(title, rows[:PAGE_LINES], secret)

    def tell(self, answer: Response) -> None:
        """An answer on the message line, or on a page when it is longer, or says a secret once."""
        text = answer.text.strip()
        if "password" in answer.facts or "\n" in text or len(text) >= wide():
            self.show("Answer", text, secret="password" in answer.facts)
        else:
            self.message = text
        self.fetch()

    def ask(self, label: str, then: Callable[[str], None], *, hidden: bool = False) -> None:
        """Have something typed."""
        self.typing = Typing(label, then, hidden)

    def sure(self, text: str, then: Callable[[], None]) -> None:
        """Ask once before what cannot be taken back."""
        self.question = Question(text, then)

    def changing(self, then: Callable[[], None]) -> None:
        """`then`, after the admin password where it is needed."""
        if self.unlocked:
            then()
        elif wait_s := self.keeper.wait_s:
            self.message = f"Wait {wait_s:.0f} seconds before the next password."
        else:
            self.ask("Admin password:", lambda text: self._unlock(text, then), hidden=True)

    def _unlock(self, text: str, then: Callable[[], None]) -> None:
        async def errand() -> None:
            self.message = await self.keeper.refusal(text)
            if not self.message:
                self._open_until = trio.current_time() + self.options.lock_s
                self._errand = None  # this one is done; `then` may begin the next
                then()

        if text:
            self.run(errand)

    def request(self, request: Request, then: Callable[[Response], None] | None = None) -> None:
        """Ask the server for something."""

        async def errand() -> None:
            (then or self.tell)(await self._controls.ask(request))

        self.run(errand)

    def run(self, errand: Callable[[], Awaitable[None]]) -> None:
        if self._errand is not None:
            self.message = "One moment: the server is still busy with what you asked before."
            return
        self._errand = errand
        self._todo.set()

    def fetch(self) -> None:
        """Have the view's list fetched."""
        if self.view.needs is not None:
            self._fetch = True
            self._todo.set()

    def leave(self) -> None:
        """The person goes: locked, and where it began."""
        self.away()
        self.left = self.options.leaves

    def away(self) -> None:
        """Nobody is there: locked, nothing typed or secret left, the first screen."""
        self._open_until = float("-inf")
        self.page = self.typing = self.question = None
        self.message = ""
        self.go(0)

    def quiet(self) -> None:
        """Called now and then: after long silence nobody is there any more."""
        busy = self.typing or self.question or self.page or self._open_until > 0
        if busy and trio.current_time() - self._key_mono >= self.options.lock_s:
            self.away()

    # --- work --------------------------------------------------------------------------------------

    async def work(self) -> None:
        """Errands and lists, one after another, until cancelled."""
        while True:
            with trio.move_on_after(max(0.0, self._fetch_mono - trio.current_time()) if self._stale else float("inf")):
                await self._todo.wait()
            self._todo = trio.Event()
            errand = self._errand
            if errand is not None:
                said = await self._guarded(errand)
                if self._errand is errand:
                    self._errand = None
                elif self._errand is not None:
                    self._todo.set()
                if said:
                    self._report(said)
                self._touched()
            if self._fetch or (self._stale and trio.current_time() >= self._fetch_mono):
                self._fetch = self._stale = False
                await self._renew(self.view)
            await trio.lowlevel.checkpoint()

    async def _renew(self, view: View) -> None:
        """Fetch a view's list; a busy server is not asked all the time."""
        request = view.needs
        if request is None:
            return
        view.asking(self.board.snapshot())

        async def fetched() -> None:
            view.take(await self._controls.ask(request))

        view.trouble = await self._guarded(fetched)
        self._fetch_mono = trio.current_time() + FETCH_S
        self._touched()

    def _report(self, said: str) -> None:
        if len(said) < wide():
            self.message = said
        else:
            self.show("Answer", said)

    async def _guarded(self, deed: Callable[[], Awaitable[None]]) -> str:
        """What went wrong, in words; "" when nothing did. The guard of one person's session: any fault stays here."""
        with trio.move_on_after(ASK_S) as scope:
            try:
                await deed()
            except Exception as fault:
                problem, remedy = getattr(fault, "problem", ""), getattr(fault, "remedy", "")
                return f"{problem} {remedy}".strip() or f"The server could not do that: {str(fault) or type(fault).__name__}"
        return "The server did not answer within a minute." if scope.cancelled_caught else ""
