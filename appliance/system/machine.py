"""The box itself, for the console and the conditions: name, addresses, memory, temperature, what was written to the card today.

All of it is read from /proc and /sys, which costs no write. What a machine does not tell is left at its default.
"""

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from appliance.mail.clock import Clock

from .certificates import box_addresses

FRESH_S = 5.0
"""The figures are read again after so long."""
DAY_S = 86_400
SECTOR_OCTETS = 512
PAGE_OCTETS = os.sysconf("SC_PAGE_SIZE")


class Machine:
    """`facts` as the console's Machine has them; `root` is where /proc and /sys are."""

    def __init__(
        self, data: Path, clock: Clock, *, root: Path = Path("/"), addresses: Callable[[], list[str]] = box_addresses
    ) -> None:
        self._clock = clock
        self._root = root
        self._addresses = addresses
        number = data.stat().st_dev
        self._device = root / "sys/dev/block" / f"{os.major(number)}:{os.minor(number)}"
        self._day = -1
        self._written_before = self._written()
        self._read_mono = float("-inf")
        self._facts: dict[str, Any] = {}

    def facts(self) -> dict[str, Any]:
        """host, addresses, memory_octets, temperature_c (None when unknown), written_octets_today."""
        now = self._clock.mono_s()
        if now - self._read_mono >= FRESH_S:
            self._read_mono = now
            self._facts = {
                "host": socket.gethostname(),
                "addresses": tuple(self.addresses()),
                "memory_octets": self._memory(),
                "temperature_c": self._temperature(),
                "written_octets_today": self._today(),
            }
        return self._facts

    def addresses(self) -> list[str]:
        """By which others reach the box."""
        return [address for address in self._addresses() if not address.startswith("127.") and address != "::1"]

    def worn_percent(self) -> int:
        """How much of its life the card says is used up (eMMC, JESD84-B51 §7.4: steps of ten); 0 where it does not say."""
        for place in (self._device, self._device.resolve().parent):
            try:
                return max(10 * int(word, 16) for word in (place / "device/life_time").read_text().split())
            except (OSError, ValueError):
                continue
        return 0

    def _today(self) -> int:
        """Since midnight (UTC), or since the house began when that was later."""
        written, day = self._written(), int(self._clock.wall_s()) // DAY_S
        if day != self._day:
            if self._day >= 0:
                self._written_before = written
            self._day = day
        return max(0, written - self._written_before)

    def _written(self) -> int:
        """Octets ever written to the card, by anybody; where its device is hidden, by this process."""
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
