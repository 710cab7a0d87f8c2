"""What a client asks of push: the variables of the event source's URL (RFC 8620 §7.3); how large a pushed message may be."""

from dataclasses import dataclass

from appliance.mail.errors import MisuseError

TYPES = 50
PING_DIGITS = 9
PUSH_OCTETS = 3000
"""Of a message to a push service before it is encrypted: all are padded to it, and with header, delimiter and tag they are below the
4,096 octets that every push service takes (RFC 8030 §7.2)."""


@dataclass(frozen=True, slots=True)
class EventRequest:
    """`types` None: all. `ping_s` 0: no pings. `last`: the id of the last event the client saw, "" for none."""

    types: frozenset[str] | None = None
    close_after_state: bool = False
    ping_s: int = 0
    last: str = ""


def parse_event_request(types: str, close_after: str, ping: str, last: str = "") -> EventRequest:
    """A variable that is left out has its default: all types, no, 0. Raises MisuseError."""
    named = frozenset(types.split(",")) if types and types != "*" else None
    is_ping = ping.isascii() and ping.isdecimal() and len(ping) <= PING_DIGITS
    if close_after not in ("", "no", "state") or (ping and not is_ping) or (named is not None and len(named) > TYPES):
        raise MisuseError("An event stream has types, closeafter (state or no) and ping (seconds).")
    return EventRequest(named, close_after == "state", int(ping or "0"), last)
