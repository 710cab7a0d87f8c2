"""The entrance: sign-in, sign-out, where the first page leads, and the page about trust.

Signing in asks the same `Login`, with the same throttle, as IMAP and SMTP. An app password opens no session: it is a device's, and
whoever finds the device must not find the account. Every sign-in makes a new session; none is taken over from the client.
"""

from appliance.auth.login import LoginAttempt
from appliance.mail.errors import AuthError
from appliance.protocol.http.cookie import encode_cookie

from ..access import may_administrate
from ..message import HttpRefusal, HttpRequest, HttpResponse, redirect
from ..plain_http import authority_file
from ..routes import Access, WebRoute
from ..site import SESSION_COOKIE, SIGN_IN
from .base import PageGroup


class Entrance(PageGroup):
    """Pages for whoever is not signed in yet."""

    def routes(self) -> tuple[WebRoute, ...]:
        return (
            WebRoute("GET", "/", self.home),
            WebRoute("GET", SIGN_IN, self.sign_in_page, Access.ANYONE),
            WebRoute("POST", SIGN_IN, self.sign_in, Access.ANYONE),
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
        return self.pages.page(request, "sign_in.html", name="", next=_next(request.query.get("next")), fault="")

    async def sign_in(self, request: HttpRequest) -> HttpResponse:
        form, _ = await request.form(), request.language
        name, place = form.get("name"), _next(form.get("next"))
        attempt = LoginAttempt(request.peer, "https", "form")
        try:
            identity = await request.attend(lambda: self.context.login.check_password(name, form.secret("password"), attempt))
        except AuthError:
            raise HttpRefusal(503, _("Passwords cannot be checked just now. Try again in a moment.")) from None
        if identity is None or identity.app_password:
            fault = _("The address or the password is wrong.")
            return self.pages.page(request, "sign_in.html", 403, name=name, next=place, fault=fault)
        secret = await self.context.sessions.begin(
            identity.account, identity.password, peer=request.peer, agent=request.fields.get("user-agent"), language=request.language.tag
        )
        response = redirect(place or "/")
        response.fields.append(("set-cookie", encode_cookie(SESSION_COOKIE, secret)))
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


def _next(place: str) -> str:
    """Where to go after signing in: a path of this server, or nothing."""
    return place if place.startswith("/") and not place.startswith(("//", "/\\")) and place.isascii() and place.isprintable() else ""
