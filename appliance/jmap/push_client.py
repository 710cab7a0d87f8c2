"""POSTs messages to push services (RFC 8030 §5, RFC 8620 §7.2): one connection each, to a public address, bounded in time and octets.

| the push service answers                       | outcome                                                                  |
|------------------------------------------------|--------------------------------------------------------------------------|
| 2xx                                            | delivered                                                                |
| 404, 410                                       | gone: it does not know the subscription any more (RFC 8030 §7.3)         |
| anything else, nothing, not in time            | tried later, not before Retry-After                                      |

How it fails: it does not; what went wrong is an outcome.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import trio

from appliance.accounts.push_subscriptions import PushSubscription
from appliance.mail.clock import Clock
from appliance.mail.errors import PillarboxError
from appliance.network.https import post
from appliance.network.public_dial import PublicDialer
from appliance.protocol.jmap.push_endpoint import PORT, parse_push_endpoint

if TYPE_CHECKING:
    from .push_encryption import VapidSigner

PUSH_S = 20.0
TTL_S = 86_400
"""How long the push service keeps a message for a device that is away."""
RETRY_AFTER_MOST_S = 86_400


@dataclass(frozen=True, slots=True)
class PushOutcome:
    """`trouble`: why it was not delivered, for the log. `retry_after_s`: what the push service asked for."""

    delivered: bool = False
    gone: bool = False
    retry_after_s: int = 0
    trouble: str = ""


class PushClient:
    """`signer` is made, and what it needs loaded, with the first push. Raises MisuseError there when the key cannot be read."""

    def __init__(self, dialer: PublicDialer, make_signer: "Callable[[], VapidSigner]", clock: Clock) -> None:
        self._dialer = dialer
        self._make_signer = make_signer
        self._clock = clock
        self._signer: VapidSigner | None = None

    async def push(self, row: PushSubscription, message: dict[str, Any], urgency: str) -> PushOutcome:
        """`urgency`: very-low, low, normal or high (RFC 8030 §5.3)."""
        with trio.move_on_after(PUSH_S):
            try:
                status, fields = await self._post(row, json.dumps(message, ensure_ascii=False).encode(), urgency)
            except (PillarboxError, OSError) as error:
                return PushOutcome(trouble=str(error))
            wait = fields.get("retry-after", "")
            wait_s = min(int(wait), RETRY_AFTER_MOST_S) if wait.isascii() and wait.isdecimal() and len(wait) < 10 else 0
            return PushOutcome(200 <= status < 300, status in (404, 410), wait_s, f"status {status}")
        return PushOutcome(trouble="it took too long")

    async def _post(self, row: PushSubscription, octets: bytes, urgency: str) -> tuple[int, dict[str, str]]:
        if self._signer is None:
            self._signer = await trio.to_thread.run_sync(self._make_signer)
        endpoint = parse_push_endpoint(row.url)
        fields = [
            ("TTL", str(TTL_S)), ("Urgency", urgency), ("Content-Type", "application/json"),
            ("Authorization", self._signer.authorization(endpoint.origin, self._clock.wall_s())),
        ]  # fmt: skip
        if row.keys is not None:
            from .push_encryption import encrypt

            octets = encrypt(octets, *row.keys)
            fields.append(("Content-Encoding", "aes128gcm"))
        stream = await self._dialer.connect(endpoint.host, PORT, tls=True)
        host = endpoint.origin.removeprefix("https://")
        return await post(stream, host, endpoint.target, fields, octets, timeout_s=PUSH_S)
