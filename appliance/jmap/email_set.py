"""Email/set: keywords, mailboxes and destruction of stored messages (RFC 8621 §4.6). Each message changes in one commit of its own.

| update                                    | effect                                                                           |
|-------------------------------------------|----------------------------------------------------------------------------------|
| `keywords`, `keywords/$name`              | in every copy of the message                                                     |
| `mailboxIds`, `mailboxIds/F7`             | copied, moved or removed; at least one mailbox stays                             |
| any other property                        | invalidProperties, unless it has the value already given                         |

A patch is applied to what is there when it is committed, so two clients that set different keywords both succeed.
"""

import re
from collections.abc import Mapping
from typing import Any

from appliance.mail.ids import MailboxId, MessageId
from appliance.protocol.jmap.errors import SetError, invalid_properties
from appliance.protocol.jmap.patch import patched
from appliance.protocol.jmap.references import created_id
from appliance.protocol.jmap.request import JmapLimits
from appliance.store.message_update import MessageState
from appliance.store.modseq import account_modseq
from appliance.store.store import Store

from .email import SYSTEM_KEYWORDS
from .ids import encode_id, encode_state, parse_id
from .mailbox import MAIL
from .method import Call, JmapAccount, Method
from .standard import SetOutcome, attempt, read_set

CHANGEABLE = ("keywords", "mailboxIds")
SYSTEM_FLAGS = {keyword: flag for flag, keyword in SYSTEM_KEYWORDS.items()}
MOST_KEYWORDS = 57
_KEYWORD = re.compile(r"[!#-$&-'+-\[^-z|}~]{1,250}")
"""Printable ASCII but ( ) { ] % * " and the backslash (RFC 8621 §4.1.1)."""


class EmailSetMethods:
    """The methods of one server."""

    def __init__(self, store: Store, limits: JmapLimits) -> None:
        self._store = store
        self._limits = limits

    def methods(self) -> tuple[Method, ...]:
        return (Method("Email/set", MAIL, self.set),)

    async def set(self, call: Call) -> dict[str, Any]:
        account = call.account(write=True)
        before = await self._state(account)
        request = read_set(call.arguments, before, self._limits.objects_in_set)
        call.arguments.end()
        outcome = SetOutcome()
        for name in request.create:
            outcome.refuse("notCreated", name, SetError("forbidden", "Messages are made by Email/import here."))
        for one, patch in request.update.items():
            await attempt(outcome, "notUpdated", one, lambda one=one, patch=patch: self._update(call, account, outcome, one, patch))  # type: ignore[misc]
        for one in request.destroy:
            await attempt(outcome, "notDestroyed", one, lambda one=one: self._destroy(call, account, outcome, one))  # type: ignore[misc]
        return outcome.encode(account.id, before, await self._state(account))

    async def _update(self, call: Call, account: JmapAccount, outcome: SetOutcome, one: str, patch: Mapping[str, Any]) -> None:
        for name in patch:
            if name.partition("/")[0] not in CHANGEABLE:
                raise invalid_properties("Only keywords and mailboxes of a message change.", name)

        def decide(state: MessageState) -> MessageState:
            return updated(state, patch, call.created)

        await self._store.update_message(account.account, self._number(call, one), decide)
        outcome.updated[one] = None

    async def _destroy(self, call: Call, account: JmapAccount, outcome: SetOutcome, one: str) -> None:
        await self._store.update_message(account.account, self._number(call, one), lambda state: MessageState(state.flags, frozenset()))
        outcome.destroyed.append(created_id(one, call.created) or one)

    def _number(self, call: Call, one: str) -> MessageId:
        number = parse_id("M", created_id(one, call.created) or "")
        if number is None:
            raise SetError("notFound", "There is no such message.")
        return MessageId(number)

    async def _state(self, account: JmapAccount) -> str:
        return encode_state(await self._store.database.read(lambda connection: account_modseq(connection, account.account)))


def updated(state: MessageState, patch: Mapping[str, Any], created: Mapping[str, str]) -> MessageState:
    """The state with the patch applied. Raises SetError."""
    before = {
        "keywords": {SYSTEM_KEYWORDS.get(name, name).lower(): True for name in state.flags},
        "mailboxIds": {encode_id("F", mailbox): True for mailbox in state.mailboxes},
    }
    after = patched(before, {_resolved(name, created): value for name, value in patch.items()})
    return MessageState(flags_of(after.get("keywords", {}), state.flags), mailboxes_of(after.get("mailboxIds", {}), created))


def flags_of(keywords: Any, before: frozenset[str] = frozenset()) -> frozenset[str]:
    """Flag names of a `keywords` object; a keyword that is there keeps its spelling. Raises SetError."""
    if not isinstance(keywords, dict) or not all(value is True and _KEYWORD.fullmatch(name) for name, value in keywords.items()):
        raise invalid_properties("Keywords map a name of printable ASCII to true.", "keywords")
    if len(keywords) > MOST_KEYWORDS:
        raise SetError("tooManyKeywords", f"A message has at most {MOST_KEYWORDS} keywords.")
    spelled = {name.lower(): name for name in before}
    return frozenset(SYSTEM_FLAGS.get(name.lower()) or spelled.get(name.lower(), name.lower()) for name in keywords)


def mailboxes_of(mailboxes: Any, created: Mapping[str, str]) -> frozenset[MailboxId]:
    """Raises SetError."""
    if not isinstance(mailboxes, dict) or not mailboxes or not all(value is True for value in mailboxes.values()):
        raise invalid_properties("A message is in at least one mailbox: map ids of mailboxes to true.", "mailboxIds")
    numbers = [parse_id("F", created_id(one, created) or "") for one in mailboxes]
    if None in numbers:
        raise invalid_properties("There is no such mailbox.", "mailboxIds")
    return frozenset(MailboxId(number) for number in numbers if number is not None)


def _resolved(pointer: str, created: Mapping[str, str]) -> str:
    """`mailboxIds/#new` with the id of the mailbox made as "new"."""
    name, slash, one = pointer.partition("/")
    return f"{name}{slash}{created_id(one, created) or one}" if name == "mailboxIds" and slash else pointer
