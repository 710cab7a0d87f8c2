"""Admin requests about the second factor of accounts: on by its owner, off by the owner or an administrator, new recovery codes."""

from binascii import Error as HexError
from binascii import unhexlify

from appliance.control import requests as controls
from appliance.control.requests import Response
from appliance.mail.errors import SetupError
from appliance.mail.sentence import Sentence

from .admin_request import Answers, Running, account_of
from .components import Components
from .owner_messages import Tell, second_factor_enabled, second_factor_removed


class SecondFactorRequests:
    """Every change is told to the owner by a message."""

    def __init__(self, components: Components, tell: Tell, running: Running | None = None) -> None:
        self._components = components
        self._tell = tell
        self._running = running

    def answers(self) -> Answers:
        return (
            (controls.EnableSecondFactor, self.enable),
            (controls.NewRecoveryCodes, self.renew_codes),
            (controls.RemoveSecondFactor, self.remove),
        )

    async def enable(self, request: controls.EnableSecondFactor) -> Response:
        account = account_of(self._components.accounts, request.address)
        try:
            secret = unhexlify(request.secret)
        except HexError:
            raise SetupError("The secret is not hexadecimal.") from None
        codes = await self._components.second_factors().enable(account, secret, request.code)
        ended = self._running.end_sessions() if self._running is not None else 0
        await self._tell(account.address, *second_factor_enabled())
        facts = {"address": account.address, "recovery_codes": list(codes), "sessions_ended": ended}
        return Response(Sentence("%(address)s has a second factor now.", address=account.address), facts)

    async def renew_codes(self, request: controls.NewRecoveryCodes) -> Response:
        account = account_of(self._components.accounts, request.address)
        codes = await self._components.second_factors().renew_codes(account)
        text = Sentence("%(address)s has new recovery codes.", address=account.address)
        return Response(text, {"address": account.address, "recovery_codes": list(codes)})

    async def remove(self, request: controls.RemoveSecondFactor) -> Response:
        account = account_of(self._components.accounts, request.address)
        await self._components.second_factors().remove(account)
        await self._tell(account.address, *second_factor_removed(request.by_owner))
        text = Sentence("%(address)s has no second factor any more: its password is enough.", address=account.address)
        return Response(text, {"address": account.address})
