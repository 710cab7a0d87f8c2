"""One delivery attempt over several connections: which recipients have an outcome, which are left, which addresses remain to be tried.

| outcome of a recipient                                    | what the attempt does                                              |
|-----------------------------------------------------------|--------------------------------------------------------------------|
| a refusal about our connection (REPUTATION)               | the other address family; none left: the outcome stands            |
| lost, no answer, or 421, and the connection is closed     | the next address (RFC 5321 §5.1)                                   |
| the same, or too many, while others were accepted         | the same address once more, in a new connection                    |
| a form is refused that the server had announced           | the same server again in a reduced form (`smtp_transport`)         |
| anything else                                             | the outcome stands                                                 |

A 421 is a negative reply at every step, also after the final dot: the command did not take effect (RFC 5321 §4.2.1). A connection
lost after the final dot is UNSURE and final for this attempt: no other server is tried. An address family that refused while the
other did not is left out for that host for a while (`mx.MailHosts.refused`).
"""

from collections.abc import Sequence
from dataclasses import replace

from appliance.mail.outcome import DsnAction, Outcome, Reason
from appliance.mail.outgoing import OutgoingMessage
from appliance.network.addresses import family_of, other_family

from .mx import MailHost
from .refusal import too_many

TRIED = 6
"""Addresses that are tried in one attempt."""


class Attempt:
    """`hosts` in the order to try them; `targets` are the (host, address) pairs that remain."""

    def __init__(self, outgoing: OutgoingMessage, hosts: Sequence[MailHost]) -> None:
        self._outgoing = outgoing
        self.targets = _choose_targets([(host, address) for host in hosts for address in host.addresses])
        self._outcomes: dict[int, Outcome] = {}
        self._open = list(range(len(outgoing.recipients)))
        self._refused: dict[int, set[str]] = {4: set(), 6: set()}
        """By address family: names of hosts that refused us over it."""

    @property
    def rest(self) -> OutgoingMessage:
        """The message with the recipients that have no outcome yet."""
        if len(self._open) == len(self._outgoing.recipients):
            return self._outgoing
        return replace(self._outgoing, recipients=tuple(self._outgoing.recipients[number] for number in self._open))

    def no_connection(self, host: MailHost, address: str, outcome: Outcome, *, routed: bool) -> None:
        """No session came about with an address. `routed` False: this machine has no route to addresses of that family."""
        if outcome.reason is Reason.REPUTATION:
            family = family_of(address)
            self._refused[family].add(host.name)
            self.targets.sort(key=lambda target: family_of(target[1]) == family)
        for number in self._open:
            before = self._outcomes.get(number)
            if before is None or before.reason is not Reason.REPUTATION or outcome.reason is not Reason.UNREACHABLE:
                self._outcomes[number] = outcome
            elif routed and before.action is DsnAction.FAILED:  # the other address family has not answered yet
                self._outcomes[number] = replace(before, action=DsnAction.DEFERRED, status=f"4{before.status[1:]}")

    def answered(self, host: MailHost, address: str, outcomes: Sequence[Outcome], *, over: bool) -> tuple[str, ...]:
        """Take the outcomes of a transaction for `rest`, in order. Names of the hosts that refused the other address family."""
        family = family_of(address)
        left: list[int] = []
        about_us = False
        accepted = any(outcome.action is DsnAction.RELAYED for outcome in outcomes)
        for number, outcome in zip(self._open, outcomes, strict=True):
            self._outcomes[number] = outcome
            origin = outcome.reason is Reason.REPUTATION
            about_us = about_us or origin
            if origin or (over and _elsewhere(outcome)) or (accepted and outcome.reply is not None and too_many(outcome.reply)):
                left.append(number)
        if about_us:
            self._refused[family].add(host.name)
            if over and any(_elsewhere(self._outcomes[number]) for number in left):
                self.targets.sort(key=lambda target: family_of(target[1]) == family)
            else:
                self.targets = [target for target in self.targets if family_of(target[1]) != family]
        elif left and accepted:  # every connection accepts some more, so this ends
            self.targets.insert(0, (host, address))
        self._open = left
        return () if about_us else tuple(sorted(self._refused[other_family(family)]))

    @property
    def goes_on(self) -> bool:
        """Are present recipients left, and addresses to try?"""
        return bool(self._open and self.targets)

    def outcomes(self, last: Outcome) -> tuple[Outcome, ...]:
        """One for each recipient; `last` for those that were never tried."""
        return tuple(self._outcomes.get(number, last) for number in range(len(self._outgoing.recipients)))


def _elsewhere(outcome: Outcome) -> bool:
    """May another address have a different answer?"""
    if outcome.action is not DsnAction.DEFERRED:
        return False
    return outcome.reason in (Reason.LOST, Reason.NO_ANSWER) or (outcome.reply is not None and outcome.reply.code == 421)


def _choose_targets(targets: list[tuple[MailHost, str]]) -> list[tuple[MailHost, str]]:
    """The first TRIED, with at least one of each address family."""
    first, rest = targets[:TRIED], targets[TRIED:]
    present = {family_of(address) for _, address in first}
    other = next((target for target in rest if family_of(target[1]) not in present), None)
    return [*first[:-1], other] if other is not None else first
