"""The local socket by which commands reach the running server, and both ends of its conversation.

    request   one JSON line (control/requests)
    answer    {"text": ..., "facts": {...}}  or  {"problem": ..., "remedy": ...}, one line; with "failed": true what was
              asked is right and the server could not do it
    import    after the request the server says {"position": ...}; then for each message one line (Message), its octets in
              pieces ("N" and a line end, N octets; "0" ends it, "!" says that the rest cannot be read), and the server says
              {"taken": true or false}; {"make": [names]} makes mailboxes and is answered {"made": true}; {"end": true} ends
              it and the answer follows
    export    the server sends messages in the same form, then the answer

Only the server's own user and root are heard: the kernel says who calls (SO_PEERCRED). The socket is opened relative to
the data directory, because a socket's path holds 107 octets and a directory's may be longer. A caller that breaks the
form or is silent for a minute is cut off; that harms nobody else.
"""

import os
import socket
import stat
import struct
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict
from errno import EIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trio

from appliance.mail.errors import MisuseError, PeerGone, PillarboxError, SetupError, StoreError, Trouble
from appliance.runtime.data_directory import SOCKET

if TYPE_CHECKING:
    from appliance.mail.archive import ImportedMessage
    from appliance.runtime.data_directory import DataDirectory

    from .requests import Control, Export, Import, Request, Response

LINE_OCTETS = 64 * 2**10
CHUNK_OCTETS = 64 * 2**10
UNREADABLE = b"!"
SILENCE_S = 60
CALLERS = 16
NAMES_TOGETHER = 8
"""Mailbox names in one line: even the longest, with each character escaped, stay below LINE_OCTETS."""


class ControlStream:
    """One end of the conversation: JSON lines and messages' octets over a stream. Raises PeerGone, MisuseError."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self._held = bytearray()

    async def _more(self) -> None:
        try:
            got = await self._stream.receive_some(CHUNK_OCTETS)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise PeerGone("the other end of the local socket is gone") from error
        if not got:
            raise PeerGone("the other end of the local socket is gone")
        self._held += got

    async def _line(self) -> bytes:
        seen = 0
        while (end := self._held.find(b"\n", seen)) < 0:
            seen = len(self._held)
            if seen > LINE_OCTETS:
                raise MisuseError("a line on the local socket is too long")
            await self._more()
        line = bytes(self._held[:end])
        del self._held[: end + 1]
        return line

    async def receive(self) -> dict[str, Any]:
        import json

        try:
            words = json.loads(await self._line())
        except ValueError as error:
            raise MisuseError("a line on the local socket is not JSON") from error
        if not isinstance(words, dict):
            raise MisuseError("a line on the local socket is not a JSON object")
        return words

    async def receive_octets(self) -> AsyncIterator[bytes]:
        """A message's octets, at most PIECE_OCTETS at a time. Raises OSError when the other end cannot read them on."""
        while True:
            digits = await self._line()
            if digits == UNREADABLE:
                raise OSError(EIO, "the rest of the message cannot be read")
            if not digits.isdigit() or len(digits) > 6 or int(digits) > CHUNK_OCTETS:
                raise MisuseError("a piece on the local socket has no right length")
            left = int(digits)
            if not left:
                return
            while len(self._held) < left:
                await self._more()
            chunk = bytes(self._held[:left])
            del self._held[:left]
            yield chunk

    async def _send(self, data: bytes) -> None:
        try:
            await self._stream.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise PeerGone("the other end of the local socket is gone") from error

    async def send(self, words: dict[str, Any]) -> None:
        import json

        await self._send(json.dumps(words).encode() + b"\n")

    async def send_octets(self, chunks: AsyncIterator[bytes]) -> None:
        end = b"0"
        try:
            async for chunk in chunks:
                for at in range(0, len(chunk), CHUNK_OCTETS):
                    part = chunk[at : at + CHUNK_OCTETS]
                    await self._send(b"%d\n%b" % (len(part), part))
        except OSError:  # of the pieces: what the stream raises is PeerGone
            end = UNREADABLE
        await self._send(end + b"\n")


def _path(descriptor: int) -> str:
    return f"/proc/self/fd/{descriptor}/{SOCKET}"


class ControlServer:
    """The server's end."""

    def __init__(self, directory: "DataDirectory", controls: "Callable[[], Control]", fault: Callable[[str], None]) -> None:
        """`controls` is called when the first caller comes: a server that nobody asks anything keeps none of it in memory."""
        self._directory = directory
        self._make = controls
        self._made: Control | None = None
        self._fault = fault

    def open(self) -> trio.SocketListener:
        """Bind the socket, mode 0600. A socket file left by a server that was killed is replaced: the lock says it is dead."""
        descriptor = self._directory.descriptor
        try:
            if stat.S_ISSOCK(os.stat(SOCKET, dir_fd=descriptor, follow_symlinks=False).st_mode):
                os.unlink(SOCKET, dir_fd=descriptor)
        except FileNotFoundError:
            pass
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            listening.bind(_path(descriptor))
        finally:
            os.umask(before)
        listening.listen(CALLERS)
        listening.setblocking(False)
        return trio.SocketListener(trio.socket.from_stdlib_socket(listening))

    async def run(self, task_status: "trio.TaskStatus[None]" = trio.TASK_STATUS_IGNORED) -> None:
        """Answer callers until cancelled."""
        listener = self.open()
        task_status.started()
        try:
            async with listener:
                await trio.serve_listeners(self._caller, [listener])
        finally:
            with suppress(OSError):
                os.unlink(SOCKET, dir_fd=self._directory.descriptor)

    async def _caller(self, stream: trio.SocketStream) -> None:
        line = ControlStream(stream)
        async with stream:
            try:
                if not self._allowed(stream):
                    await line.send({"problem": "Only the server's own user may do this.", "remedy": "Use sudo."})
                    return
                with trio.fail_after(SILENCE_S):
                    words = await line.receive()
                await answer_caller(line, self._controls, words)
            except (PeerGone, MisuseError, trio.TooSlowError):
                return
            except Exception as error:  # the guard of one caller: others go on
                self._fault(f"a command on the local socket failed: {error!r}")
                with trio.move_on_after(1):
                    try:
                        await line.send({"problem": "The server met a fault of its own.", "remedy": "Its log says which."})
                    except PeerGone:
                        return

    def _allowed(self, stream: trio.SocketStream) -> bool:
        raw = stream.socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        _, user, _ = struct.unpack("3i", raw)
        return user in (0, os.geteuid())

    @property
    def _controls(self) -> "Control":
        if self._made is None:
            self._made = self._make()
        return self._made


async def answer_caller(line: ControlStream, controls: "Control", words: dict[str, Any]) -> None:
    """Do what one request asks and send the answer. Raises PeerGone, MisuseError."""
    from .requests import Export, Import, decode_request

    try:
        request = decode_request(words)
        if isinstance(request, Import):
            answer = await _import_messages(line, controls, request)
        elif isinstance(request, Export):
            answer = await _export_messages(line, controls, request)
        else:
            answer = await controls.ask(request)
    except SetupError as error:
        await line.send({"problem": error.problem, "remedy": error.remedy})
    except (PeerGone, MisuseError):
        raise
    except PillarboxError as error:
        await line.send({"problem": f"{error}.".replace("..", "."), "remedy": "", "failed": True})
    else:
        await line.send({"text": answer.text, "facts": answer.facts})


async def _import_messages(line: ControlStream, controls: "Control", request: "Import") -> "Response":
    taken = left_out = 0
    async with controls.import_messages(request) as intake:
        await line.send({"position": intake.position})
        while True:
            with trio.fail_after(SILENCE_S):
                words = await line.receive()
            if words.get("end"):
                break
            if "make" in words:
                await intake.make([str(name) for name in words["make"]])
                await line.send({"made": True})
                continue
            octets = line.receive_octets()
            try:
                good = await intake.take(_message(words), octets)
            except PillarboxError:
                with trio.move_on_after(SILENCE_S):
                    await _read_off(octets)  # the client reads the answer only when it has sent all
                raise
            taken, left_out = taken + good, left_out + (not good)
            await line.send({"taken": good})
    return counted(taken, left_out)


async def _export_messages(line: ControlStream, controls: "Control", request: "Export") -> "Response":
    from .requests import Response

    count = 0
    async for message, chunks in controls.export_messages(request):
        await line.send(asdict(message))
        await line.send_octets(chunks)
        count += not message.unreadable
    return Response(f"{count} messages exported.", {"exported": count})


async def _read_off(octets: AsyncIterator[bytes]) -> None:
    try:
        async for _ in octets:
            pass
    except OSError:
        pass


def counted(taken: int, left_out: int) -> "Response":
    """The answer of an import."""
    from .requests import Response

    rest = f" {_messages(left_out)} left out: too large, or not to be read to the end." if left_out else ""
    text = f"{_messages(taken)} imported.{rest}"
    return Response(text, {"imported": taken, "left_out": left_out})


def import_stopped(refusal: StoreError, stored: int, address: str) -> StoreError:
    """The refusal that ended an import, with what was already taken in and the way on."""
    reasons = {
        Trouble.OVER_QUOTA: f"The mailbox of {address} is full",
        Trouble.FULL: "The storage is full",
        Trouble.BUSY: "The server is receiving too much at once",
    }
    reason = reasons.get(refusal.trouble, f"The server could not go on ({refusal})")
    return StoreError(
        refusal.trouble,
        f"{reason}: {_messages(stored)} imported, the rest not. Make room, then give the same command again: it goes on where it stopped",
    )


def _messages(count: int) -> str:
    return f"{count} message was" if count == 1 else f"{count} messages were"


def _message(words: dict[str, Any]) -> "ImportedMessage":
    from appliance.mail.archive import ImportedMessage

    try:
        mailbox, flags, at, position = words["mailbox"], words["flags"], words["internal_at"], words["position"]
    except KeyError as error:
        raise MisuseError("a message on the local socket lacks a fact") from error
    if not (isinstance(mailbox, str) and isinstance(at, int) and isinstance(position, str) and isinstance(flags, list)):
        raise MisuseError("a message on the local socket is not described right")
    unreadable = words.get("unreadable")
    return ImportedMessage(mailbox, tuple(str(flag) for flag in flags), at, position, unreadable if isinstance(unreadable, int) else 0)


class NotRunning(SetupError):
    """No server runs on this data directory."""


class _RemoteImportSink:
    def __init__(self, line: ControlStream, position: str) -> None:
        self._line = line
        self.position = position

    async def take(self, message: "ImportedMessage", chunks: AsyncIterator[bytes]) -> bool:
        await self._line.send(asdict(message))
        await self._line.send_octets(chunks)
        return bool(_good(await self._line.receive())["taken"])

    async def make(self, mailboxes: Iterable[str]) -> None:
        names = list(mailboxes)
        for at in range(0, len(names), NAMES_TOGETHER):
            await self._line.send({"make": names[at : at + NAMES_TOGETHER]})
            _good(await self._line.receive())


def _good(words: dict[str, Any]) -> dict[str, Any]:
    if words.get("failed"):
        raise PillarboxError(str(words["problem"]))
    if "problem" in words:
        raise SetupError(str(words["problem"]), str(words.get("remedy", "")))
    return words


class RemoteControl:
    """The Controls port as a command holds it: the running server at the other end of the socket."""

    def __init__(self, data: Path) -> None:
        self._data = data

    def present(self) -> bool:
        """Does a server run here? Raises SetupError when it does and this user may not speak to it."""
        try:
            self._connect().close()
        except NotRunning:
            return False
        return True

    def _connect(self) -> socket.socket:
        try:
            descriptor = os.open(self._data, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except PermissionError as error:
            raise SetupError(f"The data directory {self._data} may not be opened by this user.", "Use sudo.") from error
        except OSError as error:
            raise NotRunning(f"There is no server at {self._data}.", "Name its data directory with --data.") from error
        calling = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            calling.connect(_path(descriptor))
        except PermissionError as error:
            calling.close()
            raise SetupError("Only the server's own user may do this.", "Use sudo.") from error
        except OSError as error:
            calling.close()
            raise NotRunning(f"No Pillarbox is running on {self._data}.", "Start it with: pillarbox serve.") from error
        finally:
            os.close(descriptor)
        return calling

    @asynccontextmanager
    async def _call(self, request: "Request") -> AsyncIterator[ControlStream]:
        """A fresh connection with the request sent; raises NobodyHome."""
        from .requests import encode_request

        calling = self._connect()
        calling.setblocking(False)
        async with trio.SocketStream(trio.socket.from_stdlib_socket(calling)) as stream:
            line = ControlStream(stream)
            try:
                await line.send(encode_request(request))
                yield line
            except PeerGone as error:
                raise SetupError("The server stopped in the middle of this.", "Start it and try again.") from error

    async def ask(self, request: "Request") -> "Response":
        from .requests import Response

        async with self._call(request) as line:
            words = _good(await line.receive())
        return Response(str(words["text"]), words["facts"])

    @asynccontextmanager
    async def import_messages(self, request: "Import") -> AsyncIterator[_RemoteImportSink]:
        async with self._call(request) as line:
            words = _good(await line.receive())
            yield _RemoteImportSink(line, str(words["position"]))
            await line.send({"end": True})
            _good(await line.receive())

    async def export_messages(self, request: "Export") -> "AsyncIterator[tuple[ImportedMessage, AsyncIterator[bytes]]]":
        async with self._call(request) as line:
            while True:
                words = _good(await line.receive())
                if "text" in words:
                    return
                yield _message(words), line.receive_octets()
