"""Routing: directly to other servers, through a relay, or nowhere; and when a message changes from one to the other.

The first row that applies decides:

| relay of the settings          | takes                               | when                                                     |
|--------------------------------|-------------------------------------|----------------------------------------------------------|
| with `account`                 | messages that account sends         | always; with `address` they are sent under that address  |
| with `domains`                 | messages to these domains            | always                                                   |
| with neither (the first one)   | everything else                     | `direct` is "never", or port 25 is known to be blocked   |
| none, or `direct` first/only   | everything else, directly by MX     | unless `direct` is "never" or port 25 is blocked         |

With `direct` "first" a message moves to the relay after `after_refusals` attempts that were refused because of this server's
address or reached no host, and at once when such a refusal was final. Relays of an account or of domains are never a fallback: the
settings did not say so. Where no row applies, `destination` is None and SMTP refuses the recipient. Pure but for the files passwords
are in, which are read when a connection needs them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from appliance.delivery.route import Relay, Route
from appliance.mail.address import Address
from appliance.mail.outcome import DsnAction, Outcome, Reason
from appliance.queue.entry import QueueEntry

NO_ROUTE = (
    "This server cannot send messages out: name your provider's mail server in the settings, as [[relay]], or set sending.direct to first."
)
PORT25_BLOCKED = "Your internet provider blocks outgoing mail (port 25): name your provider's mail server in the settings, as [[relay]]."
ABOUT_ADDRESS = frozenset({Reason.REPUTATION, Reason.UNREACHABLE})
"""Reasons a relay would not meet."""


@dataclass(frozen=True, slots=True)
class RelayRule:
    """One relay and which messages go through it; `account` and `address` as in the settings' [[relay]]."""

    relay: Relay
    domains: tuple[str, ...] = ()
    account: str = ""
    address: Address | None = None


class Routes:
    """`is_account(address, account)`: is this an address of that account? `direct` is "first", "only" or "never"."""

    def __init__(
        self, rules: Sequence[RelayRule], *, direct: str = "first", after_refusals: int = 2, is_account: Callable[[Address, str], bool]
    ) -> None:
        self._rules = tuple(rules)
        self._by_name = {rule.relay.name: rule for rule in rules}
        self._direct = direct
        self._after = after_refusals
        self._is_account = is_account
        self.port25_blocked = False
        """What `port25` found; `app` sets it."""

    @property
    def default_relay(self) -> RelayRule | None:
        """The relay for all accounts and domains, if there is one."""
        return next((rule for rule in self._rules if not rule.account and not rule.domains), None)

    def destination(self, sender: Address | None, domain: str) -> str | None:
        """See `DestinationFinder`."""
        for rule in self._rules:
            if rule.account and sender is not None and self._is_account(sender, rule.account):
                return f"@{rule.relay.name}"
        for rule in self._rules:
            if not rule.account and any(_covers(pattern, domain) for pattern in rule.domains):
                return f"@{rule.relay.name}"
        default = self.default_relay
        if default is not None and self._direct != "only" and (self._direct == "never" or self.port25_blocked):
            return f"@{default.relay.name}"
        return None if self._direct == "never" or self.port25_blocked else domain

    def route_to(self, destination: str, sender: Address | None) -> Route:
        """The route to the destination; a relay that is not in the settings any more is `gone`."""
        if not destination.startswith("@"):
            return Route()
        rule = self._by_name.get(destination[1:])
        if rule is None:
            return Route(gone=True)
        return Route(rule.relay, rule.address if sender is not None and rule.account and self._is_account(sender, rule.account) else None)

    def other_destination(self, entry: QueueEntry, outcomes: Sequence[Outcome], refusals: int) -> str | None:
        """The relay to continue with after these outcomes; None: the message stays. See `queue.attempt_result`."""
        default = self.default_relay
        if default is None or self._direct != "first" or entry.destination.startswith("@"):
            return None
        final = any(one.action is DsnAction.FAILED and one.reason is Reason.REPUTATION for one in outcomes)
        again = refusals >= self._after and any(one.action is DsnAction.DEFERRED and one.reason in ABOUT_ADDRESS for one in outcomes)
        return f"@{default.relay.name}" if final or again else None

    def is_routable(self, destination: str) -> bool:
        """Can the destination still be reached? False for a relay that was removed and for direct delivery that is off or blocked."""
        if destination.startswith("@"):
            return destination[1:] in self._by_name
        return self._direct != "never" and not (self.port25_blocked and self.default_relay is not None)

    def names(self) -> tuple[str, ...]:
        """The relays' names."""
        return tuple(self._by_name)

    def relays(self) -> tuple[Relay, ...]:
        return tuple(rule.relay for rule in self._by_name.values())

    @property
    def refusal_text(self) -> str:
        """What to set up where there is no route."""
        return PORT25_BLOCKED if self.port25_blocked and self._direct != "never" else NO_ROUTE

    @property
    def route(self) -> str:
        """How most messages are sent now: "direct", "relay NAME" or "none"."""
        default = self.default_relay
        if self._direct == "never" or self.port25_blocked:
            return f"relay {default.relay.name}" if default is not None and self._direct != "only" else "none"
        return "direct"


def _covers(pattern: str, domain: str) -> bool:
    return domain == pattern or (pattern.startswith(".") and domain.endswith(pattern))
