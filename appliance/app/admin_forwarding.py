"""Admin requests about forwarding. Its owner is told in the mailbox of everything that happens: a stolen session leads no mail away in
silence."""

from typing import TYPE_CHECKING

from appliance.accounts import forwarding
from appliance.control import requests as controls
from appliance.control.requests import Response
from appliance.languages.catalogues import Language, catalogue
from appliance.mail.errors import SetupError, StoreError
from appliance.mail.sentence import Sentence, joined

from .admin_request import Answers, account_of
from .server_message import ServerMessages

if TYPE_CHECKING:
    from appliance.accounts.directory import Account
    from appliance.mail.ids import AccountId

    from .components import Components
    from .outbound import Outbound


Spoken = controls.AskForwarding | controls.ConfirmForwarding | controls.StopForwarding
"""Requests after which the owner is told."""


class ForwardingRequests:
    """Answers what is asked about the forwarding of an account."""

    def __init__(self, components: "Components", outbound: "Outbound") -> None:
        self._accounts = components.accounts
        self._clock = components.clock
        self._database = components.database
        self._messages = ServerMessages(components, outbound)
        self._log = components.journal.log
        self._sent_mono: dict[AccountId, float] = {}
        """When an account's last code was sent: the row that says so goes with `stop` and with wrong codes."""

    def answers(self) -> Answers:
        return (
            (controls.ShowForwarding, self.show),
            (controls.AskForwarding, self.ask),
            (controls.ConfirmForwarding, self.confirm),
            (controls.StopForwarding, self.stop),
        )

    async def show(self, request: controls.ShowForwarding) -> Response:
        account = account_of(self._accounts, request.address)
        state = await self._database.read(lambda connection: forwarding.state_of(connection, account.id))
        facts = {"target": state.target, "keep": state.keep, "asked": state.asked, "asked_keep": state.asked_keep}
        lines = [_shown(account.address, state.target, state.keep)]
        if state.asked:
            waits = Sentence(
                "%(asked)s waits for its code: pillarbox account forward %(address)s --code CODE",
                asked=state.asked,
                address=account.address,
            )
            lines.append(waits)
        return Response(joined(*lines, by="\n"), facts)

    async def ask(self, request: controls.AskForwarding) -> Response:
        """Nothing is forwarded before the code that goes to the new address is known here."""
        account, _ = self._addressed(request)
        now_at, now_mono = int(self._clock.wall_s()), self._clock.mono_s()
        if now_mono - self._sent_mono.get(account.id, -forwarding.AGAIN_S) < forwarding.AGAIN_S:
            raise forwarding.too_soon()
        target, code = await self._accounts.change(
            lambda transaction, tables: forwarding.ask(transaction, tables, account, request.target, keep=request.keep, now_at=now_at)
        )
        subject, text = code_message(_, account.address, code)
        try:
            await self._messages.send(controls.SendServerMessage(account.address, subject, text, target))
        except (SetupError, StoreError):
            await self._accounts.change(lambda transaction, tables: forwarding.stop_asking(transaction, account.id))
            raise
        self._sent_mono[account.id] = now_mono
        await self._tell(_, account.address, _("Somebody asked to forward your messages to %(target)s.", target=target))
        sentence = Sentence("A code was sent to %(target)s. Forwarding begins when it is entered.", target=target)
        return Response(sentence, {"target": target})

    async def confirm(self, request: controls.ConfirmForwarding) -> Response:
        account, _ = self._addressed(request)
        now_at = int(self._clock.wall_s())
        target = await self._accounts.change(lambda transaction, tables: forwarding.confirm(transaction, account.id, request.code, now_at))
        if not target:
            raise SetupError("That is not the code, or it is too old.", "Look at the message once more, or ask for another one.")
        await self._tell(_, account.address, _("Your messages are forwarded to %(target)s now.", target=target))
        return Response(Sentence("Messages are forwarded to %(target)s now.", target=target), {"target": target})

    async def stop(self, request: controls.StopForwarding) -> Response:
        account, _ = self._addressed(request)
        target = await self._accounts.change(lambda transaction, tables: forwarding.stop(transaction, account.id))
        if target:
            await self._tell(_, account.address, _("Your messages are no longer forwarded to %(target)s.", target=target))
        return Response(Sentence("Messages are not forwarded."), {"target": target})

    def _addressed(self, request: Spoken) -> "tuple[Account, Language]":
        """The account, and the language of the messages: the request's, else what the owner is written to in."""
        account = account_of(self._accounts, request.address)
        return account, catalogue(request.language or self._accounts.directory.language_of(account.id))

    async def _tell(self, _: Language, address: str, sentence: str) -> None:
        """A message in the owner's own mailbox, which is never forwarded."""
        text = sentence + "\n\n" + _("If that was not you, change your password at once and look at your own page: forwarding is there.")
        try:
            await self._messages.send(controls.SendServerMessage(address, _("Forwarding of your messages"), text))
        except StoreError as trouble:  # what was done is done
            self._log(f"{address} could not be told: “{sentence}” ({trouble})")


def code_message(_: Language, address: str, code: str) -> tuple[str, str]:
    """Subject and text of the message to the new address."""
    paragraphs = (
        _("%(address)s is to be forwarded to this address.", address=address),
        _("If you want that, enter this code on the page where you asked for it: %(code)s", code=code),
        _("If you do not know what this is, do nothing: without the code nothing is forwarded."),
    )
    return _("Code to forward messages"), "\n\n".join(paragraphs)


def _shown(address: str, target: str, keep: bool) -> str:
    if not target:
        return Sentence("Messages to %(address)s are not forwarded.", address=address)
    if keep:
        return Sentence("Messages to %(address)s are forwarded to %(target)s, and a copy stays.", address=address, target=target)
    return Sentence("Messages to %(address)s are forwarded to %(target)s; no copy stays.", address=address, target=target)
