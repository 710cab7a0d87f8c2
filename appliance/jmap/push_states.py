"""States of all data types, and waiting for the next change of one: what event streams, WebSockets and push subscriptions share.

| type                   | its state                                                                               |
|------------------------|-----------------------------------------------------------------------------------------|
| Mailbox, Thread, Email | the account's MODSEQ, as their /get has it; of another's account of what is in sight    |
| EmailDelivery          | counts the messages that came (RFC 8621 §1.5)                                           |
| Identity               | as Identity/get has it                                                                  |
| EmailSubmission        | as EmailSubmission/get has it                                                           |
| Quota                  | as Quota/get has it for a client that uses mail (RFC 9425 §6)                           |

An account that is not open to the client any more is told once, its states empty.
A watch is woken by every commit that touches its accounts, whichever server made it, and then reads the states once (0.1 ms); what
changes while its owner is busy is told together. A watch costs a few hundred octets and nothing while nothing changes.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from appliance.mail.ids import AccountId, MailboxId, ModSeq
from appliance.store.account_watch import AccountWatch, key_of
from appliance.store.object_changes import IDENTITY, SUBMISSION, key_of_objects, object_state
from appliance.store.scope import arrivals, readable, scope_modseq
from appliance.store.store import Store

from .ids import encode_state
from .method import JmapAccount
from .quota import quota_state

OF_MAIL = ("Mailbox", "Thread", "Email", "EmailDelivery")
OF_SENDING = ("Identity", "EmailSubmission")
OF_QUOTA = ("Quota",)

States = dict[str, dict[str, str]]
"""Account, as JMAP names it, to type to state."""
IdentityState = Callable[[AccountId, ModSeq], str]


class PushStates:
    """`identity_state` is `IdentityMethods.state_of`; None without sending."""

    def __init__(self, store: Store, identity_state: IdentityState | None) -> None:
        self._store = store
        self._identity_state = identity_state
        self.types = frozenset(OF_MAIL + OF_QUOTA + (OF_SENDING if identity_state is not None else ()))

    async def read(self, accounts: Collection[JmapAccount]) -> tuple[States, frozenset[MailboxId]]:
        """The states, and what a commit that changes one of them touches."""

        def work(connection: Any) -> tuple[States, frozenset[MailboxId]]:
            states: States = {}
            touched: set[MailboxId] = set()
            for one in accounts:
                states[one.id] = self._states(connection, one)
                touched.update(readable(connection, one.scope))
                if one.scope.is_own:
                    touched |= {key_of(one.account), key_of_objects(one.account)}
            return states, frozenset(touched)

        return await self._store.database.read(work)

    def _states(self, connection: Any, one: JmapAccount) -> dict[str, str]:
        account = one.account
        state = encode_state(scope_modseq(connection, one.scope))
        mailboxes, arrived = arrivals(connection, one.scope)
        states = {**dict.fromkeys(OF_MAIL, state), "EmailDelivery": f"{arrived}-{mailboxes}"}
        states["Quota"] = quota_state(connection, self._store, one.scope)
        if self._identity_state is not None and one.is_personal:
            states["Identity"] = self._identity_state(account, object_state(connection, IDENTITY, account))
            states["EmailSubmission"] = encode_state(object_state(connection, SUBMISSION, account))
        return states


Accounts = Callable[[], Collection[JmapAccount]]
"""The accounts open to a client, as of now."""


class StateWatch:
    """One client's watch; to be closed. It keeps states as one text: a thousand octets less for each client that waits."""

    __slots__ = ("_accounts", "_states", "_types", "_watch", "known")

    def __init__(self, states: PushStates, store: Store, own: AccountId, accounts: Accounts, types: Collection[str] | None = None) -> None:
        """`types` None: all of them."""
        self._states = states
        self._accounts = accounts
        self._types = states.types if types is None else frozenset(types)
        self._watch: AccountWatch = store.watches.add(own)
        self.known = ""
        """The states the client knows, or was told (`encode_states`)."""

    def close(self) -> None:
        self._watch.close()

    async def begin(self, known: str = "") -> None:
        """From here on changes are told: since now, or since what the client knew when it was here last."""
        self.known = known or encode_states(await self._read())

    async def next(self) -> Mapping[str, dict[str, str]]:
        """What changed since the last call, of the types asked for; waits until something did. Cancelling it loses nothing."""
        while True:
            now = await self._read()
            changed = self._differences(now)
            self.known = encode_states(now)
            if changed:
                return changed
            await self._watch.wait()

    async def _read(self) -> States:
        self._watch.begin()
        now, touched = await self._states.read(self._accounts())
        if touched != self._watch.mailboxes:
            self._watch.mailboxes = touched
        return now

    def _differences(self, now: States) -> States:
        found: States = {}
        before = parse_states(self.known)
        for account, states in now.items():
            known = before.get(account, {})
            changed = {name: state for name, state in states.items() if name in self._types and known.get(name) != state}
            if changed:
                found[account] = changed
        for account, states in before.items():  # whoever asks for more of it hears that it is not there
            gone = [name for name in states if name in self._types]
            if gone and account not in now:
                found[account] = dict.fromkeys(gone, "")
        return found


def state_change(changed: Mapping[str, dict[str, str]]) -> dict[str, Any]:
    """The StateChange object (RFC 8620 §7.1)."""
    return {"@type": "StateChange", "changed": changed}


def encode_states(states: States) -> str:
    """All states on one line, for an event's id or a push state."""
    of_accounts = ((account, ",".join(f"{name}={state}" for name, state in some.items())) for account, some in states.items())
    return ";".join(f"{account}:{text}" for account, text in of_accounts)


def parse_states(text: str) -> States:
    """Back from `encode_states`; whatever is not readable is left out, and so counts as changed."""
    found: States = {}
    for part in text.split(";")[:100]:
        account, _, states = part.partition(":")
        found[account] = dict(pair.split("=", 1) for pair in states.split(",") if "=" in pair)
    return found
