"""Is port 25 open? Probes over real sockets; the schedule of probes on virtual time."""

import pytest
import trio
from trio.testing import MockClock

from appliance.mail.outcome import DsnAction, Outcome, Reason
from appliance.outbound.mx import MailHost, MailHosts, OwnHost
from appliance.outbound.port25 import BLOCKED_S, DAY_S, FAILURES, SOON_S, Port25Monitor, describe
from tests.support.clock import HandClock
from tests.support.names import NameServer, a_name_server, resolver_of
from tests.support.peer import DROP, SILENT, Peer
from tests.support.server import free_ports

SILENCE = Outcome(DsnAction.DEFERRED, "4.4.3", Reason.DNS, "The name service gave no answer.")
NOBODY = Outcome(DsnAction.FAILED, "5.1.2", Reason.NO_DOMAIN, "There is no such domain.")


class Hosts:
    """`fresh` is the answer about random names."""

    def __init__(self, fresh: Outcome = NOBODY, **found: tuple[str, ...]) -> None:
        self._fresh = fresh
        self._found = found

    async def find(self, domain: str) -> tuple[MailHost, ...] | Outcome:
        if domain.count(".") > 1:
            return self._fresh
        addresses = self._found.get(domain.partition(".")[0])
        return (MailHost(f"mx.{domain}", 10, addresses),) if addresses else SILENCE


def make_monitor(port: int, changes: list[str], fresh: Outcome = NOBODY, **found: tuple[str, ...]) -> Port25Monitor:
    return Port25Monitor(lambda: Hosts(fresh, **found), HandClock(), changes.append, ("one.example", "two.example"), port, patience_s=0.3)


async def test_one_greeting_is_enough() -> None:
    changes: list[str] = []
    with Peer(host="127.0.0.5") as peer:
        monitor = make_monitor(peer.port, changes, one=("127.0.0.6",), two=("127.0.0.5",))
        assert await monitor.probe() == "open" and changes == ["open"]
        assert await monitor.probe() == "open" and changes == ["open"], "reported once"
    assert peer.commands in ([], ["QUIT"], ["QUIT", "QUIT"])


@pytest.mark.parametrize(
    ("greeting", "port_25"),
    [
        ("220 mx.far.example", "open"), ("220-mx.far.example\r\n220 hello", "open"), ("554 5.7.1 not from your address", "open"),
        ("421 too many", "open"), ("220", "open"),
        (SILENT, "blocked"), (DROP, "blocked"), ("HTTP/1.1 400 Bad Request", "blocked"), ("\x00\x01\x02\x03", "blocked"),
    ],
)  # fmt: skip
async def test_what_counts_as_an_answer(greeting: str, port_25: str) -> None:
    with Peer(host="127.0.0.5", script={"greeting": greeting}) as peer:
        assert await make_monitor(peer.port, [], one=("127.0.0.5",)).probe() == port_25


async def test_the_second_address_is_tried_and_ipv4_first() -> None:
    with Peer(host="127.0.0.5") as peer:
        assert await make_monitor(peer.port, [], one=("2001:db8::5", "::1", "127.0.0.6", "127.0.0.5")).probe() == "open"


async def test_refused_while_dns_answers_is_blocked() -> None:
    changes: list[str] = []
    assert await make_monitor(free_ports(1)[0], changes, one=("127.0.0.5",), two=("127.0.0.6",)).probe() == "blocked" and changes == [
        "blocked"
    ]


async def test_silent_dns_is_unknown() -> None:
    assert await make_monitor(25, []).probe() == "unknown"


async def test_dns_that_answers_from_its_cache_only_is_no_network() -> None:
    changes: list[str] = []
    monitor = make_monitor(free_ports(1)[0], changes, SILENCE, one=("127.0.0.5",), two=("127.0.0.6",))
    assert await monitor.probe() == "unknown" and not changes


async def test_a_machine_without_network_is_not_blocked() -> None:
    nowhere = "255.255.255.255"  # connecting there is ENETUNREACH on every Linux
    assert await make_monitor(25, [], one=(nowhere,)).probe() == "unknown"
    assert await make_monitor(free_ports(1)[0], [], one=(nowhere,), two=("127.0.0.5",)).probe() == "blocked", (
        "one that could be tried is enough"
    )


def a_zone(server: NameServer) -> None:
    server.add("one.example", "MX", "10 mx.one.example.")
    server.add("mx.one.example", "A", "127.0.0.5")


async def test_with_a_real_name_server() -> None:
    async with a_name_server() as server:
        a_zone(server)
        clock = HandClock()
        names = resolver_of(server, clock)
        hosts = MailHosts(names, clock, OwnHost(), private=True)
        monitor = Port25Monitor(lambda: hosts, clock, lambda port_25: None, ("one.example",), free_ports(1)[0], patience_s=0.3)
        assert await monitor.probe() == "blocked"
        fresh = [name for name in server.asked if name.endswith(".one.example MX") and name[0] in "0123456789abcdef"]
        assert len(fresh) == 1, "one random name"
        with Peer(host="127.0.0.5", port=monitor.port):
            assert await monitor.probe() == "open"
        server.answer = lambda octets, tcp: None  # type: ignore[method-assign, assignment]
        assert await monitor.probe() == "unknown", "one.example is still cached, but the network is down"


class TrioClock(HandClock):
    def mono_s(self) -> float:
        return trio.current_time()


class Counted(Port25Monitor):
    """Probes with a result the test sets, and keeps when."""

    __slots__ = ("probed_at", "result")

    async def probe(self) -> str:
        self.probed_at.append(trio.current_time())
        self._update(self.result)
        return self.result


def counted(changes: list[str], result: str) -> Counted:
    monitor = Counted(lambda: Hosts(), TrioClock(), changes.append)
    monitor.result, monitor.probed_at = result, []
    return monitor


async def test_when_a_server_without_port_25_probes(autojump_clock: MockClock) -> None:
    changes: list[str] = []
    monitor = counted(changes, "blocked")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: monitor.run(at_start=False))
        await trio.sleep(DAY_S * 10)
        assert not monitor.probed_at, "no reason, no probe"
        for _ in range(FAILURES - 1):
            monitor.record_attempt(False)
        monitor.record_attempt(True)
        assert changes == ["open"], "a delivery proves it"
        for _ in range(FAILURES):
            monitor.record_attempt(False)
        await trio.sleep(1)
        assert len(monitor.probed_at) == 1 and changes == ["open", "blocked"]
        await trio.sleep(BLOCKED_S * 2 + 10)
        assert len(monitor.probed_at) == 3, "a blocked port is probed again"
        monitor.record_attempt(True)
        assert changes[-1] == "open"
        await trio.sleep(DAY_S * 3)
        assert len(monitor.probed_at) == 3, "and not once a delivery reached a server"
        nursery.cancel_scope.cancel()


async def test_when_a_server_on_port_25_probes(autojump_clock: MockClock) -> None:
    monitor = counted([], "unknown")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: monitor.run(at_start=True))
        await trio.sleep(1)
        assert monitor.probed_at == [0], "at the start"
        await trio.sleep(SOON_S)
        assert monitor.probed_at == [0, SOON_S], "soon, when there was no network"
        monitor.result = "open"
        await trio.sleep(SOON_S)
        assert monitor.probed_at[2:] == [2 * SOON_S]
        await trio.sleep(DAY_S / 2)
        monitor.record_attempt(True)
        await trio.sleep(DAY_S - 10)
        assert len(monitor.probed_at) == 3, "a delivery counts as a probe"
        await trio.sleep(20)
        assert len(monitor.probed_at) == 4, "once a day"
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("port_25", ["open", "blocked", "unknown"])
@pytest.mark.parametrize("route", ["direct", "none", "relay post"])
def test_every_state_is_described(port_25: str, route: str) -> None:
    text = describe(port_25, route)
    assert text.endswith(".") and ("relay post" in text) == (route == "relay post")
    assert port_25 != "blocked" or ("port 25" in text and "internet provider" in text)
