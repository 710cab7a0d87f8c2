"""Which hosts take a domain's mail: every row of the table in outbound/mx."""

from collections import Counter
from random import Random

import dns.rcode
import pytest

from appliance.mail.outcome import DsnAction, Outcome, Reason
from appliance.network.resolver import Resolver
from appliance.outbound.mx import MailHost, MailHosts, OwnHost
from tests.support.clock import HandClock
from tests.support.names import NameServer, a_name_server, resolver_of

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
    ("zero.example", "MX", "10 zero4.example.", "20 zero6.example."), ("zero4.example", "A", "0.0.0.0"), ("zero6.example", "AAAA", "::"),
    ("zerofirst.example", "MX", "10 zero4.example.", "20 b.far.example."),
    ("hereagain.example", "MX", "10 six.example."), ("six.example", "AAAA", "::ffff:127.0.0.1", "64:ff9b::7f00:1"),
    ("lan.example", "MX", "10 l1.example."), ("l1.example", "AAAA", "::ffff:192.168.1.7"),
)  # fmt: skip


def filled(server: NameServer) -> NameServer:
    for name, kind, *values in ZONE:
        server.add(name, kind, *values)
    server.fails["sick.example"] = dns.rcode.SERVFAIL
    return server


def hosts_of(server: NameServer, *, private: bool = False, clock: HandClock | None = None, seed: int = 1) -> MailHosts:
    clock = clock or HandClock()
    return MailHosts(
        resolver_of(server, clock), clock,
        OwnHost(lambda: ("mail.home.example", "home.example"), lambda: ("8.8.4.4",)), private=private, random=Random(seed),
    )  # fmt: skip


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
    ("zero.example", [], "5.4.6"),
    ("zerofirst.example", ["b.far.example"], ""),
    ("hereagain.example", [], "5.4.4"),
    ("[0.0.0.0]", [], "5.4.6"),
    ("[ipv6:::]", [], "5.4.6"),
    ("[ipv6:::ffff:0.0.0.0]", [], "5.4.6"),
    ("[ipv6:::ffff:8.8.4.4]", [], "5.4.6"),
    ("[ipv6:64:ff9b::808:404]", [], "5.4.6"),
    ("[ipv6:64:ff9b::a00:1]", [], "5.4.4"),
    ("[ipv6:2002:a00:1::]", [], "5.4.4"),
    ("[ipv6:::ffff:9.9.9.9]", ["[ipv6:::ffff:9.9.9.9]"], ""),
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
        assert found.action is (DsnAction.DEFERRED if status.startswith("4") else DsnAction.FAILED)
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


OWN = ("127.0.0.1", "::1", "192.168.1.2", "8.8.4.4")
TO_OURSELVES = (
    "0.0.0.0", "::", "::ffff:0.0.0.0", "::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b:1::7f00:1", "2002:7f00:1::1",
    "::ffff:0:7f00:1", "64:ff9b::", "0.1.2.3", "::1", "127.0.0.1", "::ffff:192.168.1.2", "64:ff9b::c0a8:102",
)  # fmt: skip
LISTENING = (("0.0.0.0", 25), ("::", 25), ("127.0.0.9", 587), ("192.168.1.9", 25))


@pytest.mark.parametrize(
    ("address", "ours"),
    [(address, True) for address in TO_OURSELVES]
    + [("127.0.0.5", True), ("::ffff:127.9.9.9", True), ("192.168.1.9", True), ("::ffff:192.168.1.9", True)]
    + [("192.168.1.7", False), ("::ffff:192.168.1.7", False), ("64:ff9b::c0a8:107", False), ("fd00::7", False), ("9.9.9.9", False)],
)
async def test_private_addresses_make_no_mail_loop(address: str, ours: bool) -> None:
    kind = "AAAA" if ":" in address else "A"
    async with a_name_server() as server:
        server.add("far.example", "MX", "10 mx.far.example.")
        server.add("mx.far.example", kind, address)
        clock = HandClock()
        hosts = MailHosts(
            resolver_of(server, clock), clock, OwnHost(addresses=lambda: OWN, listening=lambda: LISTENING),
            private=True, port=25,
        )  # fmt: skip
        literal = f"[ipv6:{address}]" if ":" in address else f"[{address}]"
        for domain in ("far.example", literal):
            found = await hosts.find(domain)
            if ours:
                assert isinstance(found, Outcome) and (found.status, found.reason) == ("5.4.6", Reason.LOOP), domain
            else:
                assert isinstance(found, tuple) and found[0].addresses == (address.removeprefix("::ffff:"),), domain


async def test_an_own_name_outside_ascii_is_recognized_in_a_labels() -> None:
    async with a_name_server() as server:
        server.add("far.example", "MX", "10 mail.xn--strae-oqa.example.")
        server.add("mail.xn--strae-oqa.example", "A", "9.9.9.9")
        clock = HandClock()
        hosts = MailHosts(resolver_of(server, clock), clock, OwnHost(lambda: ("mail.straße.example",)))
        found = await hosts.find("far.example")
    assert isinstance(found, Outcome) and found.reason is Reason.LOOP


async def test_a_listener_at_another_port_is_not_ourselves() -> None:
    clock = HandClock()
    hosts = MailHosts(
        Resolver([("127.0.0.1", 1)], clock), clock, OwnHost(listening=lambda: (("127.0.0.9", 587), ("::", 2525))),
        private=True, port=25,
    )  # fmt: skip
    assert isinstance(await hosts.find("[127.0.0.9]"), tuple)


@pytest.mark.parametrize(
    ("name", "port", "ours"),
    [
        ("127.0.0.1", 2525, True), ("127.0.0.1", 2587, True), ("0.0.0.0", 2587, True), ("::ffff:127.0.0.1", 2525, True),
        ("::1", 2525, True), ("192.168.1.2", 2525, True), ("localhost.example", 2525, True), ("192.168.1.9", 465, True),
        ("127.0.0.1", 1025, False), ("192.168.1.2", 2587, False), ("192.168.1.7", 2525, False), ("192.168.1.9", 587, False),
        ("lan.example", 2525, False),
    ],
)  # fmt: skip
async def test_a_relay_that_is_a_listener_of_ours_defers(name: str, port: int, ours: bool) -> None:
    """Sent there, a message would be refused by this very server and bounce, or go round; a program beside us may be meant."""
    async with a_name_server() as server:
        server.add("localhost.example", "A", "192.168.1.7", "127.0.0.1")
        server.add("lan.example", "A", "192.168.1.7")
        clock = HandClock()
        hosts = MailHosts(
            resolver_of(server, clock), clock,
            OwnHost(addresses=lambda: OWN, listening=lambda: (("::", 2525), ("127.0.0.1", 2587), ("192.168.1.9", 465))), port=25,
        )  # fmt: skip
        found = await hosts.relay(name, port)
    if ours:
        assert isinstance(found, Outcome) and (found.action, found.reason) == (DsnAction.DEFERRED, Reason.NO_ROUTE)
        assert "this server itself" in found.text
    else:
        assert isinstance(found, tuple)


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


SICK = ("SERVFAIL", "NOTIMP", "REFUSED", "FORMERR", "silence", "truncated")


def spoil(server: NameServer, name: str, how: str) -> None:
    if how == "silence":
        server.silent.add(name)
    elif how == "truncated":
        server.truncated.add(name)
        server.no_tcp.add(name)
    else:
        server.fails[name] = dns.rcode.from_text(how)


@pytest.mark.parametrize("how", SICK)
@pytest.mark.parametrize("kind", ["AAAA", "A"])
@pytest.mark.parametrize("validated", [True, False])
async def test_one_query_without_an_answer_leaves_the_other(how: str, kind: str, validated: bool) -> None:
    async with a_name_server() as server:
        filled(server).validated = validated
        spoil(server, f"a.far.example {kind}", how)
        hosts = hosts_of(server)
        for found in (await hosts.find("backup.example"), await hosts.relay("a.far.example", 587)):
            assert isinstance(found, tuple)
            assert found[0].addresses == (("9.9.9.1",) if kind == "AAAA" else ("2620:fe::1",)) and found[0].secure is validated


@pytest.mark.parametrize("how", SICK)
async def test_no_address_and_no_answer_defers(how: str) -> None:
    async with a_name_server() as server:
        spoil(filled(server), "plain.example A", how)
        for found in (await hosts_of(server).find("plain.example"), await hosts_of(server).relay("plain.example", 587)):
            assert isinstance(found, Outcome) and (found.action, found.status) == (DsnAction.DEFERRED, "4.4.3")


async def test_an_insecure_answer_stays_insecure_when_the_other_is_missing() -> None:
    async with a_name_server() as server:
        filled(server).validated = True
        server.unsigned.add("a.far.example")
        spoil(server, "a.far.example AAAA", "SERVFAIL")
        found = await hosts_of(server).find("backup.example")
    assert isinstance(found, tuple) and not found[0].secure


@pytest.mark.parametrize(
    ("unsigned", "secure", "expanded", "alias"),
    [((), True, "real.far.example", False), (("real.far.example",), False, "", True), (("alias.far.example",), False, "", False)],
)
async def test_the_end_of_a_hosts_aliases(unsigned: tuple[str, ...], secure: bool, expanded: str, alias: bool) -> None:
    async with a_name_server() as server:
        server.validated = True
        server.add("byalias.example", "MX", "10 alias.far.example.")
        server.add("alias.far.example", "CNAME", "middle.far.example.")
        server.add("middle.far.example", "CNAME", "real.far.example.")
        server.add("real.far.example", "A", "9.9.9.5")
        server.unsigned.update(unsigned)
        found = await hosts_of(server).find("byalias.example")
    assert isinstance(found, tuple)
    assert (found[0].name, found[0].secure, found[0].expanded, found[0].alias) == ("alias.far.example", secure, expanded, alias)


async def test_secure_only_when_every_answer_is() -> None:
    async with a_name_server() as server:
        filled(server).validated = True
        found = await hosts_of(server).find("far.example")
        assert isinstance(found, tuple) and all(host.secure for host in found)
        server.validated = False
        found = await hosts_of(server).find("far.example")
        assert isinstance(found, tuple) and not any(host.secure for host in found)
