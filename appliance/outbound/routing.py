"""Which way messages take: straight to other servers, by a relay, or none; and when a message changes from one to the other.

The first row that fits decides:

| relay of the settings          | takes                               | when                                                     |
|--------------------------------|-------------------------------------|----------------------------------------------------------|
| with `person`                  | messages that person sends           | always; with `address` they leave under that address     |
| with `domains`                 | messages to these domains            | always                                                   |
| with neither (the first one)   | everything else                     | `direct` is "never", or the line is known to be closed   |
| none, or `direct` first/only   | goes straight, by MX                | unless `direct` is "never" or the line is closed         |

With `direct` "first" a message goes over to the relay after `after_refusals` attempts that were turned away for where they came
from or found nobody, and at once when such a refusal was final. Relays for a person or for domains are never a fallback:
their owners did not say so. Where no row leads out, `lane` is None and the message is refused while its sender still listens.
Pure but for the files passwords are in, which are read when a connection needs them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from appliance.delivery.route import Relay, Route
from appliance.mail.address import Address
from appliance.mail.outcome import DeliveryStatus, Outcome, Reason
from appliance.queue.entry import QueueEntry

NO_ROUTE_REFUSAL = (
    "No way leads out of this server: name your provider's mail server in the settings, as [[relay]], or set sending.direct to first."
)
CLOSED = "The line lets no messages out (port 25 is blocked): name your provider's mail server in the settings, as [[relay]]."
FROM_HERE = frozenset({Reason.REPUTATION, Reason.UNREACHABLE})
"""Reasons that another line would not meet."""


@dataclass(frozen=True, slots=True)
class RelayRule:
    """One relay and whose messages it takes; `person` and `address` as the settings' [[relay]]."""

    relay: Relay
    domains: tuple[str, ...] = ()
    account: str = ""
    address: Address | None = None


class Routes:
    """`is_person(address, person)`: do messages to this address come to that person? `direct` is "first", "only" or "never"."""

    def __init__(
        self, rules: Sequence[RelayRule], *, direct: str = "first", after_refusals: int = 2, is_account: Callable[[Address, str], bool]
    ) -> None:
        self._rules = tuple(rules)
        self._by_name = {rule.relay.name: rule for rule in rules}
        self._direct = direct
        self._after = after_refusals
        self._is_account = is_account
        self.line_closed = False
        """What the line check found; `app` sets it."""

    @property
    def general(self) -> RelayRule | None:
        """The relay for everybody and everything, if there is one."""
        return next((rule for rule in self._rules if not rule.account and not rule.domains), None)

    def destination(self, sender: Address | None, domain: str) -> str | None:
        """Where messages of `sender` to the A-label domain or address literal queue; None when no way leads there."""
        for rule in self._rules:
            if rule.account and sender is not None and self._is_account(sender, rule.account):
                return f"@{rule.relay.name}"
        for rule in self._rules:
            if not rule.account and any(_covers(pattern, domain) for pattern in rule.domains):
                return f"@{rule.relay.name}"
        general = self.general
        if general is not None and self._direct != "only" and (self._direct == "never" or self.line_closed):
            return f"@{general.relay.name}"
        return None if self._direct == "never" or self.line_closed else domain

    def route_to(self, destination: str, sender: Address | None) -> Route:
        """How the destination is travelled; a relay that is no longer set is `gone`."""
        if not destination.startswith("@"):
            return Route()
        rule = self._by_name.get(destination[1:])
        if rule is None:
            return Route(gone=True)
        return Route(rule.relay, rule.address if sender is not None and rule.account and self._is_account(sender, rule.account) else None)

    def other_destination(self, item: QueueEntry, outcomes: Sequence[Outcome], refusals: int) -> str | None:
        """Where the message goes on from this destination after these outcomes; None: it stays."""
        general = self.general
        if general is None or self._direct != "first" or item.destination.startswith("@"):
            return None
        final = any(one.delivery_status is DeliveryStatus.FAILED and one.reason is Reason.REPUTATION for one in outcomes)
        again = refusals >= self._after and any(
            one.delivery_status is DeliveryStatus.DEFERRED and one.reason in FROM_HERE for one in outcomes
        )
        return f"@{general.relay.name}" if final or again else None

    def leads(self, destination: str) -> bool:
        """Does the destination still lead anywhere? False for a relay that was taken out of the settings and for a closed line."""
        if destination.startswith("@"):
            return destination[1:] in self._by_name
        return self._direct != "never" and not (self.line_closed and self.general is not None)

    def names(self) -> tuple[str, ...]:
        """The relays' names."""
        return tuple(self._by_name)

    def relays(self) -> tuple[Relay, ...]:
        return tuple(rule.relay for rule in self._by_name.values())

    @property
    def sentence(self) -> str:
        """What a person must set up where no way leads out."""
        return CLOSED if self.line_closed and self._direct != "never" else NO_ROUTE_REFUSAL

    @property
    def route(self) -> str:
        """How most messages leave now: "direct", "relay NAME" or "none"."""
        general = self.general
        if self._direct == "never" or self.line_closed:
            return f"relay {general.relay.name}" if general is not None and self._direct != "only" else "none"
        return "direct"


def _covers(pattern: str, domain: str) -> bool:
    return domain == pattern or (pattern.startswith(".") and domain.endswith(pattern))
