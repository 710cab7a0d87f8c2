"""runtime/identity: a start with a whole data directory, an empty one, and parts that must not be taken for a new server."""

import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
import trio

from appliance.app.components import open_components
from appliance.app.listeners import certificate_of
from appliance.config.settings import Settings
from appliance.mail.errors import SetupError
from appliance.status.conditions import conditions_of
from appliance.store.values import Placement


async def a_server(data: Path) -> None:
    """One account with one large message."""
    async with open_components(data, Settings()) as components:
        account = await components.accounts.add_account("ada@home.example", "Correct-Horse-7", also=components.store.make_mailboxes)
        await components.certificates.ensure()
        inbox = await components.store.find(account.id, "INBOX")
        async with components.store.receive(2**22) as incoming:
            await incoming.write(random.Random(7).randbytes(200_000))
            await components.store.file(await incoming.finish(), [Placement(inbox.id, b"", (), 1)])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("server") / "data"
    trio.run(a_server, data)
    return data


@pytest.fixture
def data(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "data"))


def tree(data: Path) -> dict[str, bytes]:
    """All that must not change: everything but the lock."""
    return {str(path.relative_to(data)): path.read_bytes() for path in data.rglob("*") if path.is_file() and path.name != "lock"}


def _no_database(data: Path) -> None:
    for path in data.glob("pillarbox.db*"):
        path.unlink()


def _only_certificates(data: Path) -> None:
    _no_database(data)
    shutil.rmtree(data / "bodies")


def _only_bodies(data: Path) -> None:
    _no_database(data)
    shutil.rmtree(data / "certificates")


def _only_an_id(data: Path) -> None:
    _only_bodies(data)
    shutil.rmtree(data / "bodies" / "kept")


def _only_signing_keys(data: Path) -> None:
    _only_certificates(data)
    shutil.rmtree(data / "certificates")
    (data / "dkim").mkdir()
    (data / "dkim" / "own.pem").write_text("x")


def _only_the_log(data: Path) -> None:
    _only_certificates(data)
    shutil.rmtree(data / "certificates")
    (data / "pillarbox.db-wal").write_bytes(bytes.fromhex("377f0682") + bytes(5000))


def _no_bodies(data: Path) -> None:
    shutil.rmtree(data / "bodies")


def _emptied_bodies(data: Path) -> None:
    shutil.rmtree(data / "bodies")
    (data / "bodies").mkdir()


def _no_kept(data: Path) -> None:
    shutil.rmtree(data / "bodies" / "kept")


def _bodies_of_another(data: Path) -> None:
    (data / "bodies" / "server-id").write_text("0123456789abcdef0123456789abcdef\n")


def _unknown_files(data: Path) -> None:
    (data / "bodies" / "server-id").unlink()
    (path,) = (data / "bodies" / "kept").iterdir()
    path.rename(path.with_name("ab" * 24))


def _without_an_id_in_the_database(data: Path) -> None:
    """As a backup that an earlier version made."""
    with closing(sqlite3.connect(data / "pillarbox.db")) as database, database:
        assert database.execute("DELETE FROM meta WHERE key = 'server_id'").rowcount == 1


def _unknown_files_beside_an_earlier_database(data: Path) -> None:
    _without_an_id_in_the_database(data)
    (path,) = (data / "bodies" / "kept").iterdir()
    path.rename(path.with_name("ab" * 24))


REFUSED: dict[Callable[[Path], None], str] = {
    _no_database: "pillarbox.db is missing, but message bodies and certificates are there.",
    _only_certificates: "pillarbox.db is missing, but certificates are there.",
    _only_bodies: "pillarbox.db is missing, but message bodies are there.",
    _only_an_id: "pillarbox.db is missing, but message bodies are there.",
    _only_signing_keys: "pillarbox.db is missing, but signing keys are there.",
    _only_the_log: "pillarbox.db is missing, but its last changes are there (pillarbox.db-wal).",
    _no_bodies: "bodies is missing, and messages need its files.",
    _emptied_bodies: "bodies is missing, and messages need its files.",
    _no_kept: "bodies is missing, and messages need its files.",
    _bodies_of_another: "belongs to another server",
    _unknown_files_beside_an_earlier_database: "belongs to another server",
    _unknown_files: "belongs to another server",
}


@pytest.mark.parametrize("harm", REFUSED, ids=lambda harm: harm.__name__.strip("_"))
async def test_a_part_is_not_taken_for_a_new_server(data: Path, harm: Callable[[Path], None]) -> None:
    harm(data)
    there = (data / "pillarbox.db").exists()
    before = {name: octets for name, octets in tree(data).items() if not name.startswith("pillarbox.db")}
    with pytest.raises(SetupError) as refused:
        async with open_components(data, Settings()):
            pass
    assert REFUSED[harm] in refused.value.problem and refused.value.remedy.endswith(".")
    after = {name: octets for name, octets in tree(data).items() if not name.startswith("pillarbox.db")}
    assert after == before, "nothing was changed"
    assert (data / "pillarbox.db").exists() is there


async def test_an_id_that_is_missing_is_written_again(data: Path) -> None:
    was = (data / "bodies" / "server-id").read_text()
    (data / "bodies" / "server-id").unlink()
    async with open_components(data, Settings()):
        pass
    assert (data / "bodies" / "server-id").read_text() == was


async def test_the_database_of_an_earlier_version_goes_back_beside_its_own_bodies(data: Path) -> None:
    _without_an_id_in_the_database(data)
    was = (data / "bodies" / "server-id").read_text()
    for _ in range(2):  # the second start compares the two ids
        async with open_components(data, Settings()) as components:
            assert components.accounts.directory.find_login("ada@home.example")
    assert (data / "bodies" / "server-id").read_text() == was


async def test_the_route_out_for_lost_bodies_works(data: Path) -> None:
    shutil.rmtree(data / "bodies")
    (data / "bodies" / "kept").mkdir(parents=True)
    async with open_components(data, Settings()) as components:
        assert components.accounts.directory.find_login("ada@home.example")


async def test_two_servers_have_two_ids(data: Path, tmp_path: Path) -> None:
    async with open_components(tmp_path / "other", Settings()):
        pass
    assert (tmp_path / "other" / "bodies" / "server-id").read_text() != (data / "bodies" / "server-id").read_text()
    shutil.rmtree(data / "bodies")
    (tmp_path / "other" / "bodies").rename(data / "bodies")
    with pytest.raises(SetupError, match="belongs to another server"):
        async with open_components(data, Settings()):
            pass


async def test_a_lost_certificates_directory_is_no_first_start(data: Path) -> None:
    """Devices trusted the authority that is gone: the one made in its place is reported, and a first one is not."""

    async def start() -> set[str]:
        async with open_components(data, Settings()) as components:
            await certificate_of(components)
            return {row.key for row in conditions_of(components.board.snapshot())}

    assert "authority-new" not in await start()
    shutil.rmtree(data / "certificates")
    assert "authority-new" in await start()
    assert "authority-new" in await start(), "reported until it is exported"
