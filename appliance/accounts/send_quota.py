"""The send quota: how much each account may send outside, so that a stolen password does not become a spam source.

Two token buckets an account that refill evenly: messages of an hour and recipients of a day, counting only what leaves the
server. An account over either limit waits until there is room again; no limit has to be lifted by hand, and messages within
the server are never held up. A message counts once, just before its commit, with all its recipients outside; one whose commit fails
gives back what it took.

| state   | how it gets there                          | how it ends                                            |
|---------|--------------------------------------------|--------------------------------------------------------|
| free    | at first                                   | a message is refused                                   |
| limited | a message was refused                      | by itself, once half an hour's messages fit in again   |

Invariant: in any hour at most twice `messages_per_hour` messages and in any day at most twice `recipients_per_day` recipients
(a full bucket and what refills meanwhile). Pure but for `run`, which only reports when a limit ended. RAM only: a restart
fills the buckets, and whoever stole a password cannot restart the server. At most ACCOUNTS accounts are remembered.
"""

from collections import OrderedDict
from collections.abc import Callable

import trio

from appliance.mail.ids import AccountId

ACCOUNTS = 1024
HOUR_S = 3600.0
DAY_S = 86400.0
CLOCK_S = 0.001
"""Less is no wait: floating point must not make one of nothing."""


class Bucket:
    """A token bucket: holds `most`, refills evenly within `span_s`. `used` decays; kept as one number and its time."""

    __slots__ = ("_at", "_most", "_rate", "_used")

    def __init__(self, most: int, span_s: float, now: float) -> None:
        self._most = float(most)
        self._rate = most / span_s
        self._used = 0.0
        self._at = now

    def wait_s(self, wanted: int, now: float) -> float:
        """How long until so many fit; what never fits waits for an empty bucket."""
        over = self.used(now) + min(float(wanted), self._most) - self._most
        wait_s = over / self._rate
        return wait_s if wait_s > CLOCK_S else 0.0

    def take(self, wanted: int, now: float) -> None:
        self._used, self._at = self.used(now) + wanted, now

    def give_back(self, taken: int, now: float) -> None:
        """What was taken for nothing."""
        self._used, self._at = max(0.0, self.used(now) - taken), now

    def used(self, now: float) -> float:
        return max(0.0, self._used - max(0.0, now - self._at) * self._rate)


class SendQuota:
    """See above. `report(account, limited)` is called when an account reaches a limit and when it ended."""

    def __init__(self, *, messages_per_hour: int, recipients_per_day: int, report: Callable[[AccountId, bool], object]) -> None:
        self._messages = messages_per_hour
        self._recipients = recipients_per_day
        self._report = report
        self._accounts: OrderedDict[AccountId, tuple[Bucket, Bucket]] = OrderedDict()
        self._limited: dict[AccountId, float] = {}
        """Until when, in the clock's monotonic seconds; at most as many as there are accounts."""
        self._changed = trio.Event()

    def change(self, *, messages_per_hour: int, recipients_per_day: int) -> None:
        """Other limits: what was sent before is forgotten, so that who waits may go on at once."""
        if (messages_per_hour, recipients_per_day) != (self._messages, self._recipients):
            self._messages, self._recipients = messages_per_hour, recipients_per_day
            self._accounts.clear()
            for account in tuple(self._limited):
                self._limited[account] = 0.0
            self._changed.set()

    def wait_s(self, account: AccountId, recipients: int, now: float) -> float:
        """0 when a message to so many may go, else how long until it may. More than a whole day's recipients never may."""
        messages, many = self._of(account, now)
        wait_s = max(messages.wait_s(1, now), many.wait_s(recipients, now))
        if recipients > self._recipients:
            wait_s = max(wait_s, DAY_S)
        if wait_s:
            self._limit(account, messages, many, now)
        return wait_s

    def take(self, account: AccountId, recipients: int, now: float) -> float:
        """`wait_s`, and when the message may go it counts."""
        wait_s = self.wait_s(account, recipients, now)
        if not wait_s:
            messages, many = self._of(account, now)
            messages.take(1, now)
            many.take(recipients, now)
        return wait_s

    def give_back(self, account: AccountId, recipients: int, now: float) -> None:
        """A message that counted was not accepted after all."""
        messages, many = self._of(account, now)
        messages.give_back(1, now)
        many.give_back(recipients, now)

    def limited(self) -> tuple[AccountId, ...]:
        return tuple(self._limited)

    def _of(self, account: AccountId, now: float) -> tuple[Bucket, Bucket]:
        found = self._accounts.get(account)
        if found is None:
            found = self._accounts[account] = Bucket(self._messages, HOUR_S, now), Bucket(self._recipients, DAY_S, now)
            if len(self._accounts) > ACCOUNTS:
                self._accounts.popitem(last=False)
        self._accounts.move_to_end(account)
        return found

    def _limit(self, account: AccountId, messages: Bucket, many: Bucket, now: float) -> None:
        until = now + max(messages.wait_s(max(1, self._messages // 2), now), many.wait_s(max(1, self._recipients // 20), now), 60.0)
        new = account not in self._limited
        self._limited[account] = until
        if new:
            self._report(account, True)
            self._changed.set()

    def release(self, now: float) -> float | None:
        """End the limits that are over; how long until the next one is, None when no account is limited."""
        for account, until in tuple(self._limited.items()):
            if until <= now:
                del self._limited[account]
                self._report(account, False)
        return min(self._limited.values()) - now if self._limited else None

    async def run(self, mono_s: Callable[[], float]) -> None:
        """Report when limits end, for ever; sleeps while no account is limited."""
        while True:
            wait_s = self.release(mono_s())
            self._changed = trio.Event()
            if wait_s is None:
                await self._changed.wait()
            else:
                await trio.sleep(wait_s)
