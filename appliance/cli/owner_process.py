"""`import` and `export` as root on another user's data directory: root reads or writes the archive, a child the directory.

The child becomes the owner and opens the data directory; the two speak over a socket pair in the form of the control socket.
How it fails: SetupError when the owner cannot use this program or the directory; a child that fails ends the conversation,
and its sentence stands on stderr.
"""

import os
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import NoReturn

import trio

from appliance.control.client import RemoteControl
from appliance.control.exchange import answer_caller
from appliance.control.requests import Control, RequestRefused
from appliance.control.stream import ControlStream
from appliance.mail.errors import MisuseError, PeerGone, SetupError
from appliance.runtime.privileges import Owner, become, expect_usable

Offline = Callable[[Path], AbstractAsyncContextManager[Control]]
"""Open a data directory that no server runs on."""


@contextmanager
def control_as_owner(data: Path, owner: Owner, offline: Offline) -> Iterator["OwnerControl"]:
    """A child that has become the owner opens the data directory and answers requests. Begin this outside trio."""
    expect_usable(owner, data)
    ours, theirs = socket.socketpair()
    child = os.fork()
    if not child:
        ours.close()
        _serve_as_owner(data, owner, offline, theirs)
    theirs.close()
    try:
        yield OwnerControl(data, ours)
    finally:
        ours.close()
        os.waitpid(child, 0)


def _serve_as_owner(data: Path, owner: Owner, offline: Offline, connection: socket.socket) -> NoReturn:
    """The child: never returns into the command it was forked from."""
    code = 1
    try:
        become(owner)
        trio.run(_answer_requests, data, offline, connection)
        code = 0
    except BaseException as fault:
        if not isinstance(fault, KeyboardInterrupt):
            os.write(2, f"pillarbox: the data directory could not be used: {fault!r}\n".encode("utf-8", "replace"))
    finally:
        os._exit(code)


async def _answer_requests(data: Path, offline: Offline, connection: socket.socket) -> None:
    connection.setblocking(False)
    async with trio.SocketStream(trio.socket.from_stdlib_socket(connection)) as stream:
        channel = ControlStream(stream)
        with suppress(PeerGone, MisuseError):
            try:
                async with offline(data) as control:
                    while True:
                        await answer_caller(channel, control, await channel.receive())
            except SetupError as error:
                await channel.send(RequestRefused(error.problem, error.remedy))


class OwnerControl(RemoteControl):
    """The parent's end of the socket pair; one request after another."""

    def __init__(self, data: Path, connection: socket.socket) -> None:
        super().__init__(data)
        self._connection = connection

    def _connect(self) -> socket.socket:
        return self._connection.dup()

    @asynccontextmanager
    async def opened(self) -> AsyncIterator["OwnerControl"]:
        yield self
