"""Domains for administrators: what to publish in the DNS, whether it is published, and where messages to unknown names go."""

from appliance.control import requests as controls
from appliance.mail.errors import SetupError

from ..language import refusal_text
from ..message import TEXT, HttpRefusal, HttpRequest, HttpResponse
from ..routes import Access, WebRoute
from .base import PageGroup

PLACE = "/admin/domains"


class DomainPages(PageGroup):
    """The list, and a page with the records of each domain. The check asks the DNS, which takes up to half a minute."""

    def routes(self) -> tuple[WebRoute, ...]:
        of = "/admin/domains/{name}"
        rows = (
            ("GET", PLACE, self.list_page),
            ("POST", PLACE, self.add),
            ("GET", of, self.domain_page),
            ("GET", f"{of}/zone", self.zone_file),
            ("POST", f"{of}/check", self.check),
            ("POST", f"{of}/catch-all", self.set_catch_all),
            ("POST", f"{of}/remove", self.remove),
        )
        return tuple(WebRoute(method, pattern, handle, Access.ADMIN) for method, pattern, handle in rows)

    async def list_page(self, request: HttpRequest) -> HttpResponse:
        return await self._list(request)

    async def _list(self, request: HttpRequest, status: int = 200, name: str = "", fault: str = "") -> HttpResponse:
        domains = (await self.ask(controls.ListDomains())).facts["domains"]
        return self.pages.page(request, "domains.html", status, domains=domains, name=name, fault=fault)

    async def add(self, request: HttpRequest) -> HttpResponse:
        form, _ = await request.form(), request.language
        try:
            name = (await self.ask(controls.AddDomain(form.get("name")))).facts["name"]
        except SetupError as error:
            return await self._list(request, 422, form.get("name"), refusal_text(error, _))
        return self.done(request, _("The server accepts messages for %(name)s now.", name=name), f"{PLACE}/{name}")

    async def domain_page(self, request: HttpRequest) -> HttpResponse:
        return await self._domain(request)

    async def _domain(self, request: HttpRequest, status: int = 200, *, checked: bool = False, **typed: str) -> HttpResponse:
        """`fault` stands beside the form `place`; `address`: what was typed there."""
        name = request.values["name"]
        domains = (await self.ask(controls.ListDomains())).facts["domains"]
        row = next((row for row in domains if row["name"] == name), None)
        if row is None:
            raise HttpRefusal(404)
        records = (await self.ask(controls.DomainRecords(name))).facts["records"]
        findings = (await request.attend(lambda: self.ask(controls.DomainCheck(name)))).facts["findings"] if checked else []
        for record, finding in zip(records, findings, strict=False):
            record |= {"state": finding["state"], "found": finding["found"], "advice": finding["advice"]}
        values = {"address": row["catch_all"], "fault": "", "place": "", **typed}
        return self.pages.page(request, "domain.html", status, domain=row, records=records, checked=checked, **values)

    async def check(self, request: HttpRequest) -> HttpResponse:
        return await self._domain(request, checked=True)

    async def zone_file(self, request: HttpRequest) -> HttpResponse:
        name = request.values["name"]
        response = await self.ask(controls.DomainRecords(name))
        fields = [("content-disposition", f'attachment; filename="{response.facts["domain"]}.zone"')]
        return HttpResponse(200, f"{response.text}\n".encode(), TEXT, fields)

    async def set_catch_all(self, request: HttpRequest) -> HttpResponse:
        form, _, name = await request.form(), request.language, request.values["name"]
        address = form.get("address")
        try:
            await self.ask(controls.SetCatchAll(name, address))
        except SetupError as error:
            return await self._domain(request, 422, fault=refusal_text(error, _), place="address", address=address)
        sentence = _("Messages to unknown names go to %(address)s.", address=address) if address else _("Unknown names are refused.")
        return self.done(request, sentence, f"{PLACE}/{name}")

    async def remove(self, request: HttpRequest) -> HttpResponse:
        _, name = request.language, request.values["name"]
        try:
            await self.ask(controls.RemoveDomain(name))
        except SetupError as error:
            return await self._domain(request, 422, fault=refusal_text(error, _), place="remove")
        return self.done(request, _("The server accepts no more messages for %(name)s.", name=name), PLACE)
