"""JMAP's event stream and WebSocket on the HTTP edge (RFC 8620 §7.3, RFC 8887): who may open one is as for every other JMAP request."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Any, Protocol

from appliance.accounts.push_subscriptions import Credentials
from appliance.mail.ids import AccountId
from appliance.protocol.http.event_stream import MEDIA_TYPE
from appliance.protocol.jmap.push import EventRequest, parse_event_request
from appliance.protocol.jmap.request import JmapLimits

from .context import WebContext
from .message import HttpRefusal, HttpRequest, HttpResponse
from .routes import Access, WebRoute

if TYPE_CHECKING:
    from .jmap_websocket import JmapSockets


class PushPort(Protocol):
    """The JMAP service, as far as pushing and WebSockets ask of it."""

    @property
    def limits(self) -> JmapLimits: ...
    async def api(self, octets: bytes, account: AccountId, credentials: Credentials | None = None) -> dict[str, Any]: ...
    def changes(self, account: AccountId, types: frozenset[str] | None, last: str) -> AsyncIterator[tuple[dict[str, Any], str]]: ...
    def events(self, account: AccountId, wanted: EventRequest, is_live: Callable[[], bool]) -> AsyncIterator[bytes] | None:
        """The event stream; None when the account has too many open."""
        ...


class JmapPush:
    """The routes. `account_of`: whose credentials came with the request; raises HttpRefusal."""

    def __init__(self, context: WebContext, jmap: PushPort, account_of: Callable[[HttpRequest], Awaitable[AccountId]]) -> None:
        self._context = context
        self._jmap = jmap
        self._account_of = account_of
        self._sockets: JmapSockets | None = None

    def routes(self) -> tuple[WebRoute, ...]:
        return (
            WebRoute("GET", "/jmap/events", self.events, access=Access.ANYONE, program=True, own_credentials=True),
            WebRoute("GET", "/jmap/ws", self.websocket, access=Access.ANYONE, program=True, own_credentials=True),
        )

    async def events(self, request: HttpRequest) -> HttpResponse:
        account = await self._account_of(request)
        query = request.query
        last = request.fields.get("last-event-id")
        wanted = parse_event_request(query.get("types"), query.get("closeafter"), query.get("ping"), last)
        stream = self._jmap.events(account, wanted, self.liveness_of(request))
        if stream is None:
            raise HttpRefusal(429, "This account has too many event streams open.")
        return HttpResponse(200, stream, MEDIA_TYPE, lasting=True)

    async def websocket(self, request: HttpRequest) -> HttpResponse:
        from .jmap_websocket import JmapSockets, check_handshake  # 1 MB with wsproto, which few clients need

        account = await self._account_of(request)
        key = check_handshake(request)
        if self._sockets is None:
            self._sockets = JmapSockets(self._jmap)
        return self._sockets.accept(key, account, self.liveness_of(request), request.credentials)

    def liveness_of(self, request: HttpRequest) -> Callable[[], bool]:
        """Is whoever asked still signed in? The listener ends a connection whose password is gone; a session ends here."""
        session = request.session
        if session is None or "authorization" in request.fields:
            return lambda: True
        return lambda: self._context.sessions.is_live(session)
