"""The forwarding address of a user: asked for with the password, confirmed with a code that goes to the new address."""

from appliance.accounts.directory import Account
from appliance.control import requests as controls
from appliance.mail.errors import SetupError

from ..language import refusal_text
from ..message import HttpRefusal, HttpRequest, HttpResponse
from ..routes import WebRoute
from .base import PageGroup

PLACE = "/own/forwarding"


class ForwardingPages(PageGroup):
    """One page and its three actions, for the account of the session."""

    def routes(self) -> tuple[WebRoute, ...]:
        return (
            WebRoute("GET", PLACE, self.page),
            WebRoute("POST", PLACE, self.ask_for_it),
            WebRoute("POST", "/own/forwarding/confirm", self.confirm_code),
            WebRoute("POST", "/own/forwarding/stop", self.stop),
        )

    async def page(self, request: HttpRequest) -> HttpResponse:
        return await self._page(request)

    async def _page(self, request: HttpRequest, status: int = 200, **typed: str) -> HttpResponse:
        facts = (await self.ask(controls.ShowForwarding(self._account(request).address))).facts
        values = {"target": "", "keep": "yes", "fault": "", "place": "", **typed}
        return self.pages.page(request, "forwarding.html", status, on=facts, confirmed=self.is_confirmed(request), **values)

    async def ask_for_it(self, request: HttpRequest) -> HttpResponse:
        account, form, _ = self._account(request), await request.form(), request.language
        typed = {"target": form.get("target"), "keep": "yes" if form.get("keep") == "yes" else "no"}
        if not await self.confirm(request):
            return await self._page(request, 422, fault=_("That is not your password."), place="current", **typed)
        try:
            change = controls.AskForwarding(account.address, typed["target"], typed["keep"] == "yes", _.tag)
            facts = (await self.ask(change)).facts
        except SetupError as error:
            return await self._page(request, 422, fault=refusal_text(error, _), place="target", **typed)
        return self.done(request, _("A code was sent to %(target)s. Forwarding begins when it is entered.", target=facts["target"]), PLACE)

    async def confirm_code(self, request: HttpRequest) -> HttpResponse:
        account, form, _ = self._account(request), await request.form(), request.language
        if not await self.confirm(request):
            return await self._page(request, 422, fault=_("That is not your password."), place="current-code")
        try:
            facts = (await self.ask(controls.ConfirmForwarding(account.address, form.get("code"), _.tag))).facts
        except SetupError as error:
            return await self._page(request, 422, fault=refusal_text(error, _), place="code")
        return self.done(request, _("Messages are forwarded to %(target)s now.", target=facts["target"]), PLACE)

    async def stop(self, request: HttpRequest) -> HttpResponse:
        await self.ask(controls.StopForwarding(self._account(request).address, request.language.tag))
        return self.done(request, request.language("Messages are not forwarded."), PLACE)

    def _account(self, request: HttpRequest) -> Account:
        """Raises HttpRefusal when the account was removed a moment ago."""
        account = self.context.accounts.directory.account(request.session.account) if request.session else None
        if account is None:
            raise HttpRefusal(401)
        return account
