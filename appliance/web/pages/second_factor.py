"""The second factor on the own page: set up by a QR code and one right code, recovery codes shown once, switched off.

Everything here needs the password once more (`base.confirm`). The secret that is offered stays in the session until a code proves that
the app has it; nothing is stored before.
"""

from appliance.accounts.second_factor import new_secret
from appliance.accounts.totp import encode_secret, key_uri
from appliance.control import requests as controls
from appliance.control.requests import Request
from appliance.mail.errors import SetupError

from ..language import refusal_text
from ..message import HttpRequest, HttpResponse
from ..routes import WebRoute
from .base import PageGroup

PLACE = "/own/second-factor"


class SecondFactorPages(PageGroup):
    """One page and its actions."""

    def routes(self) -> tuple[WebRoute, ...]:
        return (
            WebRoute("GET", PLACE, self.page),
            WebRoute("POST", PLACE, self.enable),
            WebRoute("POST", f"{PLACE}/codes", self.renew_codes),
            WebRoute("POST", f"{PLACE}/off", self.remove),
        )

    async def page(self, request: HttpRequest) -> HttpResponse:
        return self._page(request)

    def _page(self, request: HttpRequest, status: int = 200, fault: str = "", place: str = "") -> HttpResponse:
        session, account = self.signed_in(request)
        factors = self.context.second_factors
        factor = factors.of(account.id)
        if factor is None:
            session.offered_secret = session.offered_secret or new_secret()
        return self.pages.page(
            request,
            "own_second_factor.html",
            status,
            factor=factor,
            secret=encode_secret(session.offered_secret),
            picture="" if factor else qr_code(key_uri(session.offered_secret, account.address)),
            clock_trusted=factors.clock_trusted,
            confirmed=self.is_confirmed(request),
            fault=fault,
            place=place,
        )

    async def enable(self, request: HttpRequest) -> HttpResponse:
        session, account = self.signed_in(request)
        if not session.offered_secret:  # the server has restarted since
            return self._page(request)
        change = controls.EnableSecondFactor(account.address, session.offered_secret.hex(), (await request.form()).get("code"))
        response = await self._change(request, change, "enable")
        row = self.context.accounts.main_password(account.id)
        if response.status == 200 and row is not None:
            session.offered_secret = b""
            await self.context.sessions.move(session, row.id)
        return response

    async def renew_codes(self, request: HttpRequest) -> HttpResponse:
        _session, account = self.signed_in(request)
        return await self._change(request, controls.NewRecoveryCodes(account.address), "codes")

    async def _change(self, request: HttpRequest, change: Request, place: str) -> HttpResponse:
        """Do it, and show the recovery codes that come of it."""
        _ = request.language
        if not await self.confirm(request):
            return self._page(request, 422, _("That is not your password."), f"{place}-current")
        try:
            facts = (await self.ask(change)).facts
        except SetupError as error:
            return self._page(request, 422, refusal_text(error, _), place)
        return self.pages.page(request, "own_recovery_codes.html", codes=facts["recovery_codes"], enabled=place == "enable")

    async def remove(self, request: HttpRequest) -> HttpResponse:
        _, (_session, account) = request.language, self.signed_in(request)
        if not await self.confirm(request):
            return self._page(request, 422, _("That is not your password."), "off-current")
        try:
            await self.ask(controls.RemoveSecondFactor(account.address, by_owner=True))
        except SetupError as error:
            return self._page(request, 422, refusal_text(error, _), "off")
        return self.done(request, _("The second factor is off. Your password is enough."), "/own/")


def qr_code(text: str) -> str:
    """An inline SVG without styles, dark on light, whatever the page's colours."""
    import segno

    return segno.make(text, error="m").svg_inline(scale=4, border=4, dark="#000", light="#fff", omitsize=False)
