"""The machine for administrators: messages in, out and refused; network and ports; storage; logs; restart and shutdown.

The log is live where scripts run: an event stream sends the lines that came, LINES_A_LOOK at once at most, every LOOK_S; it ends with
its session. The newest lines are in memory only (`status/journal`), so looking writes nothing.
"""

import json
from collections.abc import AsyncIterator
from typing import Any

import trio

from appliance.control import requests as controls
from appliance.protocol.http.event_stream import COMMENT, MEDIA_TYPE, encode_event
from appliance.status.storage_life import AMPLIFICATION, CYCLES, life_text

from ..access_log import AccessLog
from ..context import WebContext
from ..message import HttpRequest, HttpResponse
from ..rendering import Pages
from ..routes import Access, WebRoute
from .base import PageGroup

LOOK_S = 1.0
LINES_A_LOOK = 100
"""What is beyond it comes with the next look, or has left the memory by then."""
ALIVE_LOOKS = 25
"""Looks without a line until the stream says that it is alive."""


class MachinePages(PageGroup):
    """Pages that show the snapshot, and the few actions on the server as a whole."""

    def __init__(self, context: WebContext, pages: Pages, log: AccessLog) -> None:
        super().__init__(context, pages)
        self._log = log

    def routes(self) -> tuple[WebRoute, ...]:
        rows = (
            ("GET", "/admin/messages", self.messages),
            ("GET", "/admin/network", self.network),
            ("POST", "/admin/network", self.check_network),
            ("GET", "/admin/storage", self.storage),
            ("GET", "/admin/logs", self.logs),
            ("GET", "/admin/logs/events", self.log_events),
            ("GET", "/admin/power", self.power),
            ("POST", "/admin/power/restart", self.restart),
            ("POST", "/admin/power/shut-down", self.shut_down),
        )
        return tuple(WebRoute(method, pattern, handle, Access.ADMIN) for method, pattern, handle in rows)

    async def messages(self, request: HttpRequest) -> HttpResponse:
        return self.pages.page(request, "messages.html", s=self.context.board.snapshot())

    async def network(self, request: HttpRequest) -> HttpResponse:
        return self._network(request)

    async def check_network(self, request: HttpRequest) -> HttpResponse:
        """Connects to each listener and to the outside, which takes up to a minute."""
        found = await request.attend(lambda: self.ask(controls.CheckNetwork()))
        return self._network(request, found.facts["findings"])

    def _network(self, request: HttpRequest, findings: list[dict[str, Any]] | None = None) -> HttpResponse:
        return self.pages.page(request, "network.html", s=self.context.board.snapshot(), findings=findings)

    async def storage(self, request: HttpRequest) -> HttpResponse:
        s = self.context.board.snapshot()
        rows = (await self.ask(controls.ListAccounts())).facts["accounts"]
        accounts = sorted(rows, key=lambda row: -row["octets"])
        return self.pages.page(
            request,
            "storage.html",
            s=s,
            accounts=accounts,
            used=s.storage.total_octets - s.storage.free_octets,
            life=life_text(s.storage.total_octets, s.host.written_octets_a_day),
            cycles=CYCLES,
            amplification=AMPLIFICATION,
        )

    # --- logs ---------------------------------------------------------------------------------------

    async def logs(self, request: HttpRequest) -> HttpResponse:
        facts = (await self.ask(controls.ReadLog())).facts
        requests = list(self._log.entries)[::-1]
        return self.pages.page(request, "logs.html", lines=facts["lines"][::-1], count=facts["count"], requests=requests)

    async def log_events(self, request: HttpRequest) -> HttpResponse:
        """The lines after the first `since`; a browser that connects again says where it was (Last-Event-ID)."""
        since = request.fields.get("last-event-id") or request.query.get("since")
        return HttpResponse(
            200,
            self._new_lines(request, int(since) if since.isascii() and since.isdigit() and len(since) < 20 else 0),
            MEDIA_TYPE,
            lasting=True,
        )

    async def _new_lines(self, request: HttpRequest, since: int) -> AsyncIterator[bytes]:
        session, silent = request.session, 0
        while session is not None and self.may_go_on(session):
            facts = (await self.ask(controls.ReadLog(since))).facts
            lines = facts["lines"][:LINES_A_LOOK]
            since = facts["count"] - len(facts["lines"]) + len(lines)
            silent = 0 if lines else silent + 1
            if lines:
                yield encode_event(json.dumps(lines, ensure_ascii=False), id=str(since))
            elif silent % ALIVE_LOOKS == 0:
                yield COMMENT
            await trio.sleep(LOOK_S)

    # --- restart and shutdown -----------------------------------------------------------------------

    async def power(self, request: HttpRequest) -> HttpResponse:
        return self.pages.page(request, "power.html", s=self.context.board.snapshot())

    async def restart(self, request: HttpRequest) -> HttpResponse:
        await self.ask(controls.Restart())
        _ = request.language
        sentence = _("The server restarts. It is back in a moment.")
        return self.pages.page(request, "power_done.html", sentence=sentence, again=True)

    async def shut_down(self, request: HttpRequest) -> HttpResponse:
        await self.ask(controls.ShutDown())
        _ = request.language
        sentence = _("The server shuts down. Wait until its lights say that the plug may be pulled.")
        return self.pages.page(request, "power_done.html", sentence=sentence, again=False)
