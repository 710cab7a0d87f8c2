"""One delivery attempt over several connections: what is settled, who is left, which addresses are still to be asked.

| outcome of a recipient                                    | what the attempt does                                              |
|-----------------------------------------------------------|--------------------------------------------------------------------|
| a refusal about our connection (REPUTATION)               | the other address family; none left: the outcome stands            |
| lost, no answer, or 421, and the connection is over       | the next address (RFC 5321 §5.1)                                   |
| the same, or too many, while others of it were taken      | the same address once more, in a new connection                    |
| a form is refused that the server had announced           | the same server again, plainer (`remote`)                          |
| anything else                                             | settled                                                            |

A 421 is a negative reply at every step, also after the final dot: what was asked did not happen (RFC 5321 §4.2.1). A connection lost
after the final dot is UNSURE and is settled: nobody else is asked. An address family that refused while the other one did not is
left out for that host for a while (`mx.MailHosts.refused`).
"""

from collections.abc import Sequence
from dataclasses import replace

from appliance.mail.outcome import DeliveryStatus, Outcome, Reason
from appliance.mail.outgoing import OutgoingMessage
from appliance.network.addresses import family_of, other_family

from .mx import MailHost
from .refusal import too_many

TRIED = 6
"""Addresses that are asked in one attempt."""


class Attempt:
    """`hosts` in the order to ask them."""

    def __init__(self, outgoing: OutgoingMessage, hosts: Sequence[MailHost]) -> None:
        self._outgoing = outgoing
        self.targets = _chosen([(host, address) for host in hosts for address in host.addresses])
        self._found: dict[int, Outcome] = {}
        self._open = list(range(len(outgoing.recipients)))
        self._refused: dict[int, set[str]] = {4: set(), 6: set()}
        """By address family: names of hosts that refused it."""

    @property
    def rest(self) -> OutgoingMessage:
        """The message with the recipients that are left."""
        if len(self._open) == len(self._outgoing.recipients):
            return self._outgoing
        return replace(self._outgoing, recipients=tuple(self._outgoing.recipients[number] for number in self._open))

    def no_connection(self, host: MailHost, address: str, outcome: Outcome, *, routed: bool) -> None:
        """An address could not be talked to, or did not let us begin. `routed` False: this machine has no way to such addresses."""
        if outcome.reason is Reason.REPUTATION:
            family = family_of(address)
            self._refused[family].add(host.name)
            self.targets.sort(key=lambda target: family_of(target[1]) == family)
        for number in self._open:
            before = self._found.get(number)
            if before is None or before.reason is not Reason.REPUTATION or outcome.reason is not Reason.UNREACHABLE:
                self._found[number] = outcome
            elif routed and before.delivery_status is DeliveryStatus.FAILED:  # the other family has not answered yet
                self._found[number] = replace(before, delivery_status=DeliveryStatus.DEFERRED, status=f"4{before.status[1:]}")

    def answered(self, host: MailHost, address: str, outcomes: Sequence[Outcome], *, over: bool) -> tuple[str, ...]:
        """Take the outcomes of a transaction for `rest`, in order. Names of the hosts that refused the other address family."""
        family = family_of(address)
        left: list[int] = []
        about_us = False
        taken = any(outcome.delivery_status is DeliveryStatus.RELAYED for outcome in outcomes)
        for number, outcome in zip(self._open, outcomes, strict=True):
            self._found[number] = outcome
            origin = outcome.reason is Reason.REPUTATION
            about_us = about_us or origin
            if origin or (over and _elsewhere(outcome)) or (taken and outcome.reply is not None and too_many(outcome.reply)):
                left.append(number)
        if about_us:
            self._refused[family].add(host.name)
            if over and any(_elsewhere(self._found[number]) for number in left):
                self.targets.sort(key=lambda target: family_of(target[1]) == family)
            else:
                self.targets = [target for target in self.targets if family_of(target[1]) != family]
        elif left and taken:  # every connection takes some more, so this ends
            self.targets.insert(0, (host, address))
        self._open = left
        return () if about_us else tuple(sorted(self._refused[other_family(family)]))

    @property
    def goes_on(self) -> bool:
        """Is somebody left, and somewhere to ask?"""
        return bool(self._open and self.targets)

    def outcomes(self, last: Outcome) -> tuple[Outcome, ...]:
        """One for each recipient; `last` for those nobody was asked about."""
        return tuple(self._found.get(number, last) for number in range(len(self._outgoing.recipients)))


def _elsewhere(outcome: Outcome) -> bool:
    if outcome.delivery_status is not DeliveryStatus.DEFERRED:
        return False
    return outcome.reason in (Reason.LOST, Reason.NO_ANSWER) or (outcome.reply is not None and outcome.reply.code == 421)


def _chosen(targets: list[tuple[MailHost, str]]) -> list[tuple[MailHost, str]]:
    """The first TRIED, with at least one of each address family there is."""
    first, behind = targets[:TRIED], targets[TRIED:]
    there = {family_of(address) for _, address in first}
    other = next((target for target in behind if family_of(target[1]) not in there), None)
    return [*first[:-1], other] if other is not None else first
