"""Pushing to subscriptions: a task for each, so that a slow push service holds up nobody but its own (RFC 8620 §7.2).

| a subscription is | what happens                                                                                             |
|-------------------|----------------------------------------------------------------------------------------------------------|
| new               | its code is pushed, once, and nothing else until the client gave it back (§7.2.2)                        |
| verified          | all states are pushed, since it is not known what the client knows; then the first change at once, what   |
|                   | follows within PAUSE_S together                                                                          |
| refused for now   | what is to be told waits and is told together, after RETRY_S, twice that, ... at most RETRY_MOST_S       |
| unknown there     | it ends                                                                                                  |
| over, or revoked  | it ends (`accounts.push_subscriptions`): that is asked before every push                                 |

A task costs about 10 kB and nothing while nothing changes. Nothing is written by a push: so after a restart all states are pushed again.
"""

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import trio

from appliance.accounts.push_subscriptions import PushSubscription, PushSubscriptions
from appliance.mail.errors import StoreError
from appliance.protocol.jmap.push import PUSH_OCTETS
from appliance.protocol.jmap.push_endpoint import parse_push_endpoint

from .email_delivery import Deliveries
from .ids import encode_id
from .push_client import PushClient, PushOutcome
from .push_states import StateWatch, state_change

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .service import JmapService

PAUSE_S = 5.0
RETRY_S, RETRY_MOST_S = 60.0, 3600.0


class PushSender:
    """All push tasks of the server. `server_key`: the public key that pushes are signed with. `report` gets faults of ours, `log` what
    push services refuse."""

    def __init__(
        self,
        service: "JmapService",
        subscriptions: PushSubscriptions,
        client: PushClient,
        *,
        server_key: str,
        report: "Callable[[str, BaseException], None]",
        log: "Callable[[str], None]",
    ) -> None:
        self._service = service
        self._subscriptions = subscriptions
        self._client = client
        self._server_key = server_key
        self._report = report
        self._log = log

    async def run(self) -> None:
        """For ever; can be run again after a crash."""
        await self._subscriptions.open()
        await self._end_stale(self._server_key)
        running: dict[int, tuple[Any, trio.CancelScope]] = {}
        async with trio.open_nursery() as nursery:
            while True:
                rows = {row.id: row for row in self._subscriptions.all()}
                for number, (what, scope) in list(running.items()):
                    if number not in rows or what != _kind(rows[number]):
                        scope.cancel()
                        del running[number]
                for number, row in rows.items():
                    if number not in running and (row.verified or row.is_new):
                        running[number] = _kind(row), trio.CancelScope()
                        nursery.start_soon(self._serve, row, running[number][1])
                await self._subscriptions.changed()
                await self._end_stale()

    async def _serve(self, row: PushSubscription, scope: trio.CancelScope) -> None:
        with scope:
            if not row.verified:
                return await self._verify(row)
            retry_s = RETRY_S
            while True:
                try:
                    return await self._follow(row)
                except Exception as fault:  # of one subscription: the others go on
                    self._report("push", fault)
                await trio.sleep(retry_s)
                retry_s = min(2 * retry_s, RETRY_MOST_S)

    async def _end_stale(self, server_key: str = "") -> None:
        with suppress(StoreError):  # they are gone from memory; their rows go at the next start
            await self._subscriptions.end_stale(server_key=server_key)

    async def _end(self, row: PushSubscription) -> None:
        with suppress(StoreError):
            await self._subscriptions.end([row])

    async def _verify(self, row: PushSubscription) -> None:
        """Never again, whatever comes of it: the client did not ask for more (RFC 8620 §7.2.2, RFC 9749 §6)."""
        row.is_new = False
        code = {"@type": "PushVerification", "pushSubscriptionId": encode_id("P", row.id), "verificationCode": row.code}
        outcome = await self._client.push(row, code, "high")
        if outcome.gone:
            await self._end(row)
        elif not outcome.delivered:
            self._note(row, outcome)

    def _note(self, row: PushSubscription, outcome: PushOutcome) -> None:
        """The rest of the URL is the client's secret."""
        self._log(f"{parse_push_endpoint(row.url).host} did not take a push: {outcome.trouble}")

    async def _follow(self, row: PushSubscription) -> None:
        service, wanted = self._service, row.wanted
        types = None if wanted.types is None else {*wanted.types, *(["EmailDelivery"] if wanted.deliveries else [])}
        watch = StateWatch(service.states, service.store, row.account, lambda: service.caller(row.account).accounts, types)
        new = [(name, Deliveries(service.store, row.account, config)) for name, config in (wanted.deliveries or {}).items()]
        try:
            for _, messages in new:
                await messages.begin()
            retry_s = 0.0
            while True:
                known = watch.known
                outcome = await self._tell(row, await watch.next(), new)
                if outcome is None:
                    continue
                if outcome.gone:
                    return await self._end(row)
                if outcome.delivered:
                    retry_s = 0.0
                    await trio.sleep(PAUSE_S)
                    continue
                if not retry_s:
                    self._note(row, outcome)
                watch.known = known
                retry_s = min(2 * retry_s or RETRY_S, RETRY_MOST_S)
                await trio.sleep(max(retry_s, outcome.retry_after_s))
        finally:
            watch.close()

    async def _tell(
        self, row: PushSubscription, changed: "Mapping[str, dict[str, str]]", new: list[tuple[str, Deliveries]]
    ) -> PushOutcome | None:
        """Push what changed, as far as it is wanted; the first outcome that is none of delivery ends it. None: nothing was to be pushed."""
        outcome = None
        for name, messages in new:
            for place, message in await messages.read():
                outcome = await self._push(row, messages.encode(name, message, PUSH_OCTETS), "high")
                if not outcome.delivered:
                    return outcome
                messages.told(place)
        told = _wanted_of(changed, row.wanted.types)
        while len(json.dumps(state_change(told))) > PUSH_OCTETS:
            told.popitem()  # of its changes the client hears when it looks
        return await self._push(row, state_change(told), "normal") if told else outcome

    async def _push(self, row: PushSubscription, message: dict[str, Any], urgency: str) -> PushOutcome:
        if not self._subscriptions.is_live(row):
            return PushOutcome(gone=True)
        return await self._client.push(row, message, urgency)


def _kind(row: PushSubscription) -> Any:
    """What a task is made for: with another of these it is made anew."""
    return row.verified, row.wanted


def _wanted_of(changed: "Mapping[str, dict[str, str]]", types: tuple[str, ...] | None) -> dict[str, dict[str, str]]:
    if types is None:
        return dict(changed)
    chosen = {account: {name: state for name, state in states.items() if name in types} for account, states in changed.items()}
    return {account: states for account, states in chosen.items() if states}
