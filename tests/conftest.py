"""Hooks for all tests: times by kind in the summary, figures reported by tests, SIGINT.

With PILLARBOX_REQUIRE_ALL set a test whose program is missing fails; without it, it is skipped with a reason (`tests/support/needs`).
"""

import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.figures import REPORTED

TESTS = Path(__file__).parent
KINDS = ("corpus", "crash", "clients", "fuzz", "journeys", "peers", "sessions", "rest")
ALL_S = 720
"""Seconds that all tests together may take on two otherwise idle cores."""
ONE_S = 20.0
"""The same for one test; slower ones are listed by name."""


def kind_of(item: pytest.Item) -> str:
    if item.get_closest_marker("corpus"):
        return "corpus"
    if item.path.name == "test_many_sessions.py":
        return "sessions"
    directory = item.path.relative_to(TESTS).parts[0] if item.path.is_relative_to(TESTS) else ""
    return directory if directory in KINDS else "rest"


class TimeTable:
    def __init__(self) -> None:
        self.took_s: dict[str, float] = {}
        self.slow: list[tuple[float, str]] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        start = time.monotonic()
        try:
            return (yield)
        finally:
            kind, took_s = kind_of(item), time.monotonic() - start
            self.took_s[kind] = self.took_s.get(kind, 0) + took_s
            if took_s > ONE_S:
                self.slow.append((took_s, item.nodeid))

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        for figure in REPORTED:
            terminalreporter.write_line(figure)
        times = ", ".join(f"{kind} {self.took_s[kind]:.0f} s" for kind in KINDS if kind in self.took_s)
        terminalreporter.write_line(f"time: {times}; {sum(self.took_s.values()):.0f} s of {ALL_S} s")
        for took_s, name in sorted(self.slow, reverse=True):
            terminalreporter.write_line(f"over {ONE_S:.0f} s: {name} took {took_s:.0f} s")


def pytest_configure(config: pytest.Config) -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell starts `make test &` like this, and every child would inherit it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.pluginmanager.register(TimeTable(), "time-table")
