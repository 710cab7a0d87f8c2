"""runtime/supervisor on virtual time: its state table row by row; signals and systemd on real sockets."""

import os
import signal
import socket
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.lowlevel

from appliance.mail.errors import SetupError
from appliance.runtime.notify import Notifier
from appliance.runtime.supervisor import Ending, Supervisor, Task
from appliance.status.board import Board
from appliance.status.events import Event, ServerState, TaskCrashed, TaskRunning
from tests.support.clock import HandClock


class Rig:
    """A supervisor whose parts note what they do."""

    def __init__(self, **more: Any) -> None:
        self.did: list[str] = []
        self.events: list[Event] = []
        self.said: list[str] = []
        self.more: dict[str, Any] = {"jitter": lambda: 0.0, **more}
        self.supervisor: Supervisor

    def part(self, name: str, body: Callable[[], Awaitable[object]] = trio.sleep_forever, **more: Any) -> Task:
        async def run(task_status: "trio.TaskStatus[None]" = trio.TASK_STATUS_IGNORED) -> None:
            self.did.append(f"{name} starts")
            try:
                task_status.started()
                await body()
            finally:
                self.did.append(f"{name} ends")

        return Task(name, run, **more)

    def build(self, *parts: Task) -> Supervisor:
        self.supervisor = Supervisor(parts, board=Board(HandClock(), self.events.append), log=self.said.append, **self.more)
        return self.supervisor

    @property
    def phases(self) -> list[str]:
        return [event.phase for event in self.events if isinstance(event, ServerState)]

    @property
    def crashes(self) -> list[TaskCrashed]:
        return [event for event in self.events if isinstance(event, TaskCrashed)]

    async def run(self, after_s: float = 1.0, then: Callable[[], object] | None = None) -> None:
        """Run the server, stop it after a while."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.run_only)
            await trio.sleep(after_s)
            (then or self.supervisor.stop)()

    async def run_only(self) -> None:
        await self.supervisor.run(signals=False)


async def test_starts_in_order_and_ends_in_reverse(autojump_clock: trio.abc.Clock) -> None:
    rig = Rig()
    rig.build(*(rig.part(name) for name in "abc"))
    await rig.run()
    assert rig.did == ["a starts", "b starts", "c starts", "c ends", "b ends", "a ends"]
    assert rig.phases == ["starting", "ready", "draining"] and not rig.crashes


async def test_the_next_part_waits_until_the_one_before_stands(autojump_clock: trio.abc.Clock) -> None:
    rig = Rig()

    async def slow(task_status: "trio.TaskStatus[None]") -> None:
        await trio.sleep(5)
        rig.did.append("slow stands")
        task_status.started()
        await trio.sleep_forever()

    rig.build(Task("slow", slow), rig.part("b"))
    ready: list[float] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: rig.supervisor.run(signals=False, on_ready=lambda: ready.append(trio.current_time())))
        await trio.sleep(4)
        assert not ready
        await trio.sleep(2)
        assert ready
        rig.supervisor.stop()
    assert rig.did[:2] == ["slow stands", "b starts"]


async def test_a_part_that_never_stands_ends_the_server_with_its_error(autojump_clock: trio.abc.Clock) -> None:
    rig = Rig()

    async def bad(task_status: "trio.TaskStatus[None]") -> None:
        raise SetupError("The port is taken.", "Choose another.")

    rig.build(rig.part("a"), Task("bad", bad), rig.part("never"))
    with pytest.raises(SetupError, match="Choose another"):
        await rig.run_only()
    assert rig.did == ["a starts", "a ends"]
    assert rig.phases == ["starting", "draining"]


async def test_a_crash_is_started_again_with_growing_pauses(autojump_clock: trio.abc.Clock) -> None:
    rig = Rig()
    at: list[float] = []

    async def fall() -> None:
        at.append(trio.current_time())
        await trio.sleep(0.1)
        raise KeyError("lost")

    rig.build(rig.part("steady"), rig.part("weak", fall))
    await rig.run(400)
    pauses = [later - earlier - 0.1 for earlier, later in pairwise(at)]
    assert pauses[:8] == pytest.approx([0.5, 1, 2, 4, 8, 16, 32, 60]) and max(pauses) == pytest.approx(60)
    assert rig.crashes[0] == TaskCrashed("weak", "KeyError: 'lost'", 0.5)
    assert any("in fall" in said for said in rig.said)
    assert rig.did.count("steady starts") == 1
    assert sum(event == TaskRunning("weak") for event in rig.events) == len(at)


async def test_jitter_stretches_a_pause(autojump_clock: trio.abc.Clock) -> None:
    rig = Rig(jitter=lambda: 1.0)

    async def fall() -> None:
        raise KeyError("lost")

    rig.build(rig.part("weak", fall))
    await rig.run(0.1)
    assert rig.crashes[0].restart_in_s == pytest.approx(0.65)


async def test_a_quiet_minute_forgives(autojump_clock: trio.abc.Clock) -> None:
    rig = Rig()
    lives = iter([0.1, 0.1, 0.1, 61.0, 0.1])

    async def fall() -> None:
        await trio.sleep(next(lives, 10_000))
        raise KeyError("lost")

    rig.build(rig.part("weak", fall))
    await rig.run(200)
    assert [crash.restart_in_s for crash in rig.crashes] == [0.5, 1.0, 2.0, 0.5, 1.0]


async def test_returning_is_a_crash_unless_it_is_done_once(autojump_clock: trio.abc.Clock) -> None:
    rig = Rig()

    async def finish() -> None:
        await trio.sleep(1)

    rig.build(rig.part("once", finish, ends=True), rig.part("server", finish))
    await rig.run(5)
    assert rig.did.count("once starts") == 1 and rig.did.count("server starts") > 1
    assert {crash.task for crash in rig.crashes} == {"server"} and rig.crashes[0].fault == "it ended on its own"


async def test_a_start_that_fails_later_is_only_a_crash(autojump_clock: trio.abc.Clock) -> None:
    rig = Rig()
    tries = iter(range(10))

    async def run(task_status: "trio.TaskStatus[None]") -> None:
        number = next(tries)
        if number == 1:
            raise SetupError("The port is taken.", "")
        task_status.started()
        if number == 0:
            raise KeyError("lost")
        await trio.sleep_forever()

    rig.build(Task("listeners", run))
    await rig.run(60)
    assert [crash.fault for crash in rig.crashes] == ["KeyError: 'lost'", "The port is taken."]
    assert rig.phases == ["starting", "ready", "draining"]


async def test_draining_is_asked_waited_for_and_bounded(autojump_clock: trio.abc.Clock) -> None:
    rig = Rig(drain_s=7.0)
    finished = trio.Event()

    async def drain() -> None:
        await trio.sleep(3)
        rig.did.append("drained")
        finished.set()

    async def stuck() -> None:
        await trio.sleep_forever()

    rig.build(rig.part("stuck", drain=stuck), rig.part("server", finished.wait, drain=drain))
    start = trio.current_time()
    await rig.run()
    assert trio.current_time() - start == pytest.approx(1 + 3 + 7)
    assert rig.did[2:] == ["drained", "server ends", "stuck ends"] and not rig.crashes


async def test_a_drain_that_fails_is_a_cancel(autojump_clock: trio.abc.Clock) -> None:
    rig = Rig()

    async def drain() -> None:
        raise KeyError("lost")

    rig.build(rig.part("server", drain=drain))
    await rig.run()
    assert rig.phases[-1] == "draining" and rig.crashes[0].task == "server"


async def test_the_second_stop_is_at_once(autojump_clock: trio.abc.Clock) -> None:
    rig = Rig(drain_s=1000.0)
    rig.build(rig.part("writer"), rig.part("server", drain=trio.sleep_forever))
    start = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(rig.run_only)
        await trio.sleep(1)
        rig.supervisor.stop()
        await trio.sleep(2)
        rig.supervisor.stop()
    assert trio.current_time() - start == pytest.approx(3)
    assert rig.did[2:] == ["server ends", "writer ends"]


async def test_stopping_while_starting_ends_what_stands(autojump_clock: trio.abc.Clock) -> None:
    rig = Rig()

    async def slow(task_status: "trio.TaskStatus[None]") -> None:
        await trio.sleep(1000)
        task_status.started()

    rig.build(rig.part("a"), Task("slow", slow), rig.part("never"))
    start = trio.current_time()
    await rig.run(2)
    assert trio.current_time() - start == pytest.approx(2)
    assert rig.did == ["a starts", "a ends"] and "ready" not in rig.phases


async def test_stopping_while_a_part_waits_for_its_restart(autojump_clock: trio.abc.Clock) -> None:
    rig = Rig(drain_s=1000.0)

    async def fall() -> None:
        raise KeyError("lost")

    rig.build(rig.part("weak", fall, drain=trio.sleep_forever))
    start = trio.current_time()
    await rig.run(40)
    assert trio.current_time() - start == pytest.approx(40)


async def test_a_fault_while_a_part_is_cancelled_stays_inside(autojump_clock: trio.abc.Clock) -> None:
    rig = Rig()

    async def stubborn() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError("in the middle of leaving")

    rig.build(rig.part("a"), rig.part("stubborn", stubborn))
    await rig.run()
    assert rig.phases[-1] == "draining" and rig.did[-1] == "a ends"


# --- systemd and signals ------------------------------------------------------------------------


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> "tuple[socket.socket, str]":
    address = str(tmp_path / "notify") if request.param == "path" else f"@pillarbox-test-{os.getpid()}"
    heard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    heard.bind("\0" + address[1:] if address.startswith("@") else address)
    heard.settimeout(0.2)
    request.addfinalizer(heard.close)
    return heard, address


def words(heard: socket.socket) -> list[str]:
    got = []
    try:
        while True:
            got.append(heard.recv(4096).decode())
    except TimeoutError:
        return got


async def test_systemd_is_reported(manager: "tuple[socket.socket, str]", autojump_clock: trio.abc.Clock) -> None:
    heard, address = manager
    well = True

    async def alive() -> None:
        if not well:
            await trio.sleep_forever()

    notifier = Notifier({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "20000000"})
    rig = Rig(notifier=notifier)
    rig.build(rig.part("writer", alive=alive))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(rig.run_only)
        await trio.sleep(25)
        assert words(heard) == ["READY=1", "WATCHDOG=1", "WATCHDOG=1", "WATCHDOG=1"]
        well = False
        await trio.sleep(100)
        assert words(heard) == []
        well = True
        await trio.sleep(30)
        assert "WATCHDOG=1" in words(heard)
        rig.supervisor.stop()
    assert words(heard)[-1] == "STOPPING=1"


async def test_a_server_that_begins_again_is_no_end_to_systemd_and_a_signal_has_the_last_word(
    manager: "tuple[socket.socket, str]", autojump_clock: trio.abc.Clock
) -> None:
    heard, address = manager
    status = "STATUS=Shut down by an admin request."
    cases = (((Ending.RESTART,), "RELOADING=1"), ((Ending.RESTART, Ending.SIGNAL), "STOPPING=1"), ((Ending.SHUT_DOWN,), status))
    for endings, reported in cases:
        rig = Rig(notifier=Notifier({"NOTIFY_SOCKET": address}))
        rig.build(rig.part("writer"))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(rig.run_only)
            await trio.sleep(1)
            for ending in endings:
                rig.supervisor.stop(ending)
        assert words(heard) == ["READY=1", reported] and rig.supervisor.ending is endings[-1]


async def test_an_answer_that_is_an_error_is_none(manager: "tuple[socket.socket, str]", autojump_clock: trio.abc.Clock) -> None:
    heard, address = manager

    async def alive() -> None:
        raise KeyError("lost")

    rig = Rig(notifier=Notifier({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "20000000"}))
    rig.build(rig.part("writer", alive=alive))
    await rig.run(50)
    assert "WATCHDOG=1" not in words(heard) and any("writer does not answer" in said for said in rig.said)


def test_without_systemd_nothing_happens(tmp_path: Path) -> None:
    Notifier({}).notify("READY=1")
    gone = Notifier({"NOTIFY_SOCKET": str(tmp_path / "nobody"), "WATCHDOG_USEC": "x"})
    gone.notify("READY=1")
    assert (gone.watchdog_s, Notifier({"WATCHDOG_USEC": "5000000"}).watchdog_s) == (0.0, 0.0)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_signals(number: signal.Signals) -> None:
    hung: list[int] = []
    rig = Rig(on_hangup=lambda: hung.append(1))
    rig.build(rig.part("a"), rig.part("server", drain=trio.sleep_forever))
    ready = trio.Event()
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: rig.supervisor.run(on_ready=ready.set))
            await ready.wait()
            os.kill(os.getpid(), signal.SIGHUP)
            while not hung:  # noqa: ASYNC110  (a signal has no event)
                await trio.sleep(0.01)
            assert rig.phases[-1] == "ready"
            os.kill(os.getpid(), number)
            while rig.phases[-1] != "draining":  # noqa: ASYNC110
                await trio.sleep(0.01)
            await trio.sleep(0.05)
            assert "server ends" not in rig.did
            os.kill(os.getpid(), number)
    assert rig.did[2:] == ["server ends", "a ends"]


async def test_a_process_that_stays_feeds_the_watchdog(manager: "tuple[socket.socket, str]", autojump_clock: trio.abc.Clock) -> None:
    heard, address = manager
    with trio.move_on_after(25):
        await Notifier({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "20000000"}).keep_watchdog()
    assert words(heard) == ["WATCHDOG=1"] * 3
    await Notifier({"NOTIFY_SOCKET": address}).keep_watchdog()
    await Notifier({}).keep_watchdog()
