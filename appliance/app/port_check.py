"""Is somebody there? Knocks as a mail program would, TLS where the door begins so, and hears the greeting.

What only the world can tell is said, not guessed: whether a router lets it in. How it fails: a door that does not answer is
a finding with the reason.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

import trio

from appliance.mail.errors import PeerError
from appliance.network.dial import hear_greeting
from appliance.status.snapshot import ListenerFacts

PATIENCE_S = 35.0
"""Above the longest pause before a greeting that the settings allow."""
GREETINGS = {"smtp": b"220", "submission": b"220", "submissions": b"220", "imap": b"* ", "imaps": b"* ", "pop3": b"+OK", "pop3s": b"+OK"}
TLS_FIRST = ("submissions", "imaps", "pop3s")
LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - read, not listened at
OUTSIDE = (
    "Whether the world comes in to port 25 only the world can tell: write to yourself from an address elsewhere. "
    "If nothing arrives, have the router forward port 25 to this box."
)


@dataclass(frozen=True, slots=True)
class PortFinding:
    """`state` is "open", "closed" or "unknown"; `text` is the reason, or more about it."""

    what: str
    where: str
    state: str
    text: str = ""


PortProbe = Callable[[], Awaitable[PortFinding]]


async def knock(what: str, where: str, address: str, port: int, *, tls: bool, says: bytes) -> PortFinding:
    """One server: open when it greets with `says`."""
    try:
        greeting = await hear_greeting(address, port, timeout_s=PATIENCE_S, tls=tls)
    except PeerError as trouble:
        return PortFinding(what, where, "closed", f"{trouble}.")
    if not greeting.startswith(says):
        return PortFinding(what, where, "closed", "It does not greet as it should.")
    return PortFinding(what, where, "open")


def at(listening_socket: ListenerFacts) -> PortProbe:
    """Knocks at a door of the server."""
    says, tls = GREETINGS[listening_socket.protocol], listening_socket.protocol in TLS_FIRST
    return partial(
        knock,
        listening_socket.protocol,
        listening_socket.address,
        LOOPBACK.get(listening_socket.host, listening_socket.host),
        listening_socket.port,
        tls=tls,
        says=says,
    )


async def check(looks: Sequence[PortProbe]) -> list[PortFinding]:
    """All at once: a silent server holds up none of the others. In their order."""
    found: dict[int, PortFinding] = {}

    async def one(number: int, look: PortProbe) -> None:
        found[number] = await look()

    async with trio.open_nursery() as nursery:
        for number, look in enumerate(looks):
            nursery.start_soon(one, number, look)
    return [found[number] for number in range(len(looks))]


def findings_text(findings: Sequence[PortFinding]) -> str:
    """For people, a line each."""
    rows = [f"{one.state:<8} {one.what:<12} {one.where}   {one.text}".rstrip() for one in findings]
    return "\n".join((*rows, "", OUTSIDE))
