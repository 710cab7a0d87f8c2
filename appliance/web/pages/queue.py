"""The queue for administrators: what waits and why, the timeline of each message, and what can be done with it.

Addresses, outcomes and reasons are shown; subjects and contents are not.
"""

from appliance.control import requests as controls
from appliance.control.requests import Request
from appliance.mail.sentence import Sentence

from ..message import HttpRefusal, HttpRequest, HttpResponse
from ..routes import Access, WebRoute
from .base import PageGroup

PLACE = "/admin/queue"
PAGE_ENTRIES = 50
"""Of one page: it stays below 100 kB."""
ACTIONS: tuple[tuple[str, type, str], ...] = (
    ("retry", controls.RetryMessage, Sentence("The message is tried now.")),
    ("hold", controls.HoldMessage, Sentence("The message is held.")),
    ("release", controls.ReleaseMessage, Sentence("The message is released.")),
    ("cancel", controls.CancelMessage, Sentence("The message is cancelled: it is not sent.")),
)
"""What can be done with a waiting message: the last part of the address, the request, and what is said afterwards."""


class QueuePages(PageGroup):
    """The list and the timelines."""

    def routes(self) -> tuple[WebRoute, ...]:
        return (
            WebRoute("GET", PLACE, self.list_page, Access.ADMIN),
            WebRoute("POST", PLACE, self.flush, Access.ADMIN),
            WebRoute("GET", "/admin/queue/{message}", self.timeline, Access.ADMIN),
            WebRoute("POST", "/admin/queue/{entry}/{action}", self.act, Access.ADMIN),
        )

    async def list_page(self, request: HttpRequest) -> HttpResponse:
        """PAGE_ENTRIES after the entry that the address names."""
        typed = request.query.get("after")
        after = int(typed) if typed.isascii() and typed.isdigit() and len(typed) < 19 else 0
        rows = (await self.ask(controls.ListQueue(after, PAGE_ENTRIES + 1))).facts["messages"]
        messages, more = rows[:PAGE_ENTRIES], len(rows) > PAGE_ENTRIES
        waiting = self.context.board.snapshot().queue.waiting if after or more else len(messages)
        return self.pages.page(request, "queue.html", messages=messages, waiting=waiting, after=after, more=more)

    async def flush(self, request: HttpRequest) -> HttpResponse:
        rows = (await self.ask(controls.FlushQueue())).facts["rows"]
        _ = request.language
        return self.done(request, _.counted("%(number)s message is tried now.", "%(number)s messages are tried now.", rows), PLACE)

    async def timeline(self, request: HttpRequest) -> HttpResponse:
        message = request.values["message"]
        facts = (await self.ask(controls.TrackMessage(message))).facts
        if "events" not in facts:
            raise HttpRefusal(404)
        waiting = [row for row in (await self.ask(controls.ListQueue())).facts["messages"] if row["message"] == facts["message"]]
        return self.pages.page(request, "message.html", message=facts["message"], events=facts["events"], waiting=waiting)

    async def act(self, request: HttpRequest) -> HttpResponse:
        found = next((row for row in ACTIONS if row[0] == request.values["action"]), None)
        if found is None:
            raise HttpRefusal(404)
        change: Request = found[1](request.values["entry"])
        await self.ask(change)
        return self.done(request, request.language(found[2]), PLACE)
