"""Is port 25 open? Knocks at real sockets; when a look is made runs on virtual time."""

import pytest
import trio
from trio.testing import MockClock

from appliance.delivery.line import BLOCKED_S, FAILURES, Line, sentence
from appliance.delivery.mx import MailHost
from appliance.mail.outcome import Fate, Outcome, Reason
from tests.support.clock import HandClock
from tests.support.house import free_ports
from tests.support.peer import SILENT, Peer

SILENCE = Outcome(Fate.DEFERRED, "4.4.3", Reason.DNS, "The name service gave no answer.")


class Hosts:
    def __init__(self, **found: tuple[str, ...]) -> None:
        self._found = found

    async def find(self, domain: str) -> tuple[MailHost, ...] | Outcome:
        addresses = self._found.get(domain.partition(".")[0])
        return (MailHost(f"mx.{domain}", 10, addresses),) if addresses else SILENCE


def a_line(port: int, told: list[str], **found: tuple[str, ...]) -> Line:
    return Line(lambda: Hosts(**found), HandClock(), told.append, ("one.example", "two.example"), port)


async def test_one_that_greets_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.delivery.line.PATIENCE_S", 0.3)
    told: list[str] = []
    with Peer(host="127.0.0.5") as peer:
        line = a_line(peer.port, told, one=("127.0.0.6",), two=("127.0.0.5",))
        assert await line.look() == "open" and told == ["open"]
        assert await line.look() == "open" and told == ["open"], "said once"
    with Peer(host="127.0.0.5", script={"greeting": SILENT}) as peer:
        assert await a_line(peer.port, [], one=("127.0.0.5",)).look() == "blocked"
    assert await a_line(free_ports(1)[0], told, one=("127.0.0.5",), two=("127.0.0.6",)).look() == "blocked" and told[-1] == "blocked"


async def test_silence_of_the_name_service_is_no_answer() -> None:
    assert await a_line(25, []).look() == "unknown"


async def test_when_it_looks(autojump_clock: MockClock) -> None:
    looks: list[float] = []

    class Counted(Line):
        async def look(self) -> str:
            looks.append(trio.current_time())
            self._know("blocked")
            return "blocked"

    told: list[str] = []
    line = Counted(lambda: Hosts(), HandClock(), told.append)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: line.run(at_start=False))
        await trio.sleep(80_000)
        assert not looks, "no reason, no look"
        for _ in range(FAILURES - 1):
            line.met(False)
        line.met(True)
        assert told == ["open"], "a delivery is proof"
        for _ in range(FAILURES):
            line.met(False)
        await trio.sleep(1)
        assert len(looks) == 1 and told == ["open", "blocked"]
        await trio.sleep(BLOCKED_S * 2 + 10)
        assert len(looks) == 3, "a blocked line is looked at again"
        line.met(True)
        assert told[-1] == "open"
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("route", ["direct", "none", "relay provider"])
@pytest.mark.parametrize("port_25", ["open", "blocked", "unknown"])
def test_every_state_has_a_sentence(port_25: str, route: str) -> None:
    text = sentence(port_25, route)
    assert text.endswith(".") and ("provider" in text or "house" in text)
