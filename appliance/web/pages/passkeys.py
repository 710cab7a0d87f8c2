"""Passkeys on the own page: listed, made by the browser's script, removed. Making and removing needs the password (`base.confirm`).

| a new passkey  | refused when                                                                                          |
|----------------|-------------------------------------------------------------------------------------------------------|
| `begin`        | the page was opened by an address, the name is not free, or the password is wrong                     |
| `add`          | the challenge was used, is too old or another browser's; the browser says what `checked` does not take |

A browser makes passkeys for the name in its address bar (RP ID), which is any name of this server: the family may know it by another than
the host name of mail, such as pillarbox.local.
"""

import json

from appliance.accounts.passkeys import Ceremony, NewCredential, Passkeys, checked
from appliance.control import requests as controls
from appliance.mail.errors import MisuseError, SetupError
from appliance.protocol.http.form import FormData
from appliance.protocol.webauthn import ALGORITHMS, decode_base64url, encode_base64url

from ..challenges import Challenges
from ..context import WebContext
from ..language import refusal_text
from ..message import JSON, HttpRefusal, HttpRequest, HttpResponse
from ..rendering import Pages
from ..routes import WebRoute
from ..site import form_secret
from .base import PageGroup

PLACE = "/own/passkeys"
FIELD_OCTETS = 4096


class PasskeyPages(PageGroup):
    """One page and its actions, about the account of the session."""

    def __init__(self, context: WebContext, pages: Pages) -> None:
        super().__init__(context, pages)
        self._passkeys = Passkeys(context.accounts, context.clock)
        self._challenges = Challenges()

    def routes(self) -> tuple[WebRoute, ...]:
        return (
            WebRoute("GET", PLACE, self.page),
            WebRoute("POST", f"{PLACE}/begin", self.begin, program=True),
            WebRoute("POST", PLACE, self.add, program=True),
            WebRoute("POST", f"{PLACE}/remove", self.remove),
        )

    async def page(self, request: HttpRequest) -> HttpResponse:
        return self._page(request)

    def _page(self, request: HttpRequest, status: int = 200, removing: str = "", fault: str = "") -> HttpResponse:
        """`removing`: the passkey whose removal waits for the password."""
        _session, account = self.signed_in(request)
        port = self.context.https_port()
        return self.pages.page(
            request,
            "own_passkeys.html",
            status,
            passkeys=self._passkeys.of(account.id),
            by_name=not request.host.is_address,
            address=f"https://{self.context.names.host_name()}" + (f":{port}" if port not in (0, 443) else ""),
            confirmed=self.is_confirmed(request),
            removing=removing,
            fault=fault,
        )

    async def begin(self, request: HttpRequest) -> HttpResponse:
        """What the browser is to ask the authenticator for."""
        form, _ = await request.form(), request.language
        _session, account = self.signed_in(request)
        if request.host.is_address:
            raise HttpRefusal(422, _("Passkeys need the name of the server in the address bar."))
        try:
            self._passkeys.expect_room(account.id, form.get("name"))
        except SetupError as error:
            raise HttpRefusal(422, refusal_text(error, _)) from None
        if not await self.confirm(request):
            raise HttpRefusal(422, _("That is not your password."))
        host = request.host.name
        known = [encode_base64url(one.credential) for one in self._passkeys.of(account.id) if one.host == host]
        facts = {
            "challenge": encode_base64url(self._challenges.give(form_secret(request), self.context.clock.mono_s())),
            "host": host,
            "handle": encode_base64url(self._passkeys.handle(account.id)),
            "address": account.address,
            "name": account.name or account.address,
            "algorithms": ALGORITHMS,
            "known": known,
        }
        return HttpResponse(200, json.dumps(facts).encode(), JSON)

    async def add(self, request: HttpRequest) -> HttpResponse:
        form, _ = await request.form(), request.language
        session, account = self.signed_in(request)
        challenge = self._challenges.take(form_secret(request), self.context.clock.mono_s())
        if challenge is None or not self.is_confirmed(request):
            raise HttpRefusal(422, _("That took too long. Try again."))
        try:
            facts = checked(_new_credential(form), Ceremony(challenge, request.origin, request.host.name))
        except MisuseError as fault:
            self.context.say(f"a new passkey of {account.address} was refused: {fault}")
            raise HttpRefusal(422, _("The browser has made a passkey that cannot be used here.")) from None
        credential, public_key = facts.credential.hex(), facts.public_key.hex()
        name, numbers = form.get("name"), (facts.sign_count, session.password)
        try:
            await self.ask(controls.AddPasskey(account.address, name, facts.host, credential, facts.algorithm, public_key, *numbers))
        except SetupError as error:
            raise HttpRefusal(422, refusal_text(error, _)) from None
        session.note(_("“%(name)s” signs in here now.", name=name))
        return HttpResponse(200, json.dumps({"place": PLACE}).encode(), JSON)

    async def remove(self, request: HttpRequest) -> HttpResponse:
        form, _ = await request.form(), request.language
        _session, account = self.signed_in(request)
        name = form.get("name")
        if "current" not in form and not self.is_confirmed(request):
            return self._page(request, 422, name)
        if not await self.confirm(request):
            return self._page(request, 422, name, _("That is not your password."))
        await self.ask(controls.RemovePasskey(account.address, name, by_owner=True))
        return self.done(request, _("“%(name)s” does not sign in any more.", name=name), PLACE)


def _new_credential(form: FormData) -> NewCredential:
    """Raises MisuseError."""
    client_data, data, key = (
        decode_base64url(form.get(name), FIELD_OCTETS) for name in ("client_data", "authenticator_data", "public_key")
    )
    algorithm = form.get("algorithm")
    return NewCredential(client_data, data, key, int(algorithm) if algorithm in map(str, ALGORITHMS) else 0)
