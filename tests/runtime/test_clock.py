"""runtime/clock: when the wall clock is trusted, and steps published; config/time_zone: zones by name."""

import subprocess
import sys
from pathlib import Path

import pytest
import trio

from appliance.config.time_zone import set_time_zone
from appliance.mail.errors import SetupError
from appliance.runtime.clock import BUILT_AT, LOOK_S, RealClock, watch
from appliance.status.board import Board
from appliance.status.events import ClockState, Event

SET = BUILT_AT + 86400.0


class Time:
    """Both times of a machine, moved by hand."""

    def __init__(self, now_s: float) -> None:
        self.now_s = now_s
        self.mono_s = 10.0

    def wall(self) -> float:
        return self.now_s

    def mono(self) -> float:
        return self.mono_s


def clock_at(root: Path, time: Time) -> RealClock:
    return RealClock(root, time.wall, time.mono)


@pytest.mark.parametrize(
    ("now_s", "keeper", "synchronized", "chip", "trusted"),
    [
        (SET, False, False, None, True),  # a container, or another time keeper
        (SET, True, False, None, False),  # a board without a clock chip before time synchronisation
        (SET, True, True, None, True),
        (SET, True, False, "1", True),
        (SET, True, False, "0", False),
        (100.0, False, False, None, False),  # 1970
        (100.0, True, True, "1", False),
    ],
)
def test_the_signs(tmp_path: Path, now_s: float, keeper: bool, synchronized: bool, chip: str | None, trusted: bool) -> None:
    if keeper:
        (tmp_path / "run/systemd/timesync").mkdir(parents=True)
    if synchronized:
        (tmp_path / "run/systemd/timesync/synchronized").touch()
    if chip is not None:
        (tmp_path / "sys/class/rtc/rtc0").mkdir(parents=True)
        (tmp_path / "sys/class/rtc/rtc0/hctosys").write_text(chip + "\n")
    assert clock_at(tmp_path, Time(now_s)).trusted() is trusted


def test_trust_is_won_later_and_kept(tmp_path: Path) -> None:
    keeper = tmp_path / "run/systemd/timesync"
    keeper.mkdir(parents=True)
    time = Time(SET)
    clock = clock_at(tmp_path, time)
    assert not clock.trusted()
    (keeper / "synchronized").touch()
    assert not clock.trusted()  # the signs were looked at just now
    time.mono_s += LOOK_S
    assert clock.trusted()
    (keeper / "synchronized").unlink()
    time.mono_s += LOOK_S
    assert clock.trusted()
    clock.distrust()
    assert not clock.trusted()


async def test_steps_and_trust_are_announced(tmp_path: Path, autojump_clock: trio.abc.Clock) -> None:
    start = trio.current_time()
    steps = 100.0

    def mono() -> float:
        return trio.current_time() - start

    clock = RealClock(tmp_path, lambda: mono() + steps, mono)
    events: list[Event] = []
    async with trio.open_nursery() as nursery:
        reported: list[float] = []

        async def set_anew() -> None:
            reported.append(clock.wall_s())

        nursery.start_soon(watch, clock, Board(clock, events.append), set_anew)
        await trio.sleep(1)
        assert events == [ClockState(False)] and not reported
        steps = SET
        await trio.sleep(61)
        assert events[1:] == [ClockState(True, pytest.approx(SET - 100))] and len(reported) == 1
        steps += 3600
        await trio.sleep(61)
        assert events[2:] == [ClockState(True, pytest.approx(3600))]
        steps += 1  # slewing
        await trio.sleep(61)
        assert len(events) == 3
        steps = 50.0
        await trio.sleep(61)
        assert events[3:] == [ClockState(False, pytest.approx(50 - SET - 3601))]
        nursery.cancel_scope.cancel()


def test_a_time_zone_by_name(tmp_path: Path) -> None:
    """In a process of its own, since the zone is the whole process's."""
    if not Path("/usr/share/zoneinfo/Asia/Kolkata").exists():
        pytest.skip("no tzdata")
    code = (
        "from appliance.config.time_zone import set_time_zone; from appliance.runtime.clock import RealClock; "
        "set_time_zone('Asia/Kolkata'); print(RealClock().utc_offset_s());"
        "set_time_zone(''); print(RealClock().utc_offset_s())"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split() == ["19800", "19800"]


@pytest.mark.parametrize("name", ["Europe/Nowhere", "../../etc/passwd", "/etc/localtime", "Europe", "x y"])
def test_a_zone_that_is_not_there_is_a_sentence(name: str, tmp_path: Path) -> None:
    (tmp_path / "Europe").mkdir()
    (tmp_path / "UTC").touch()
    with pytest.raises(SetupError, match="no time zone") as reported:
        set_time_zone(name, tmp_path)
    assert "Europe/Berlin" in reported.value.remedy
    (tmp_path / "UTC").unlink()
    with pytest.raises(SetupError) as reported:
        set_time_zone(name, tmp_path)
    assert "tzdata" in reported.value.remedy
