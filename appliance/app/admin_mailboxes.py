"""Admin requests about mailboxes that accounts share (RFC 4314; `store/sharing`)."""

from typing import TYPE_CHECKING, NamedTuple

from appliance.control import requests as controls
from appliance.control.requests import Response
from appliance.mail.errors import MisuseError, SetupError, StoreError, Trouble
from appliance.mail.rights import ANYONE, LEVELS, NONE, Rights, encode_rights, level_of, parse_rights
from appliance.mail.sentence import Sentence, joined
from appliance.store.sharing import PREFIX
from appliance.store.values import Mode
from appliance.store.visible import VisibleMailboxes

from .admin_request import Answers, account_of
from .components import Components

if TYPE_CHECKING:
    from collections.abc import Mapping

    from appliance.accounts.accounts import Accounts
    from appliance.accounts.directory import Account
    from appliance.mail.ids import AccountId

EVERYBODY = "anyone"
"""In place of an address: all accounts, those that come later among them."""


class Sharer(NamedTuple):
    """With whom a mailbox is shared: an account by its address, or all."""

    id: "AccountId"
    address: str


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
        owner, other = account_of(self._accounts, request.address), _sharer(self._accounts, request.account)
        await self._set(owner, request.name, other, rights)
        shown = await self._name_for(owner, request.name, other, rights)
        facts = {
            "address": owner.address,
            "mailbox": request.name,
            "account": other.address,
            "rights": encode_rights(rights),
            "name": shown,
        }
        seen = Sentence("%(who)s does not see %(name)s in lists with these rights.", who=other.address, name=request.name)
        if shown:
            seen = Sentence("%(who)s sees it as %(name)s.", who=other.address, name=shown)
        text = Sentence(
            "%(name)s of %(owner)s is shared with %(other)s (%(rights)s).",
            name=request.name,
            owner=owner.address,
            other=other.address,
            rights=level_of(rights),
        )
        return Response(joined(text, seen, Sentence("What one of them reads or marks is read or marked for all.")), facts)

    async def unshare(self, request: controls.UnshareMailbox) -> Response:
        owner, other = account_of(self._accounts, request.address), _sharer(self._accounts, request.account)
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
        given: list[dict[str, str]] = []
        received: list[dict[str, str]] = []
        lines: list[str] = []
        for info in await VisibleMailboxes(self._store, account.id).list():
            if info.account != account.id:
                owner = self._accounts.directory.account(info.account)
                facts = {"mailbox": info.own_name, "address": owner.address if owner is not None else ""}
                received.append({**facts, "name": info.name, "rights": encode_rights(info.rights)})
                shown = {"name": info.name, **facts, "rights": level_of(info.rights)}
                lines.append(Sentence("%(name)s: %(mailbox)s of %(address)s (%(rights)s)", **shown))
                continue
            for number, rights in (await self._given(account, info.name)).items():
                other = self._accounts.directory.account(number)
                who = EVERYBODY if number == ANYONE else other.address if other is not None else ""
                if who:
                    given.append({"mailbox": info.name, "account": who, "rights": encode_rights(rights)})
                    shared = {"name": info.name, "other": who, "rights": level_of(rights)}
                    lines.append(Sentence("%(name)s is shared with %(other)s (%(rights)s)", **shared))
        return Response(joined(*lines, by="\n") or Sentence("No mailbox is shared."), {"given": given, "received": received})

    # --- the store, with refusals for people --------------------------------------------------

    async def _set(self, owner: "Account", name: str, other: Sharer, rights: Rights) -> None:
        try:
            await VisibleMailboxes(self._store, owner.id).set_rights(name, other.id, Mode.REPLACE, rights)
        except StoreError as error:
            raise _refused(owner, name, error) from error

    async def _given(self, owner: "Account", name: str) -> "Mapping[AccountId, Rights]":
        try:
            return (await VisibleMailboxes(self._store, owner.id).rights_given(name))[1]
        except StoreError as error:
            raise _refused(owner, name, error) from error

    async def _name_for(self, owner: "Account", name: str, other: Sharer, rights: Rights) -> str:
        """What the mailbox is called for the other account, or for most of all; "" when it is not listed there."""
        if other.id == ANYONE:
            return PREFIX + name if "l" in rights else ""
        number = (await self._store.find(owner.id, name)).id
        infos = await VisibleMailboxes(self._store, other.id).list()
        return next((info.name for info in infos if info.id == number), "")


def _sharer(accounts: "Accounts", text: str) -> Sharer:
    """Raises SetupError."""
    if text == EVERYBODY:
        return Sharer(ANYONE, EVERYBODY)
    account = account_of(accounts, text)
    return Sharer(account.id, account.address)


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
