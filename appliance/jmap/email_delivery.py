"""EmailDelivery: what a push says of messages that arrived, so that a device shows them without asking (draft-ietf-jmap-emailpush-00).

| member of a config | may be                                                             |
|--------------------|--------------------------------------------------------------------|
| filter             | null, or a FilterCondition with inMailbox and notKeyword at most   |
| properties         | those of Email/get that the message's rows hold                    |

Of a burst the last BURST messages are told: more notifications at once help nobody.
"""

import json
from typing import Any

from appliance.mail.ids import AccountId, MailboxId, ModSeq
from appliance.protocol.jmap.errors import invalid_properties
from appliance.store.account_changes import CREATED, WHOLE, Position, message_changes
from appliance.store.account_messages import AccountMessage, account_messages
from appliance.store.modseq import account_modseq
from appliance.store.scope import own
from appliance.store.store import Store

from .email import IN_ROWS, keywords_of, row_properties
from .ids import parse_id

BURST = 3


def check_deliveries(given: Any, account: str) -> dict[str, Any] | None:
    """The emailDelivery of a push subscription; `account`: the only one it may name. Raises SetError."""
    if given is None:
        return None
    if isinstance(given, dict) and list(given) == [account] and _is_config(given[account]):
        return given
    raise invalid_properties("emailDelivery names your account, a filter (inMailbox, notKeyword) and properties.", "emailDelivery")


def _is_config(given: Any) -> bool:
    if not isinstance(given, dict) or not given.keys() <= {"filter", "properties"}:
        return False
    condition, names = given.get("filter") or {}, given.get("properties")
    if not isinstance(condition, dict) or not condition.keys() <= {"inMailbox", "notKeyword"} or not isinstance(names, list):
        return False
    return all(isinstance(one, str) for one in (*condition.values(), *names)) and IN_ROWS.issuperset(names)


class Deliveries:
    """The messages of one account that arrived since a place in its changes."""

    def __init__(self, store: Store, account: AccountId, config: dict[str, Any]) -> None:
        self._store = store
        self._scope = own(account)
        condition = config.get("filter") or {}
        self._mailbox = parse_id("F", condition["inMailbox"]) if "inMailbox" in condition else None
        self._keyword: str | None = condition.get("notKeyword")
        self._properties: list[str] = config["properties"]
        self._since = Position(ModSeq(0), WHOLE)

    async def begin(self) -> None:
        """From here on."""
        self._since = await self._store.database.read(self._now)

    def _now(self, connection: Any) -> Position:
        return Position(account_modseq(connection, self._scope.account), WHOLE)

    async def read(self) -> list[tuple[Position, AccountMessage]]:
        """The latest that pass the filter, each with the place after it; those before them are left out for good. Raises StoreError."""
        since = self._since

        def work(connection: Any) -> tuple[Position, list[tuple[Position, AccountMessage]]]:
            found = message_changes(connection, self._scope, since)
            if found is None:  # too long ago
                return self._now(connection), []
            new = [change for change in found[1] if change.kind(since) == CREATED]
            messages = account_messages(connection, self._scope, [change.message for change in new])
            arrived = [(change.place(since), messages[change.message]) for change in new if change.message in messages]
            return Position(found[0], WHOLE), arrived

        now, arrived = await self._store.database.read(work)
        wanted = [one for one in arrived if self._is_wanted(one[1])]
        if not wanted:
            self._since = now
        return wanted[-BURST:]

    def _is_wanted(self, message: AccountMessage) -> bool:
        inside = self._mailbox is None or any(copy.mailbox == MailboxId(self._mailbox) for copy in message.copies)
        return inside and (self._keyword is None or self._keyword.lower() not in keywords_of(message))

    def told(self, place: Position) -> None:
        """All up to this one is known."""
        self._since = place

    def encode(self, jmap_account: str, message: AccountMessage, most_octets: int) -> dict[str, Any]:
        """The object to push; properties that have no room are left out."""
        email: dict[str, Any] = {}
        told = {"@type": "EmailDelivery", "accountId": jmap_account, "email": email}
        for name, value in row_properties(message, self._properties).items():
            email[name] = value
            if len(json.dumps(told, ensure_ascii=False).encode()) > most_octets:
                del email[name]
        return told
