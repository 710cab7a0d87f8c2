"""Signing in with a passkey, beside the form for the password: two requests of the browser's script.

| step    | what happens                                                                                                         |
|---------|----------------------------------------------------------------------------------------------------------------------|
| `begin` | the browser gets a challenge, bound to the cookie of its forms; nothing is said about accounts                       |
| finish  | the challenge is used up; the passkey names the account; throttled as every sign-in; then a session, without a code  |

The session is the passkey's: it ends with it. What needs the password once more needs it after this sign-in as well.
"""

import json
from dataclasses import replace

from appliance.accounts.passkeys import REFUSED, Assertion, Ceremony, Passkeys
from appliance.auth.login import LoginAttempt
from appliance.protocol.http.form import FormData
from appliance.protocol.webauthn import CLIENT_DATA_OCTETS, CREDENTIAL_OCTETS, SIGNATURE_OCTETS, decode_base64url, encode_base64url

from ..challenges import Challenges
from ..context import WebContext
from ..message import JSON, HttpRefusal, HttpRequest, HttpResponse
from ..rendering import Pages
from ..routes import Access, WebRoute
from ..site import SIGN_IN, form_secret
from .base import PageGroup, next_place

PLACE = f"{SIGN_IN}/passkey"
DATA_OCTETS = 1024
HANDLE_OCTETS = 64


class PasskeySignIn(PageGroup):
    """For whoever is not signed in yet."""

    def __init__(self, context: WebContext, pages: Pages) -> None:
        super().__init__(context, pages)
        self._passkeys = Passkeys(context.accounts, context.clock)
        self._challenges = Challenges()

    def routes(self) -> tuple[WebRoute, ...]:
        return (
            WebRoute("POST", f"{PLACE}/begin", self.begin, Access.ANYONE, program=True),
            WebRoute("POST", PLACE, self.sign_in, Access.ANYONE, program=True),
        )

    async def begin(self, request: HttpRequest) -> HttpResponse:
        challenge = self._challenges.give(form_secret(request), self.context.clock.mono_s())
        facts = {"challenge": encode_base64url(challenge), "host": request.host.name}
        return HttpResponse(200, json.dumps(facts).encode(), JSON)

    async def sign_in(self, request: HttpRequest) -> HttpResponse:
        form, _ = await request.form(), request.language
        challenge = self._challenges.take(form_secret(request), self.context.clock.mono_s())
        if challenge is None:
            raise HttpRefusal(422, _("That took too long. Try again."))
        shown, ceremony = _assertion(form), Ceremony(challenge, request.origin, request.host.name)
        passkey = self._passkeys.find(shown.credential)
        account = self.context.accounts.directory.account(passkey.account) if passkey else None
        problem: str = REFUSED

        async def verify() -> str | None:
            nonlocal problem
            if passkey is None or account is None:
                return None
            problem = await self._passkeys.use(passkey, shown, ceremony)
            return None if problem else account.address

        attempt, name = LoginAttempt(request.peer, "https", "passkey"), account.address if account else ""
        identity = await request.attend(lambda: self.context.login.check_credential(name, verify, attempt))
        if identity is None or passkey is None:
            raise HttpRefusal(422, _(problem))
        self.context.login.welcome(identity, attempt)
        response = await self.begin_session(request, replace(identity, password=passkey.id), confirmed=False)
        response.body, response.media_type = json.dumps({"place": next_place(form.get("next")) or "/"}).encode(), JSON
        return response


def _assertion(form: FormData) -> Assertion:
    """Raises MisuseError."""
    return Assertion(
        decode_base64url(form.get("credential"), CREDENTIAL_OCTETS),
        decode_base64url(form.get("client_data"), CLIENT_DATA_OCTETS),
        decode_base64url(form.get("authenticator_data"), DATA_OCTETS),
        decode_base64url(form.get("signature"), SIGNATURE_OCTETS),
        decode_base64url(form.get("handle"), HANDLE_OCTETS),
    )
