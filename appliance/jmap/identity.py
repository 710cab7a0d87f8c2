"""Identity: get, changes and set (RFC 8621 §6).

| id                     | identity                                                                              |
|------------------------|---------------------------------------------------------------------------------------|
| D and a digest         | what one of the account's addresses is by itself: it can be changed, not destroyed     |
| I7                     | one that was made, for any address whose messages come to the account                  |

The state is the MODSEQ of the last change with a digest of the account's addresses: when aliases change, changes are not calculated and
the client reads the few identities again.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from appliance.accounts.directory import Directory, key_of, split_address
from appliance.mail.address import Address, parse_address
from appliance.mail.errors import MisuseError
from appliance.mail.header_encoding import phrase_tokens
from appliance.mail.ids import AccountId, ModSeq
from appliance.protocol.jmap.errors import MethodError, SetError, invalid_properties
from appliance.protocol.jmap.patch import patched
from appliance.protocol.jmap.references import created_id
from appliance.protocol.jmap.request import JmapLimits
from appliance.store.identities import IdentityRow, add_identity, destroy_identity, identities, update_identity
from appliance.store.object_changes import IDENTITY, object_changes
from appliance.store.store import Store

from .ids import encode_id, parse_id
from .method import Call, JmapAccount, Method
from .standard import SetOutcome, attempt, get_response, read_most_changes, read_properties, read_set

SUBMISSION = "urn:ietf:params:jmap:submission"
PROPERTIES = ("id", "name", "email", "replyTo", "bcc", "textSignature", "htmlSignature", "mayDelete")
DEFAULTS: dict[str, Any] = {"name": "", "replyTo": None, "bcc": None, "textSignature": "", "htmlSignature": ""}
ADDRESSES = 50
"""In replyTo and bcc."""


@dataclass(frozen=True, slots=True)
class KnownIdentity:
    """An identity as a client sees it."""

    id: str
    address: Address
    row: IdentityRow | None
    is_default: bool

    def encode(self) -> dict[str, Any]:
        details = self.row.details if self.row is not None else {}
        return {"id": self.id, "email": str(self.address), **DEFAULTS, **details, "mayDelete": not self.is_default}


def default_id(address: Address) -> str:
    return "D" + hashlib.blake2b(key_of(address).encode(), digest_size=8).hexdigest()


def addresses_of(directory: Directory, account: AccountId) -> list[Address]:
    """The account's own address and the aliases that lead to it, each once."""
    own = directory.own_address(account)
    aliases = [split_address(alias) for alias, _ in directory.aliases()]
    found = [own, *(one for one in aliases if account in directory.resolve(one).accounts)]
    return list({key_of(one): one for one in found if one is not None}.values())


def known_identities(directory: Directory, account: AccountId, rows: list[IdentityRow]) -> dict[str, KnownIdentity]:
    """By id: those of the addresses, then those that were made. Rows of addresses that are gone stay silent."""
    changed = {key_of(split_address(row.address)): row for row in rows if row.is_default}
    found = [KnownIdentity(default_id(one), one, changed.get(key_of(one)), True) for one in addresses_of(directory, account)]
    found += [KnownIdentity(encode_id("I", row.id), split_address(row.address), row, False) for row in rows if not row.is_default]
    return {one.id: one for one in found}


class IdentityMethods:
    """The methods of one server."""

    def __init__(self, store: Store, directory: Directory, limits: JmapLimits) -> None:
        self._store = store
        self._directory = directory
        self._limits = limits

    def methods(self) -> tuple[Method, ...]:
        return (
            Method("Identity/get", SUBMISSION, self.get),
            Method("Identity/changes", SUBMISSION, self.changes),
            Method("Identity/set", SUBMISSION, self.set),
        )

    async def get(self, call: Call) -> dict[str, Any]:
        account = own_account(call)
        wanted = call.arguments.ids("ids", most=self._limits.objects_in_get)
        properties = read_properties(call.arguments, PROPERTIES, PROPERTIES)
        call.arguments.end()
        state, known = await self.read(account.account)
        found = {}
        for one in known.values():
            whole = one.encode()
            found[one.id] = {name: whole[name] for name in properties}
        chosen = None if wanted is None else [created_id(one, call.created) or one for one in wanted]
        return get_response(account.id, state, chosen, found)

    async def read(self, account: AccountId) -> tuple[str, dict[str, KnownIdentity]]:
        """State and identities by id."""
        modseq, rows = await self._store.database.read(lambda connection: identities(connection, account))
        return self.state_of(account, modseq), known_identities(self._directory, account, rows)

    def state_of(self, account: AccountId, modseq: ModSeq) -> str:
        keys = "\n".join(map(key_of, addresses_of(self._directory, account)))
        return f"{modseq}-{hashlib.blake2b(keys.encode(), digest_size=4).hexdigest()}"

    async def changes(self, call: Call) -> dict[str, Any]:
        account = own_account(call)
        since = call.arguments.text("sinceState")
        most = read_most_changes(call.arguments)
        call.arguments.end()
        number, _, digest = since.partition("-")
        is_state = number.isascii() and number.isdecimal() and len(number) < 19
        if not is_state or self.state_of(account.account, ModSeq(int(number))) != since:
            raise MethodError("cannotCalculateChanges", "The addresses of the account are others, or that was never a state.")

        def work(connection: Any) -> Any:
            rows = {row.id: row for row in identities(connection, account.account)[1]}
            return object_changes(connection, IDENTITY, account.account, ModSeq(int(number)), most), rows

        found, rows = await self._store.database.read(work)
        if found is None:
            raise MethodError("cannotCalculateChanges", "That state is too old or was never one.")
        modseq, changes, more = found
        answer: dict[str, Any] = {"created": [], "updated": [], "destroyed": []}
        for change in changes:
            row, new = rows.get(change.id), change.created_modseq > int(number)
            if row is None:
                answer["destroyed"] += [] if new else [encode_id("I", change.id)]
            elif row.is_default:
                answer["updated"].append(default_id(split_address(row.address)))
            else:
                answer["created" if new else "updated"].append(encode_id("I", change.id))
        return {"accountId": account.id, "oldState": since, "newState": f"{modseq}-{digest}", "hasMoreChanges": more, **answer}

    # --- set -------------------------------------------------------------------------------------

    async def set(self, call: Call) -> dict[str, Any]:
        account = own_account(call, write=True)
        before, _ = await self.read(account.account)
        request = read_set(call.arguments, before, self._limits.objects_in_set)
        call.arguments.end()
        outcome = SetOutcome()
        for name, new in request.create.items():
            await attempt(outcome, "notCreated", name, lambda name=name, new=new: self._create(call, account, outcome, name, new))  # type: ignore[misc]
        for one, patch in request.update.items():
            await attempt(outcome, "notUpdated", one, lambda one=one, patch=patch: self._update(call, account, outcome, one, patch))  # type: ignore[misc]
        for one in request.destroy:
            await attempt(outcome, "notDestroyed", one, lambda one=one: self._destroy(call, account, outcome, one))  # type: ignore[misc]
        after, _ = await self.read(account.account)
        return outcome.encode(account.id, before, after)

    async def _create(self, call: Call, account: JmapAccount, outcome: SetOutcome, name: str, new: dict[str, Any]) -> None:
        unknown = [member for member in new if member not in PROPERTIES or member in ("id", "mayDelete")]
        if unknown:
            raise invalid_properties("These cannot be set.", *unknown)
        address = self._address(account, new.get("email"))
        details = _details({member: value for member, value in new.items() if member != "email"})
        number = await self._store.database.write(
            lambda transaction: add_identity(transaction, account.account, str(address), details, is_default=False)
        )
        call.created[name] = encode_id("I", number)
        outcome.created[name] = {"id": encode_id("I", number), "mayDelete": True}
        outcome.created[name] |= {member: value for member, value in DEFAULTS.items() if member not in new}

    def _address(self, account: JmapAccount, email: Any) -> Address:
        try:
            address = parse_address(email) if isinstance(email, str) else None
        except MisuseError:
            address = None
        if address is None:
            raise invalid_properties("An identity has an e-mail address.", "email")
        if not self._directory.may_send_as(account.account, address):
            raise SetError("forbiddenFrom", f"Messages to {address} do not come to this account.")
        return address

    async def _update(self, call: Call, account: JmapAccount, outcome: SetOutcome, one: str, patch: dict[str, Any]) -> None:
        found = (await self.read(account.account))[1].get(created_id(one, call.created) or "")
        if found is None:
            raise SetError("notFound", "There is no such identity.")
        whole = found.encode()
        unknown = [name for name in patch if name.partition("/")[0] not in DEFAULTS and patch[name] != whole.get(name, ...)]
        if unknown:
            raise invalid_properties("These stay as they are.", *unknown)
        change = {name: value for name, value in patch.items() if name.partition("/")[0] in DEFAULTS}

        def changed(row: IdentityRow) -> Mapping[str, Any]:
            return _details(patched({**DEFAULTS, **row.details}, change))

        def work(transaction: Any) -> None:
            rows = identities(transaction, account.account)[1]
            row = next((row for row in rows if row.is_default and default_id(split_address(row.address)) == found.id), None)
            if found.is_default and row is None:
                row = IdentityRow(0, str(found.address), True)
                add_identity(transaction, account.account, row.address, changed(row), is_default=True)
            else:
                update_identity(transaction, account.account, row.id if row else parse_id("I", found.id) or 0, changed)

        await self._store.database.write(work)
        outcome.updated[one] = None

    async def _destroy(self, call: Call, account: JmapAccount, outcome: SetOutcome, one: str) -> None:
        name = created_id(one, call.created) or ""
        found = (await self.read(account.account))[1].get(name)
        if found is None:
            raise SetError("notFound", "There is no such identity.")
        if found.is_default:
            raise SetError("forbidden", "Every address of the account has an identity.")
        await self._store.database.write(lambda transaction: destroy_identity(transaction, account.account, parse_id("I", name) or 0))
        outcome.destroyed.append(name)


def own_account(call: Call, *, write: bool = False) -> JmapAccount:
    """The account of the call, which must be the caller's own: nobody sends for another. Raises MethodError."""
    account = call.account(write=write)
    if account.account != call.caller.account:
        raise MethodError("accountNotSupportedByMethod", "Messages are sent from one's own account.")
    return account


def _details(members: Mapping[str, Any]) -> dict[str, Any]:
    """What differs from the defaults, checked. Raises SetError."""
    wrong = [name for name in ("textSignature", "htmlSignature") if not isinstance(members.get(name) or "", str)]
    wrong += ["name"] if not _is_phrase(members.get("name")) else []
    wrong += [name for name in ("replyTo", "bcc") if not _is_address_list(members.get(name))]
    if wrong:
        raise invalid_properties("A name and signatures are texts; replyTo and bcc are lists of addresses.", *wrong)
    return {name: value for name, value in members.items() if (value or DEFAULTS[name]) != DEFAULTS[name]}


def _is_address_list(value: Any) -> bool:
    return value is None or (isinstance(value, list) and len(value) <= ADDRESSES and all(map(_is_address, value)))


def _is_address(value: Any) -> bool:
    """An EmailAddress of RFC 8621 §4.1.2.3 that a message can have."""
    if not isinstance(value, dict) or not value.keys() <= {"name", "email"} or not isinstance(value.get("email"), str):
        return False
    try:
        parse_address(value["email"])
    except MisuseError:
        return False
    return _is_phrase(value.get("name"))


def _is_phrase(value: Any) -> bool:
    """A display name that a header field can have, or none."""
    if not isinstance(value or "", str):
        return False
    try:
        phrase_tokens(value or "")
    except MisuseError:
        return False
    return True
