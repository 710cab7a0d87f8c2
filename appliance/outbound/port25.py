"""Does the line let messages out at all? Many providers block port 25; then only a relay helps, and the server says so at once.

| what was seen                                                              | port 25  |
|----------------------------------------------------------------------------|----------|
| a mail server somewhere said anything, or a real delivery reached one      | open     |
| none of PROBES said anything, while a fresh question to the DNS is answered| blocked  |
| the name service is silent, or this machine has no way out: no network     | unknown  |

A look knocks at the servers of large providers, hears the greeting and says QUIT. A refusing greeting is one too: the port is open,
and what the other server thinks of our address is the deliveries' to find out. Answers of the DNS may come from a cache while the
line is down, so before "blocked" is said a name is asked for that nobody can have asked for before.

| a look is made                                                              | in a server that stands on port 25 | in others |
|-----------------------------------------------------------------------------|-----------------------------------|-----------|
| at the start, and SOON_S after one that found no network                    | yes                               | no        |
| after FAILURES real attempts in a row that reached nobody                   | yes                               | yes       |
| BLOCKED_S after one that found the line blocked                             | yes                               | yes       |
| when nothing was learned for a day                                          | yes                               | no        |

A real delivery that reaches a stranger's server is proof enough. In memory only: no card writes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import SystemRandom
from typing import Protocol

import trio

from appliance.mail.clock import Clock
from appliance.mail.errors import PeerError
from appliance.mail.outcome import Outcome, Reason
from appliance.network.dial import no_route_out, read_greeting

from .mx import MailHost

PROBES = ("gmail.com", "outlook.com", "gmx.net", "yahoo.com")
PATIENCE_S = 10.0
"""For one address: RFC 5321 §4.5.3.2.1 gives a greeting five minutes, a large provider needs none."""
FAILURES = 3
SOON_S = 900.0
BLOCKED_S = 3600.0
DAY_S = 86_400.0
OPEN, BLOCKED, UNKNOWN = "open", "blocked", "unknown"

_NONE = "No way leads out of this server: the settings forbid the direct one and name no relay."
_BLOCKED = "Your line's provider blocks outgoing mail (port 25), and no relay takes it instead: ask the provider to open the port."
_SENTENCES = {
    ("direct", OPEN): "Messages leave straight to other servers; port 25 is open.",
    ("direct", UNKNOWN): "Messages leave straight; whether port 25 is open shows with the first.",
    ("direct", BLOCKED): _BLOCKED,
    ("none", OPEN): _NONE,
    ("none", UNKNOWN): _NONE,
    ("none", BLOCKED): _BLOCKED,
}


def sentence(port_25: str, route: str) -> str:
    """For `pillarbox status`; `route` is "direct", "relay NAME" or "none"."""
    if route.startswith("relay "):
        blocked = "; the line itself lets none out (port 25 is blocked)" if port_25 == BLOCKED else ""
        return f"Messages leave by the {route}{blocked}."
    return _SENTENCES[route, port_25]


class MxFinder(Protocol):
    async def find(self, domain: str) -> tuple[MailHost, ...] | Outcome: ...


@dataclass(slots=True)
class Port25Monitor:
    """`changed(port_25)` is called when another answer is known. `probes` and `port` are the world's but in tests."""

    hosts: Callable[[], MxFinder]
    clock: Clock
    changed: Callable[[str], object]
    probes: Sequence[str] = PROBES
    port: int = 25
    port_25: str = UNKNOWN
    _failures: int = 0
    _wanted: trio.Event | None = None
    _learned_mono: float = 0.0

    def met(self, reached: bool) -> None:
        """A real attempt reached a stranger's server, or none."""
        self._failures = 0 if reached else self._failures + 1
        if reached:
            self._know(OPEN)
        elif self._failures >= FAILURES and self._wanted is not None:
            self._failures = 0
            self._wanted.set()

    def _know(self, port_25: str) -> None:
        self._learned_mono = self.clock.mono_s()
        if port_25 != self.port_25:
            self.port_25 = port_25
            self.changed(port_25)

    async def look(self) -> str:
        """Knock; OPEN as soon as one answers. At most about PATIENCE_S for each of four addresses."""
        seen: list[str] = []
        async with trio.open_nursery() as nursery:
            for domain in self.probes:
                nursery.start_soon(self._knock, domain, seen, nursery.cancel_scope)
        answer = OPEN if OPEN in seen else UNKNOWN
        if answer == UNKNOWN and BLOCKED in seen and await self._network():
            answer = BLOCKED
        self._know(answer)
        return answer

    async def _network(self) -> bool:
        """Does the name service answer what it cannot have kept?"""
        found = await self.hosts().find(f"{SystemRandom().getrandbits(48):012x}.{self.probes[0]}")
        return not isinstance(found, Outcome) or found.reason is not Reason.DNS

    async def _knock(self, domain: str, seen: list[str], all_of_them: trio.CancelScope) -> None:
        hosts = await self.hosts().find(domain)
        if isinstance(hosts, Outcome):  # the name service is silent, or somebody left
            return
        addresses = [address for host in hosts[:2] for address in sorted(host.addresses, key=lambda one: ":" in one)][:2]
        for address in addresses:
            said = await self._hear(address)
            seen.append(said)
            if said == OPEN:
                all_of_them.cancel()
                return

    async def _hear(self, address: str) -> str:
        """OPEN when something greets there, UNKNOWN when this machine cannot even try."""
        try:
            greeting = await read_greeting(address, self.port, timeout_s=PATIENCE_S)
            return OPEN if greeting[:3].isdigit() and greeting[3] in b" -\r" else BLOCKED
        except PeerError as trouble:
            return UNKNOWN if no_route_out(trouble) else BLOCKED  # without a network nobody blocked anything

    async def run(self, *, at_start: bool) -> None:
        """Look when there is reason to, for ever; `at_start`: this server stands on port 25 itself."""
        self._wanted = trio.Event()
        self._learned_mono = self.clock.mono_s()
        if at_start:
            await self.look()
        while True:
            with trio.move_on_after(max(0.0, self._rest_s(at_start))):
                await self._wanted.wait()
            if not self._wanted.is_set() and self._rest_s(at_start) > 0:
                continue  # something was learned in the meantime
            self._wanted = trio.Event()
            await self.look()

    def _rest_s(self, stands: bool) -> float:
        """How long what is known needs no look from now on; a server that does not stand on port 25 is left alone until it has reason."""
        if self.port_25 != BLOCKED and not stands:
            return float("inf")
        known_s = BLOCKED_S if self.port_25 == BLOCKED else SOON_S if self.port_25 == UNKNOWN else DAY_S
        return self._learned_mono + known_s - self.clock.mono_s()
