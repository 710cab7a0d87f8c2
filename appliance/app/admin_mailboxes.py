"""Admin requests about mailboxes that accounts share (RFC 4314; `store/sharing`)."""

from typing import TYPE_CHECKING

from appliance.control import requests as controls
from appliance.control.requests import Response
from appliance.mail.errors import MisuseError, SetupError, StoreError, Trouble
from appliance.mail.rights import LEVELS, NONE, Rights, encode_rights, level_of, parse_rights
from appliance.mail.sentence import Sentence
from appliance.store.values import Mode
from appliance.store.visible import VisibleMailboxes

from .admin_request import Answers, account_of
from .components import Components

if TYPE_CHECKING:
    from collections.abc import Mapping

    from appliance.accounts.directory import Account
    from appliance.mail.ids import AccountId

UNREADABLE = "{who} does not see {name} in lists with these rights."


class MailboxRequests:
    """Answers what is asked about shared mailboxes; a refusal is SetupError, and then nothing has changed."""

    def __init__(self, components: Components) -> None:
        self._accounts = components.accounts
        self._store = components.store

    def answers(self) -> Answers:
        return (
            (controls.ShareMailbox, self.share),
            (controls.UnshareMailbox, self.unshare),
            (controls.ListShares, self.list_shares),
        )

    async def share(self, request: controls.ShareMailbox) -> Response:
        rights = read_level(request.rights)
        owner, other = account_of(self._accounts, request.address), account_of(self._accounts, request.account)
        await self._set(owner, request.name, other, rights)
        shown = await self._name_for(owner, request.name, other)
        facts = {
            "address": owner.address,
            "mailbox": request.name,
            "account": other.address,
            "rights": encode_rights(rights),
            "name": shown,
        }
        seen = f"{other.address} sees it as {shown}." if shown else UNREADABLE.format(who=other.address, name=request.name)
        text = f"{request.name} of {owner.address} is shared with {other.address} ({level_of(rights)}). {seen}"
        return Response(text + " What one of them reads or marks is read or marked for all.", facts)

    async def unshare(self, request: controls.UnshareMailbox) -> Response:
        owner, other = account_of(self._accounts, request.address), account_of(self._accounts, request.account)
        if other.id not in await self._given(owner, request.name):
            raise SetupError(
                Sentence("%(name)s is not shared with %(address)s.", name=request.name, address=other.address),
                Sentence("See: pillarbox mailbox shares %(address)s", address=owner.address),
            )
        await self._set(owner, request.name, other, NONE)
        facts = {"address": owner.address, "mailbox": request.name, "account": other.address}
        return Response(
            Sentence(
                "%(name)s of %(address)s is not shared with %(other)s any more.",
                name=request.name,
                address=owner.address,
                other=other.address,
            ),
            facts,
        )

    async def list_shares(self, request: controls.ListShares) -> Response:
        """What an account shares, and what is shared with it."""
        account = account_of(self._accounts, request.address)
        lines, given, received = [], [], []
        for info in await VisibleMailboxes(self._store, account.id).list():
            if info.account != account.id:
                owner = self._accounts.directory.account(info.account)
                facts = {"mailbox": info.own_name, "address": owner.address if owner is not None else ""}
                received.append({**facts, "name": info.name, "rights": encode_rights(info.rights)})
                lines.append(f"{info.name}: {facts['mailbox']} of {facts['address']} ({level_of(info.rights)})")
                continue
            for number, rights in (await self._given(account, info.name)).items():
                other = self._accounts.directory.account(number)
                if other is not None:
                    given.append({"mailbox": info.name, "account": other.address, "rights": encode_rights(rights)})
                    lines.append(f"{info.name} is shared with {other.address} ({level_of(rights)})")
        return Response("\n".join(lines) or "No mailbox is shared.", {"given": given, "received": received})

    # --- the store, with refusals for people --------------------------------------------------

    async def _set(self, owner: "Account", name: str, other: "Account", rights: Rights) -> None:
        try:
            await VisibleMailboxes(self._store, owner.id).set_rights(name, other.id, Mode.REPLACE, rights)
        except StoreError as error:
            raise _refused(owner, name, error) from error

    async def _given(self, owner: "Account", name: str) -> "Mapping[AccountId, Rights]":
        try:
            return (await VisibleMailboxes(self._store, owner.id).rights_given(name))[1]
        except StoreError as error:
            raise _refused(owner, name, error) from error

    async def _name_for(self, owner: "Account", name: str, other: "Account") -> str:
        """What the mailbox is called for the other account; "" when it is not listed there."""
        number = (await self._store.find(owner.id, name)).id
        infos = await VisibleMailboxes(self._store, other.id).list()
        return next((info.name for info in infos if info.id == number), "")


def read_level(text: str) -> Rights:
    """Rights by a word or by their characters, at least one. Raises SetupError."""
    try:
        rights = LEVELS.get(text) or parse_rights(text)
    except MisuseError:
        rights = NONE
    if not rights:
        raise SetupError(
            Sentence('"%(text)s" are no rights.', text=text),
            Sentence("Rights are one of %(levels)s, or characters of RFC 4314, such as lrs.", levels=", ".join(LEVELS)),
        )
    return rights


def _refused(owner: "Account", name: str, error: StoreError) -> SetupError:
    if error.trouble is Trouble.NO_MAILBOX:
        return SetupError(
            Sentence("%(address)s has no mailbox %(name)s.", address=owner.address, name=name),
            Sentence("See: pillarbox mailbox list %(address)s", address=owner.address),
        )
    return SetupError(
        Sentence("%(name)s of %(address)s cannot be shared so: %(error)s.", name=name, address=owner.address, error=error),
        "Nothing was changed.",
    )
