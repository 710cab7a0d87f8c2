"""Admin requests about passkeys: added by the owner in a browser, listed, removed by the owner or an administrator."""

from binascii import Error as HexError
from binascii import unhexlify

from appliance.accounts.passkey_record import Passkey
from appliance.accounts.passkeys import PasskeyFacts, Passkeys
from appliance.control import requests as controls
from appliance.control.requests import Response
from appliance.mail.errors import SetupError
from appliance.mail.sentence import Sentence, joined
from appliance.status.text import stamp

from .admin_request import Answers, Running, account_of, ended
from .components import Components
from .owner_messages import Tell, passkey_added, passkey_removed


class PasskeyRequests:
    """What others do to an account's passkeys is told to its owner by a message, and so is every new one."""

    def __init__(self, components: Components, tell: Tell, running: Running | None = None) -> None:
        self._accounts = components.accounts
        self._passkeys = Passkeys(components.accounts, components.clock)
        self._tell = tell
        self._running = running

    def answers(self) -> Answers:
        return (
            (controls.AddPasskey, self.add),
            (controls.RemovePasskey, self.remove),
            (controls.ListPasskeys, self.list),
        )

    async def add(self, request: controls.AddPasskey) -> Response:
        try:
            credential, public_key = unhexlify(request.credential), unhexlify(request.public_key)
        except HexError:
            raise SetupError("The passkey is not hexadecimal.") from None
        account = account_of(self._accounts, request.address)
        facts = PasskeyFacts(request.host, credential, request.algorithm, public_key, request.sign_count)
        added = await self._passkeys.add(account.address, request.name, facts, request.by)
        await self._tell(account.address, *passkey_added(added.name, added.host))
        text = Sentence("%(address)s has a passkey “%(name)s”.", address=account.address, name=added.name)
        return Response(text, {"address": account.address, "name": added.name})

    async def remove(self, request: controls.RemovePasskey) -> Response:
        account = account_of(self._accounts, request.address)
        await self._passkeys.remove(account.address, request.name)
        facts = {"name": request.name, "sessions_ended": self._running.end_sessions() if self._running is not None else 0}
        if not request.by_owner:
            await self._tell(account.address, *passkey_removed(request.name))
        return Response(joined(Sentence("The passkey “%(name)s” was removed.", name=request.name), ended(facts)), facts)

    async def list(self, request: controls.ListPasskeys) -> Response:
        passkeys = self._passkeys.of(account_of(self._accounts, request.address).id)
        width = max((len(one.name) for one in passkeys), default=0)
        lines = [
            joined(f"{one.name:<{width}}", Sentence("%(used)s, works at %(host)s", used=last_use(one), host=one.host), by="  ")
            for one in passkeys
        ]
        rows = [{"name": one.name, "host": one.host, "made_at": one.made_at, "used_at": one.used_at} for one in passkeys]
        return Response(joined(*lines, by="\n") or Sentence("No passkeys."), {"passkeys": rows})


def last_use(passkey: Passkey) -> str:
    return Sentence("last used %(time)s", time=stamp(passkey.used_at)) if passkey.used_at is not None else Sentence("never used")
