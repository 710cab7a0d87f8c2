"""Files received and brought in: nothing lost, nothing doubled, wherever it is broken off."""

import zipfile
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import trio

from appliance.mail.errors import SetupError, StoreError
from appliance.store.file_imports import FileImports, OffsetConflict
from appliance.store.received_files import ReceivedFile
from appliance.store.store import Store
from tests.support.clock import HandClock
from tests.support.waiting import until

from .server import ANN, BEN, a_server
from .test_transfer import octets_of

COUNT = 60


def an_mbox(first: int = 0, count: int = COUNT) -> bytes:
    line = b"From x@x.example Sun Sep  9 01:46:40 2001\n"
    return b"".join(line + b"Subject: %d\n\nbody %d\n\n" % (n, n) for n in range(first, first + count))


async def chunks_of(octets: bytes, size: int = 1000) -> AsyncIterator[bytes]:
    for at in range(0, len(octets), size):
        yield octets[at : at + size]


async def sent(imports: FileImports, octets: bytes, name: str = "Work.mbox") -> ReceivedFile:
    file = await imports.begin(ANN, name, len(octets), "")
    await imports.append(file, 0, chunks_of(octets))
    await imports.complete(file)
    return file


async def brought_in(imports: FileImports, file: ReceivedFile) -> None:
    """Wait until it is done or stopped."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(imports.run)
        await until(lambda: file.state != "running")
        nursery.cancel_scope.cancel()


def imports_of(store: Store, place: Path) -> FileImports:
    return FileImports(store, place / "imports", HandClock())


async def test_a_file_is_brought_in_and_again_without_doubles(tmp_path: Path) -> None:
    async with a_server(tmp_path) as store:
        imports = imports_of(store, tmp_path)
        file = await sent(imports, an_mbox())
        assert (file.state, file.kind, file.unpacked) == ("received", "mbox", len(an_mbox()))
        await imports.start(ANN, "")
        await brought_in(imports, file)
        assert (file.state, file.stored, file.doubled, file.left_out) == ("done", COUNT, 0, 0)
        before = await octets_of(store, "Work")
        assert len(before) == COUNT and not (tmp_path / "imports" / f"{ANN}.data").exists()
        again = await sent(imports, an_mbox(COUNT - 10, 20))
        await imports.start(ANN, "")
        await brought_in(imports, again)
        assert (again.stored, again.doubled) == (10, 10)
        after = await octets_of(store, "Work")
        assert after[:COUNT] == before and len(set(after)) == len(after) == COUNT + 10
        assert imports_of(store, tmp_path).of(ANN) == again, "known after a restart"
        rows = await store.database.read(lambda connection: connection.execute("SELECT count(*) FROM import_progress").fetchone())
        assert rows == (0,)


class Interrupted(FileImports):
    """Cancels `scope` at the hop to its thread of that number."""

    left = 0
    scope: trio.CancelScope

    async def _hop(self, call: Any, *arguments: Any) -> Any:
        self.left -= 1
        if self.left == 0:
            self.scope.cancel()
        return await super()._hop(call, *arguments)


async def test_broken_off_anywhere_it_goes_on_without_doubling(tmp_path: Path) -> None:
    async with a_server(tmp_path) as store:
        await sent(imports_of(store, tmp_path), an_mbox(count=200))
        await imports_of(store, tmp_path).start(ANN, "Old")
        for rounds in range(1, 40):
            imports = Interrupted(store, tmp_path / "imports", HandClock())
            file = imports.of(ANN)
            assert file is not None
            if file.state != "running":
                break
            imports.left = rounds * 9
            with trio.CancelScope() as imports.scope:
                await brought_in(imports, file)
        assert file.state == "done" and rounds > 3
        found = await octets_of(store, "Old")
        assert [b"Subject: %d\r\n\r\nbody %d\r\n" % (n, n) for n in range(200)] == found


async def test_a_broken_connection_is_gone_on_with(tmp_path: Path) -> None:
    octets = an_mbox()

    async def cut() -> AsyncIterator[bytes]:
        yield octets[:1500]
        raise ConnectionError

    async with a_server(tmp_path) as store:
        imports = imports_of(store, tmp_path)
        file = await imports.begin(ANN, "a.mbox", len(octets), "1")
        with pytest.raises(ConnectionError):
            await imports.append(file, 0, cut())
        again = imports_of(store, tmp_path)
        file = await again.begin(ANN, "a.mbox", len(octets), "1")
        assert file.received == 1500, "after a restart too"
        with pytest.raises(OffsetConflict) as conflict:
            await again.append(file, 1000, chunks_of(octets))
        assert conflict.value.offset == 1500
        with pytest.raises(OffsetConflict):
            await again.complete(file)
        await again.append(file, 1500, chunks_of(octets[1500:]))
        await again.complete(file)
        assert (tmp_path / "imports" / f"{ANN}.data").read_bytes() == octets
        with pytest.raises(SetupError, match="More was sent"):
            other = await again.begin(ANN, "b.mbox", 10, "")
            await again.append(other, 0, chunks_of(octets))


async def test_without_room_it_stops_with_a_reason_and_goes_on_later(tmp_path: Path) -> None:
    limit = [10_000]
    async with a_server(tmp_path, quota=lambda _: limit[0]) as store:
        imports = imports_of(store, tmp_path)
        with pytest.raises(SetupError, match="no room"):
            await imports.begin(ANN, "a.mbox", 20_000, "")
        file = await sent(imports, an_mbox(count=100))
        limit[0] = 1_000
        file.unpacked = 1_000
        await imports.start(ANN, "Old")
        await brought_in(imports, file)
        assert (file.state, file.reason) == ("stopped", "over-quota") and 0 < file.stored < 100
        limit[0] = 100_000
        await imports.start(ANN, "")
        await brought_in(imports, file)
        assert (file.state, file.stored) == ("done", 100)
        assert len(await octets_of(store, "Old")) == 100


async def test_what_cannot_be_read_is_counted_and_the_rest_is_taken(tmp_path: Path) -> None:
    out = BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in ("1", "2", "3"):
            archive.writestr(f"cur/{name}:2,S", b"Subject: %b\n\nhello %b\n" % (name.encode(), name.encode()))
    octets = bytearray(out.getvalue())
    octets[octets.index(b"hello 2")] ^= 1
    async with a_server(tmp_path) as store:
        imports = imports_of(store, tmp_path)
        file = await sent(imports, bytes(octets), "a.zip")
        assert (file.kind, file.messages) == ("zip", 3)
        await imports.start(ANN, "")
        await brought_in(imports, file)
        assert (file.state, file.stored, file.left_out, file.reason) == ("done", 2, 1, "its checksum is wrong")
        assert await octets_of(store) == [b"Subject: 1\r\n\r\nhello 1\r\n", b"Subject: 3\r\n\r\nhello 3\r\n"]


async def test_a_file_of_another_kind_is_refused_and_gone(tmp_path: Path) -> None:
    async with a_server(tmp_path) as store:
        imports = imports_of(store, tmp_path)
        file = await imports.begin(ANN, "cat.png", 4, "")
        await imports.append(file, 0, chunks_of(b"\x89PNG"))
        with pytest.raises(SetupError):
            await imports.complete(file)
        assert imports.of(ANN) is None and not list((tmp_path / "imports").iterdir())
        assert imports.of(BEN) is None
        with pytest.raises(SetupError):
            await imports.start(ANN, "")


async def test_thrown_away_while_it_runs(tmp_path: Path) -> None:
    async with a_server(tmp_path) as store:
        imports = imports_of(store, tmp_path)
        file = await sent(imports, an_mbox(count=400))
        await imports.start(ANN, "Old")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(imports.run)
            await until(lambda: file.stored)
            await imports.discard(ANN)
            await until(lambda: imports.of(ANN) is None)
            nursery.cancel_scope.cancel()
        assert 0 < len(await octets_of(store, "Old")) < 400 and not list((tmp_path / "imports").iterdir())


async def test_the_reserve_stays_free_when_several_files_come_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with a_server(tmp_path) as store:
        imports = imports_of(store, tmp_path)
        file = await imports.begin(ANN, "Work.mbox", 4 * 2**20, "")
        monkeypatch.setattr(imports, "_free_octets", lambda: 2**20)  # another file took the room meanwhile
        with pytest.raises(StoreError, match="full"):
            await imports.append(file, 0, chunks_of(b"x" * 4 * 2**20, 2**19 + 2**18))
        assert file.received == 0
