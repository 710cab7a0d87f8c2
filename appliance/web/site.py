"""The site: every request goes through here, in this order, and leaves as a response; see `Site.respond`.

| step                 | refused with                                                                          |
|----------------------|---------------------------------------------------------------------------------------|
| flood                | nothing: the request waits until its source has a token again                         |
| Host                 | 421: it is for another server (DNS rebinding, `access.answers_to`)                    |
| plain http           | answered by `plain_http`, which knows no session and no form                          |
| route                | 404, 405                                                                              |
| access               | 403; without a session a page leads to the sign-in, a program gets 401; with a        |
|                      | password that an administrator set everything leads to choosing another               |
| forged request       | 403: from another site, or without our token                                          |
| handler              | whatever it raises as `HttpRefusal`; SetupError 409, StoreError 503                       |
| conditional request  | 304, 206, 416                                                                         |
| compression          | pages and JSON, where the client takes gzip                                           |

Invariants: the handler of a route is called only when all checks before it have passed; every response has the security fields;
private ones are never stored. How it fails: an exception of a handler is a 500 here and then the connection's, which logs it.
"""

from collections.abc import Callable, Sequence

import trio

from appliance.mail.errors import MisuseError, SetupError, StoreError, Trouble
from appliance.network.ratelimit import Buckets, source_of
from appliance.protocol.http import problem
from appliance.protocol.http.date import encode_date

from . import access, security
from .access_log import AccessEntry, AccessLog
from .compression import compress
from .conditional import apply_conditions
from .context import WebContext
from .language import refusal_text
from .message import TEXT, HttpRefusal, HttpRequest, HttpResponse, redirect
from .plain_http import PlainHttp
from .routes import Access, RouteMatch, SiteSection, WebRoute, WebRoutes

FLOOD_WAIT_S = 10.0
"""Longest that a request of a source waits whose burst is used up: its connections, one request after another."""
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
SESSION_COOKIE, FORM_COOKIE = "session", "form"
"""The session's secret; before sign-in, a random value that forms are bound to."""
SIGN_IN, SETUP, CHANGE_PASSWORD = "/sign-in", "/setup", "/own/password"

RefusalPage = Callable[[HttpRequest, HttpRefusal], HttpResponse]


class Site:
    """`refusal_page` words a refusal for people; it is told the request and the refusal."""

    def __init__(self, context: WebContext, sections: Sequence[SiteSection], refusal_page: RefusalPage, log: AccessLog) -> None:
        options = context.options
        self.log = log
        self._context = context
        self._routes = WebRoutes(sections)
        self._plain = PlainHttp(context)
        self._refusal_page = refusal_page
        self._sources = Buckets(options.requests_per_s, options.burst)

    async def respond(self, request: HttpRequest) -> HttpResponse:
        """The response, complete but for its framing."""
        if wait_s := self._sources.reserve(source_of(request.peer), trio.current_time(), FLOOD_WAIT_S):
            await trio.sleep(wait_s)
        begun = self._context.clock.mono_s()
        response, pattern = await self._dispatch(request)
        apply_conditions(request, response)
        compress(request, response)
        if response.status != 304:  # what the browser has keeps the fields it came with
            security.secure(response, hsts=request.secure and self._context.public_days() >= security.HSTS_LEAST_DAYS)
        if self._context.clock.trusted():
            response.fields.append(("date", encode_date(self._context.clock.wall_s())))
        self._note(request, pattern, response.status, begun)
        return response

    async def _dispatch(self, request: HttpRequest) -> tuple[HttpResponse, str]:
        """The response, and the pattern of its route for the access log."""
        found = RouteMatch(None, {})
        if not access.answers_to(self._context.names, request):
            return self._refuse(request, found, HttpRefusal(421)), "-"
        pattern = "-"
        try:
            if not request.secure:
                return await self._plain.respond(request)
            request.session = self._context.sessions.find(request.cookie(SESSION_COOKIE))
            found = await self._routes.find(request.method, request.target.segments)
            pattern = found.route.pattern if found.route else "-"
            return await self._handle(request, found), pattern
        except HttpRefusal as refusal:
            return self._refuse(request, found, refusal), pattern

    async def _handle(self, request: HttpRequest, found: RouteMatch) -> HttpResponse:
        route = found.route
        if route is None:
            methods = (("allow", ", ".join(found.allowed)),) if found.allowed else ()
            raise HttpRefusal(405 if found.allowed else 404, fields=methods)
        request.values = found.values
        if (instead := self._check_access(request, route)) is not None:
            return instead
        request.body.most_octets = route.body_octets  # type: ignore[attr-defined]
        if route.method not in SAFE_METHODS and not route.own_credentials:
            await self._check_origin(request, route)
        try:
            return await route.handle(request)
        except SetupError as error:
            raise HttpRefusal(409, refusal_text(error, request.language)) from error
        except MisuseError as error:
            raise HttpRefusal(400, str(error)) from error
        except StoreError as error:
            raise HttpRefusal(507 if error.trouble is Trouble.FULL else 503, str(error)) from error

    # --- access ---------------------------------------------------------------------------------

    def _check_access(self, request: HttpRequest, route: WebRoute) -> HttpResponse | None:
        """Raises HttpRefusal; a response instead of the handler's when the client is to go elsewhere first."""
        wanted, context = route.access, self._context
        if wanted in (Access.NEARBY, Access.SETUP, Access.ADMIN) and not self._is_near(request):
            raise HttpRefusal(403, request.language("This page is only for devices in the network of the server."))
        if wanted is Access.SETUP and context.accounts.directory.accounts():
            return redirect(SIGN_IN)
        if wanted not in (Access.SIGNED_IN, Access.ADMIN):
            return None
        if request.session is None:
            return self._lead_to_sign_in(request, route)
        if request.stream is not None:
            account = context.accounts.directory.account(request.session.account)
            request.stream.who = account.address if account else ""
            request.stream.login = (request.session.account, request.session.password)
        if context.accounts.must_change(request.session.account, request.session.password) and not route.before_change:
            if route.program:
                raise HttpRefusal(403, request.language("Choose a new password first."))
            return redirect(CHANGE_PASSWORD)
        if wanted is Access.ADMIN and not access.may_administrate(request.session, context.is_admin):
            raise HttpRefusal(403, request.language("Only an administrator may see this page."))
        return None

    def _is_near(self, request: HttpRequest) -> bool:
        return self._context.options.administrate_from_anywhere or access.is_nearby(request)

    def _lead_to_sign_in(self, request: HttpRequest, route: WebRoute) -> HttpResponse:
        if route.program:
            raise HttpRefusal(401, request.language("Sign in first."))
        if not self._context.accounts.directory.accounts() and self._is_near(request):
            return redirect(SETUP)
        after = f"?next={request.path}" if route.method == "GET" and request.path != "/" and request.path.isascii() else ""
        return redirect(SIGN_IN + after)

    async def _check_origin(self, request: HttpRequest, route: WebRoute) -> None:
        """Raises HttpRefusal for a request that its sender's owner may not have meant."""
        sentence = request.language("This form was not sent from a page of this server, or it is too old. Open the page again.")
        if not security.is_same_origin(request):
            raise HttpRefusal(403, sentence)
        given = request.fields.get(security.TOKEN_FIELD) if route.program else (await request.form()).get("token")
        if not security.is_token(form_secret(request), given):
            raise HttpRefusal(403, sentence)

    # --- refusals -------------------------------------------------------------------------------

    def _refuse(self, request: HttpRequest, found: RouteMatch, refusal: HttpRefusal) -> HttpResponse:
        """A page for people; a problem document for programs; on plain http and for a wrong Host a few words."""
        program = found.route.program if found.route else "text/html" not in request.fields.get("accept")
        if not request.secure or refusal.status == 421:
            response = HttpResponse(refusal.status, f"{refusal.status} {problem.phrase(refusal.status)}\n".encode(), TEXT)
        elif program:
            response = HttpResponse(refusal.status, problem.encode_problem(refusal.status, refusal.text), problem.MEDIA_TYPE)
        else:
            response = self._refusal_page(request, refusal)
        response.fields += refusal.fields
        return response

    def _note(self, request: HttpRequest, pattern: str, status: int, begun: float) -> None:
        session, directory = request.session, self._context.accounts.directory
        account = directory.account(session.account) if session else None
        took_ms = 1000 * (self._context.clock.mono_s() - begun)
        at = int(self._context.clock.wall_s())
        self.log.add(AccessEntry(at, request.peer, account.address if account else "", request.method, pattern, status, took_ms))


def form_secret(request: HttpRequest) -> str:
    """The value of the cookie that the forms of this browser are bound to; "" before it has one."""
    return request.cookie(SESSION_COOKIE if request.session else FORM_COOKIE)
