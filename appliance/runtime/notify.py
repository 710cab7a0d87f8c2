"""Notifications to systemd over NOTIFY_SOCKET (sd_notify(3)): READY, STOPPING, RELOADING, WATCHDOG. Silent without systemd; never fails."""

import socket
from collections.abc import Mapping
from contextlib import suppress

import trio


class Notifier:
    """`environment` is os.environ. The address may be a path or, with a leading @, in the abstract name space."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        microseconds = environment.get("WATCHDOG_USEC", "")
        self.watchdog_s = int(microseconds) / 1e6 if self._address and microseconds.isdigit() else 0.0
        """How often systemd wants WATCHDOG=1, at least; 0: not at all."""

    async def keep_watchdog(self) -> None:
        """For a process that stays after its orderly end, so that its LEDs show it: or systemd would start it again. Until cancelled."""
        while self.watchdog_s:
            self.notify("WATCHDOG=1")
            await trio.sleep(self.watchdog_s / 2)

    def notify(self, state: str) -> None:
        """One assignment a line, such as "READY=1"; dropped when systemd does not listen."""
        if not self._address:
            return
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sender:
            sender.sendto(state.encode("utf-8", "replace"), self._address)
