"""Certificates for administrators: what is served, what devices trust, and making new ones.

A new authority must be trusted by every device again, so it needs the password once more (`base.confirm`).
"""

from appliance.control import requests as controls

from ..message import HttpRequest, HttpResponse
from ..routes import Access, WebRoute
from .base import PageGroup

PLACE = "/admin/certificates"


class CertificatePages(PageGroup):
    """One page and its actions."""

    def routes(self) -> tuple[WebRoute, ...]:
        return (
            WebRoute("GET", PLACE, self.page, Access.ADMIN),
            WebRoute("POST", f"{PLACE}/renew", self.renew, Access.ADMIN),
            WebRoute("POST", f"{PLACE}/new-authority", self.new_authority, Access.ADMIN),
        )

    async def page(self, request: HttpRequest) -> HttpResponse:
        return await self._page(request)

    async def _page(self, request: HttpRequest, status: int = 200, fault: str = "", place: str = "") -> HttpResponse:
        """`fault` stands beside the password of the form `place`."""
        _pem, fingerprint = self.context.authority()
        return self.pages.page(
            request,
            "certificates.html",
            status,
            facts=(await self.ask(controls.ShowCertificate())).facts,
            fingerprint=fingerprint,
            confirmed=self.is_confirmed(request),
            fault=fault,
            place=place,
        )

    async def renew(self, request: HttpRequest) -> HttpResponse:
        if not await self.confirm(request):
            return await self._page(request, 422, request.language("That is not your password."), "renew")
        await self.ask(controls.RenewCertificate())
        return self.done(request, request.language("The server has a new certificate of the same authority."), PLACE)

    async def new_authority(self, request: HttpRequest) -> HttpResponse:
        if not await self.confirm(request):
            return await self._page(request, 422, request.language("That is not your password."), "authority")
        await self.ask(controls.NewAuthority())
        return self.done(request, request.language("The authority is new. Install its certificate on every device."), PLACE)
