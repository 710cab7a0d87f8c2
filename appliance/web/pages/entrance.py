"""The entrance: sign-in, sign-out, where the first page leads, and the page about trust.

Signing in asks the same `Login`, with the same throttle, as IMAP and SMTP. An app password opens no session: it is a device's, and
whoever finds the device must not find the account. Every sign-in makes a new session; none is taken over from the client.

| step     | right                                         | wrong                                                                  |
|----------|-----------------------------------------------|------------------------------------------------------------------------|
| password | a session; with a second factor the next step | asked again                                                            |
| code     | a session                                     | asked again, a few times (`pending_sign_ins`); then the password again |
| passkey  | a session: `passkey_sign_in`                  | the page says so                                                       |
"""

from appliance.auth.identity import Identity
from appliance.auth.login import LoginAttempt
from appliance.mail.errors import AuthError
from appliance.network.ratelimit import source_of
from appliance.protocol.http.cookie import encode_cookie

from ..access import may_administrate
from ..context import WebContext
from ..message import HttpRefusal, HttpRequest, HttpResponse, redirect
from ..pending_sign_ins import PendingSignIn, PendingSignIns
from ..plain_http import authority_file
from ..rendering import Pages
from ..routes import Access, WebRoute
from ..site import SESSION_COOKIE, SIGN_IN
from .base import PageGroup, next_place

CODE = f"{SIGN_IN}/code"
PENDING_COOKIE = "sign-in"


class Entrance(PageGroup):
    """Pages for whoever is not signed in yet."""

    def __init__(self, context: WebContext, pages: Pages) -> None:
        super().__init__(context, pages)
        self._pending = PendingSignIns()

    def routes(self) -> tuple[WebRoute, ...]:
        return (
            WebRoute("GET", "/", self.home),
            WebRoute("GET", SIGN_IN, self.sign_in_page, Access.ANYONE),
            WebRoute("POST", SIGN_IN, self.sign_in, Access.ANYONE),
            WebRoute("GET", CODE, self.code_page, Access.ANYONE),
            WebRoute("POST", CODE, self.check_code, Access.ANYONE),
            WebRoute("POST", "/sign-out", self.sign_out, before_change=True),
            WebRoute("GET", "/trust", self.trust, Access.ANYONE),
            WebRoute("GET", "/trust/pillarbox.crt", self.authority, Access.ANYONE),
        )

    async def home(self, request: HttpRequest) -> HttpResponse:
        """The page to begin with; for the administrator the rest of a setup that was interrupted."""
        if not may_administrate(request.session, self.context.is_admin):
            return redirect("/mail/")
        unfinished = (await self.context.progress.answers()).stage == "sending"
        return redirect("/setup/sending" if unfinished else "/admin/")

    async def sign_in_page(self, request: HttpRequest) -> HttpResponse:
        if request.session is not None:
            return redirect("/")
        return self._sign_in_page(request, place=next_place(request.query.get("next")))

    def _sign_in_page(self, request: HttpRequest, status: int = 200, *, name: str = "", place: str = "", fault: str = "") -> HttpResponse:
        """`passkeys`: somebody has one for the name in the address bar."""
        passkeys = any(one.host == request.host.name for one in self.context.accounts.secrets.passkeys.values())
        return self.pages.page(request, "sign_in.html", status, name=name, next=place, fault=fault, passkeys=passkeys)

    async def sign_in(self, request: HttpRequest) -> HttpResponse:
        form, _ = await request.form(), request.language
        name, place = form.get("name"), next_place(form.get("next"))
        attempt = LoginAttempt(request.peer, "https", "form")
        try:
            identity = await request.attend(lambda: self.context.login.check_password(name, form.secret("password"), attempt))
        except AuthError:
            raise HttpRefusal(503, _("Passwords cannot be checked just now. Try again in a moment.")) from None
        if identity is None or identity.app_password:
            fault = _("The address or the password is wrong.")
            return self._sign_in_page(request, 403, name=name, place=place, fault=fault)
        if self.context.second_factors.of(identity.account) is not None:
            response = redirect(CODE)
            pending = self._pending.add(identity, place, self.context.clock.mono_s())
            response.fields.append(("set-cookie", encode_cookie(PENDING_COOKIE, pending)))
            return response
        return await self._begin(request, identity, place)

    async def _begin(self, request: HttpRequest, identity: Identity, place: str) -> HttpResponse:
        """The session of whoever has just signed in."""
        response, begun = redirect(place or "/"), await self.begin_session(request, identity)
        response.fields += begun.fields
        return response

    async def code_page(self, request: HttpRequest) -> HttpResponse:
        if self._waiting(request) is None:
            return redirect(SIGN_IN)
        return self._code_page(request)

    def _waiting(self, request: HttpRequest) -> PendingSignIn | None:
        return self._pending.find(request.cookie(PENDING_COOKIE), self.context.clock.mono_s())

    def _code_page(self, request: HttpRequest, status: int = 200, fault: str = "") -> HttpResponse:
        trusted = self.context.second_factors.clock_trusted
        return self.pages.page(request, "sign_in_code.html", status, fault=fault, clock_trusted=trusted)

    async def check_code(self, request: HttpRequest) -> HttpResponse:
        typed, _ = (await request.form()).secret("code"), request.language
        waiting, source = self._waiting(request), source_of(request.peer)
        if waiting is None:
            return redirect(SIGN_IN)
        waiting.tries -= 1  # before the check, which waits: many at once get no more tries
        account = waiting.identity.account
        if problem := await request.attend(lambda: self.context.second_factors.use(account, typed, source)):
            return self._code_page(request, 422, _(problem))
        if not self.context.login.is_current(waiting.identity) or not self._pending.end(request.cookie(PENDING_COOKIE)):
            return redirect(SIGN_IN)  # the password was changed meanwhile, or another request was quicker
        response = await self._begin(request, waiting.identity, waiting.place)
        response.fields.append(("set-cookie", encode_cookie(PENDING_COOKIE, "", 0)))
        return response

    async def sign_out(self, request: HttpRequest) -> HttpResponse:
        assert request.session is not None  # noqa: S101 - the site looked
        await self.context.sessions.end(request.session)
        response = redirect(SIGN_IN)
        response.fields += [("set-cookie", encode_cookie(SESSION_COOKIE, "", 0)), ("clear-site-data", '"cache", "storage"')]
        return response

    async def trust(self, request: HttpRequest) -> HttpResponse:
        pem, fingerprint = self.context.authority()
        if not pem:
            raise HttpRefusal(404)
        return self.pages.page(request, "trust.html", fingerprint=fingerprint)

    async def authority(self, request: HttpRequest) -> HttpResponse:
        pem, _fingerprint = self.context.authority()
        if not pem:
            raise HttpRefusal(404)
        return authority_file(pem)
