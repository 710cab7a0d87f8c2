"""A serial port as a byte stream: pyserial opens and configures it in a thread; reading and writing wait on its descriptor, no thread.

XON/XOFF is done by the kernel: an XOFF of the peer stops output until XON. Line noise may be an XOFF too: when input
still comes but nothing could be written for STUCK_S, output is restarted. Failures: opening raises OSError; a port that
is unplugged, closed or broken raises BrokenResourceError or reads as the end. Known gap: no DCD where the port has none.
"""

import os
import termios
from contextlib import suppress
from typing import Protocol

import trio

STUCK_S = 10.0
TURN_S = 0.05
"""Pause where a driver says "writable" and then takes nothing."""


class Device(Protocol):
    """As much of pyserial's Serial as is used; its attributes raise OSError when the port is gone."""

    xonxoff: bool

    @property
    def cd(self) -> bool: ...

    @property
    def out_waiting(self) -> int: ...

    def fileno(self) -> int: ...

    def reset_output_buffer(self) -> None: ...

    def close(self) -> None: ...


class SerialPort(trio.abc.Stream):
    """One open port."""

    def __init__(self, serial: Device) -> None:
        self._serial = serial
        self._descriptor: int = serial.fileno()
        self._stuck_since: float | None = None
        self._closed = False

    def dcd(self) -> bool | None:
        """The signal DCD: whether a terminal is connected; None where the port cannot tell."""
        try:
            return bool(self._serial.cd)
        except (OSError, TypeError):  # a pty, a gadget, or gone
            return None

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await trio.lowlevel.checkpoint()
        left = memoryview(data)
        while left:
            try:
                took = os.write(self._fileno(), left)
            except BlockingIOError:
                took = 0
            except OSError as error:
                raise trio.BrokenResourceError(f"the port is gone: {error}") from error
            left = left[took:]
            if took:
                self._stuck_since = None
            else:
                if self._stuck_since is None:
                    self._stuck_since = trio.current_time()
                await self._writable()
                if not took and left:
                    await trio.sleep(TURN_S)

    async def _writable(self) -> None:
        try:
            await trio.lowlevel.wait_writable(self._fileno())
        except OSError as error:
            raise trio.BrokenResourceError(f"the port is gone: {error}") from error

    async def wait_send_all_might_not_block(self) -> None:
        await self._writable()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        empty = 0
        while empty < 2:  # pyserial sets VMIN 0: nothing there reads as b"" too, but not twice while the port says "readable"
            try:
                await trio.lowlevel.wait_readable(self._fileno())
                octets = os.read(self._fileno(), max_bytes or 4096)
            except BlockingIOError:
                continue
            except OSError as error:
                raise trio.BrokenResourceError(f"the port is gone: {error}") from error
            if octets:
                self._unstick()
                return octets
            empty += 1
        return b""

    def _unstick(self) -> None:
        """Input arrives while output is stopped: undo an XOFF that was noise. Setting the mode again restarts output."""
        if self._stuck_since is not None and trio.current_time() - self._stuck_since > STUCK_S:
            self._stuck_since = None
            with suppress(OSError, termios.error):
                self._serial.xonxoff = False
                self._serial.xonxoff = True

    def _fileno(self) -> int:
        if self._closed:
            raise trio.ClosedResourceError("the port was closed")
        return self._descriptor

    async def aclose(self) -> None:
        """Output that the driver could not send yet is discarded: closing a stopped line would wait for it."""
        if not self._closed:
            self._closed = True
            trio.lowlevel.notify_closing(self._descriptor)
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(self._close, abandon_on_cancel=False)
        await trio.lowlevel.checkpoint()

    def _close(self) -> None:
        with suppress(OSError, termios.error):
            if self._serial.out_waiting:  # where nothing waits, discarding could only take what a terminal behind a pty has not read yet
                self._serial.reset_output_buffer()
        with suppress(OSError, termios.error):
            self._serial.close()


def _opened(device: str, speed: int) -> Device:
    from serial import Serial  # type: ignore[import-untyped]

    try:
        port: Device = Serial(device, speed, timeout=0, write_timeout=0, xonxoff=True, exclusive=True)  # O_NONBLOCK, as it stays
    except (ValueError, termios.error) as error:
        raise OSError(f"{device} cannot be set to {speed} baud: {error}") from error
    return port


async def open_serial(device: str, speed: int = 115_200) -> SerialPort:
    """Open `device` at `speed` baud, eight bits, no parity, exclusively. Raises OSError."""
    return SerialPort(await trio.to_thread.run_sync(_opened, device, speed, abandon_on_cancel=False))
