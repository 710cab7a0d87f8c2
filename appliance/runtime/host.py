"""Facts about the host for the status board: name, addresses, memory, temperature, octets written to storage today, its wear.

All of it is read from /proc and /sys, which writes nothing. What a machine does not report is 0, or None where 0 is a value.
"""

import fcntl
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from appliance.mail.clock import Clock
from appliance.status.events import HostState

DAY_S = 86_400
RATE_AFTER_S = 3600.0
"""A start writes more than an hour of rest: before, no rate is told."""
LOW_VOLTAGE_S = 3600.0
"""How long a drop of the voltage is told."""
SECTOR_OCTETS = 512
PAGE_OCTETS = os.sysconf("SC_PAGE_SIZE")


def host_addresses() -> list[str]:
    """Addresses of this machine's interfaces; [] where they cannot be read."""
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        for name in _interfaces():
            try:
                answer = fcntl.ioctl(asking, 0x8915, name.encode()[:15].ljust(256, b"\0"))  # SIOCGIFADDR
                found.append(socket.inet_ntoa(answer[20:24]))
            except OSError:
                continue
    try:
        rows = Path("/proc/net/if_inet6").read_text().splitlines()
    except OSError:
        rows = []
    for row in rows:
        address = socket.inet_ntop(socket.AF_INET6, bytes.fromhex(row[:32]))
        if not address.startswith("fe80:"):  # needs a zone, which no certificate can name
            found.append(address)
    return found


def _interfaces() -> list[str]:
    """Names of the interfaces, from /sys: if_nameindex(3) needs a netlink socket, which the service's unit does not allow."""
    try:
        return sorted(one.name for one in Path("/sys/class/net").iterdir())
    except OSError:
        return []


class Host:
    """`root` is where /proc and /sys are; octets written are counted from now on."""

    def __init__(self, data: Path, clock: Clock, *, root: Path = Path("/"), addresses: Callable[[], list[str]] = host_addresses) -> None:
        self._clock = clock
        self._root = root
        self._addresses = addresses
        number = data.stat().st_dev
        self._device = root / "sys/dev/block" / f"{os.major(number)}:{os.minor(number)}"
        self._day = -1
        self._written_before = self._written_at_start = self._written()
        self._started_mono = clock.mono_s()
        self._low_voltage_mono = float("-inf")

    def look(self) -> HostState:
        """As it is now."""
        addresses = tuple(address for address in self._addresses() if not address.startswith("127.") and address != "::1")
        return HostState(
            socket.gethostname(), addresses, self._memory(), self._temperature(), self._today(), self._a_day(), self._low_voltage()
        )

    def worn_percent(self) -> int:
        """How much of its life the storage reports as used up (eMMC, JESD84-B51 §7.4: steps of ten); 0 where it does not."""
        for place in (self._device, self._device.resolve().parent):
            try:
                return max(10 * int(word, 16) for word in (place / "device/life_time").read_text().split())
            except (OSError, ValueError):
                continue
        return 0

    def _today(self) -> int:
        """Octets written since midnight (UTC), or since the server started when that was later."""
        written, day = self._written(), int(self._clock.wall_s()) // DAY_S
        if day != self._day:
            if self._day >= 0:
                self._written_before = written
            self._day = day
        return max(0, written - self._written_before)

    def _a_day(self) -> int:
        """Octets written in a day, as the mean since the server started; 0 until that means anything."""
        seconds = self._clock.mono_s() - self._started_mono
        return int((self._written() - self._written_at_start) * DAY_S / seconds) if seconds >= RATE_AFTER_S else 0

    def _low_voltage(self) -> bool:
        """Whether the Raspberry Pi's supply was too weak lately (the kernel's driver raspberrypi-hwmon)."""
        now = self._clock.mono_s()
        for place in (self._root / "sys/class/hwmon").glob("hwmon*"):
            with suppress(OSError):
                if (place / "name").read_text() == "rpi_volt\n" and (place / "in0_lcrit_alarm").read_text() == "1\n":
                    self._low_voltage_mono = now
        return now - self._low_voltage_mono < LOW_VOLTAGE_S

    def _written(self) -> int:
        """Octets ever written to the storage device, by any process; where the device is hidden, by this one."""
        try:
            return int((self._device / "stat").read_text().split()[6]) * SECTOR_OCTETS
        except (OSError, ValueError, IndexError):
            pass
        for row in self._lines("proc/self/io"):
            name, _, value = row.partition(":")
            if name == "write_bytes":
                return int(value)
        return 0

    def _memory(self) -> int:
        rows = self._lines("proc/self/statm")
        return int(rows[0].split()[1]) * PAGE_OCTETS if rows else 0

    def _temperature(self) -> float | None:
        rows = self._lines("sys/class/thermal/thermal_zone0/temp")
        try:
            return int(rows[0]) / 1000 if rows else None
        except ValueError:
            return None

    def _lines(self, name: str) -> list[str]:
        try:
            return (self._root / name).read_text().splitlines()
        except OSError:
            return []
