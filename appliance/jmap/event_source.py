"""The event stream: state changes as Server-Sent Events, to a client that holds a connection open (RFC 8620 §7.3).

| event   | when                                                                     | id                            |
|---------|--------------------------------------------------------------------------|-------------------------------|
| `state` | something changed of the types asked for; the last with closeafter=state | all states, for Last-Event-ID |
| `ping`  | nothing was sent for the interval                                        | none                          |
| comment | at the beginning, and after QUIET_S without pings: is the client there?  | none                          |

The first change is told at once, what follows within PAUSE_S together. One account has at most STREAMS open at a time.
"""

import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection
from typing import Any

import trio

from appliance.mail.ids import AccountId
from appliance.protocol.http.event_stream import COMMENT, encode_event
from appliance.protocol.jmap.push import EventRequest
from appliance.store.store import Store

from .method import JmapAccount
from .push_states import PushStates, StateWatch, state_change

STREAMS = 16
"""Of one account: a few devices with a few windows each."""
PAUSE_S = 0.2
QUIET_S = 900.0
LEAST_PING_S, MOST_PING_S = 10, 900
"""RFC 8620 §7.3: the least is at most 30, the most at least 300."""


class EventSources:
    """All event streams of the server."""

    def __init__(self, store: Store, states: PushStates) -> None:
        self._store = store
        self._states = states
        self._open: Counter[AccountId] = Counter()

    def has_room(self, account: AccountId) -> bool:
        return self._open[account] < STREAMS

    async def changes(
        self, account: AccountId, accounts: Callable[[], Collection[JmapAccount]], types: frozenset[str] | None, last: str
    ) -> AsyncIterator[tuple[dict[str, Any], str]]:
        """StateChange objects, each with the push state to go on from (RFC 8887 §4.3.5.2). Raises StoreError."""
        watch = StateWatch(self._states, self._store, account, accounts, types)
        try:
            await watch.begin(last)
            while True:
                changed = await watch.next()
                yield state_change(changed), watch.known
                await trio.sleep(PAUSE_S)
        finally:
            watch.close()

    async def stream(
        self, account: AccountId, accounts: Callable[[], Collection[JmapAccount]], wanted: EventRequest, is_live: Callable[[], bool]
    ) -> AsyncIterator[bytes]:
        """The octets of the stream; it ends when `is_live` is False at the next event. Raises StoreError."""
        if not self.has_room(account):  # of several that were let in at once, before one of them began
            return
        watch = StateWatch(self._states, self._store, account, accounts, wanted.types)
        self._open[account] += 1
        try:
            await watch.begin(wanted.last)
            yield COMMENT
            ping_s = min(max(wanted.ping_s, LEAST_PING_S), MOST_PING_S) if wanted.ping_s else 0
            while is_live():
                changed = None
                with trio.move_on_after(ping_s or QUIET_S):
                    changed = await watch.next()
                if not is_live():
                    return
                if changed is None:
                    yield encode_event(json.dumps({"interval": ping_s}), event="ping") if ping_s else COMMENT
                    continue
                yield encode_event(json.dumps(state_change(changed)), event="state", id=watch.known)
                if wanted.close_after_state:
                    return
                await trio.sleep(PAUSE_S)
        finally:
            watch.close()
            self._open[account] -= 1
            if not self._open[account]:
                del self._open[account]
