"""Settings for administrators: every field but files, devices and listeners, section by section, and the relays.

A relay needs the password once more; its own password is written and never shown. What cannot take effect at once does with a restart,
which the page offers.
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
RELAY_FIELDS = ("name", "host", "port", "security", "user")
"""What every relay needs; its other fields stand below them."""
TITLES = (
    ("server", Sentence("Names and time")), ("messages", Sentence("What a message may be")), ("smtp", Sentence("Mail from other servers")),
    ("accounts", Sentence("Accounts and signing in")), ("pop3", Sentence("POP3")), ("web", Sentence("These pages")),
    ("limits", Sentence("Connections")), ("sending", Sentence("Outgoing mail")), ("panel", Sentence("LEDs, button and serial console")),
)  # fmt: skip
"""What each section is about; one without a title has its name."""


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
        """`place`: the form that was sent, open and with its `values` as they were typed; the `fault` stands beside the field `at`, or at
        the head of the form where `at` is its name."""
        facts = (await self.ask(controls.ShowSettings())).facts
        place, values = typed.get("place", ""), typed.get("values", {})
        for section in facts["sections"]:
            if section["name"] == place:
                for field in section["fields"]:
                    field["value"] = values.get(field["name"], field["value"])
        more = [one for one in facts["relay_fields"] if one["name"] not in RELAY_FIELDS]
        relays = [one | {"id": f"relay-{number}"} for number, one in enumerate(facts["relays"], 1)]
        new = {one["name"]: one["default"] for one in facts["relay_fields"]} | {"secret": False, "id": "new"}
        for row in (*relays, new):
            row |= values if row["id"] == place else {}
            row["more_open"] = any(row[one["name"]] != one["default"] for one in more)
        listeners = values if place == "listeners" else {}
        forms = [row["id"] for row in (*relays, new)] + [section["name"] for section in facts["sections"]]
        return self.pages.page(
            request,
            "settings.html",
            status,
            file=facts["file"],
            digest=facts["digest"],
            sections=facts["sections"],
            titles=dict(TITLES),
            relays=relays,
            relay_fields=more,
            new_relay=new,
            restart_needed=facts["restart_needed"],
            listeners=[one | {"value": listeners.get(one["name"], ", ".join(one["value"]))} for one in facts["listeners"]],
            trial_s=facts["trial_s"],
            trial=facts["trial"],
            fault=typed.get("fault", ""),
            place=place,
            at=typed.get("at", "") if place in (*forms, "listeners") else "",
            confirmed=self.is_confirmed(request),
        )

    async def _unconfirmed(self, request: HttpRequest, place: str, at: str, values: dict[str, Any]) -> HttpResponse:
        return await self._page(request, 422, fault=request.language("That is not your password."), place=place, at=at, values=values)

    async def change(self, request: HttpRequest) -> HttpResponse:
        """The fields of one section as they were typed; a checkbox that is not there is off."""
        form, section = await request.form(), request.values["section"]
        names = form.all("field")
        values = {name: form.get(f"value-{name}", "false") for name in names}
        return await self._do(request, controls.ChangeSettings(section, values, form.get("digest")), section, values, section)

    async def set_relay(self, request: HttpRequest) -> HttpResponse:
        form = await request.form()
        place = form.get("form", "new")
        known = (await self.ask(controls.ShowSettings())).facts["relay_fields"]
        values = {one["name"]: form.get(one["name"], "false" if one["kind"] == "bool" else "") for one in known}
        values["port"] = values["port"] or "0"
        if not await self.confirm(request):
            return await self._unconfirmed(request, place, f"{place}-current", values)
        password = form.secret("password")
        changed = values | ({"password": password} if password else {})  # an empty field leaves the old one
        return await self._do(request, controls.SetRelay(changed, form.get("digest")), place, values, place)

    async def remove_relay(self, request: HttpRequest) -> HttpResponse:
        form = await request.form()
        place = form.get("form", "new")
        if not await self.confirm(request):
            return await self._unconfirmed(request, place, f"remove-{place}-current", {})
        return await self._do(request, controls.RemoveRelay(form.get("name"), form.get("digest")), place, {}, f"remove-{place}")

    # --- listeners ----------------------------------------------------------------------------------

    async def change_listeners(self, request: HttpRequest) -> HttpResponse:
        """On trial for a minute: who is locked out by it need do nothing."""
        form, _ = await request.form(), request.language
        values = {name: form.get(f"value-{name}") for name in form.all("field")}
        if not await self.confirm(request):
            return await self._unconfirmed(request, "listeners", "listen-current", values)
        try:
            facts = (await self.ask(controls.ChangeListeners(values, form.get("digest")))).facts
        except SetupError as error:
            return await self._refused(request, error, "listeners", values, "listen")
        if not facts["changed"]:
            return self.done(request, _("Nothing was changed."), PLACE)
        sentence = _("The server restarts and listens anew. Open its settings within a minute and confirm, or it goes back by itself.")
        return self.pages.page(request, "power_done.html", sentence=sentence, again=True)

    async def confirm_listeners(self, request: HttpRequest) -> HttpResponse:
        await self.ask(controls.ConfirmListeners((await request.form()).get("trial")))
        return self.done(request, request.language("The new listeners stay."), PLACE)

    async def _do(self, request: HttpRequest, change: Request, place: str, values: dict[str, Any], form: str) -> HttpResponse:
        """`form`: what the ids of its fields begin with."""
        try:
            facts = (await self.ask(change)).facts
        except SetupError as error:
            return await self._refused(request, error, place, values, form)
        _ = request.language
        if not facts["changed"]:
            sentence = _("Nothing was changed.")
        elif facts["restart_needed"]:
            sentence = _("The settings are changed. They take effect with a restart.")
        else:
            sentence = _("The settings are changed and in use.")
        return self.done(request, sentence, PLACE)

    async def _refused(self, request: HttpRequest, error: SetupError, place: str, values: dict[str, Any], form: str) -> HttpResponse:
        at = f"{form}-{error.field}" if error.field in values else form
        return await self._page(request, 422, fault=refusal_text(error, request.language), place=place, at=at, values=values)
