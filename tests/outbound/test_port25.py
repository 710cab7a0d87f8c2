"""Is port 25 open? Knocks at real sockets; when a look is made runs on virtual time."""

import pytest
import trio
from trio.testing import MockClock

from appliance.mail.outcome import DeliveryStatus, Outcome, Reason
from appliance.network import resolver
from appliance.network.resolver import Resolver
from appliance.outbound import port25 as module
from appliance.outbound.mx import MailHost, MailHosts
from appliance.outbound.port25 import BLOCKED_S, DAY_S, FAILURES, SOON_S, Port25Monitor, sentence
from tests.support.clock import HandClock
from tests.support.names import NameServer, a_name_server
from tests.support.peer import DROP, SILENT, Peer
from tests.support.server import free_ports

SILENCE = Outcome(DeliveryStatus.DEFERRED, "4.4.3", Reason.DNS, "The name service gave no answer.")
NOBODY = Outcome(DeliveryStatus.FAILED, "5.1.2", Reason.NO_DOMAIN, "There is no such domain.")


class Hosts:
    """`fresh` is the answer about names nobody asked for before."""

    def __init__(self, fresh: Outcome = NOBODY, **found: tuple[str, ...]) -> None:
        self._fresh = fresh
        self._found = found

    async def find(self, domain: str) -> tuple[MailHost, ...] | Outcome:
        if domain.count(".") > 1:
            return self._fresh
        addresses = self._found.get(domain.partition(".")[0])
        return (MailHost(f"mx.{domain}", 10, addresses),) if addresses else SILENCE


def a_line(port: int, told: list[str], fresh: Outcome = NOBODY, **found: tuple[str, ...]) -> Port25Monitor:
    return Port25Monitor(lambda: Hosts(fresh, **found), HandClock(), told.append, ("one.example", "two.example"), port)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE_S", 0.3)


async def test_one_that_greets_is_enough() -> None:
    told: list[str] = []
    with Peer(host="127.0.0.5") as peer:
        line = a_line(peer.port, told, one=("127.0.0.6",), two=("127.0.0.5",))
        assert await line.look() == "open" and told == ["open"]
        assert await line.look() == "open" and told == ["open"], "said once"
    assert peer.said in ([], ["QUIT"], ["QUIT", "QUIT"])


@pytest.mark.parametrize(
    ("greeting", "port_25"),
    [
        ("220 mx.far.example", "open"), ("220-mx.far.example\r\n220 hello", "open"), ("554 5.7.1 not from your line", "open"),
        ("421 too many", "open"), ("220", "open"),
        (SILENT, "blocked"), (DROP, "blocked"), ("HTTP/1.1 400 Bad Request", "blocked"), ("\x00\x01\x02\x03", "blocked"),
    ],
)  # fmt: skip
async def test_what_counts_as_an_answer(greeting: str, port_25: str) -> None:
    with Peer(host="127.0.0.5", script={"greeting": greeting}) as peer:
        assert await a_line(peer.port, [], one=("127.0.0.5",)).look() == port_25


async def test_the_second_address_is_tried_and_ipv4_first() -> None:
    with Peer(host="127.0.0.5") as peer:
        assert await a_line(peer.port, [], one=("2001:db8::5", "::1", "127.0.0.6", "127.0.0.5")).look() == "open"


async def test_refused_while_the_name_service_answers_is_blocked() -> None:
    told: list[str] = []
    assert await a_line(free_ports(1)[0], told, one=("127.0.0.5",), two=("127.0.0.6",)).look() == "blocked" and told == ["blocked"]


async def test_silence_of_the_name_service_is_no_answer() -> None:
    assert await a_line(25, []).look() == "unknown"


async def test_a_name_service_that_only_remembers_is_no_network() -> None:
    told: list[str] = []
    line = a_line(free_ports(1)[0], told, SILENCE, one=("127.0.0.5",), two=("127.0.0.6",))
    assert await line.look() == "unknown" and not told


async def test_a_machine_without_network_is_not_blocked() -> None:
    nowhere = "255.255.255.255"  # connecting there is ENETUNREACH on every Linux
    assert await a_line(25, [], one=(nowhere,)).look() == "unknown"
    assert await a_line(free_ports(1)[0], [], one=(nowhere,), two=("127.0.0.5",)).look() == "blocked", "one that could be tried is enough"


def a_zone(server: NameServer) -> None:
    server.add("one.example", "MX", "10 mx.one.example.")
    server.add("mx.one.example", "A", "127.0.0.5")


async def test_with_a_real_name_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolver, "PATIENCE_S", (0.2, 0.2))
    async with a_name_server() as server:
        a_zone(server)
        clock = HandClock()
        names = Resolver([("127.0.0.1", server.port)], clock)
        hosts = MailHosts(names, clock, own_names=tuple, own_addresses=tuple, private=True)
        line = Port25Monitor(lambda: hosts, clock, lambda port_25: None, ("one.example",), free_ports(1)[0])
        assert await line.look() == "blocked"
        fresh = [name for name in server.asked if name.endswith(".one.example MX") and name[0] in "0123456789abcdef"]
        assert len(fresh) == 1, "asked for once, and by nobody before"
        with Peer(host="127.0.0.5", port=line.port):
            assert await line.look() == "open"
        server.answer = lambda octets, tcp: None  # type: ignore[method-assign, assignment]
        assert await line.look() == "unknown", "one.example is still kept, but the line is down"


class TrioClock(HandClock):
    def mono_s(self) -> float:
        return trio.current_time()


class Counted(Port25Monitor):
    """Finds what the test says, and when."""

    __slots__ = ("finds", "looks")

    async def look(self) -> str:
        self.looks.append(trio.current_time())
        self._know(self.finds)
        return self.finds


def counted(told: list[str], finds: str) -> Counted:
    line = Counted(lambda: Hosts(), TrioClock(), told.append)
    line.finds, line.looks = finds, []
    return line


async def test_when_it_looks_where_nothing_stands_on_port_25(autojump_clock: MockClock) -> None:
    told: list[str] = []
    line = counted(told, "blocked")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: line.run(at_start=False))
        await trio.sleep(DAY_S * 10)
        assert not line.looks, "no reason, no look"
        for _ in range(FAILURES - 1):
            line.met(False)
        line.met(True)
        assert told == ["open"], "a delivery is proof"
        for _ in range(FAILURES):
            line.met(False)
        await trio.sleep(1)
        assert len(line.looks) == 1 and told == ["open", "blocked"]
        await trio.sleep(BLOCKED_S * 2 + 10)
        assert len(line.looks) == 3, "a blocked line is looked at again"
        line.met(True)
        assert told[-1] == "open"
        await trio.sleep(DAY_S * 3)
        assert len(line.looks) == 3, "and is left alone when it let one out"
        nursery.cancel_scope.cancel()


async def test_when_it_looks_in_a_server_that_stands_there(autojump_clock: MockClock) -> None:
    line = counted([], "unknown")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: line.run(at_start=True))
        await trio.sleep(1)
        assert line.looks == [0], "at the start"
        await trio.sleep(SOON_S)
        assert line.looks == [0, SOON_S], "soon, when there was no network"
        line.finds = "open"
        await trio.sleep(SOON_S)
        assert line.looks[2:] == [2 * SOON_S]
        await trio.sleep(DAY_S / 2)
        line.met(True)
        await trio.sleep(DAY_S - 10)
        assert len(line.looks) == 3, "a delivery a day is as good as a look"
        await trio.sleep(20)
        assert len(line.looks) == 4, "once a day"
        nursery.cancel_scope.cancel()


SENTENCES = (
    ("open", "direct", "Messages leave straight to other servers; port 25 is open."),
    ("unknown", "direct", "Messages leave straight; whether port 25 is open shows with the first."),
    ("blocked", "direct",
     "Your line's provider blocks outgoing mail (port 25), and no relay takes it instead: ask the provider to open the port."),
    ("open", "none", "No way leads out of this server: the settings forbid the direct one and name no relay."),
    ("unknown", "none", "No way leads out of this server: the settings forbid the direct one and name no relay."),
    ("blocked", "none",
     "Your line's provider blocks outgoing mail (port 25), and no relay takes it instead: ask the provider to open the port."),
    ("open", "relay post", "Messages leave by the relay post."),
    ("unknown", "relay post", "Messages leave by the relay post."),
    ("blocked", "relay post", "Messages leave by the relay post; the line itself lets none out (port 25 is blocked)."),
)  # fmt: skip


@pytest.mark.parametrize(("port_25", "route", "text"), SENTENCES)
def test_every_state_has_a_sentence(port_25: str, route: str, text: str) -> None:
    assert sentence(port_25, route) == text
