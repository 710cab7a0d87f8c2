"""Accounts for administrators: add, rename, limit, disable, remove and bring back; new passwords; aliases and groups; devices.

An app password is listed and revoked here, never made: it belongs to its owner. Nobody's mail is shown.
A new password, the role of an administrator, and whatever touches an account that has it need the password once more (`base.confirm`).
"""

from typing import Any

from appliance.control import requests as controls
from appliance.control.requests import Request
from appliance.mail.errors import SetupError

from ..language import refusal_text
from ..message import Handler, HttpRefusal, HttpRequest, HttpResponse
from ..routes import Access, WebRoute
from .base import PageGroup

PLACE = "/admin/accounts"
LARGEST_MB = 10_000_000


class AccountPages(PageGroup):
    """The list, and a page for each account."""

    def routes(self) -> tuple[WebRoute, ...]:
        of = "/admin/accounts/{address}"
        rows = (
            ("GET", PLACE, self.list_page),
            ("POST", PLACE, self.add),
            ("POST", "/admin/aliases", self.add_alias),
            ("POST", "/admin/aliases/remove", self.remove_alias),
            ("POST", "/admin/accounts-restore", self.restore),
            ("GET", of, self.account_page),
            ("POST", f"{of}/name", self.set_name),
            ("POST", f"{of}/quota", self.set_quota),
            ("POST", f"{of}/rename", self.rename),
            ("POST", f"{of}/role", self.confirmed("role", self.set_role)),
            ("POST", f"{of}/second-factor", self.confirmed("second-factor", self.remove_second_factor)),
            ("POST", f"{of}/disable", self.confirmed("disable", self.disable)),
            ("POST", f"{of}/enable", self.enable),
            ("POST", f"{of}/password", self.confirmed("password", self.set_password)),
            ("POST", f"{of}/devices/remove", self.remove_device),
            ("POST", f"{of}/passkeys/remove", self.remove_passkey),
            ("POST", f"{of}/remove", self.confirmed("remove", self.remove)),
        )
        return tuple(WebRoute(method, pattern, handle, Access.ADMIN) for method, pattern, handle in rows)

    # --- the list ----------------------------------------------------------------------------------

    async def list_page(self, request: HttpRequest) -> HttpResponse:
        return await self._list(request)

    async def _list(self, request: HttpRequest, status: int = 200, **typed: str) -> HttpResponse:
        facts = (await self.ask(controls.ListAccounts())).facts
        aliases = (await self.ask(controls.ListAliases())).facts["aliases"]
        domains = [row["name"] for row in (await self.ask(controls.ListDomains())).facts["domains"]]
        values: dict[str, Any] = {"address": "", "alias": "", "target": "", "fault": "", "place": "", **typed}
        values |= {"accounts": facts["accounts"], "removed": facts["removed"], "aliases": aliases, "domains": domains}
        return self.pages.page(request, "accounts.html", status, **values)

    async def add(self, request: HttpRequest) -> HttpResponse:
        form, _ = await request.form(), request.language
        address, password = form.get("address"), form.secret("password")
        domains = self.context.accounts.directory.domains()
        whole = f"{address}@{domains[0]}" if address and "@" not in address and domains else address
        try:
            facts = (await self.ask(controls.AddAccount(whole, password))).facts
        except SetupError as error:
            return await self._list(request, 422, address=address, fault=refusal_text(error, _), place=error.field or "address")
        sentence = _("%(address)s was added.", address=facts["address"])
        if "password" not in facts:
            return self.done(request, sentence, f"{PLACE}/{facts['address']}")
        return self._show_password(request, facts["address"], facts["password"], sentence)

    def _show_password(self, request: HttpRequest, address: str, password: str, sentence: str) -> HttpResponse:
        return self.pages.page(request, "account_password.html", address=address, password=password, sentence=sentence)

    async def restore(self, request: HttpRequest) -> HttpResponse:
        form, _ = await request.form(), request.language
        facts = (await self.ask(controls.RestoreAccount(form.get("address")))).facts
        return self.done(request, _("%(address)s is back, with its mail and passwords.", address=facts["address"]), PLACE)

    # --- aliases -----------------------------------------------------------------------------------

    async def add_alias(self, request: HttpRequest) -> HttpResponse:
        form, _ = await request.form(), request.language
        alias, target = form.get("alias"), form.get("target")
        try:
            await self.ask(controls.AddAlias(alias, tuple(target.replace(",", " ").split())))
        except SetupError as error:
            return await self._list(request, 422, alias=alias, target=target, fault=refusal_text(error, _), place=error.field or "alias")
        return self.done(request, _("Messages to %(alias)s go to %(target)s.", alias=alias, target=target), PLACE)

    async def remove_alias(self, request: HttpRequest) -> HttpResponse:
        form, _ = await request.form(), request.language
        alias, target = form.get("alias"), form.get("target")
        await self.ask(controls.RemoveAlias(alias, target))
        return self.done(request, _("Messages to %(alias)s no longer go to %(target)s.", alias=alias, target=target), PLACE)

    # --- one account -------------------------------------------------------------------------------

    def confirmed(self, place: str, handle: Handler) -> Handler:
        """The handler, once the password was typed: for every account where it gives access, for administrators everywhere."""

        async def confirmed(request: HttpRequest) -> HttpResponse:
            directory = self.context.accounts.directory
            found = directory.find_login(request.values["address"])
            needed = place in ("role", "password", "second-factor") or (found is not None and found.is_admin)
            if needed and not await self.confirm(request):
                return await self._account(request, 422, fault=request.language("That is not your password."), place=place)
            return await handle(request)

        return confirmed

    async def remove_second_factor(self, request: HttpRequest) -> HttpResponse:
        _, address = request.language, request.values["address"]
        sentence = _("%(address)s has no second factor any more.", address=address)
        return await self._change(request, controls.RemoveSecondFactor(address), sentence, place="second-factor")

    async def set_role(self, request: HttpRequest) -> HttpResponse:
        _, is_admin = request.language, (await request.form()).get("admin") == "on"
        address = request.values["address"]
        sentence = _("%(address)s is an administrator now.", address=address)
        if not is_admin:
            sentence = _("%(address)s is no administrator any more.", address=address)
        return await self._change(request, controls.SetAdmin(address, is_admin), sentence, place="role")

    async def account_page(self, request: HttpRequest) -> HttpResponse:
        return await self._account(request)

    async def _account(self, request: HttpRequest, status: int = 200, **typed: str) -> HttpResponse:
        address = request.values["address"]
        rows = (await self.ask(controls.ListAccounts())).facts["accounts"]
        row = next((row for row in rows if row["address"].casefold() == address.casefold()), None)
        if row is None:
            raise HttpRefusal(404)
        aliases = (await self.ask(controls.ListAliases())).facts["aliases"]
        return self.pages.page(
            request,
            "account.html",
            status,
            account=row,
            devices=(await self.ask(controls.ListAppPasswords(row["address"]))).facts["app_passwords"],
            passkeys=(await self.ask(controls.ListPasskeys(row["address"]))).facts["passkeys"],
            aliases=[one["address"] for one in aliases if row["address"] in one["targets"]],
            fault=typed.get("fault", ""),
            place=typed.get("place", ""),
            typed=typed.get("typed", ""),
            confirmed=self.is_confirmed(request),
        )

    async def _change(self, request: HttpRequest, change: Request, sentence: str, *, place: str = "", typed: str = "") -> HttpResponse:
        """Do it, and say so on the account's page; a refusal stands beside the field `place`, which keeps what was typed."""
        try:
            facts = (await self.ask(change)).facts
        except SetupError as error:
            return await self._account(request, 422, fault=refusal_text(error, request.language), place=place, typed=typed)
        still = self.context.is_admin(request.session.account) if request.session else False
        place = f"{PLACE}/{facts.get('address', request.values['address'])}"
        return self.done(request, sentence, place if still else "/own/")

    async def set_name(self, request: HttpRequest) -> HttpResponse:
        name = (await request.form()).get("name")
        change = controls.SetAccount(request.values["address"], name=name, named=True)
        return await self._change(request, change, request.language("The name is changed."), place="name", typed=name)

    async def set_quota(self, request: HttpRequest) -> HttpResponse:
        _, typed = request.language, (await request.form()).get("quota_mb")
        if not typed.isascii() or not typed.isdigit() or not 0 <= int(typed) <= LARGEST_MB:
            fault = _("Give the space in MB as a whole number; 0 for no limit of its own.")
            return await self._account(request, 422, fault=fault, place="quota_mb", typed=typed)
        change = controls.SetAccount(request.values["address"], quota_mb=int(typed))
        return await self._change(request, change, _("The space is changed."), place="quota_mb", typed=typed)

    async def rename(self, request: HttpRequest) -> HttpResponse:
        new, _ = (await request.form()).get("new"), request.language
        sentence = _("The address is %(address)s now. The old one stays as an alias.", address=new)
        return await self._change(request, controls.RenameAccount(request.values["address"], new), sentence, place="new", typed=new)

    async def disable(self, request: HttpRequest) -> HttpResponse:
        _, address = request.language, request.values["address"]
        sentence = _("Nobody can sign in now; messages still arrive.")
        return await self._change(request, controls.DisableAccount(address), sentence, place="disable")

    async def enable(self, request: HttpRequest) -> HttpResponse:
        _, address = request.language, request.values["address"]
        return await self._change(request, controls.EnableAccount(address), _("%(address)s can sign in again.", address=address))

    async def set_password(self, request: HttpRequest) -> HttpResponse:
        """A generated one, shown once: the administrator tells it to the owner."""
        _, address = request.language, request.values["address"]
        facts = (await self.ask(controls.SetPassword(address))).facts
        return self._show_password(request, facts["address"], facts["password"], _("%(address)s has a new password.", address=address))

    async def remove_device(self, request: HttpRequest) -> HttpResponse:
        label, _ = (await request.form()).get("label"), request.language
        await self.ask(controls.RemoveAppPassword(request.values["address"], label))
        sentence = _("The password of “%(label)s” is removed.", label=label)
        return self.done(request, sentence, f"{PLACE}/{request.values['address']}")

    async def remove_passkey(self, request: HttpRequest) -> HttpResponse:
        name, _ = (await request.form()).get("name"), request.language
        await self.ask(controls.RemovePasskey(request.values["address"], name))
        return self.done(request, _("“%(name)s” does not sign in any more.", name=name), f"{PLACE}/{request.values['address']}")

    async def remove(self, request: HttpRequest) -> HttpResponse:
        _, address = request.language, request.values["address"]
        try:
            facts = (await self.ask(controls.RemoveAccount(address))).facts
        except SetupError as error:
            return await self._account(request, 422, fault=refusal_text(error, _), place="remove")
        days = facts["kept_days"]
        sentence = _("%(address)s is removed. Its mail is kept for %(days)s days and can be brought back.", address=address, days=days)
        return self.done(request, sentence, PLACE)
