"""Does the line let letters out at all? Many providers block port 25; then only a relay helps, and the house says so at once.

| what was seen                                                        | port 25  |
|----------------------------------------------------------------------|----------|
| a mail server somewhere greeted, in a look or in a real delivery     | open     |
| the name service answers, and none of PROBES could be reached        | blocked  |
| the name service is silent: no network                               | unknown  |

A look knocks at the servers of large providers, hears the greeting and says QUIT. It is made at the start where the house stands
on port 25 itself, after FAILURES attempts in a row that reached nobody, and again after BLOCKED_S while the line is blocked. A real
delivery that reaches a stranger's server is proof enough. In memory only.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import trio

from appliance.mail.clock import Clock
from appliance.mail.errors import PeerError
from appliance.mail.outcome import Outcome
from appliance.network.dial import dial

from .mx import MailHost

PROBES = ("gmail.com", "outlook.com", "gmx.net", "yahoo.com")
PATIENCE_S = 10.0
FAILURES = 3
BLOCKED_S = 3600.0
OPEN, BLOCKED, UNKNOWN = "open", "blocked", "unknown"

_SENTENCES = {
    ("direct", OPEN): "Letters leave straight to other houses; port 25 is open.",
    ("direct", UNKNOWN): "Letters leave straight to other houses; whether port 25 is open shows with the first one.",
    ("direct", BLOCKED): "The line lets no letters out: your provider blocks port 25.",
    ("none", OPEN): "No way leads out of this house: the settings forbid the direct one and name no relay.",
    ("none", UNKNOWN): "No way leads out of this house: the settings forbid the direct one and name no relay.",
    ("none", BLOCKED): "The line lets no letters out (your provider blocks port 25), and no relay is set.",
}


def sentence(port_25: str, route: str) -> str:
    """For `pillarbox status`; `route` is "direct", "relay NAME" or "none"."""
    if route.startswith("relay "):
        blocked = "; the line itself lets none out (port 25 is blocked)" if port_25 == BLOCKED else ""
        return f"Letters leave by the {route}{blocked}."
    return _SENTENCES[route, port_25]


class Hosts(Protocol):
    async def find(self, domain: str) -> tuple[MailHost, ...] | Outcome: ...


@dataclass(slots=True)
class Line:
    """`changed(port_25)` is called when another answer is known. `probes` and `port` are the world's but in tests."""

    hosts: Callable[[], Hosts]
    clock: Clock
    changed: Callable[[str], object]
    probes: Sequence[str] = PROBES
    port: int = 25
    port_25: str = UNKNOWN
    _failures: int = 0
    _wanted: trio.Event | None = None

    def met(self, reached: bool) -> None:
        """A real attempt reached a stranger's server, or none."""
        self._failures = 0 if reached else self._failures + 1
        if reached:
            self._know(OPEN)
        elif self._failures >= FAILURES and self._wanted is not None:
            self._failures = 0
            self._wanted.set()

    def _know(self, port_25: str) -> None:
        if port_25 != self.port_25:
            self.port_25 = port_25
            self.changed(port_25)

    async def look(self) -> str:
        """Knock; OPEN as soon as one answers."""
        found: list[bool] = []
        async with trio.open_nursery() as nursery:
            for domain in self.probes:
                nursery.start_soon(self._knock, domain, found, nursery.cancel_scope)
        answer = OPEN if True in found else BLOCKED if found else UNKNOWN
        self._know(answer)
        return answer

    async def _knock(self, domain: str, found: list[bool], all_of_them: trio.CancelScope) -> None:
        hosts = await self.hosts().find(domain)
        if isinstance(hosts, Outcome):  # the name service is silent, or somebody left
            return
        addresses = [address for host in hosts[:2] for address in host.addresses if ":" not in address][:2]
        for address in addresses:
            try:
                with trio.fail_after(PATIENCE_S):
                    stream = await dial(address, self.port, timeout_s=PATIENCE_S)
                    try:
                        greeted = (await stream.receive(PATIENCE_S)).startswith(b"2")
                        await stream.send(b"QUIT\r\n")
                    finally:
                        with trio.move_on_after(1, shield=True):
                            await stream.aclose()
                if greeted:
                    found.append(True)
                    all_of_them.cancel()
                    return
            except (PeerError, trio.TooSlowError):
                continue
        if addresses:
            found.append(False)

    async def run(self, *, at_start: bool) -> None:
        """Look when there is reason to, for ever."""
        self._wanted = trio.Event()
        if at_start:
            await self.look()
        while True:
            with trio.move_on_after(BLOCKED_S if self.port_25 == BLOCKED else float("inf")):
                await self._wanted.wait()
            self._wanted = trio.Event()
            await self.look()
