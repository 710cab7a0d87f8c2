"""The state of one console: which screen is shown, what is unlocked, typed or asked. No input or output here.

| state    | key                            | next     | what happens                                                      |
|----------|--------------------------------|----------|-------------------------------------------------------------------|
| viewing  | 1..9, ?, movement              | viewing  | another view, page or line                                        |
| viewing  | a key of the view              | viewing  | a job; or, if it changes something:                               |
| viewing  | the same, locked               | typing   | an administrator is asked to sign in; then as below               |
| viewing  | the same, unlocked             | question | where it cannot be undone; else the job                           |
| typing   | characters, backspace          | typing   | at most TYPED of them                                             |
| typing   | Enter / Esc                    | viewing  | what was typed is used / discarded                                |
| question | y, once the question was shown | viewing  | the job                                                           |
| question | anything else                  | viewing  | nothing                                                           |
| any      | no key for `lock_s`            | viewing  | locked, typed text and secret pages discarded, the first screen   |
| any      | that administrator's password  | viewing  | the same, where it was unlocked                                   |
|          | or role is gone                |          |                                                                   |

A job is a request to the server; there is one at a time, more are refused in a sentence. `work` does jobs and fetches lists; the
console runs it. A question is answered only after its picture was sent, so that line noise or pasted text answers
nothing. Failures: whatever a job raises becomes a sentence; the dialogue goes on.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

import trio

from appliance.control.requests import Request, Response
from appliance.languages.catalogues import Language

from . import screens
from .keys import NOISE, moved
from .ports import AccessGuard, AdminGrant, ConsoleOptions, ControlPort, SignInStep, SnapshotSource, spoken
from .screens_text import VT100, Picture, clean, wrap
from .view import ONE_MOMENT, View
from .views import make_views
from .wakeup import Wakeup

TYPED = 200
ASK_S = 60.0
"""The longest wait for a response of the server."""
FETCH_S = 2.0
"""Shortest time between two fetches of a list because something happened."""
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
    """`press` takes keys, `picture` is what to show, `work` runs in a task of its own; `touched` is called when the picture may be new."""

    def __init__(
        self, board: SnapshotSource, control: ControlPort, options: ConsoleOptions, access: AccessGuard, *, touched: Callable[[], None]
    ) -> None:
        self.board, self.options, self.access = board, options, access
        self._control, self._touched = control, touched
        self.screen = replace(VT100, language=spoken(options))
        self.views: tuple[View, ...] = make_views()
        self.view: View = self.views[0]
        self.page: Page | None = None
        self.typing: Typing | None = None
        self.question: Question | None = None
        self.message = ""
        self.plain = options.plain
        self.repaint = self.left = False
        self._open_until = float("-inf")
        self._grant: AdminGrant | None = None
        """What it was unlocked by."""
        self._key_mono = trio.current_time()
        self._job: Callable[[], Awaitable[None]] | None = None
        self._fetch = self._stale = False
        self._fetch_mono = 0.0
        self._todo = Wakeup()

    # --- what is shown ---------------------------------------------------------------------------

    @property
    def _(self) -> Language:
        """Says a sentence in the language of who looks."""
        return self.screen.language

    @property
    def notice(self) -> str:
        return self._(self.access.notice)

    @property
    def unlocked(self) -> bool:
        return not self.access.requires_password or trio.current_time() < self._open_until

    def picture(self) -> Picture:
        """What the terminal should show now."""
        self._lock_after_change()
        if (language := spoken(self.options)) is not self.screen.language:
            self.screen = replace(self.screen, language=language)
        s, _ = self.board.snapshot(), language
        rights = "" if not self.access.requires_password else _("unlocked") if self.unlocked else _("read only")
        message, typing = self.message, False
        if self.typing is not None:
            typed = "*" * len(self.typing.text) if self.typing.hidden else self.typing.text
            message, typing = f"{_(self.typing.label)} {typed}", True
        elif self.question is not None:
            message = self.question.text[: self.screen.columns - 6] + _(" (y/n)")
        elif self._job is not None and not message:
            message = _(ONE_MOMENT)
        if self.page is not None:
            body, hint, name = (
                screens.text_body(self.page.lines, self.page.offset, self.screen),
                _("Up Down  Esc back  ? help"),
                self.page.title,
            )
        else:
            body, hint, name = self.view.body(s, self), self.view.hint(self), self.view.name
            if self.view.needs is not None and not self._stale and self.view.outdated(s):
                self._stale = True
                self._todo.set()
        return screens.frame(name, body, s, self.screen, screens.FrameText(rights, clean(message), hint, typing))

    def seen(self, question: Question | None) -> None:
        """A picture with this question was sent whole."""
        if question is not None:
            question.seen = True

    # --- keys --------------------------------------------------------------------------------------

    def press(self, key: str) -> None:
        """One key; never raises, never waits."""
        if key == NOISE:
            return
        now = trio.current_time()
        self._lock_after_change()
        if self.access.requires_password and self.unlocked:
            self._open_until = now + self.options.lock_s
        self._key_mono = now
        self._touched()
        if self.typing is not None:
            self._type(self.typing, key)
        elif self.question is not None:
            question, self.question = self.question, None
            if not question.seen:
                self.question = question  # it was not on the screen yet: this is no answer to it
            elif key in ("y", "Y"):
                question.then()
            else:
                self.message = self._("Nothing was changed.")
        else:
            self.message = ""
            self._view_key(key)

    def _view_key(self, key: str) -> None:
        if key.isascii() and key.isdigit() and key != "0":
            self.go(int(key) - 1)
        elif key in ("?", "H"):
            self.show(self._("Help"), self._(screens.HELP))
        elif key == "ctrl-l":
            self.repaint = True
        elif key == "t" and self.page is None:
            self.plain = not self.plain
            self.repaint = True
        elif key in ("q", "ctrl-c", "ctrl-d"):
            self.leave()
        elif self.page is not None:
            self._page_key(self.page, key)
        elif not self.view.press(self, key) and key in ("esc", "backspace"):
            self.go(0)

    def _page_key(self, page: Page, key: str) -> None:
        last = max(0, len(page.lines) - self.screen.room)
        step = moved(key, self.screen.room - 1, len(page.lines))
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
            self.message = self._("Nothing was changed.")
        elif key == "backspace":
            typing.text = typing.text[:-1]
        elif key == "ctrl-u":
            typing.text = ""
        elif key == "ctrl-l":
            self.repaint = True
        elif len(key) == 1 and len(typing.text) < TYPED:
            typing.text += key

    # --- what views use (view.Interaction) ------------------------------------------------------------

    def go(self, number: int) -> None:
        """To one of the screens, from its beginning."""
        self.page = None
        self.view = self.views[number]
        self.view.enter()
        self.fetch()

    def show(self, title: str, text: str, *, secret: bool = False) -> None:
        """A page over the view."""
        rows = [row for part in self._(text).splitlines()[:PAGE_LINES] for row in wrap(part, self.screen.columns, "    ")]
        self.page = Page(title, rows[:PAGE_LINES], secret)

    def show_response(self, response: Response) -> None:
        """A response on the message line, or on a page when it is longer or has a secret."""
        text = self._(response.text).strip()
        if "password" in response.facts or "\n" in text or len(text) >= self.screen.columns:
            self.show(self._("Answer"), text, secret="password" in response.facts)
        else:
            self.message = text
        self.fetch()

    def ask(self, label: str, then: Callable[[str], None], *, hidden: bool = False) -> None:
        """Have something typed."""
        self.typing = Typing(label, then, hidden)

    def confirm(self, text: str, then: Callable[[], None]) -> None:
        """Ask once before what cannot be undone."""
        self.question = Question(text, then)

    def changing(self, then: Callable[[], None]) -> None:
        """`then`, after an administrator has signed in where that is required."""
        if self.unlocked:
            then()
        elif wait_s := self.access.wait_s:
            self.message = self._("Wait %(seconds)s seconds before the next try.", seconds=f"{wait_s:.0f}")
        else:
            self._sign_in(self.access.begin(), then)

    def _sign_in(self, step: SignInStep | str, then: Callable[[], None]) -> None:
        if isinstance(step, str):
            self.message = self._(step)
        else:
            self.ask(step.label, lambda text: self._answer(step, text, then), hidden=step.hidden)

    def _answer(self, step: SignInStep, text: str, then: Callable[[], None]) -> None:
        async def job() -> None:
            result = await self.access.answered(step, text)
            if isinstance(result, str):
                self.message = self._(result)
            elif self.typing is not None or self.question is not None:
                self.message = self._("Nothing was changed: something else was begun meanwhile.")
            elif isinstance(result, SignInStep):
                self._sign_in(result, then)
            elif not result.holds():
                self.message = self._("The password has been changed meanwhile.")
            else:
                self._grant = result
                self._open_until = trio.current_time() + self.options.lock_s
                self._job = None  # this one is done; `then` may start the next
                then()

        if text:
            self.run(job)

    def request(self, request: Request, then: Callable[[Response], None] | None = None) -> None:
        """Send a request to the server."""

        async def job() -> None:
            (then or self.show_response)(await self._control.ask(request))

        self.run(job)

    def run(self, job: Callable[[], Awaitable[None]]) -> None:
        if self._job is not None:
            self.message = self._("One moment: the server is still busy with the previous command.")
            return
        self._job = job
        self._todo.set()

    def fetch(self) -> None:
        """Have the view's list fetched."""
        if self.view.needs is not None:
            self._fetch = True
            self._todo.set()

    def leave(self) -> None:
        """The user leaves: locked, the first screen."""
        self.away()
        self.left = self.options.can_quit

    def away(self) -> None:
        """Nobody is there: locked, typed text and secrets discarded, the first screen."""
        self._open_until, self._grant = float("-inf"), None
        self.page = self.typing = self.question = None
        self.message = ""
        self.go(0)

    def _lock_after_change(self) -> None:
        """Whoever is no administrator any more, or knew only the former password, is out, with an open question as well."""
        if self._grant is not None and not self._grant.holds():
            self.away()

    def check_idle(self) -> None:
        """Called every minute: after `lock_s` without a key nobody is there any more."""
        busy = self.typing or self.question or self.page or self._open_until > 0
        if busy and trio.current_time() - self._key_mono >= self.options.lock_s:
            self.away()

    # --- work --------------------------------------------------------------------------------------

    async def work(self) -> None:
        """Jobs and lists, one after another, until cancelled."""
        while True:
            with trio.move_on_after(max(0.0, self._fetch_mono - trio.current_time()) if self._stale else float("inf")):
                await self._todo.wait()
            job = self._job
            if job is not None:
                problem = await self._guarded(job)
                if self._job is job:
                    self._job = None
                elif self._job is not None:
                    self._todo.set()
                if problem:
                    self._report(problem)
                self._touched()
            if self._fetch or (self._stale and trio.current_time() >= self._fetch_mono):
                self._fetch = self._stale = False
                await self._renew(self.view)
            await trio.lowlevel.checkpoint()

    async def _renew(self, view: View) -> None:
        """Fetch a view's list; on a busy server not more often than every FETCH_S."""
        request = view.needs
        if request is None:
            return
        view.requested(self.board.snapshot())

        async def fetched() -> None:
            view.received(await self._control.ask(request))

        view.trouble = await self._guarded(fetched)
        self._fetch_mono = trio.current_time() + FETCH_S
        self._touched()

    def _report(self, text: str) -> None:
        if len(text) < self.screen.columns:
            self.message = text
        else:
            self.show(self._("Answer"), text)

    async def _guarded(self, job: Callable[[], Awaitable[None]]) -> str:
        """What went wrong, in words; "" when nothing did. The guard of one console: no exception leaves it."""
        with trio.move_on_after(ASK_S) as scope:
            try:
                await job()
            except Exception as fault:
                problem, remedy = self._(getattr(fault, "problem", "")), self._(getattr(fault, "remedy", ""))
                what = str(fault) or type(fault).__name__
                return f"{problem} {remedy}".strip() or self._("The server could not do that: %(what)s", what=what)
        return self._("The server did not answer within a minute.") if scope.cancelled_caught else ""
