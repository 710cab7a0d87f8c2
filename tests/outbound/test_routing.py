"""outbound/routing: which row applies, what moves to the relay, and what stays where the settings put it."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from appliance.delivery.route import Relay, Route
from appliance.mail.address import Address
from appliance.mail.outcome import DsnAction, Outcome, Reason
from appliance.outbound.routing import NO_ROUTE, PORT25_BLOCKED, RelayRule, Routes

ADA, BEN = Address("ada", "home.example"), Address("ben", "home.example")
PROVIDER = Address("ada.k", "provider.example")


def relay(name: str) -> Relay:
    return Relay(name, f"smtp.{name}.example", 465, "tls")


MINE = RelayRule(relay("mine"), account="ada", address=PROVIDER)
WORK = RelayRule(relay("work"), domains=("work.example", ".corp.example"))
REST = RelayRule(relay("rest"))
SECOND = RelayRule(relay("second"))


def routes(*rules: RelayRule, direct: str = "first", blocked: bool = False, after: int = 2) -> Routes:
    made = Routes(rules, direct=direct, after_refusals=after, is_account=lambda address, account: address.local == account)
    made.port25_blocked = blocked
    return made


@pytest.mark.parametrize(
    ("rules", "direct", "blocked", "sender", "domain", "destination"),
    [
        # nothing is configured
        ((), "first", False, ADA, "far.example", "far.example"), ((), "first", True, ADA, "far.example", None),
        ((), "never", False, ADA, "far.example", None), ((), "only", True, ADA, "far.example", None),
        # a relay of an account: always, before that of a domain, for its sender only
        ((WORK, MINE, REST), "first", False, ADA, "far.example", "@mine"), ((WORK, MINE), "only", False, ADA, "work.example", "@mine"),
        ((MINE,), "first", False, BEN, "far.example", "far.example"), ((MINE,), "first", False, None, "far.example", "far.example"),
        ((MINE,), "never", False, BEN, "far.example", None), ((MINE,), "first", True, BEN, "far.example", None),
        # a relay of domains: always; a leading dot is for names below
        ((WORK, REST), "only", False, BEN, "work.example", "@work"), ((WORK,), "first", False, None, "a.b.corp.example", "@work"),
        ((WORK,), "first", False, BEN, "corp.example", "corp.example"),
        ((WORK,), "first", False, BEN, "sub.work.example", "sub.work.example"),
        ((WORK,), "first", False, BEN, "notwork.example", "notwork.example"), ((WORK,), "never", False, BEN, "work.example", "@work"),
        # the one for the rest: the first of them, when direct delivery is off or cannot work
        ((REST, SECOND), "first", False, BEN, "far.example", "far.example"), ((REST, SECOND), "first", True, BEN, "far.example", "@rest"),
        ((REST,), "never", False, None, "far.example", "@rest"), ((REST,), "only", True, BEN, "far.example", None),
        ((REST,), "first", True, BEN, "[192.0.2.1]", "@rest"),
    ],
)  # fmt: skip
def test_the_first_row_that_applies_decides(
    rules: Sequence[RelayRule], direct: str, blocked: bool, sender: Address | None, domain: str, destination: str | None
) -> None:
    made = routes(*rules, direct=direct, blocked=blocked)
    assert made.destination(sender, domain) == destination
    assert destination is None or made.is_routable(destination), "where a message is queued it can be sent from"


def test_the_address_of_an_account_relay_is_used_for_that_account_only() -> None:
    made = routes(MINE, WORK)
    assert made.route_to("far.example", ADA) == Route()
    assert made.route_to("@mine", ADA) == Route(MINE.relay, PROVIDER)
    assert made.route_to("@mine", BEN) == Route(MINE.relay) and made.route_to("@mine", None) == Route(MINE.relay), "rerouted by hand"
    assert made.route_to("@work", ADA) == Route(WORK.relay)
    assert made.route_to("@former", ADA) == Route(gone=True) and not made.is_routable("@former")


def failed(reason: Reason) -> Outcome:
    return Outcome(DsnAction.FAILED, "5.7.1", reason, "x")


def deferred(reason: Reason) -> Outcome:
    return Outcome(DsnAction.DEFERRED, "4.7.1", reason, "x")


@pytest.mark.parametrize(
    ("outcomes", "refusals", "moves"),
    [
        ((failed(Reason.REPUTATION),), 0, True), ((deferred(Reason.NOT_NOW), failed(Reason.REPUTATION)), 1, True),
        ((deferred(Reason.REPUTATION),), 1, False), ((deferred(Reason.REPUTATION),), 2, True), ((deferred(Reason.UNREACHABLE),), 2, True),
        ((deferred(Reason.NOT_NOW),), 9, False), ((failed(Reason.REFUSED),), 9, False), ((failed(Reason.UNREACHABLE),), 9, False),
        ((), 9, False),
    ],
)  # fmt: skip
def test_a_message_moves_to_the_relay_after_refusals_it_would_not_meet(outcomes: Sequence[Outcome], refusals: int, moves: bool) -> None:
    entry: Any = SimpleNamespace(destination="far.example")
    assert routes(REST).other_destination(entry, outcomes, refusals) == ("@rest" if moves else None)


@pytest.mark.parametrize(
    ("rules", "direct", "destination"),
    [((), "first", "far.example"), ((MINE, WORK), "first", "far.example"), ((REST,), "only", "far.example"), ((REST,), "first", "@work")],
)
def test_no_relay_of_an_account_or_of_domains_is_a_fallback(rules: Sequence[RelayRule], direct: str, destination: str) -> None:
    entry: Any = SimpleNamespace(destination=destination)
    assert routes(*rules, direct=direct).other_destination(entry, (failed(Reason.REPUTATION),), 9) is None


@pytest.mark.parametrize(
    ("rules", "direct", "blocked", "route", "refusal"),
    [
        ((), "first", False, "direct", NO_ROUTE), ((), "first", True, "none", PORT25_BLOCKED), ((), "never", True, "none", NO_ROUTE),
        ((REST,), "first", True, "relay rest", PORT25_BLOCKED), ((REST,), "never", False, "relay rest", NO_ROUTE),
        ((REST,), "only", True, "none", PORT25_BLOCKED), ((MINE, WORK), "never", False, "none", NO_ROUTE),
    ],
)  # fmt: skip
def test_what_is_reported(rules: Sequence[RelayRule], direct: str, blocked: bool, route: str, refusal: str) -> None:
    made = routes(*rules, direct=direct, blocked=blocked)
    assert made.route == route and made.refusal_text == refusal
    assert made.names() == tuple(rule.relay.name for rule in rules) and made.relays() == tuple(rule.relay for rule in rules)


def test_messages_queued_directly_are_routed_anew_when_port_25_turns_out_to_be_blocked() -> None:
    assert routes(REST).is_routable("far.example") and not routes(REST, blocked=True).is_routable("far.example")
    assert routes(blocked=True).is_routable("far.example"), "nothing else to go by: they wait"
    assert not routes(REST, direct="never").is_routable("far.example")
