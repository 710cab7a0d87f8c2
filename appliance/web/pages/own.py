"""The own page of each user: space, password, devices, sessions and language.

Everything here is about the account of the session, whatever a form says. A new password and a device's password need the
current one, through the same throttle as every sign-in, unless it was typed within the last five minutes.
"""

from typing import Any

from appliance.control import requests as controls
from appliance.languages.catalogues import tags
from appliance.mail.errors import SetupError
from appliance.mail.ids import AccountId
from appliance.mail.protocols import protocol
from appliance.protocol.http.cookie import encode_cookie
from appliance.protocol.jmap.push_endpoint import parse_push_endpoint

from ..language import refusal_text
from ..message import LANGUAGE_COOKIE, HttpRefusal, HttpRequest, HttpResponse, redirect
from ..routes import WebRoute
from .base import PageGroup

YEAR_S = 365 * 86_400
PLACE = "/own/"


class OwnPages(PageGroup):
    """What a user may see and change about their own account."""

    def routes(self) -> tuple[WebRoute, ...]:
        return (
            WebRoute("GET", "/own/", self.own_page),
            WebRoute("GET", "/own", self.own_page),
            WebRoute("GET", "/own/password", self.password_page, before_change=True),
            WebRoute("POST", "/own/password", self.set_password, before_change=True),
            WebRoute("POST", "/own/devices", self.add_device),
            WebRoute("POST", "/own/devices/remove", self.remove_device),
            WebRoute("POST", "/own/notifications/end", self.end_notifications),
            WebRoute("POST", "/own/sessions/end", self.end_session),
            WebRoute("POST", "/own/sessions/end-others", self.end_other_sessions),
            WebRoute("POST", "/own/language", self.set_language),
        )

    async def own_page(self, request: HttpRequest) -> HttpResponse:
        return await self._own_page(request)

    async def _own_page(self, request: HttpRequest, status: int = 200, **faults: str) -> HttpResponse:
        session, account = self.signed_in(request)
        rows = (await self.ask(controls.ListAccounts())).facts["accounts"]
        facts = next((row for row in rows if row["address"] == account.address), {"octets": 0, "quota_octets": None})
        return self.pages.page(
            request,
            "own.html",
            status,
            account=account,
            used=facts["octets"],
            limit=facts["quota_octets"],
            devices=(await self.ask(controls.ListAppPasswords(account.address))).facts["app_passwords"],
            sessions=self.context.sessions.of(account.id),
            this=session,
            notified=await self._notified(account.id),
            factor=self.context.second_factors.of(account.id),
            passkeys=sum(one.account == account.id for one in self.context.accounts.secrets.passkeys.values()),
            label=faults.get("label", ""),
            fault=faults.get("fault", ""),
            place=faults.get("place", ""),
            confirmed=self.is_confirmed(request),
        )

    # --- password ---------------------------------------------------------------------------------

    async def password_page(self, request: HttpRequest) -> HttpResponse:
        return self._password_page(request)

    def _password_page(self, request: HttpRequest, status: int = 200, fault: str = "", place: str = "") -> HttpResponse:
        session, account = self.signed_in(request)
        forced = self.context.accounts.must_change(account.id, session.password)
        known = forced and self.is_confirmed(request)
        return self.pages.page(request, "own_password.html", status, fault=fault, place=place, forced=forced, known=known)

    async def set_password(self, request: HttpRequest) -> HttpResponse:
        form, _ = await request.form(), request.language
        session, account = self.signed_in(request)

        def again(place: str, fault: str) -> HttpResponse:
            return self._password_page(request, 422, fault, place)

        if form.secret("new") != form.secret("repeated"):
            return again("repeated", _("The two new passwords differ."))
        forced = self.context.accounts.must_change(account.id, session.password)
        if not await self.confirm(request, always=not forced):  # it was typed a moment ago, to sign in
            return again("current", _("That is not your password."))
        try:
            await self.ask(controls.SetPassword(account.address, form.secret("new") or " ", by_owner=True))
        except SetupError as error:
            return again("new", refusal_text(error, _))
        row = next(row for row in self.context.accounts.secrets.rows[account.id] if not row.label)
        await self.context.sessions.move(session, row.id)
        return self.done(request, _("Your new password is set. Other browsers and programs that used the old one are signed out."), PLACE)

    # --- devices ----------------------------------------------------------------------------------

    async def add_device(self, request: HttpRequest) -> HttpResponse:
        form, _ = await request.form(), request.language
        _session, account = self.signed_in(request)
        label = form.get("label")
        if not await self.confirm(request):
            return await self._own_page(request, 422, label=label, fault=_("That is not your password."), place="current")
        try:
            made = (await self.ask(controls.AddAppPassword(account.address, label))).facts
        except SetupError as error:
            return await self._own_page(request, 422, label=label, fault=refusal_text(error, _), place="label")
        return self.pages.page(request, "own_device.html", label=made["label"], password=made["password"], **self._mail_settings())

    def _mail_settings(self) -> dict[str, Any]:
        rows = [(protocol(name), port) for name, port in self.context.mail_services()]
        return {
            "host": self.context.names.host_name(),
            "services": [(row, port) for row, port in rows if row.guide],
        }

    async def remove_device(self, request: HttpRequest) -> HttpResponse:
        form, _ = await request.form(), request.language
        _session, account = self.signed_in(request)
        label = form.get("label")
        await self.ask(controls.RemoveAppPassword(account.address, label))
        return self.done(request, _("The password of “%(label)s” is removed.", label=label), PLACE)

    # --- notifications ------------------------------------------------------------------------------

    async def _notified(self, account: AccountId) -> list[dict[str, Any]]:
        """The push subscriptions: of which browser or program, and through whom."""
        subscriptions = self.context.push_subscriptions
        await subscriptions.open()
        agents = {one.digest: one.agent for one in self.context.sessions.of(account)}
        labels = {row.id: row.label for row in self.context.accounts.secrets.rows.get(account, ())}
        return [
            {
                "id": row.id,
                "agent": agents.get(row.credentials.session, ""),
                "label": labels.get(row.credentials.password, ""),
                "through": parse_push_endpoint(row.url).host,
            }
            for row in subscriptions.of(account)
        ]

    async def end_notifications(self, request: HttpRequest) -> HttpResponse:
        form, _ = await request.form(), request.language
        _session, account = self.signed_in(request)
        subscriptions = self.context.push_subscriptions
        await subscriptions.open()
        await subscriptions.end([row for row in subscriptions.of(account.id) if str(row.id) == form.get("subscription")])
        return self.done(request, _("That device is not notified any more."), PLACE)

    # --- sessions and language ----------------------------------------------------------------------

    async def end_session(self, request: HttpRequest) -> HttpResponse:
        form, _ = await request.form(), request.language
        _session, account = self.signed_in(request)
        ended = [one for one in self.context.sessions.of(account.id) if one.key == form.get("session")]
        await self.context.sessions.end(*ended)
        return self.done(request, _("That browser is signed out."), PLACE)

    async def end_other_sessions(self, request: HttpRequest) -> HttpResponse:
        session, account = self.signed_in(request)
        others = [one for one in self.context.sessions.of(account.id) if one is not session]
        await self.context.sessions.end(*others)
        _ = request.language
        return self.done(request, _.counted("%(number)s browser is signed out.", "%(number)s browsers are signed out.", len(others)), PLACE)

    async def set_language(self, request: HttpRequest) -> HttpResponse:
        session, account = self.signed_in(request)
        wanted = (await request.form()).get("language")
        if wanted not in tags():
            raise HttpRefusal(422)
        await self.context.accounts.set_language(account.address, wanted)
        await self.context.sessions.set_language(session, wanted)
        response = redirect(PLACE)
        response.fields.append(("set-cookie", encode_cookie(LANGUAGE_COOKIE, wanted, YEAR_S)))
        return response
