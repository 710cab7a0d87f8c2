"""The own page of each user: what the account has, its password, devices, sessions and language."""

from ..context import WebContext
from ..message import HttpRequest, HttpResponse
from ..rendering import Pages
from ..routes import WebRoute


class OwnPages:
    """Everything here is about the account of the session, whatever a form says."""

    def __init__(self, context: WebContext, pages: Pages) -> None:
        self._context = context
        self._pages = pages

    def routes(self) -> tuple[WebRoute, ...]:
        return (WebRoute("GET", "/own/", self.own_page), WebRoute("GET", "/own", self.own_page))

    async def own_page(self, request: HttpRequest) -> HttpResponse:
        return self._pages.page(request, "own.html")
