"""Setup: a few questions in the browser make a server without accounts into one that receives and sends mail.

| step     | question                | who may answer                                  | then                                |
|----------|-------------------------|-------------------------------------------------|-------------------------------------|
| code     | the setup code          | whoever is near, while there is no account      | a cookie that opens the steps below |
| language | language of the pages   | with the cookie                                 | the answer is stored                |
| address  | name and address        | with the cookie                                 | the answers are stored              |
| password | the password            | with the cookie                                 | account, code used up, signed in    |
| sending  | how mail leaves, a test | the administrator                               | settings, a restart if they changed |

Interrupted anywhere it goes on at the first question without an answer: answers are stored (`accounts/setup_progress`), but for code and
password. The code itself stays in memory beside the cookie's digest, OPENED at most, because making the account checks it once more
in its commit. After a restart the code is asked again.
"""

import hashlib
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

from appliance.accounts.domains import read_address
from appliance.accounts.passwords import check_new, check_strength
from appliance.accounts.setup_progress import SetupAnswers
from appliance.control import requests as controls
from appliance.languages.catalogues import Language, catalogue, tags
from appliance.mail.errors import SetupError
from appliance.protocol.http.cookie import encode_cookie

from ..context import WebContext
from ..language import refusal_text
from ..message import LANGUAGE_COOKIE, HttpRefusal, HttpRequest, HttpResponse, redirect
from ..rendering import Pages
from ..routes import Access, WebRoute
from ..site import SESSION_COOKIE
from .base import PageGroup

COOKIE = "setup"
OPENED = 16
"""Browsers that may be setting up at once; the oldest is forgotten."""
NO_DOMAIN = "home.arpa"
"""The domain of a home without one (RFC 8375)."""
STEPS = ("language", "address", "password", "sending")
RELAY_FIELDS = ("host", "port", "security", "user")
NEW_RELAY = {"name": "", "host": "", "port": 0, "security": "tls", "user": "", "secret": False}
RELAY_NAME = "provider"


class SetupPages(PageGroup):
    """The questions, one page each."""

    def __init__(self, context: WebContext, pages: Pages) -> None:
        super().__init__(context, pages)
        self._opened: dict[bytes, str] = {}
        """Digest of the cookie to the code that was typed."""

    def routes(self) -> tuple[WebRoute, ...]:
        rows = (
            ("GET", "/setup", self.begin, Access.SETUP),
            ("POST", "/setup", self.open, Access.SETUP),
            ("GET", "/setup/language", self.opened(self.language_page), Access.SETUP),
            ("POST", "/setup/language", self.opened(self.set_language), Access.SETUP),
            ("GET", "/setup/address", self.opened(self.address_page), Access.SETUP),
            ("POST", "/setup/address", self.opened(self.set_address), Access.SETUP),
            ("GET", "/setup/password", self.opened(self.password_page), Access.SETUP),
            ("POST", "/setup/password", self.opened(self.set_password), Access.SETUP),
            ("GET", "/setup/sending", self.sending_page, Access.ADMIN),
            ("POST", "/setup/sending", self.test_sending, Access.ADMIN),
            ("POST", "/setup/route", self.set_route, Access.ADMIN),
            ("GET", "/setup/sending/{message}", self.test_page, Access.ADMIN),
            ("POST", "/setup/done", self.finish, Access.ADMIN),
        )
        return tuple(WebRoute(method, pattern, handle, access) for method, pattern, handle, access in rows)

    # --- the code -----------------------------------------------------------------------------------

    async def begin(self, request: HttpRequest) -> HttpResponse:
        if self._code(request):
            return redirect(await self._next(request))
        return self.pages.page(request, "setup_code.html", fault="")

    async def open(self, request: HttpRequest) -> HttpResponse:
        code = (await request.form()).get("code")
        try:
            await self.ask(controls.CheckSetupCode(code, request.peer))
        except SetupError as error:
            return self.pages.page(request, "setup_code.html", 422, fault=refusal_text(error, request.language))
        secret = secrets.token_urlsafe(32)
        while len(self._opened) >= OPENED:
            del self._opened[next(iter(self._opened))]
        self._opened[_digest(secret)] = code
        response = redirect(await self._next(request))
        response.fields.append(("set-cookie", encode_cookie(COOKIE, secret)))
        return response

    def _code(self, request: HttpRequest) -> str:
        return self._opened.get(_digest(request.cookie(COOKIE)), "")

    def opened(self, handle: Callable[[HttpRequest], Awaitable[HttpResponse]]) -> Callable[[HttpRequest], Awaitable[HttpResponse]]:
        """The handler, for browsers in which the code was typed; others are asked for it."""

        async def opened(request: HttpRequest) -> HttpResponse:
            return await handle(request) if self._code(request) else redirect("/setup")

        return opened

    async def _next(self, request: HttpRequest) -> str:
        answers = await self.context.progress.answers()
        if not answers.language:
            return "/setup/language"
        return "/setup/password" if answers.answered else "/setup/address"

    # --- the answers --------------------------------------------------------------------------------

    async def language_page(self, request: HttpRequest) -> HttpResponse:
        return self.pages.page(request, "setup_language.html", steps=STEPS, step="language")

    async def set_language(self, request: HttpRequest) -> HttpResponse:
        wanted = (await request.form()).get("language")
        if wanted not in tags():
            raise HttpRefusal(422)
        await self.context.progress.keep(language=wanted)
        response = redirect("/setup/address")
        response.fields.append(("set-cookie", encode_cookie(LANGUAGE_COOKIE, wanted)))
        return response

    async def address_page(self, request: HttpRequest) -> HttpResponse:
        return self._address_page(request, await self.context.progress.answers())

    def _address_page(self, request: HttpRequest, answers: SetupAnswers, status: int = 200, fault: str = "") -> HttpResponse:
        domains = self.context.accounts.directory.domains()
        domain = answers.domain or (domains[0] if domains and not answers.answered else "")
        return self.pages.page(
            request, "setup_address.html", status, steps=STEPS, step="address", answers=answers, domain=domain, fault=fault
        )

    async def set_address(self, request: HttpRequest) -> HttpResponse:
        form = await request.form()
        answers = SetupAnswers(name=form.get("name"), local=form.get("local"), domain=form.get("domain"), answered=True)
        try:
            read_address(_address(answers))
        except SetupError as error:
            return self._address_page(request, answers, 422, refusal_text(error, request.language))
        await self.context.progress.keep(name=answers.name, local=answers.local, domain=answers.domain, answered=True)
        return redirect("/setup/password")

    async def password_page(self, request: HttpRequest) -> HttpResponse:
        return await self._password_page(request)

    async def _password_page(self, request: HttpRequest, status: int = 200, fault: str = "", place: str = "") -> HttpResponse:
        answers = await self.context.progress.answers()
        if not answers.answered:
            return redirect("/setup/address")
        address = _address(answers)
        return self.pages.page(
            request, "setup_password.html", status, steps=STEPS, step="password", address=address, fault=fault, place=place
        )

    async def set_password(self, request: HttpRequest) -> HttpResponse:
        form, _ = await request.form(), request.language
        password, answers = form.secret("new"), await self.context.progress.answers()
        address = _address(answers)
        if password != form.secret("repeated"):
            return await self._password_page(request, 422, _("The two passwords differ."), "repeated")
        try:
            check_new(password)
            check_strength(password, address)
            await self.ask(controls.SetUp(self._code(request), address, password, request.peer))
        except SetupError as error:
            return await self._password_page(request, 422, refusal_text(error, _), "new")
        return await self._signed_in(request, address, answers)

    async def _signed_in(self, request: HttpRequest, address: str, answers: SetupAnswers) -> HttpResponse:
        """The account is there: its name, its first message, and a session for whoever made it."""
        self._opened.clear()
        account = self.context.accounts.directory.find_login(address)
        assert account is not None  # noqa: S101 - it was made just now
        _ = catalogue(answers.language) if answers.language else request.language
        if answers.name:
            await self.ask(controls.SetAccount(account.address, name=answers.name, named=True))
        await self.context.accounts.set_language(account.address, _.tag)
        await self.context.progress.keep(stage="sending")
        subject, text = welcome(_, answers.name or answers.local, self.context.names.host_name())
        await self.ask(controls.SendServerMessage(account.address, subject, text))
        row = next(row for row in self.context.accounts.secrets.rows[account.id] if not row.label)
        agent = request.fields.get("user-agent")
        secret = await self.context.sessions.begin(account.id, row.id, peer=request.peer, agent=agent, language=_.tag)
        response = redirect("/setup/sending")
        response.fields += [("set-cookie", encode_cookie(SESSION_COOKIE, secret)), ("set-cookie", encode_cookie(COOKIE, "", 0))]
        return response

    # --- how mail leaves ----------------------------------------------------------------------------

    async def sending_page(self, request: HttpRequest) -> HttpResponse:
        return await self._sending_page(request)

    async def _sending_page(self, request: HttpRequest, status: int = 200, **typed: Any) -> HttpResponse:
        """`typed`: what stood in its forms, and a `fault` beside the field `place`."""
        outbound, domains = self.context.board.snapshot().outbound, self.context.accounts.directory.domains()
        relay, direct = await self._route()
        chosen = "relay" if direct == "never" or outbound.port_25 == "blocked" else "direct"
        values = {"recipient": "", "fault": "", "place": "", "route": chosen, "relay": relay, **typed}
        return self.pages.page(
            request,
            "setup_sending.html",
            status,
            steps=STEPS,
            step="sending",
            outbound=outbound,
            local_only=all(domain == NO_DOMAIN for domain in domains),
            confirmed=self.is_confirmed(request),
            **values,
        )

    async def _route(self) -> tuple[dict[str, Any], str]:
        """The first relay of the settings, or an empty one; and the setting `sending.direct`."""
        facts = (await self.ask(controls.ShowSettings())).facts
        sending = next(one for one in facts["sections"] if one["name"] == "sending")
        direct = next(field["value"] for field in sending["fields"] if field["name"] == "direct")
        return facts["relays"][0] if facts["relays"] else dict(NEW_RELAY), direct

    async def set_route(self, request: HttpRequest) -> HttpResponse:
        """Directly, or through the provider's relay: written to the settings, and in use after a restart."""
        form, _ = await request.form(), request.language
        route = "relay" if form.get("route") == "relay" else "direct"
        relay: dict[str, Any] = {**NEW_RELAY, **{key: form.get(key) for key in RELAY_FIELDS}}
        typed = {"route": route, "relay": relay}
        if not await self.confirm(request):
            return await self._sending_page(request, 422, fault=_("That is not your password."), place="current", **typed)
        try:
            changed = await self._set_route(route, relay, form.secret("password"))
        except SetupError as error:
            return await self._sending_page(request, 422, fault=refusal_text(error, _), place="host", **typed)
        if not changed:
            return redirect("/setup/sending")
        await self.ask(controls.Restart())
        return self.pages.page(request, "setup_restart.html", steps=STEPS, step="sending")

    async def _set_route(self, route: str, relay: dict[str, Any], password: str) -> bool:
        """Whether the settings changed. Raises SetupError."""
        before, direct = await self._route()
        changed = False
        if route == "relay":
            values = {key: relay[key] for key in RELAY_FIELDS} | {"name": before["name"] or RELAY_NAME, "port": relay["port"] or "0"}
            if password:
                values["password"] = password
            changed = (await self.ask(controls.SetRelay(values))).facts["changed"]
        wanted = "never" if route == "relay" else "first" if direct == "never" else direct
        change = controls.ChangeSettings("sending", {"direct": wanted})
        return bool((await self.ask(change)).facts["changed"] or changed)

    async def test_sending(self, request: HttpRequest) -> HttpResponse:
        """A real message, in the account's name, to an address elsewhere."""
        form, _ = await request.form(), request.language
        recipient, account = form.get("recipient"), self._account(request)
        subject = _("Test of a mail server")
        text = _("This message was sent to try out how mail leaves a new server. If you can read it, it works.")
        try:
            facts = (await self.ask(controls.SendServerMessage(account, subject, text, recipient or " "))).facts
        except SetupError as error:
            return await self._sending_page(request, 422, recipient=recipient, fault=refusal_text(error, _), place="recipient")
        return redirect(f"/setup/sending/{facts['message']}")

    async def test_page(self, request: HttpRequest) -> HttpResponse:
        """What has become of the test."""
        facts = (await self.ask(controls.TrackMessage(request.values["message"]))).facts
        events = facts.get("events", [])
        last = events[-1]["event"] if events else ""
        return self.pages.page(request, "setup_test.html", steps=STEPS, step="sending", events=events, last=last)

    async def finish(self, request: HttpRequest) -> HttpResponse:
        await self.context.progress.end()
        return self.done(request, request.language("The server is set up. A first message is in your mailbox."), "/admin/")

    def _account(self, request: HttpRequest) -> str:
        account = self.context.accounts.directory.account(request.session.account) if request.session else None
        if account is None:
            raise HttpRefusal(401)
        return account.address


def _address(answers: SetupAnswers) -> str:
    return f"{answers.local}@{answers.domain or NO_DOMAIN}"


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def welcome(_: Language, name: str, host: str) -> tuple[str, str]:
    """Subject and text of the first message."""
    paragraphs = (
        _("Hello %(name)s,", name=name),
        _("this is your own mail server. This message is in it already: your mail is kept at home, on this machine, and nowhere else."),
        _("On a phone or computer, add an account in the mail program with your whole address as user name, and with the server %(host)s. "
            "Better than your password is a password for each device: your own page in the browser makes them.", host=host),
        _("Answer this message if you like: the answer comes back to you, and you have sent your first mail."),
        _("Pillarbox"),
    )  # fmt: skip
    return _("Welcome to your mail server"), "\n\n".join(paragraphs)
