"""Fixtures: one running server for each module; an internal error in any session fails the test during which it happened."""

from collections.abc import Iterator

import pytest

from tests.support.cable import Cable
from tests.support.server import Pillarbox, new_data
from tests.support.wire import faults


@pytest.fixture(scope="module")
def a_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pillarbox]:
    with Pillarbox(new_data(tmp_path_factory.mktemp("server") / "data", "ada", "mary")) as server:
        yield server


@pytest.fixture
def server(a_server: Pillarbox) -> Iterator[Pillarbox]:
    before = len(faults(a_server.log))
    yield a_server
    assert a_server.process is not None and a_server.process.poll() is None, "the server ended"
    assert not faults(a_server.log)[before:]


@pytest.fixture
def cable() -> Iterator[Cable]:
    one = Cable()
    yield one
    one.close()
