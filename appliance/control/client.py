"""The client's end of the local socket, for commands: `Control` over a connection to the running server."""

import os
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio

from appliance.mail.archive import ImportedMessage
from appliance.mail.errors import PeerGone, PillarboxError, SetupError
from appliance.mail.sentence import Sentence

from .codec import ImportBegun, ImportEnded, MailboxesMade, MakeMailboxes, MessageTaken, decode_value
from .local_socket import socket_path
from .requests import Export, Import, Request, RequestRefused, Response
from .stream import ControlStream

NAMES_TOGETHER = 8
"""Mailbox names in one line: even the longest, with each character escaped, stay below LINE_OCTETS."""


class NotRunning(SetupError):
    """No server runs on this data directory."""


class _RemoteImportSink:
    def __init__(self, stream: ControlStream, position: str) -> None:
        self._stream = stream
        self.position = position

    async def take(self, message: ImportedMessage, chunks: AsyncIterator[bytes]) -> bool:
        await self._stream.send(message)
        await self._stream.send_octets(chunks)
        answer: MessageTaken = await _receive(self._stream, MessageTaken)
        return answer.taken

    async def make(self, mailboxes: Iterable[str]) -> None:
        names = tuple(mailboxes)
        for at in range(0, len(names), NAMES_TOGETHER):
            await self._stream.send(MakeMailboxes(names[at : at + NAMES_TOGETHER]))
            await _receive(self._stream, MailboxesMade)


async def _receive(stream: ControlStream, *kinds: type) -> Any:
    """The next value of one of `kinds`; a RequestRefused is raised as SetupError, or as PillarboxError when the server failed."""
    value = decode_value(await stream.receive(), RequestRefused, *kinds)
    if not isinstance(value, RequestRefused):
        return value
    if value.failed:
        raise PillarboxError(value.problem)
    raise SetupError(value.problem, value.remedy)


class RemoteControl:
    """`Control` as a command has it: the running server at the other end of the socket in the data directory `data`."""

    def __init__(self, data: Path) -> None:
        self._data = data

    def present(self) -> bool:
        """Does a server run here? Raises SetupError when it does and this user may not connect to it."""
        try:
            self._connect().close()
        except NotRunning:
            return False
        return True

    def _connect(self) -> socket.socket:
        try:
            descriptor = os.open(self._data, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except PermissionError as error:
            raise SetupError(
                Sentence("The data directory %(data)s may not be opened by this user.", data=self._data), "Use sudo."
            ) from error
        except OSError as error:
            raise NotRunning(
                Sentence("There is no server at %(data)s.", data=self._data), "Name its data directory with --data."
            ) from error
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(socket_path(descriptor))
        except PermissionError as error:
            connection.close()
            raise SetupError("Only the server's own user may do this.", "Use sudo.") from error
        except OSError as error:
            connection.close()
            raise NotRunning(
                Sentence("No Pillarbox is running on %(data)s.", data=self._data), "Start it with: pillarbox serve."
            ) from error
        finally:
            os.close(descriptor)
        return connection

    @asynccontextmanager
    async def _call(self, request: Request) -> AsyncIterator[ControlStream]:
        """A new connection with the request sent; raises NotRunning."""
        connection = self._connect()
        connection.setblocking(False)
        async with trio.SocketStream(trio.socket.from_stdlib_socket(connection)) as raw:
            stream = ControlStream(raw)
            try:
                await stream.send(request)
                yield stream
            except PeerGone as error:
                raise SetupError("The server stopped in the middle of this.", "Start it and try again.") from error

    async def ask(self, request: Request) -> Response:
        async with self._call(request) as stream:
            response: Response = await _receive(stream, Response)
        return response

    @asynccontextmanager
    async def import_messages(self, request: Import) -> AsyncIterator[_RemoteImportSink]:
        async with self._call(request) as stream:
            begun: ImportBegun = await _receive(stream, ImportBegun)
            yield _RemoteImportSink(stream, begun.position)
            await stream.send(ImportEnded())
            await _receive(stream, Response)

    async def export_messages(self, request: Export) -> AsyncIterator[tuple[ImportedMessage, AsyncIterator[bytes]]]:
        async with self._call(request) as stream:
            while True:
                value = await _receive(stream, ImportedMessage, Response)
                if isinstance(value, Response):
                    return
                yield value, stream.receive_octets()
