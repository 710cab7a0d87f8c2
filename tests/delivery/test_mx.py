"""Which hosts take a domain's mail: every row of the table in delivery/mx."""

from collections import Counter
from random import Random

import dns.rcode
import pytest

from appliance.delivery.mx import MailHost, MailHosts
from appliance.mail.outcome import Fate, Outcome, Reason
from appliance.network import resolver as module
from appliance.network.resolver import Resolver
from tests.support.clock import HandClock
from tests.support.names import NameServer, a_name_server

ZONE = (
    ("far.example", "MX", "20 b.far.example.", "10 a.far.example.", "20 c.far.example."),
    ("a.far.example", "A", "9.9.9.1"), ("b.far.example", "A", "9.9.9.2"), ("c.far.example", "A", "9.9.9.3"),
    ("a.far.example", "AAAA", "2620:fe::1"),
    ("plain.example", "A", "9.9.9.4"),
    ("never.example", "MX", "0 ."),
    ("empty.example", "TXT", "x"),
    ("gone.example", "MX", "10 nowhere.example."),
    ("loop.example", "MX", "10 mail.home.example."),
    ("backup.example", "MX", "10 a.far.example.", "20 mail.home.example.", "30 b.far.example."),
    ("byaddress.example", "MX", "10 hidden.example."), ("hidden.example", "A", "8.8.4.4"),
    ("poison.example", "MX", "10 inner.example.", "20 lo.example."),
    ("inner.example", "A", "192.168.1.1"), ("lo.example", "A", "127.0.0.1"),
    ("half.example", "MX", "10 inner.example.", "20 a.far.example."),
    ("mapped.example", "AAAA", "::ffff:10.0.0.1"),
    ("alias.example", "CNAME", "plain.example."),
    ("xn--mller-kva.example", "MX", "10 a.far.example."),
    ("sickhost.example", "MX", "10 sick.example."),
    ("sickfirst.example", "MX", "10 sick.example.", "20 b.far.example."),
)  # fmt: skip


def filled(server: NameServer) -> NameServer:
    for name, kind, *values in ZONE:
        server.add(name, kind, *values)
    server.fails["sick.example"] = dns.rcode.SERVFAIL
    return server


def hosts_of(server: NameServer, *, private: bool = False, clock: HandClock | None = None, seed: int = 1) -> MailHosts:
    clock = clock or HandClock()
    return MailHosts(
        Resolver([("127.0.0.1", server.port)], clock), clock, own_names=lambda: ("mail.home.example", "home.example"),
        own_addresses=lambda: ("8.8.4.4",), private=private, random=Random(seed),
    )  # fmt: skip


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE_S", (0.3, 0.3))


CASES = (
    ("plain.example", ["plain.example"], ""),
    ("alias.example", ["alias.example"], ""),
    ("müller.example", ["a.far.example"], ""),
    ("backup.example", ["a.far.example"], ""),
    ("half.example", ["a.far.example"], ""),
    ("sickfirst.example", ["b.far.example"], ""),
    ("[9.9.9.9]", ["[9.9.9.9]"], ""),
    ("[ipv6:2620:fe::fe]", ["[ipv6:2620:fe::fe]"], ""),
    ("never.example", [], "5.1.10"),
    ("none.example", [], "5.1.2"),
    ("empty.example", [], "5.4.4"),
    ("gone.example", [], "5.4.4"),
    ("loop.example", [], "5.4.6"),
    ("byaddress.example", [], "5.4.6"),
    ("[8.8.4.4]", [], "5.4.6"),
    ("poison.example", [], "5.4.4"),
    ("mapped.example", [], "5.4.4"),
    ("[127.0.0.1]", [], "5.4.4"),
    ("sick.example", [], "4.4.3"),
    ("sickhost.example", [], "4.4.3"),
)


@pytest.mark.parametrize(("domain", "names", "status"), CASES, ids=[domain for domain, _, _ in CASES])
async def test_every_row(domain: str, names: list[str], status: str) -> None:
    async with a_name_server() as server:
        found = await hosts_of(filled(server)).find(domain)
    if names:
        assert isinstance(found, tuple) and [host.name for host in found] == names
    else:
        assert isinstance(found, Outcome) and found.status == status and found.text.endswith(".")
        assert found.fate is (Fate.DEFERRED if status.startswith("4") else Fate.FAILED)
        assert (found.reason is Reason.LOOP) == (status == "5.4.6")


async def test_by_preference_equals_at_random() -> None:
    async with a_name_server() as server:
        filled(server)
        orders: Counter[tuple[str, ...]] = Counter()
        for seed in range(40):
            found = await hosts_of(server, seed=seed).find("far.example")
            assert isinstance(found, tuple)
            orders[tuple(host.name[0] for host in found)] += 1
    assert set(orders) == {("a", "b", "c"), ("a", "c", "b")} and min(orders.values()) > 8


async def test_private_addresses_where_they_are_allowed() -> None:
    async with a_name_server() as server:
        found = await hosts_of(filled(server), private=True).find("poison.example")
    assert isinstance(found, tuple) and [host.addresses for host in found] == [("192.168.1.1",), ("127.0.0.1",)]


async def test_ipv6_first_and_left_out_while_it_does_not_work() -> None:
    async with a_name_server() as server:
        clock = HandClock()
        hosts = hosts_of(filled(server), clock=clock)
        six = MailHost("a.far.example", 10, ("2620:fe::1", "9.9.9.1"))
        assert (await hosts.find("far.example"))[0] == six  # type: ignore[index]
        hosts.v6_failed()
        assert (await hosts.find("far.example"))[0].addresses == ("9.9.9.1",)  # type: ignore[index]
        clock.forward(1801)
        assert (await hosts.find("far.example"))[0] == six  # type: ignore[index]


async def test_secure_only_when_every_answer_is() -> None:
    async with a_name_server() as server:
        filled(server).validated = True
        found = await hosts_of(server).find("far.example")
        assert isinstance(found, tuple) and all(host.secure for host in found)
        server.validated = False
        found = await hosts_of(server).find("far.example")
        assert isinstance(found, tuple) and not any(host.secure for host in found)
