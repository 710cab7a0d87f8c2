"""The local socket: requests, refusals, messages in both directions; a broken client affects no other."""

import os
import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from appliance.control.client import NotRunning, RemoteControl
from appliance.control.import_result import import_stopped
from appliance.control.local_socket import ControlServer, is_left_behind
from appliance.control.requests import AddAccount, Export, Import, ListAccounts, Request, Response, Status
from appliance.mail.archive import ImportedMessage
from appliance.mail.errors import SetupError, StoreError, Trouble


class SmallServer:
    """A `Control` of a few lines: the tests are about what the socket carries."""

    def __init__(self) -> None:
        self.messages: list[tuple[ImportedMessage, bytes]] = []
        self.made: list[str] = []

    async def ask(self, request: Request) -> Response:
        if isinstance(request, AddAccount):
            raise SetupError(f"{request.address} is no address.", "Write NAME@DOMAIN.")
        if isinstance(request, Status):
            raise ZeroDivisionError
        return Response("nobody", {"accounts": []})

    @asynccontextmanager
    async def import_messages(self, request: Import) -> AsyncIterator["SmallServer"]:
        yield self

    position = "17"

    async def make(self, mailboxes: Iterable[str]) -> None:
        self.made += mailboxes

    async def take(self, message: ImportedMessage, chunks: AsyncIterator[bytes]) -> bool:
        self.messages.append((message, b"".join([chunk async for chunk in chunks])))
        return len(self.messages) != 2

    async def export_messages(self, request: Export) -> AsyncIterator[tuple[ImportedMessage, AsyncIterator[bytes]]]:
        async def chunks(octets: bytes) -> AsyncIterator[bytes]:
            for at in range(0, len(octets), 100_000):
                yield octets[at : at + 100_000]

        for message, octets in self.messages:
            yield message, chunks(octets)


@asynccontextmanager
async def server(path: Path) -> AsyncIterator[tuple[SmallServer, RemoteControl, list[str]]]:
    small, faults = SmallServer(), []
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(ControlServer(directory, lambda: small, faults.append).run)
            yield small, RemoteControl(path), faults
            nursery.cancel_scope.cancel()
    finally:
        os.close(directory)


async def test_a_response_a_refusal_and_an_error_in_the_server(tmp_path: Path) -> None:
    async with server(tmp_path) as (_, remote, faults):
        assert await remote.ask(ListAccounts()) == Response("nobody", {"accounts": []})
        with pytest.raises(SetupError, match=r"is no address\. Write NAME@DOMAIN\."):
            await remote.ask(AddAccount("x", "secret"))
        with pytest.raises(SetupError, match="error in the server"):
            await remote.ask(Status())
        assert faults and "ZeroDivisionError" in faults[0]
        assert (tmp_path / "control.sock").stat().st_mode & 0o777 == 0o600
    with pytest.raises(NotRunning):
        await remote.ask(ListAccounts())


async def test_messages_in_and_out(tmp_path: Path) -> None:
    first = ImportedMessage("INBOX", ("\\Seen", "Blue"), 1_700_000_000, "1")
    octets = os.urandom(300_000)

    async def chunks() -> AsyncIterator[bytes]:
        yield octets[:1]
        yield octets[1:250_000]
        yield octets[250_000:]

    async def none() -> AsyncIterator[bytes]:
        for chunk in ():
            yield chunk

    async with server(tmp_path) as (small, remote, _):
        async with remote.import_messages(Import("a@b", "x")) as intake:
            assert intake.position == "17"
            names = [f"Folder {n}" for n in range(20)]
            await intake.make(names)
            assert small.made == names
            assert await intake.take(first, chunks())
            assert not await intake.take(ImportedMessage("Sent", (), 0, "2"), none())
        assert [octets for _, octets in small.messages] == [octets, b""]
        out = [(message, b"".join([p async for p in parts])) async for message, parts in remote.export_messages(Export("a@b"))]
        assert out == small.messages


async def test_a_long_path_and_a_dead_socket_file(tmp_path: Path) -> None:
    deep = tmp_path / ("long" * 30) / ("er" * 60)
    deep.mkdir(parents=True)
    for _ in range(2):
        async with server(deep) as (_, remote, _):
            assert (await remote.ask(ListAccounts())).text == "nobody"
        assert not (deep / "control.sock").exists(), "a server that ends in order removes it"
        here = os.open(deep, os.O_RDONLY)
        with socket.socket(socket.AF_UNIX) as killed:
            killed.bind(f"/proc/self/fd/{here}/control.sock")  # as after a kill
        assert is_left_behind(here)
        os.close(here)


@pytest.mark.parametrize(
    "words",
    [
        b"\n",
        b"{}\n",
        b"[1]\n",
        b'{"type":"AddAccount","address":5}\n',
        b'{"type":"Import","address":"a","source":"s"}\n{"type":"ImportedMessage","mailbox":"m"}\n',
        b'{"type":"Import","address":"a","source":"s"}\n9999999\n',
        b"x" * 100_000,
    ],
)
async def test_broken_requests_end_one_connection_only(tmp_path: Path, words: bytes) -> None:
    async with server(tmp_path) as (_, remote, _):
        raw = socket.socket(socket.AF_UNIX)
        raw.connect(str(tmp_path / "control.sock"))
        raw.setblocking(False)
        async with trio.SocketStream(trio.socket.from_stdlib_socket(raw)) as stream:
            with trio.fail_after(5):
                try:
                    await stream.send_all(words)
                    while await stream.receive_some():
                        pass
                except trio.BrokenResourceError:
                    pass
        assert (await remote.ask(ListAccounts())).text == "nobody"


@pytest.mark.parametrize(
    ("trouble", "stored", "words"),
    [
        (Trouble.OVER_QUOTA, 192, "The mailbox of ann@home.example is full: 192 messages were imported"),
        (Trouble.FULL, 1, "The storage is full: 1 message was imported"),
        (Trouble.BROKEN, 0, "0 messages were imported"),
    ],
)
def test_an_import_that_stopped_says_what_is_stored_and_how_to_resume(trouble: Trouble, stored: int, words: str) -> None:
    refusal = import_stopped(StoreError(trouble), stored, "ann@home.example")
    assert refusal.trouble is trouble and words in str(refusal) and "same command again" in str(refusal)


@pytest.mark.parametrize("kind", ["file", "directory", "link"])
def test_what_has_the_socket_s_name_is_a_sentence(tmp_path: Path, kind: str) -> None:
    """Nothing of it is removed: it is not known whose it is."""
    place = tmp_path / "control.sock"
    if kind == "link":
        place.symlink_to("nowhere")
    elif kind == "file":
        place.write_text("mine")
    else:
        place.mkdir()
    directory = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with pytest.raises(SetupError, match=r"control\.sock cannot be made") as caught:
            ControlServer(directory, SmallServer, print).open()
        assert caught.value.remedy and os.path.lexists(place)
    finally:
        os.close(directory)
