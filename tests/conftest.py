"""Hooks for all tests: order, times by kind in the summary, figures reported by tests, SIGINT.

`make test` runs them in three processes (pytest-xdist), a file in one of them: what follows works with one process as well.
With PILLARBOX_REQUIRE_ALL set a test whose program is missing fails; without it, it is skipped with a reason (`tests/support/needs`).
"""

import os
import signal
import time
from pathlib import PurePosixPath
from typing import Any

import hypothesis
import pytest

from tests.support.figures import REPORTED

os.environ["LANGUAGE"] = "en"  # commands speak it, wherever the tests run

KINDS = ("corpus", "crash", "clients", "fuzz", "journeys", "peers", "sessions", "rest")
LONG_FIRST = ("tests/imapd/test_many_sessions.py", "tests/journeys/", "tests/fuzz/", "tests/crash/", "tests/peers/", "tests/clients/")
"""What takes longest starts first, so that no process waits for the other at the end."""
ALL_S = 720
"""Seconds that all tests together may take on two otherwise idle cores."""
ONE_S = 20.0
"""The same for one test; slower ones are listed by name."""


def kind_of(report: pytest.TestReport) -> str:
    if "corpus" in report.keywords:
        return "corpus"
    path = PurePosixPath(report.nodeid.partition("::")[0])
    if path.name == "test_many_sessions.py":
        return "sessions"
    return path.parts[1] if path.parts[1] in KINDS else "rest"


class TimeTable:
    """Adds up setup, call and teardown of each test, whichever process ran it."""

    def __init__(self) -> None:
        self.started_mono = time.monotonic()
        self.took_s: dict[str, float] = {}
        self.kinds_s: dict[str, float] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        kind = kind_of(report)
        self.kinds_s[kind] = self.kinds_s.get(kind, 0) + report.duration
        self.took_s[report.nodeid] = self.took_s.get(report.nodeid, 0) + report.duration

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        for figure in REPORTED:
            terminalreporter.write_line(figure)
        times = ", ".join(f"{kind} {self.kinds_s[kind]:.0f} s" for kind in KINDS if kind in self.kinds_s)
        terminalreporter.write_line(f"time: {times}; all {time.monotonic() - self.started_mono:.0f} s of {ALL_S} s")
        for name, took_s in sorted(self.took_s.items(), key=lambda one: -one[1]):
            if took_s > ONE_S:
                terminalreporter.write_line(f"over {ONE_S:.0f} s: {name} took {took_s:.0f} s")


hypothesis.settings.register_profile("busy machine", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("busy machine")  # one example may wait for the processor as long as it must


def pytest_configure(config: pytest.Config) -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell starts `make test &` like this, and every child would inherit it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.pluginmanager.register(TimeTable(), "time-table")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ranks = {place: rank for rank, place in enumerate(LONG_FIRST)}
    items.sort(key=lambda item: min((rank for place, rank in ranks.items() if item.nodeid.startswith(place)), default=len(ranks)))


def pytest_sessionfinish(session: pytest.Session) -> None:
    output = getattr(session.config, "workeroutput", None)  # in a process of pytest-xdist only
    if output is not None:
        output["figures"] = REPORTED


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """One of pytest-xdist's processes has ended: its figures join the summary."""
    REPORTED.extend(getattr(node, "workeroutput", {}).get("figures", ()))
