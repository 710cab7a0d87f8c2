"""The local socket by which commands reach the running server, the server's end; what crosses it is in `exchange`.

Only the server's own user and root are served: the kernel says who connects (SO_PEERCRED). The socket is reached relative to
the open data directory, because a socket's path holds 107 octets and a directory's may be longer. A client that breaks the
form or is silent for a minute is disconnected; that does not affect others. Requests, their codec and JSON are loaded for the
first client: a server that never has one saves the memory.
"""

import os
import socket
import stat
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

import trio

from appliance.mail.errors import MisuseError, PeerGone, SetupError
from appliance.mail.sentence import Sentence

if TYPE_CHECKING:
    from .requests import Control

SOCKET = "control.sock"
"""Its name in the data directory."""
SILENCE_S = 60
BACKLOG = 16


def is_left_behind(directory: int) -> bool:
    """The previous server was killed or lost its power: one that ends in order removes its socket. `directory` is a descriptor."""
    return os.access(SOCKET, os.F_OK, dir_fd=directory)


def socket_path(descriptor: int) -> str:
    """The socket in the directory behind `descriptor`."""
    return f"/proc/self/fd/{descriptor}/{SOCKET}"


class ControlServer:
    """The server's end, in the open data directory `directory` (a descriptor)."""

    def __init__(self, directory: int, make_control: Callable[[], "Control"], fault: Callable[[str], None]) -> None:
        """`make_control` is called when the first client comes: a server that never has one keeps none of it in memory."""
        self._directory = directory
        self._make = make_control
        self._made: Control | None = None
        self._fault = fault

    def open(self) -> trio.SocketListener:
        """Bind the socket, mode 0600. A socket left by a killed server is replaced: the lock on the directory says it is dead.

        Raises SetupError: something else has its name, or the file system has no sockets.
        """
        try:
            if stat.S_ISSOCK(os.stat(SOCKET, dir_fd=self._directory, follow_symlinks=False).st_mode):
                os.unlink(SOCKET, dir_fd=self._directory)
        except FileNotFoundError:
            pass
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            listening.bind(socket_path(self._directory))
        except OSError as error:
            listening.close()
            raise SetupError(
                Sentence("The socket %(name)s cannot be made in the data directory: %(strerror)s.", name=SOCKET, strerror=error.strerror),
                "Move away what has its name there; if nothing has, use a file system of Linux, such as ext4.",
            ) from error
        finally:
            os.umask(before)
        listening.listen(BACKLOG)
        listening.setblocking(False)
        return trio.SocketListener(trio.socket.from_stdlib_socket(listening))

    async def run(self, task_status: "trio.TaskStatus[None]" = trio.TASK_STATUS_IGNORED) -> None:
        """Serve clients until cancelled."""
        listener = self.open()
        task_status.started()
        try:
            async with listener:
                await trio.serve_listeners(self._serve, [listener])
        finally:
            with suppress(OSError):
                os.unlink(SOCKET, dir_fd=self._directory)

    async def _serve(self, stream: trio.SocketStream) -> None:
        from .exchange import answer_caller
        from .requests import RequestRefused
        from .stream import ControlStream

        control_stream = ControlStream(stream)
        async with stream:
            try:
                if not self._allowed(stream):
                    await control_stream.send(RequestRefused("Only the server's own user may do this.", "Use sudo."))
                    return
                with trio.fail_after(SILENCE_S):
                    request = await control_stream.receive()
                await answer_caller(control_stream, self._control, request)
            except (PeerGone, MisuseError, trio.TooSlowError):
                return
            except Exception as error:  # the guard of one client: others go on
                self._fault(f"a command on the local socket failed: {error!r}")
                with trio.move_on_after(1):
                    try:
                        await control_stream.send(
                            RequestRefused("The command failed because of an error in the server.", "The journal has the details.")
                        )
                    except PeerGone:
                        return

    def _allowed(self, stream: trio.SocketStream) -> bool:
        raw = stream.socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        _, user, _ = struct.unpack("3i", raw)
        return user in (0, os.geteuid())

    @property
    def _control(self) -> "Control":
        if self._made is None:
            self._made = self._make()
        return self._made
