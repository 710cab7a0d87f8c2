"""What every test shares: the time table, and how a missing program is told.

With PILLARBOX_REQUIRE_ALL set (the gate sets it) what is missing fails; without it, it is skipped and said.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.figures import TOLD

TESTS = Path(__file__).parent
TABLE_S = (
    ("corpus", 240), ("crash", 180), ("clients", 300), ("fuzz", 180), ("journeys", 240), ("peers", 240), ("sessions", 75), ("rest", 300),
)  # fmt: skip
"""Seconds each kind of test may take in the gate."""


def kind_of(item: pytest.Item) -> str:
    if item.get_closest_marker("corpus"):
        return "corpus"
    if item.path.name == "test_many_sessions.py":
        return "sessions"
    room = item.path.relative_to(TESTS).parts[0] if item.path.is_relative_to(TESTS) else ""
    return room if room in dict(TABLE_S) else "rest"


class TimeTable:
    def __init__(self) -> None:
        self.took_s: dict[str, float] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        start = time.monotonic()
        try:
            return (yield)
        finally:
            kind = kind_of(item)
            self.took_s[kind] = self.took_s.get(kind, 0) + time.monotonic() - start

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        for figure in TOLD:
            terminalreporter.write_line(figure)
        for kind, most_s in TABLE_S:
            if kind in self.took_s:
                over = "   OVER ITS TIME" if self.took_s[kind] > most_s else ""
                terminalreporter.write_line(f"{kind}: {self.took_s[kind]:.0f} s of {most_s} s{over}")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(TimeTable(), "time-table")
