"""A running house for each module of promises; a fault in any session fails the test during which it happened."""

from collections.abc import Iterator

import pytest

from tests.support.cable import Cable
from tests.support.server import House, new_data
from tests.support.wire import faults


@pytest.fixture(scope="module")
def a_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with House(new_data(tmp_path_factory.mktemp("house") / "data", "ada", "mary")) as house:
        yield house


@pytest.fixture
def house(a_house: House) -> Iterator[House]:
    before = len(faults(a_house.log))
    yield a_house
    assert a_house.process is not None and a_house.process.poll() is None, "the house ended"
    assert not faults(a_house.log)[before:]


@pytest.fixture
def cable() -> Iterator[Cable]:
    one = Cable()
    yield one
    one.close()
