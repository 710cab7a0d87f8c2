"""The button's state table, row by row, and the task that waits for it."""

import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock

from appliance.panel.button import EDGES, Actions, ButtonStates, run
from appliance.panel.gpio import POLL_S, PinButton

from .pins import virtual_pins

PRESS, RELEASE, TIME = True, False, None


def played(pressed: bool, *events: tuple[bool | None, float]) -> tuple[str, list[tuple[str, float]]]:
    """The state after these events, and each action with its instant."""
    states = ButtonStates(pressed=pressed, mono=0.0)
    actions: list[tuple[str, float]] = []
    for event, mono in events:
        found = states.time(mono) if event is None else states.edge(event, mono)
        actions += [(action, mono) for action in found]
    return states.state, actions


@pytest.mark.parametrize(
    ("pressed", "events", "state", "actions"),
    [
        (False, [], "up", []),
        (False, [(PRESS, 1), (TIME, 1.03)], "down", []),
        (False, [(PRESS, 1), (TIME, 1.03), (RELEASE, 1.5), (TIME, 1.53)], "up", [("try_now", 1.53)]),
        (False, [(PRESS, 1), (TIME, 1.03), (TIME, 4)], "held", [("shut_down", 4)]),
        (False, [(PRESS, 1), (TIME, 1.03), (TIME, 4), (TIME, 60), (RELEASE, 61), (TIME, 61.03)], "up", [("shut_down", 4)]),
        (False, [(PRESS, 1), (TIME, 1.03), (RELEASE, 3.99), (TIME, 4.05)], "up", [("try_now", 4.05)]),
        (False, [(PRESS, 1), (TIME, 9)], "held", [("shut_down", 9)]),
        (True, [], "power-on", []),
        (True, [(TIME, 5), (RELEASE, 5.1), (TIME, 5.2)], "up", []),
        (True, [(TIME, 10)], "held", [("password", 10)]),
        (True, [(TIME, 10), (TIME, 50), (RELEASE, 60), (TIME, 61)], "up", [("password", 10)]),
        (True, [(RELEASE, 1), (TIME, 2), (PRESS, 3), (TIME, 3.1), (RELEASE, 3.5), (TIME, 4)], "up", [("try_now", 4)]),
        # bounces
        (False, [(PRESS, 1), (RELEASE, 1.01), (TIME, 1.05)], "up", []),
        (False, [(PRESS, 1), (RELEASE, 1.002), (PRESS, 1.004), (TIME, 1.034), (TIME, 1.2)], "down", []),
        (
            False,
            [(PRESS, 1), (TIME, 1.03), (RELEASE, 2), (PRESS, 2.005), (RELEASE, 2.01), (TIME, 2.04)],
            "up",
            [("try_now", 2.04)],
        ),
        (False, [(PRESS, 1), (TIME, 1.03), (RELEASE, 2), (PRESS, 2.01), (TIME, 4)], "held", [("shut_down", 4)]),
        (True, [(RELEASE, 4), (PRESS, 4.01), (TIME, 10)], "held", [("password", 10)]),
        # reported late, and reported twice
        (False, [(PRESS, 1), (RELEASE, 1.5), (TIME, 60)], "up", [("try_now", 60)]),
        (False, [(PRESS, 1), (PRESS, 1.01), (RELEASE, 1.5), (RELEASE, 1.52), (TIME, 1.53)], "up", [("try_now", 1.53)]),
        (False, [(RELEASE, 1), (TIME, 5)], "up", []),
    ],
)
def test_the_table(pressed: bool, events: list[Any], state: str, actions: list[tuple[str, float]]) -> None:
    assert played(pressed, *events) == (state, actions)


def test_when_to_be_woken() -> None:
    states = ButtonStates(pressed=False, mono=0.0)
    assert states.wait_until is None
    states.edge(True, 1.0)
    assert states.wait_until == pytest.approx(1.03)
    states.time(1.03)
    assert states.wait_until == pytest.approx(4.0)
    states.time(4.0)
    assert states.wait_until is None
    assert ButtonStates(pressed=True, mono=5.0).wait_until == 15.0


@given(st.booleans(), st.lists(st.tuples(st.sampled_from([PRESS, RELEASE, TIME]), st.floats(0, 4)), max_size=60))
def test_noise_never_does_more_than_one_thing_a_press(pressed: bool, noise: list[tuple[bool | None, float]]) -> None:
    mono, events = 0.0, []
    for event, later in noise:
        mono += later
        events.append((event, mono))
    state, actions = played(pressed, *events)
    assert state in ("up", "down", "held", "power-on")
    presses = pressed + sum(event is PRESS for event, _ in events)
    assert len(actions) <= presses
    assert sum(name == "password" for name, _ in actions) <= pressed


class TrioTime:
    def mono_s(self) -> float:
        return trio.current_time()


class Server:
    def __init__(self) -> None:
        self.done: list[tuple[str, float]] = []
        self.said: list[str] = []
        self.fault: Exception | None = None

    def actions(self) -> Actions:
        def make(name: str) -> Callable[[], Any]:
            async def act() -> None:
                self.done.append((name, round(trio.current_time(), 2)))
                if self.fault:
                    raise self.fault

            return act

        return Actions(make("try_now"), make("shut_down"), make("password"))


def hearing(port: Any, server: Server) -> Any:
    return partial(run, port, server.actions(), clock=TrioTime(), log=server.said.append)


@pytest.mark.parametrize("poll_s", [0.0, POLL_S])
async def test_at_a_mock_pin(poll_s: float, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
    factory, server = virtual_pins(monkeypatch, pwm=False), Server()
    pin = factory.pin(17)
    port = PinButton(17, factory=factory)
    port.poll_s = poll_s  # as at lgpio's pins, which are looked at
    async with trio.open_nursery() as nursery:
        await nursery.start(
            lambda task_status: run(port, server.actions(), clock=TrioTime(), log=server.said.append, task_status=task_status)
        )
        for wait, level in (
            (1, "low"),
            (0.004, "high"),
            (0.003, "low"),
            (0.5, "high"),
            (0.002, "low"),
            (0.002, "high"),
            (1, "low"),
            (4, "high"),
        ):
            await trio.sleep(wait)
            pin.drive_low() if level == "low" else pin.drive_high()
        await trio.sleep(1)
        nursery.cancel_scope.cancel()
    assert [name for name, _ in server.done] == ["try_now", "shut_down"]
    assert [at for _, at in server.done] == pytest.approx([1.54, 5.51], abs=2 * poll_s + 0.001)
    assert port._input.closed


async def test_held_while_the_server_starts(autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch) -> None:
    factory, server = virtual_pins(monkeypatch, pwm=False), Server()
    port = PinButton(17, factory=factory)
    factory.pin(17).drive_low()
    async with trio.open_nursery() as nursery:
        await nursery.start(
            lambda task_status: run(port, server.actions(), clock=TrioTime(), log=server.said.append, task_status=task_status)
        )
        await trio.sleep(60)
        nursery.cancel_scope.cancel()
    assert server.done == [("password", 10.0)]


class Wire:
    """A port whose edges the test sends, from any thread."""

    poll_s = 0.0

    def __init__(self) -> None:
        self.closed = False

    def pressed(self) -> bool:
        return False

    def listen(self, edge: Callable[[bool], None]) -> None:
        self.edge = edge

    def close(self) -> None:
        self.closed = True


async def test_an_action_that_fails_is_logged_and_the_next_press_works(autojump_clock: MockClock) -> None:
    wire, server = Wire(), Server()
    server.fault = OSError("the queue is asleep.")
    async with trio.open_nursery() as nursery:
        await nursery.start(
            lambda task_status: run(wire, server.actions(), clock=TrioTime(), log=server.said.append, task_status=task_status)
        )
        for _ in range(2):
            wire.edge(True)
            await trio.sleep(0.2)
            wire.edge(False)
            await trio.sleep(0.2)
        nursery.cancel_scope.cancel()
    assert [name for name, _ in server.done] == ["try_now", "try_now"]
    assert server.said == ["The action of the button failed: the queue is asleep."] * 2
    assert wire.closed


class Finger(Wire):
    """A port whose level is what the test says; `lost` edges are not reported."""

    def __init__(self, poll_s: float) -> None:
        super().__init__()
        self.poll_s = poll_s
        self.level = False

    def pressed(self) -> bool:
        return self.level

    def listen(self, edge: Callable[[bool], None]) -> None:
        self.edge = edge

    def to(self, level: bool, *, lost: bool = False) -> None:
        self.level = level
        if not self.poll_s and not lost:
            self.edge(level)


def stall(autojump_clock: MockClock, seconds: float) -> None:
    """The loop does something else for so long."""
    autojump_clock.jump(seconds)


@pytest.mark.parametrize("poll_s", [0.0, POLL_S])
@pytest.mark.parametrize("seen_first", [True, False])
@pytest.mark.parametrize("lost", [True, False])
@pytest.mark.parametrize("stalled_s", [0.0, 3.1, 60.0])
async def test_a_tap_stops_nothing_whatever_the_loop_does(
    poll_s: float, seen_first: bool, lost: bool, stalled_s: float, autojump_clock: MockClock
) -> None:
    port, server = Finger(poll_s), Server()
    async with trio.open_nursery() as nursery:
        await nursery.start(hearing(port, server))
        await trio.sleep(5)
        port.to(True)
        if seen_first:
            await trio.sleep(0.15)
        stall(autojump_clock, stalled_s)
        port.to(False, lost=lost)
        await trio.sleep(20)
        nursery.cancel_scope.cancel()
    assert all(name == "try_now" for name, _ in server.done) and len(server.done) <= 1
    assert server.done or not seen_first


@pytest.mark.parametrize("poll_s", [0.0, POLL_S])
async def test_a_hold_with_a_gap_restarts_and_still_stops(poll_s: float, autojump_clock: MockClock) -> None:
    port, server = Finger(poll_s), Server()
    async with trio.open_nursery() as nursery:
        await nursery.start(hearing(port, server))
        port.to(True)
        await trio.sleep(1)
        stall(autojump_clock, 2.5)
        await trio.sleep(2.5)
        assert not server.done
        await trio.sleep(1)
        assert [name for name, _ in server.done] == ["shut_down"]
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("poll_s", [0.0, POLL_S])
async def test_a_release_in_the_middle_of_a_hold_is_seen_without_its_edge(poll_s: float, autojump_clock: MockClock) -> None:
    port, server = Finger(poll_s), Server()
    async with trio.open_nursery() as nursery:
        await nursery.start(hearing(port, server))
        port.to(True)
        await trio.sleep(1.5)
        port.to(False, lost=True)
        await trio.sleep(1.0)
        port.to(True, lost=True)  # down again when the hold would have ended
        await trio.sleep(1.0)
        nursery.cancel_scope.cancel()
    assert [name for name, _ in server.done] == ["try_now"]


@pytest.mark.parametrize("poll_s", [0.0, POLL_S])
async def test_power_on_is_no_hold_while_the_level_is_not_read(poll_s: float, autojump_clock: MockClock) -> None:
    port, server = Finger(poll_s), Server()
    port.level = True
    async with trio.open_nursery() as nursery:
        await nursery.start(hearing(port, server))
        await trio.sleep(1)
        stall(autojump_clock, 12)
        port.to(False, lost=True)
        await trio.sleep(20)
        nursery.cancel_scope.cancel()
    assert not server.done


async def test_a_noisy_wire_is_bounded_and_its_last_edge_counts(autojump_clock: MockClock) -> None:
    wire, server = Wire(), Server()
    async with trio.open_nursery() as nursery:
        await nursery.start(
            lambda task_status: run(wire, server.actions(), clock=TrioTime(), log=server.said.append, task_status=task_status)
        )
        for n in range(100 * EDGES + 1):
            wire.edge(n % 2 == 0)
        await trio.sleep(1)
        wire.edge(False)
        await trio.sleep(1)
        nursery.cancel_scope.cancel()
    assert [name for name, _ in server.done] == ["try_now"]


async def test_edges_come_from_a_thread_and_after_the_end_do_nothing() -> None:
    wire, done = Wire(), trio.Event()

    async def act() -> None:
        done.set()

    class Still:
        mono = 0.0

        def mono_s(self) -> float:
            self.mono += 0.02  # each look is a little later
            return self.mono

    def other_thread() -> None:
        for pressed in (True, True, True, False, False, False):
            wire.edge(pressed)

    async with trio.open_nursery() as nursery:
        await nursery.start(lambda task_status: run(wire, Actions(act, act, act), clock=Still(), log=print, task_status=task_status))
        thread = threading.Thread(target=other_thread)
        thread.start()
        with trio.fail_after(5):
            await done.wait()
        nursery.cancel_scope.cancel()
    thread.join()
    wire.edge(True)
    assert wire.closed
