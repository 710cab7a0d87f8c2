"""The machine for administrators: messages in, out and refused; network and ports; storage; logs; restart and shutdown."""

from typing import Any

from appliance.control import requests as controls

from ..access_log import AccessLog
from ..context import WebContext
from ..message import HttpRequest, HttpResponse
from ..rendering import Pages
from ..routes import Access, WebRoute
from .base import PageGroup


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
        return self.pages.page(request, "storage.html", s=s, accounts=accounts, used=s.storage.total_octets - s.storage.free_octets)

    async def logs(self, request: HttpRequest) -> HttpResponse:
        lines = (await self.ask(controls.ReadLog())).facts["lines"]
        return self.pages.page(request, "logs.html", lines=lines[::-1], requests=list(self._log.entries)[::-1])

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
