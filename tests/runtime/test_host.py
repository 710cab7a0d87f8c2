"""runtime/host: facts about the host, from a made-up /proc and /sys."""

import os
from pathlib import Path

from appliance.runtime.host import Host
from tests.support.clock import HandClock


def tree(place: Path) -> tuple[Path, Path]:
    """A root whose device of `place` is a card's partition; the device's own directory."""
    root = place / "root"
    number = place.stat().st_dev
    disk = root / "sys/devices/mmcblk0"
    (disk / "mmcblk0p2").mkdir(parents=True)
    (disk / "device").mkdir()
    (root / "sys/dev/block").mkdir(parents=True)
    (root / "sys/dev/block" / f"{os.major(number)}:{os.minor(number)}").symlink_to(disk / "mmcblk0p2")
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/statm").write_text("9000 1000 500 1 0 700 0\n")
    (root / "sys/class/thermal/thermal_zone0").mkdir(parents=True)
    (root / "sys/class/thermal/thermal_zone0/temp").write_text("48312\n")
    (disk / "mmcblk0p2/stat").write_text("1 2 3 4 5 6 1000 8 9 10 11\n")
    return root, disk


def test_what_the_kernel_reports(tmp_path: Path) -> None:
    root, disk = tree(tmp_path)
    clock = HandClock()
    machine = Host(tmp_path, clock, root=root, addresses=lambda: ["127.0.0.1", "::1", "192.0.2.7"])
    box = machine.look()
    assert box.addresses == ("192.0.2.7",) and box.temperature_c == 48.312
    assert box.memory_octets == 1000 * os.sysconf("SC_PAGE_SIZE") and box.written_octets_today == 0
    (disk / "mmcblk0p2/stat").write_text("1 2 3 4 5 6 1010 8 9 10 11\n")
    assert machine.look().written_octets_today == 5120
    clock.forward(86_400)
    assert machine.look().written_octets_today == 0, "a new day"


def test_an_sd_card_that_reports_its_age(tmp_path: Path) -> None:
    root, disk = tree(tmp_path)
    machine = Host(tmp_path, HandClock(), root=root, addresses=list)
    assert machine.worn_percent() == 0 and machine.look().addresses == ()
    (disk / "device/life_time").write_text("0x03 0x09\n")
    assert machine.worn_percent() == 90


def test_a_machine_that_prints_nothing(tmp_path: Path) -> None:
    box = Host(tmp_path, HandClock(), root=tmp_path / "nothing", addresses=list).look()
    assert box.temperature_c is None and box.memory_octets == 0 and box.written_octets_today == 0


def test_a_supply_that_was_too_weak_is_told_for_an_hour(tmp_path: Path) -> None:
    root, _ = tree(tmp_path)
    for number, name in ((0, "cpu_thermal"), (1, "rpi_volt")):
        place = root / f"sys/class/hwmon/hwmon{number}"
        place.mkdir(parents=True)
        (place / "name").write_text(f"{name}\n")
    alarm, clock = root / "sys/class/hwmon/hwmon1/in0_lcrit_alarm", HandClock()
    machine = Host(tmp_path, clock, root=root, addresses=list)
    assert not machine.look().low_voltage
    alarm.write_text("1\n")
    assert machine.look().low_voltage
    alarm.write_text("0\n")
    clock.forward(3599)
    assert machine.look().low_voltage
    clock.forward(2)
    assert not machine.look().low_voltage


def test_the_rate_of_writing_is_told_after_an_hour(tmp_path: Path) -> None:
    root, disk = tree(tmp_path)
    clock = HandClock()
    machine = Host(tmp_path, clock, root=root, addresses=list)
    (disk / "mmcblk0p2/stat").write_text("1 2 3 4 5 6 3000 8 9 10 11\n")
    clock.forward(3599)
    assert machine.look().written_octets_a_day == 0
    clock.forward(3601)
    assert machine.look().written_octets_a_day == 2000 * 512 * 12
