"""`pillarbox network check`: connects to each listener and relay as a mail program would, and reads the greeting.

Whether the internet reaches port 25 through the router can only be tested from outside: the answer says so and does not guess.
How it fails: a port that does not answer is a finding with the reason.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

import trio

from appliance.mail.errors import PeerError
from appliance.mail.protocols import GREETINGS, protocol
from appliance.mail.sentence import Sentence, joined, keyed
from appliance.network.dial import read_greeting
from appliance.status.snapshot import ListenerFacts

PATIENCE_S = 35.0
"""Above the longest pause before a greeting that the settings allow."""
LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not listened on
OUTSIDE = Sentence(
    "Whether the internet reaches port 25 here can only be tested from outside: send yourself a message from another address. "
    "If nothing arrives, have the router forward port 25 to this machine."
)
STATES = {"open": Sentence("open    "), "closed": Sentence("closed  "), "unknown": Sentence("unknown ")}
"""The column of states, with the spaces behind."""


@dataclass(frozen=True, slots=True)
class PortFinding:
    """`state` is "open", "closed" or "unknown"; `text` is the reason, or more about it."""

    service: str
    where: str
    state: str
    text: str = ""


PortProbe = Callable[[], Awaitable[PortFinding]]


async def probe(
    service: str, where: str, address: str, port: int, *, tls: bool, greeting: bytes, patience_s: float = PATIENCE_S
) -> PortFinding:
    """Connect to one server: "open" when its greeting begins with `greeting` (b"": when it accepts the connection)."""
    try:
        received = await read_greeting(address, port, timeout_s=patience_s, tls=tls, speaks_first=bool(greeting))
    except PeerError as trouble:
        return PortFinding(service, where, "closed", f"{trouble}.")
    if not received.startswith(greeting):
        return PortFinding(service, where, "closed", "Its greeting is not that of this protocol.")
    return PortFinding(service, where, "open")


def listener_probe(listener: ListenerFacts, patience_s: float = PATIENCE_S) -> PortProbe:
    """A probe of one of the server's own listeners."""
    row, host = protocol(listener.protocol), LOOPBACK.get(listener.host, listener.host)
    tls, greeting = row.implicit_tls, GREETINGS[row.service]
    return partial(probe, row.name, listener.address, host, listener.port, tls=tls, greeting=greeting, patience_s=patience_s)


async def check(probes: Sequence[PortProbe]) -> list[PortFinding]:
    """All at once: a silent server holds up none of the others. In their order."""
    found: dict[int, PortFinding] = {}

    async def one(number: int, run: PortProbe) -> None:
        found[number] = await run()

    async with trio.open_nursery() as nursery:
        for number, run in enumerate(probes):
            nursery.start_soon(one, number, run)
    return [found[number] for number in range(len(probes))]


def findings_text(findings: Sequence[PortFinding]) -> str:
    """A line for each finding."""
    rows = [
        joined(STATES[one.state], joined(f"{one.service:<12} {one.where}", keyed(one.text) if one.text else "", by="   "))
        for one in findings
    ]
    return Sentence("%(rows)s\n\n%(outside)s", rows=joined(*rows, by="\n"), outside=OUTSIDE)
