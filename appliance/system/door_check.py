"""Is somebody there? Knocks at the house's own doors as a mail program would, TLS where the door begins so, and hears the greeting.

What only the world can tell is said, not guessed: whether a router lets it in. How it fails: a door that does not answer is
a finding with the reason.
"""

from collections.abc import Sequence
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
class Finding:
    """`state` is "open", "closed" or "unknown"; `text` is the reason, or more about it."""

    what: str
    state: str
    text: str = ""


async def knock(what: str, address: str, port: int, *, tls: bool = False, says: bytes = b"") -> Finding:
    """One door: open when it greets with `says`."""
    try:
        greeting = await hear_greeting(address, port, timeout_s=PATIENCE_S, tls=tls)
    except PeerError as trouble:
        return Finding(what, "closed", f"{trouble}.")
    return Finding(what, "open") if greeting and greeting.startswith(says) else Finding(what, "closed", "It does not greet as it should.")


async def check(doors: Sequence[ListenerFacts]) -> list[Finding]:
    """Every door of the house, all at once; in their order."""
    found: dict[int, Finding] = {}

    async def one(number: int, door: ListenerFacts) -> None:
        says, tls = GREETINGS.get(door.protocol, b""), door.protocol in TLS_FIRST
        found[number] = await knock(f"{door.protocol:<12} {door.where}", LOOPBACK.get(door.host, door.host), door.port, tls=tls, says=says)

    async with trio.open_nursery() as nursery:
        for number, door in enumerate(doors):
            nursery.start_soon(partial(one, number, door))
    return [found[number] for number in range(len(doors))]


def findings_text(findings: Sequence[Finding]) -> str:
    """For people, a line each."""
    rows = [f"{one.state:<8} {one.what}" + (f"   {one.text}" if one.text else "") for one in findings]
    return "\n".join((*rows, "", OUTSIDE))
