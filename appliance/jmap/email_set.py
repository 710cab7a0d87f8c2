"""Email/set: new messages, keywords, mailboxes and destruction of stored ones (RFC 8621 §4.6). Each changes in one commit of its own;
a call that makes a message and destroys others, as when a draft is saved anew, does both in one.

| update                                    | effect                                                                           |
|-------------------------------------------|----------------------------------------------------------------------------------|
| `keywords`, `keywords/$name`              | in every copy of the message                                                     |
| `mailboxIds`, `mailboxIds/F7`             | copied, moved or removed; at least one mailbox stays                             |
| any other property                        | invalidProperties, unless it has the value already given                         |

A patch is applied to what is there when it is committed, so two clients that set different keywords both succeed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from appliance.mail.ids import MessageId
from appliance.protocol.jmap.errors import SetError
from appliance.protocol.jmap.patch import patched
from appliance.protocol.jmap.references import created_id
from appliance.protocol.jmap.request import JmapLimits
from appliance.store.message_update import MessageState
from appliance.store.scope import scope_modseq
from appliance.store.store import Store

from .blobs import Blobs
from .email import SYSTEM_KEYWORDS, EmailMethods
from .email_properties import flags_of, mailboxes_of
from .ids import encode_id, encode_state, parse_id
from .mailbox import MAIL
from .method import Call, JmapAccount, Method
from .new_messages import NewMessages, created_response
from .standard import SetOutcome, SetRequest, SetStates, attempt, expect_same, read_set

CHANGEABLE = ("keywords", "mailboxIds")


class EmailSetMethods:
    """The methods of one server."""

    def __init__(self, store: Store, limits: JmapLimits) -> None:
        self._store = store
        self._limits = limits
        self._new = NewMessages(store, Blobs(store))
        self._emails = EmailMethods(store, limits)

    def methods(self) -> tuple[Method, ...]:
        return (Method("Email/set", MAIL, self.set),)

    async def set(self, call: Call) -> dict[str, Any]:
        account = call.account(write=True)
        modseq = await self._store.database.read(lambda connection: scope_modseq(connection, account.scope))
        request = read_set(call.arguments, encode_state(modseq), self._limits.objects_in_set)
        call.arguments.end()
        states = SetStates(modseq, modseq)
        outcome = await _EmailSet(self._store, self._new, self._emails, call, account, request, states).carry_out()
        return outcome.encode(account.id, encode_state(states.old), encode_state(states.new))


@dataclass(slots=True)
class _EmailSet:
    """One call."""

    store: Store
    new: NewMessages
    emails: EmailMethods
    call: Call
    account: JmapAccount
    request: SetRequest
    states: SetStates
    outcome: SetOutcome = field(default_factory=SetOutcome)

    async def carry_out(self) -> SetOutcome:
        request, last = self.request, next(reversed(self.request.create), None)
        for name, given in request.create.items():
            replaced = self._replaced() if name == last else {}
            await attempt(self.outcome, "notCreated", name, partial(self._create, name, given, replaced))
        for one, patch in request.update.items():
            await attempt(self.outcome, "notUpdated", one, partial(self._update, one, patch))
        done = frozenset(self.outcome.destroyed)
        for one in request.destroy:
            if one not in done:
                await attempt(self.outcome, "notDestroyed", one, partial(self._destroy, one))
        return self.outcome

    def _replaced(self) -> dict[MessageId, str]:
        """The messages to be destroyed, if that may happen with the last creation: nothing comes between."""
        numbers = {one: parse_id("M", one) for one in self.request.destroy if not self.request.update}
        return {MessageId(number): one for one, number in numbers.items() if number is not None}

    async def _create(self, name: str, given: Mapping[str, Any], replaced: Mapping[MessageId, str]) -> None:
        made = await self.new.create(self.call, self.account, given, list(replaced))
        self.states.add(made.step)
        self.outcome.created[name] = created_response(made)
        self.outcome.destroyed += [replaced[one] for one in made.replaced]
        self.call.created[name] = encode_id("M", made.id)

    async def _update(self, one: str, patch: Mapping[str, Any]) -> None:
        if one in self.request.destroy:
            raise SetError("willDestroy", "The same call destroys it.")
        change = {name: value for name, value in patch.items() if name.partition("/")[0] in CHANGEABLE}
        fixed = {name: value for name, value in patch.items() if name not in change}
        await expect_same(self.emails.get, self.call, self.account.id, one, fixed)

        def decide(state: MessageState) -> MessageState:
            return updated(state, change, self.call.created)

        self.states.add(await self.store.update_message(self.account.scope, self._number(one), decide))
        self.outcome.updated[one] = None

    async def _destroy(self, one: str) -> None:
        gone = await self.store.update_message(self.account.scope, self._number(one), lambda state: MessageState(state.flags, frozenset()))
        self.states.add(gone)
        self.outcome.destroyed.append(created_id(one, self.call.created) or one)

    def _number(self, one: str) -> MessageId:
        number = parse_id("M", created_id(one, self.call.created) or "")
        if number is None:
            raise SetError("notFound", "There is no such message.")
        return MessageId(number)


def updated(state: MessageState, patch: Mapping[str, Any], created: Mapping[str, str]) -> MessageState:
    """The state with the patch applied. Raises SetError."""
    before = {
        "keywords": {SYSTEM_KEYWORDS.get(name, name).lower(): True for name in state.flags},
        "mailboxIds": {encode_id("F", mailbox): True for mailbox in state.mailboxes},
    }
    after = patched(before, {_resolved(name, created): value for name, value in patch.items()})
    return MessageState(flags_of(after.get("keywords", {}), state.flags), mailboxes_of(after.get("mailboxIds", {}), created))


def _resolved(pointer: str, created: Mapping[str, str]) -> str:
    """`mailboxIds/#new` with the id of the mailbox made as "new"."""
    name, slash, one = pointer.partition("/")
    return f"{name}{slash}{created_id(one, created) or one}" if name == "mailboxIds" and slash else pointer
