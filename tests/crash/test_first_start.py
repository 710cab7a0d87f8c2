"""A power cut during the very first start: the next start completes it from any state."""

import random
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import trio

from appliance.app.components import open_components
from appliance.config.settings import Settings
from appliance.database.connection import header_of
from tests.support.needs import program
from tests.support.server import Pillarbox

from .storage import Model, Storage
from .trace import Event, Made, Renamed, Said, events, record_words

CUTS = 40


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> list[Event]:
    """All changes of a first start to its empty data directory, certificates included."""
    program("strace")
    work = tmp_path_factory.mktemp("first")
    (work / "data").mkdir()
    (work / "start").mkdir()
    with Pillarbox(work / "data", protocols=("imaps",), wrapper=record_words(work / "trace")):
        pass
    return events(work / "trace", work / "data", work / "start")


def test_the_database_comes_before_keys_and_certificates(recorded: list[Event]) -> None:
    names = [event.path if isinstance(event, Made) else event.new if isinstance(event, Renamed) else "" for event in recorded]
    first = {name: names.index(name) for name in ("pillarbox.db", "bodies/server-id", "certificates/server.pem")}
    assert sorted(first, key=lambda name: first[name]) == ["pillarbox.db", "bodies/server-id", "certificates/server.pem"]


def test_the_next_start_completes_it(recorded: list[Event]) -> None:
    numbers = [number for number, event in enumerate(recorded) if not isinstance(event, Said)]
    names = [number for number in numbers if isinstance(recorded[number], Made | Renamed)]
    chance = random.Random(11)
    cuts = sorted(chance.choices(names, k=CUTS // 2) + chance.choices(numbers, k=CUTS // 2))
    with TemporaryDirectory(prefix="pillarbox-") as place:
        storage, fed = Storage(Path(place)), 0
        for number, cut in enumerate(cuts):
            while fed < cut:
                storage.feed(recorded[fed])
                fed += 1
            left = Path(place) / str(number)
            left.mkdir()
            storage.cut(left, random.Random(number), Model.TEARS)
            trio.run(_opens, left)


async def _opens(data: Path) -> None:
    async with open_components(data, Settings()) as components:
        assert await components.database.read(lambda connection: connection.execute("PRAGMA integrity_check").fetchone()) == ("ok",)
    header = header_of(data / "pillarbox.db")
    assert header and header.is_sqlite and (data / "bodies" / "server-id").stat().st_size > 30
