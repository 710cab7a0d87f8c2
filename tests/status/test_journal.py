"""status/journal: one line for each event, nothing forged, nothing blocked, nothing lost without being counted."""

import fcntl
import os
import time

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from appliance.status.events import LoginFailed, MessageAccepted, ServerState, SessionClosed, SessionOpened, StorageState
from appliance.status.journal import CHUNK_OCTETS, LINES, PENDING, Journal, clean, frames_of
from tests.support.clock import HandClock


def pipe_journal(stamped: bool = False) -> tuple[Journal, int, int]:
    reading, writing = os.pipe()
    return Journal(HandClock(), fd=writing, stamped=stamped), reading, writing


def read(fd: int) -> str:
    os.set_blocking(fd, False)
    got = b""
    try:
        while more := os.read(fd, 65536):
            got += more
    except BlockingIOError:
        pass
    return got.decode()


def test_an_event_s_fields_are_in_its_line() -> None:
    journal, reading, _ = pipe_journal()
    journal.note(SessionOpened("smtp", "192.0.2.7"))
    journal.note(MessageAccepted("smtp", "192.0.2.7", "eve@example.net", 2, 4123, 0.0123, "42"))
    journal.note(SessionClosed("smtp", "192.0.2.7", "", 5000, 300, 1.5))
    journal.note(StorageState(1, 2, 3))
    journal.flush()
    assert read(reading).splitlines() == [
        "message accepted protocol=smtp peer=192.0.2.7 sender=eve@example.net recipients=2 octets=4123 took=0.012s message=42 mailboxes=1",
        "session closed protocol=smtp peer=192.0.2.7 octets_in=5000 octets_out=300 took=1.500s",
    ]


def test_the_time_stands_in_front_when_asked() -> None:
    journal, reading, _ = pipe_journal(stamped=True)
    journal.log("hello")
    journal.flush()
    assert read(reading) == "2026-12-01T00:00:00Z hello\n"


@given(st.text(max_size=400))
def test_no_text_makes_a_second_line_or_moves_a_terminal(text: str) -> None:
    journal, reading, writing = pipe_journal()
    journal.note(LoginFailed("imap", text, text, "PLAIN"))
    journal.log(text)
    journal.flush()
    lines = read(reading).split("\n")
    os.close(reading)
    os.close(writing)
    assert lines[-1] == "" and len(lines) == (3 if text else 2)
    assert all(line.isprintable() for line in lines)


def test_a_field_cannot_forge_another() -> None:
    journal, reading, _ = pipe_journal()
    journal.note(LoginFailed("imap", "192.0.2.7", 'ada" mechanism=PLAIN\r\nsigned in user=root', "LOGIN"))
    journal.flush()
    said = read(reading)
    assert said.count("\n") == 1
    assert '\\" mechanism=PLAIN\\x0d\\x0asigned in user=root"' in said and said.endswith("mechanism=LOGIN\n")


def test_clean() -> None:
    assert clean("\x1b[2J\u202e\u2028é") == "\\x1b[2J\\u202e\\u2028é"
    assert len(clean("x" * 5000)) == 200
    assert clean("\ud800") == "\\ud800"


def test_the_ring_keeps_the_newest() -> None:
    journal, _reading, _ = pipe_journal()
    for n in range(3 * LINES):
        journal.log(str(n))
    assert [line.split()[-1] for line in journal.lines(3 * LINES - 2)] == [str(3 * LINES - 2), str(3 * LINES - 1)]
    assert journal.lines()[0].startswith("20"), "each has its time, also where what is written has none"
    assert len(journal.lines()) == LINES and journal.count == 3 * LINES
    assert journal.lines(3 * LINES) == [] and len(journal.lines(4 * LINES)) == LINES, "a number of another server"


def test_a_full_pipe_drops_and_counts_lines() -> None:
    journal, reading, writing = pipe_journal()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    start = time.monotonic()
    for n in range(500):
        journal.log(f"{n} {'x' * 100}")
        journal.flush()
    assert time.monotonic() - start < 2
    assert journal.dropped > 400
    read(reading)
    journal.log("back")
    journal.flush()
    said = read(reading).splitlines()
    assert said[0].endswith("lines of the journal were lost here") and said[-1] == "back"
    assert journal.dropped == 0 and len(journal.lines()) == LINES


@pytest.mark.parametrize("size", [1, 1999, 5000])
def test_long_lines_of_wide_characters_never_block_a_pipe(size: int) -> None:
    journal, reading, writing = pipe_journal()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    for _ in range(3):
        journal.log("€" * size)
        journal.flush()
    assert len(read(reading).encode("utf-8", "replace")) <= 2 * CHUNK_OCTETS


def test_a_closed_stderr_never_fails() -> None:
    reading, writing = os.pipe()
    journal = Journal(HandClock(), fd=writing)
    os.close(reading)
    journal.log("closed pipe")
    journal.flush()
    os.close(writing)
    journal.log("closed descriptor")
    journal.flush()
    assert journal.dropped == 2 and len(journal.lines()) == 2


async def test_a_burst_shares_its_system_calls_and_the_end_is_written() -> None:
    journal, reading, _ = pipe_journal()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(journal.run)
        await trio.testing.wait_all_tasks_blocked()
        journal.note(ServerState("ready"))
        await trio.testing.wait_all_tasks_blocked()
        assert read(reading) == "server phase=ready\n"
        for n in range(200):
            journal.log(f"line {n}")
        await trio.testing.wait_all_tasks_blocked()
        assert len(read(reading).splitlines()) == 200
        journal.log("last words")
        nursery.cancel_scope.cancel()
    assert read(reading) == "last words\n"


def test_pending_lines_are_bounded() -> None:
    journal, _reading, _ = pipe_journal()
    for n in range(PENDING + 100):
        journal.log(str(n))
    assert journal.dropped == 100


def test_frames_of_an_exception_also_inside_groups() -> None:
    def fail() -> None:
        raise KeyError("x")

    try:
        fail()
    except KeyError as fault:
        assert "in fail: raise KeyError" in frames_of(fault)[-1]
        assert frames_of(ExceptionGroup("g", [fault])) == frames_of(fault)
    assert frames_of(ValueError("never raised")) == []


def test_a_quiet_one_remembers_and_writes_nothing() -> None:
    journal, reading, _ = pipe_journal()
    journal.quiet = True
    journal.log("kept in memory")
    assert len(journal.lines()) == 1
    journal.quiet = False
    journal.log("written")
    journal.flush()
    assert read(reading).splitlines() == ["written"] and len(journal.lines()) == 2
