"""Settings for administrators: every field but files, devices and listeners, section by section, and the relays.

A relay needs the password once more; its own password is written and never shown. What is changed takes effect with a restart, which the
page offers.
"""

from typing import Any

from appliance.control import requests as controls
from appliance.control.requests import Request
from appliance.mail.errors import SetupError
from appliance.mail.sentence import Sentence

from ..language import refusal_text
from ..message import HttpRequest, HttpResponse
from ..routes import Access, WebRoute
from .base import PageGroup

PLACE = "/admin/settings"
RELAY_FIELDS = ("name", "host", "port", "security", "user", "password")
TITLES = (
    ("server", Sentence("Names and time")), ("messages", Sentence("What a message may be")), ("smtp", Sentence("Mail from other servers")),
    ("accounts", Sentence("Accounts and signing in")), ("pop3", Sentence("POP3")), ("web", Sentence("These pages")),
    ("limits", Sentence("Connections")), ("sending", Sentence("Outgoing mail")),
)  # fmt: skip
"""What each section is about; one without a title has its name."""
NEW_RELAY = {"name": "", "host": "", "port": 0, "security": "tls", "user": "", "secret": False}


class SettingsPages(PageGroup):
    """One page; each section and each relay is a form of its own."""

    def routes(self) -> tuple[WebRoute, ...]:
        rows = (
            ("GET", PLACE, self.page),
            ("POST", "/admin/settings/relay", self.set_relay),
            ("POST", "/admin/settings/relay/remove", self.remove_relay),
            ("POST", "/admin/settings/section/{section}", self.change),
            ("POST", "/admin/settings/listeners", self.change_listeners),
            ("POST", "/admin/settings/listeners/confirm", self.confirm_listeners),
        )
        return tuple(WebRoute(method, pattern, handle, Access.ADMIN) for method, pattern, handle in rows)

    async def page(self, request: HttpRequest) -> HttpResponse:
        return await self._page(request)

    async def _page(self, request: HttpRequest, status: int = 200, **typed: Any) -> HttpResponse:
        facts = (await self.ask(controls.ShowSettings())).facts
        for section in facts["sections"]:
            if section["name"] == typed.get("section"):
                for field in section["fields"]:
                    field["value"] = typed["values"].get(field["name"], field["value"])
        return self.pages.page(
            request,
            "settings.html",
            status,
            file=facts["file"],
            digest=facts["digest"],
            sections=facts["sections"],
            titles=dict(TITLES),
            relays=facts["relays"],
            new_relay=typed.get("relay") or NEW_RELAY,
            restart_needed=facts["restart_needed"],
            listeners=[one | {"value": typed.get("listeners", {}).get(one["name"], ", ".join(one["value"]))} for one in facts["listeners"]],
            trial_s=facts["trial_s"],
            trial=facts["trial"],
            fault=typed.get("fault", ""),
            place=typed.get("section", ""),
            confirmed=self.is_confirmed(request),
        )

    async def change(self, request: HttpRequest) -> HttpResponse:
        """The fields of one section as they were typed; a checkbox that is not there is off."""
        form, section = await request.form(), request.values["section"]
        names = form.all("field")
        values = {name: form.get(f"value-{name}", "false") for name in names}
        return await self._do(request, controls.ChangeSettings(section, values, form.get("digest")), section=section, values=values)

    async def set_relay(self, request: HttpRequest) -> HttpResponse:
        form, _ = await request.form(), request.language
        values = {key: form.get(key) for key in RELAY_FIELDS if key != "password"} | {"password": form.secret("password")}
        values["port"] = values["port"] or "0"
        typed = {**NEW_RELAY, **values, "password": ""}
        if not await self.confirm(request):
            return await self._page(request, 422, fault=_("That is not your password."), section="relay", relay=typed)
        if not values["password"]:
            del values["password"]  # an empty field leaves the old one
        return await self._do(request, controls.SetRelay(values, form.get("digest")), section="relay", relay=typed)

    async def remove_relay(self, request: HttpRequest) -> HttpResponse:
        form, _ = await request.form(), request.language
        if not await self.confirm(request):
            return await self._page(request, 422, fault=_("That is not your password."), section="relay")
        return await self._do(request, controls.RemoveRelay(form.get("name"), form.get("digest")), section="relay")

    # --- listeners ----------------------------------------------------------------------------------

    async def change_listeners(self, request: HttpRequest) -> HttpResponse:
        """On trial for a minute: who is locked out by it need do nothing."""
        form, _ = await request.form(), request.language
        values = {name: form.get(f"value-{name}") for name in form.all("field")}
        if not await self.confirm(request):
            return await self._page(request, 422, fault=_("That is not your password."), section="listeners", listeners=values)
        try:
            facts = (await self.ask(controls.ChangeListeners(values, form.get("digest")))).facts
        except SetupError as error:
            return await self._page(request, 422, fault=refusal_text(error, _), section="listeners", listeners=values)
        if not facts["changed"]:
            return self.done(request, _("Nothing was changed."), PLACE)
        sentence = _("The server restarts and listens anew. Open its settings within a minute and confirm, or it goes back by itself.")
        return self.pages.page(request, "power_done.html", sentence=sentence, again=True)

    async def confirm_listeners(self, request: HttpRequest) -> HttpResponse:
        await self.ask(controls.ConfirmListeners((await request.form()).get("trial")))
        return self.done(request, request.language("The new listeners stay."), PLACE)

    async def _do(self, request: HttpRequest, change: Request, **typed: Any) -> HttpResponse:
        try:
            facts = (await self.ask(change)).facts
        except SetupError as error:
            return await self._page(request, 422, fault=refusal_text(error, request.language), **typed)
        _ = request.language
        sentence = _("The settings are changed. They take effect with a restart.") if facts["changed"] else _("Nothing was changed.")
        return self.done(request, sentence, PLACE)
