"""A message to be delivered: its envelope and what is known of where it came from."""

from dataclasses import dataclass

from appliance.mail.envelope import Envelope
from appliance.mail.ids import AccountId

BEYOND_OCTETS = 2 * 2**20
"""By so much the server's own messages may exceed a quota, DSNs among them: some hundred short ones."""


@dataclass(slots=True)
class Arrival:
    """`message` is its id, as in the 250 reply and in Received; `trace` the header fields every copy gets below its Return-Path;
    `begun_mono` when its transaction began, monotonic seconds; `account` submitted it and `author` is the domain of its address, None
    and "" for a message from outside; `beyond`: octets by which it may exceed a quota."""

    message: str
    envelope: Envelope
    trace: bytes
    protocol: str = ""
    peer: str = ""
    begun_mono: float = 0.0
    account: AccountId | None = None
    author: str = ""
    beyond: int = 0
