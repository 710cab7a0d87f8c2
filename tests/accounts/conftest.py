"""A server without accounts."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.accounts import Family, a_family


@pytest.fixture
def family(tmp_path: Path) -> Iterator[Family]:
    with a_family(tmp_path) as family:
        yield family
