"""Is outbound port 25 open? Many internet providers block it; then only a relay helps, and the server reports that at once.

| what was seen                                                              | port 25  |
|----------------------------------------------------------------------------|----------|
| a probed mail server sent a greeting, or a delivery reached one            | open     |
| none of PROBES sent anything, while an uncached DNS query is answered      | blocked  |
| the DNS is silent, or this machine has no route to the internet            | unknown  |

A probe connects to the servers of large providers, reads the greeting and sends QUIT. A refusing greeting counts as well: the port is
open, and whether the other server accepts our address is for deliveries to find out. DNS answers may come from a cache while the
network is down, so before "blocked" is reported a random name is queried that no cache can hold.

| a probe is made                                                             | by a server that listens on port 25 | by others |
|-----------------------------------------------------------------------------|-------------------------------------|-----------|
| at the start, and SOON_S after one that found no network                    | yes                                 | no        |
| after FAILURES delivery attempts in a row that reached no server            | yes                                 | yes       |
| BLOCKED_S after one that found port 25 blocked                              | yes                                 | yes       |
| when nothing was learned for a day                                          | yes                                 | no        |

A delivery that reaches another server proves the port open. In memory only: nothing is written.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import SystemRandom
from typing import Protocol

import trio

from appliance.mail.clock import Clock
from appliance.mail.errors import PeerError
from appliance.mail.outcome import Outcome, Reason
from appliance.mail.sentence import Sentence
from appliance.network.dial import no_route_out, read_greeting

from .mx import MailHost

PROBES = ("gmail.com", "outlook.com", "gmx.net", "yahoo.com")
PATIENCE_S = 10.0
"""For one address. RFC 5321 §4.5.3.2.1 allows a greeting five minutes; those of large providers take seconds."""
FAILURES = 3
SOON_S = 900.0
BLOCKED_S = 3600.0
DAY_S = 86_400.0
OPEN, BLOCKED, UNKNOWN = "open", "blocked", "unknown"

_NONE = Sentence("Messages cannot be sent: the settings forbid direct delivery and name no relay.")
_BLOCKED = Sentence(
    "Your internet provider blocks outgoing mail (port 25), and no relay is set: ask the provider to open the port, or set up a relay."
)
_SENTENCES = {
    ("direct", OPEN): Sentence("Messages are sent directly to other servers; port 25 is open."),
    ("direct", UNKNOWN): Sentence("Messages are sent directly; the first one shows whether port 25 is open."),
    ("direct", BLOCKED): _BLOCKED,
    ("none", OPEN): _NONE,
    ("none", UNKNOWN): _NONE,
    ("none", BLOCKED): _BLOCKED,
}


def describe(port_25: str, route: str) -> str:
    """For `pillarbox status`; `route` is "direct", "relay NAME" or "none"."""
    if route.startswith("relay "):
        relay = route.removeprefix("relay ")
        if port_25 == BLOCKED:
            return Sentence(
                "Messages are sent through the relay %(relay)s; direct sending is blocked by your internet provider (port 25).", relay=relay
            )
        return Sentence("Messages are sent through the relay %(relay)s.", relay=relay)
    return _SENTENCES[route, port_25]


class MxFinder(Protocol):
    async def find(self, domain: str) -> tuple[MailHost, ...] | Outcome: ...


@dataclass(slots=True)
class Port25Monitor:
    """`changed(port_25)` is called when the state changes. `probes`, `port` and `patience_s`, for one address, differ in
    tests only."""

    hosts: Callable[[], MxFinder]
    clock: Clock
    changed: Callable[[str], object]
    probes: Sequence[str] = PROBES
    port: int = 25
    patience_s: float = PATIENCE_S
    port_25: str = UNKNOWN
    _failures: int = 0
    _wanted: trio.Event | None = None
    _learned_mono: float = 0.0

    def record_attempt(self, reached: bool) -> None:
        """A delivery attempt reached another server, or none."""
        self._failures = 0 if reached else self._failures + 1
        if reached:
            self._update(OPEN)
        elif self._failures >= FAILURES and self._wanted is not None:
            self._failures = 0
            self._wanted.set()

    def _update(self, port_25: str) -> None:
        self._learned_mono = self.clock.mono_s()
        if port_25 != self.port_25:
            self.port_25 = port_25
            self.changed(port_25)

    async def probe(self) -> str:
        """Probe now; OPEN as soon as one server answers. Takes at most about PATIENCE_S for each of four addresses."""
        seen: list[str] = []
        async with trio.open_nursery() as nursery:
            for domain in self.probes:
                nursery.start_soon(self._probe_domain, domain, seen, nursery.cancel_scope)
        answer = OPEN if OPEN in seen else UNKNOWN
        if answer == UNKNOWN and BLOCKED in seen and await self._network():
            answer = BLOCKED
        self._update(answer)
        return answer

    async def _network(self) -> bool:
        """Does the DNS answer a query no cache can hold?"""
        found = await self.hosts().find(f"{SystemRandom().getrandbits(48):012x}.{self.probes[0]}")
        return not isinstance(found, Outcome) or found.reason is not Reason.DNS

    async def _probe_domain(self, domain: str, seen: list[str], all_of_them: trio.CancelScope) -> None:
        hosts = await self.hosts().find(domain)
        if isinstance(hosts, Outcome):  # the DNS is silent, or the domain is gone
            return
        addresses = [address for host in hosts[:2] for address in sorted(host.addresses, key=lambda one: ":" in one)][:2]
        for address in addresses:
            state = await self._probe_address(address)
            seen.append(state)
            if state == OPEN:
                all_of_them.cancel()
                return

    async def _probe_address(self, address: str) -> str:
        """OPEN when a greeting comes, UNKNOWN when this machine has no route there."""
        try:
            greeting = await read_greeting(address, self.port, timeout_s=self.patience_s)
            return OPEN if greeting[:3].isdigit() and greeting[3] in b" -\r" else BLOCKED
        except PeerError as trouble:
            return UNKNOWN if no_route_out(trouble) else BLOCKED  # without a network nothing is blocked

    async def run(self, *, at_start: bool) -> None:
        """Probe as the table says, for ever; `at_start`: this server listens on port 25."""
        self._wanted = trio.Event()
        self._learned_mono = self.clock.mono_s()
        if at_start:
            await self.probe()
        while True:
            with trio.move_on_after(max(0.0, self._rest_s(at_start))):
                await self._wanted.wait()
            if not self._wanted.is_set() and self._rest_s(at_start) > 0:
                continue  # an attempt changed the state in the meantime
            self._wanted = trio.Event()
            await self.probe()

    def _rest_s(self, listens: bool) -> float:
        """How long from now until the next probe; one that does not listen on port 25 probes only with reason."""
        if self.port_25 != BLOCKED and not listens:
            return float("inf")
        known_s = BLOCKED_S if self.port_25 == BLOCKED else SOON_S if self.port_25 == UNKNOWN else DAY_S
        return self._learned_mono + known_s - self.clock.mono_s()
