"""What the modules of pages share: asking the admin API, saying what was done, and wording a refusal for a page."""

from appliance.accounts.directory import Account
from appliance.accounts.web_sessions import WebSession
from appliance.auth.identity import Identity
from appliance.auth.login import LoginAttempt
from appliance.control.requests import Request, Response
from appliance.protocol.http.cookie import encode_cookie

from ..access import may_administrate
from ..context import WebContext
from ..message import HttpRefusal, HttpRequest, HttpResponse, redirect
from ..rendering import Pages
from ..site import SESSION_COOKIE


class PageGroup:
    """Pages of one part of the site."""

    def __init__(self, context: WebContext, pages: Pages) -> None:
        self.context = context
        self.pages = pages

    def signed_in(self, request: HttpRequest) -> tuple[WebSession, Account]:
        """The session and its account. Raises HttpRefusal when the account was removed a moment ago."""
        session = request.session
        account = self.context.accounts.directory.account(session.account) if session else None
        if session is None or account is None:
            raise HttpRefusal(401)
        return session, account

    def may_go_on(self, session: WebSession) -> bool:
        """May a response to an administrator go on that lasts longer than its request? No once session or role is gone."""
        return self.context.sessions.is_live(session) and may_administrate(session, self.context.is_admin)

    async def ask(self, request: Request) -> Response:
        """The answer of the admin API. Raises SetupError, StoreError."""
        return await self.context.control.ask(request)

    def is_confirmed(self, request: HttpRequest) -> bool:
        """Was the password typed within the last minutes?"""
        return request.session is not None and self.context.sessions.is_confirmed(request.session)

    async def confirm(self, request: HttpRequest, *, always: bool = False) -> bool:
        """Was the password typed a moment ago, or is it right in the form's field `current`? Throttled like every sign-in."""
        session, sessions = request.session, self.context.sessions
        account = self.context.accounts.directory.account(session.account) if session else None
        if session is None or account is None:
            return False
        if not always and sessions.is_confirmed(session):
            return True
        password, attempt = (await request.form()).secret("current"), LoginAttempt(request.peer, "https", "form")
        identity = await request.attend(lambda: self.context.login.check_password(account.address, password, attempt))
        if identity is None or identity.app_password:
            return False
        sessions.confirm(session)
        return True

    async def begin_session(self, request: HttpRequest, identity: Identity, *, confirmed: bool = True) -> HttpResponse:
        """The session of whoever has just signed in: a response with its cookie. `confirmed`: by typing the password."""
        account = self.context.accounts.directory.account(identity.account)
        language = (account.language if account else "") or request.language.tag
        agent = request.fields.get("user-agent")
        secret = await self.context.sessions.begin(
            identity.account, identity.password, peer=request.peer, agent=agent, language=language, confirmed=confirmed
        )
        return HttpResponse(fields=[("set-cookie", encode_cookie(SESSION_COOKIE, secret))])

    def done(self, request: HttpRequest, sentence: str, place: str) -> HttpResponse:
        """Something was done: the sentence stands on the next page."""
        if request.session is not None:
            request.session.note(sentence)
        return redirect(place)


def next_place(place: str) -> str:
    """Where to go after signing in: a path of this server, or nothing."""
    return place if place.startswith("/") and not place.startswith(("//", "/\\")) and place.isascii() and place.isprintable() else ""
