"""Email/import and Email/copy: messages whose octets are here already (RFC 8621 §4.7, §4.8).

| octets                                            | storage                                                                        |
|---------------------------------------------------|--------------------------------------------------------------------------------|
| an upload, a message of this or another account   | the body is shared: a row is written, and no octet of the message              |
| a message attached to another                     | written once more, decoded                                                     |

A message may be in an account several times: each import makes one of its own.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from appliance.mail.date import parse_date
from appliance.mail.encoding import DamagedOctets
from appliance.mail.errors import StoreError, Trouble
from appliance.mail.header import header_end, value
from appliance.mail.ids import MessageId
from appliance.mail.limits import HEADER_OCTETS
from appliance.protocol.jmap.arguments import Arguments
from appliance.protocol.jmap.errors import MethodError, SetError, invalid, invalid_properties
from appliance.protocol.jmap.references import created_id
from appliance.protocol.jmap.request import JmapLimits
from appliance.store.account_messages import AccountMessage, account_messages
from appliance.store.message_create import CreatedMessage, create_message
from appliance.store.scope import scope_modseq
from appliance.store.store import Store

from .blobs import Blob, Blobs, begins_message
from .email import keywords_of
from .email_properties import flags_of
from .email_set import EmailSetMethods
from .ids import encode_id, encode_state, parse_id
from .mailbox import MAIL
from .method import Call, JmapAccount, Method, Response
from .new_messages import MOST_OCTETS, NewMessages, created_response, read_placing
from .standard import SetOutcome, SetStates, attempt

IMPORTED = frozenset(("blobId", "mailboxIds", "keywords", "receivedAt"))
COPIED = frozenset(("id", "mailboxIds", "keywords", "receivedAt"))
Done = tuple[SetOutcome, SetStates]


class EmailImportMethods:
    """The methods of one server."""

    def __init__(self, store: Store, limits: JmapLimits) -> None:
        self._store = store
        self._limits = limits
        self._blobs = Blobs(store)
        self._new = NewMessages(store, self._blobs)
        self._set = EmailSetMethods(store, limits)

    def methods(self) -> tuple[Method, ...]:
        return (Method("Email/import", MAIL, self.import_), Method("Email/copy", MAIL, self.copy))

    # --- Email/import ------------------------------------------------------------------------------

    async def import_(self, call: Call) -> dict[str, Any]:
        account = call.account(write=True)
        states = await self._expected(call, account, "ifInState")
        emails = self._bounded(call.arguments.objects("emails"))
        call.arguments.end()
        outcome = SetOutcome()
        for name, given in emails.items():
            await attempt(outcome, "notCreated", name, partial(self._import, call, account, (outcome, states), name, given))
        return self._response(account, states, outcome)

    async def _import(self, call: Call, account: JmapAccount, done: Done, name: str, given: Mapping[str, Any]) -> None:
        _only(given, IMPORTED)
        placing = read_placing(given, call.created)
        blob_id = given.get("blobId")
        found = created_id(blob_id, call.created) if isinstance(blob_id, str) else None
        blob = await self._blobs.find(account.scope, found) if found is not None else None
        if blob is None:
            raise invalid_properties("There is no such blob.", "blobId")
        try:
            header = await _header_of(blob)
            if not begins_message(header):
                raise SetError("invalidEmail", "This is no message: it does not begin with a header field.")
            new = self._new.placed(placing, blob.kept[1] if blob.kept is not None else b"", _received_at(header))
            made = await self._store_blob(account, blob, new)
        except DamagedOctets:
            raise SetError("invalidEmail", "The message cannot be decoded.") from None
        except StoreError as error:
            if error.trouble is Trouble.GONE:
                raise invalid_properties("There is no such blob any more.", "blobId") from None
            raise
        self._made(call, done, name, made)

    async def _store_blob(self, account: JmapAccount, blob: Blob, new: Any) -> CreatedMessage:
        """Raises StoreError, DamagedOctets."""
        if blob.kept is not None:
            body = blob.kept[0]
            return await create_message(self._store, account.scope, (body, await self._store.scan(body)), new)
        async with self._store.receive(MOST_OCTETS) as incoming:
            async for chunk in blob.chunks:
                await incoming.write(chunk)
            return await create_message(self._store, account.scope, await incoming.finish(), new)

    # --- Email/copy --------------------------------------------------------------------------------

    async def copy(self, call: Call) -> list[Response]:
        source, account = call.account("fromAccountId"), call.account(write=True)
        if source.id == account.id:
            raise invalid("A copy goes from one account to another.")
        await self._expected(call, source, "ifFromInState")
        states = await self._expected(call, account, "ifInState")
        wanted = self._bounded(call.arguments.objects("create"))
        destroy, expected = call.arguments.flag("onSuccessDestroyOriginal"), call.arguments.text("destroyFromIfInState")
        call.arguments.end()
        outcome = SetOutcome()
        originals: dict[str, str] = {}
        for name, given in wanted.items():
            await attempt(outcome, "notCreated", name, partial(self._copy, call, (source, account), (outcome, states), name, given))
            if name in outcome.created:
                originals[str(created_id(given["id"], call.created))] = name
        done = {"fromAccountId": source.id, **self._response(account, states, outcome)}
        responses: list[Response] = [("Email/copy", done)]
        if destroy and originals:
            arguments = {"accountId": source.id, "destroy": list(originals), **({"ifInState": expected} if expected else {})}
            try:
                destroyed = await self._set.set(Call("Email/set", Arguments(arguments), call.caller, call.created))
                responses.append(("Email/set", destroyed))
            except MethodError as error:
                responses.append(("error", error.response))
        return responses

    async def _copy(self, call: Call, between: tuple[JmapAccount, JmapAccount], done: Done, name: str, given: Mapping[str, Any]) -> None:
        """`between`: from which account into which. What is not given is as in the original (RFC 8620 §5.4)."""
        source, account = between
        _only(given, COPIED)
        number = parse_id("M", created_id(given["id"], call.created) or "") if isinstance(given.get("id"), str) else None
        numbers = [number] if number is not None else []
        found = await self._store.database.read(lambda connection: account_messages(connection, source.scope, numbers))
        if not found:
            raise SetError("notFound", "There is no such message.")
        message: AccountMessage = found[MessageId(numbers[0])]
        placing = read_placing(given, call.created)
        if given.get("keywords") is None:  # those of the original, as far as they may be set there
            placing = replace(placing, flags=sorted(flags_of(keywords_of(message))))
        new = self._new.placed(placing, message.prefix, message.internal_at)
        made = await create_message(self._store, account.scope, (message.body, await self._store.scan(message.body)), new)
        self._made(call, done, name, made)

    # --- both --------------------------------------------------------------------------------------

    def _made(self, call: Call, done: Done, name: str, made: CreatedMessage) -> None:
        outcome, states = done
        states.add(made.step)
        outcome.created[name] = created_response(made)
        call.created[name] = encode_id("M", made.id)

    def _bounded(self, objects: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        if len(objects) > self._limits.objects_in_set:
            raise MethodError("requestTooLarge", f"At most {self._limits.objects_in_set} messages are made at once (maxObjectsInSet).")
        return objects

    async def _expected(self, call: Call, account: JmapAccount, argument: str) -> SetStates:
        """The state, which must be the one given. Raises MethodError stateMismatch."""
        modseq = await self._store.database.read(lambda connection: scope_modseq(connection, account.scope))
        expected = call.arguments.text(argument)
        if expected and expected != encode_state(modseq):
            raise MethodError("stateMismatch", "Something changed meanwhile.")
        return SetStates(modseq, modseq)

    def _response(self, account: JmapAccount, states: SetStates, outcome: SetOutcome) -> dict[str, Any]:
        whole = outcome.encode(account.id, encode_state(states.old), encode_state(states.new))
        return {name: whole[name] for name in ("accountId", "oldState", "newState", "created", "notCreated")}


def _only(given: Mapping[str, Any], known: frozenset[str]) -> None:
    unknown = sorted(given.keys() - known)
    if unknown:
        raise invalid_properties("These are part of the message, which stays as it is.", *unknown)


async def _header_of(blob: Blob) -> bytes:
    """Of a message, or the first octets of what is none."""
    held = b""
    async for chunk in blob.chunks:
        held += chunk
        if header_end(held) < len(held) or len(held) > HEADER_OCTETS:
            break
    return held[: header_end(held)]


def _received_at(header: bytes) -> int | None:
    """When the last server took the message: the date of the topmost Received (RFC 5321 §4.4)."""
    received = value(header, b"received")
    return parse_date(received.rpartition(b";")[2].strip()) if received is not None else None
