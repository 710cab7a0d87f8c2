"""status/board: every event is folded, one snapshot, readers woken, memory bounded."""

import json
from dataclasses import FrozenInstanceError

import pytest
import trio

from appliance.status import events as e
from appliance.status.board import STALE_S, Board
from appliance.status.board_state import FOLDS, GUESSES, RECENT
from appliance.status.text import encode_snapshot, readable
from tests.support.clock import HandClock


def message(n: int) -> e.MessageAccepted:
    return e.MessageAccepted("smtp", "192.0.2.7", "eve@example.net", 1, 1000 + n, 0.01, str(n))


def test_every_event_changes_the_board() -> None:
    kinds = {kind for kind in vars(e).values() if isinstance(kind, type) and issubclass(kind, e.Event)}
    folded = {kind for kind in kinds if issubclass(kind, e.StateEvent)} | FOLDS.keys()
    assert kinds - folded == {e.Event, e.AttemptBegun}


def test_queued_and_sent_messages_in_wall_time() -> None:
    clock = HandClock()
    board = Board(clock)
    now = int(clock.wall_s())
    board.publish(e.QueueState(2, 1, 0, 1, 2, 600.0, 30.0))
    board.publish(e.MessageSent("A1", "far.example", "mx.far.example", 2, 900, "TLSv1.3", 0.4))
    board.publish(e.MessageFailed("A2", "gone.example", 1, "Nobody there."))
    s = board.snapshot()
    assert (s.queue.waiting, s.queue.held, s.queue.oldest_at, s.queue.next_attempt_at) == (2, 1, now - 600, now + 30)
    assert (s.messages_sent, s.messages_failed) == (2, 1)
    failed, sent = s.attempts
    assert (failed.outcome, failed.message, failed.text) == ("failed", "A2", "Nobody there.")
    assert (sent.outcome, sent.message, sent.text) == ("sent", "A1", "mx.far.example, TLSv1.3")
    board.publish(e.SendingLimited("ada@home.example", True))
    assert board.snapshot().send_limited == ("ada@home.example",)
    board.publish(e.SendingLimited("ada@home.example", False))
    board.publish(e.QueueState(0, 0, 0, 0, 0, 0.0, None))
    s = board.snapshot()
    assert s.send_limited == () and (s.queue.oldest_at, s.queue.next_attempt_at) == (0, 0)


def test_sessions_messages_and_logins_are_counted() -> None:
    clock = HandClock()
    board = Board(clock)
    for protocol in ("pop3", "smtp", "smtp"):
        board.publish(e.SessionOpened(protocol, "192.0.2.7"))
    board.publish(e.SessionClosed("smtp", "192.0.2.7", "", 100, 200, 0.5))
    board.publish(e.SessionRefused("smtp", "192.0.2.8", "full"))
    board.publish(e.SessionFailed("pop3", "192.0.2.7", "", "KeyError"))
    board.publish(message(1))
    board.publish(e.MessageRefused("smtp", "192.0.2.7", "a@b.example", "c@d.example", "550 5.1.1 no"))
    board.publish(e.LoginSucceeded("imap", "192.0.2.7", "ada@home.example", "PLAIN"))
    board.publish(e.LoginFailed("imap", "192.0.2.7", "ada", "PLAIN"))
    s = board.snapshot()
    smtp, pop3 = s.sessions
    assert (smtp.protocol, smtp.open, smtp.opened, smtp.refused, smtp.octets_in, smtp.octets_out) == ("smtp", 1, 2, 1, 100, 200)
    assert (pop3.open, pop3.failed, s.sessions_open) == (1, 1, 2)
    assert (s.messages_accepted, s.messages_refused, s.messages_octets) == (1, 1, 1001)
    assert s.arrivals[0].message == "1" and s.refusals[0].reply == "550 5.1.1 no"
    assert (s.logins.succeeded, s.logins.failed, s.logins.failed_lately) == (1, 1, 1)
    clock.forward(601)
    assert board.snapshot().logins.failed_lately == 0
    assert board.snapshot().logins.failed == 1


def test_a_snapshot_is_frozen_and_the_same_until_something_happens() -> None:
    clock = HandClock()
    board = Board(clock)
    one = board.snapshot()
    assert board.snapshot() is one
    with pytest.raises(FrozenInstanceError):
        one.phase = "x"  # type: ignore[misc]
    board.publish(e.ServerState("ready"))
    two = board.snapshot()
    assert (two.phase, one.phase, two.version) == ("ready", "starting", one.version + 1)
    clock.forward(STALE_S + 1)
    assert board.snapshot() is not two


def test_memory_is_bounded() -> None:
    board = Board(HandClock())
    for n in range(10 * RECENT):
        board.publish(message(n))
        board.publish(e.MessageRefused("smtp", "p", "s", str(n), "550"))
    for n in range(2 * GUESSES):
        board.publish(e.LoginFailed("imap", str(n), "x", "PLAIN"))
    s = board.snapshot()
    assert len(s.arrivals) == len(s.refusals) == RECENT
    assert s.arrivals[0].message == str(10 * RECENT - 1)  # newest first
    assert s.logins.failed_lately == GUESSES and s.logins.failed == 2 * GUESSES


def test_an_unknown_event_never_fails() -> None:
    board = Board(HandClock())
    board.publish("what is this")  # type: ignore[arg-type]
    assert board.snapshot().version == 1


async def test_waiting_readers_are_woken_with_the_latest_snapshot(autojump_clock: trio.abc.Clock) -> None:
    board = Board(HandClock())
    seen: list[str] = []

    async def watch() -> None:
        version = board.version
        while len(seen) < 2:
            s = await board.changed(version)
            version = s.version
            seen.append(s.phase)

    async with trio.open_nursery() as nursery:
        for _ in range(2):
            nursery.start_soon(watch)
        await trio.testing.wait_all_tasks_blocked()
        board.publish(e.ServerState("ready"))
        board.publish(e.ServerState("draining"))  # no reader ran in between: the one before is missed
        await trio.testing.wait_all_tasks_blocked()
        assert seen == ["draining", "draining"]
        board.publish(e.ServerState("stopped"))
    assert (await board.changed(0)).phase == "stopped"  # no wait when it is behind already


def test_listeners_come_and_go() -> None:
    board = Board(HandClock())
    board.publish(e.ListenerUp("smtp", "::", 25))
    board.publish(e.ListenerUp("imap", "::", 143))
    board.publish(e.ListenerDown("smtp", "::", 25, "in use"))
    board.publish(e.ListenerDown("imap", "::", 143, ""))
    (only,) = board.snapshot().listeners
    assert (only.protocol, only.reason) == ("smtp", "in use")
    board.publish(e.ListenerUp("smtp", "::", 25))
    assert not board.snapshot().listeners[0].reason


def test_trouble_comes_and_goes() -> None:
    board = Board(HandClock())
    board.publish(e.CertificateTrouble("no such file"))
    board.publish(e.StorageTrouble("broken", "EIO"))
    board.publish(e.TaskCrashed("control", "KeyError", 1.0))
    board.publish(e.TaskCrashed("control", "KeyError", 2.0))
    s = board.snapshot()
    assert (s.certificate.trouble, s.storage.trouble, s.tasks[0].crashes, s.tasks[0].restart_in_s) == ("no such file", "broken", 2, 2.0)
    board.publish(e.CertificateState(("box.local",), 2_000_000_000, "server"))
    board.publish(e.StorageTrouble("", ""))
    board.publish(e.TaskRunning("control"))
    s = board.snapshot()
    assert (s.certificate.trouble, s.storage.trouble, s.tasks[0].fault, s.tasks[0].crashes) == ("", "", "", 2)


def full_board() -> Board:
    board = Board(HandClock())
    board.publish(e.ListenerUp("smtp", "::", 25))
    board.publish(e.ListenerDown("imaps", "::", 993, "in use"))
    board.publish(e.SessionOpened("smtp", "192.0.2.7"))
    board.publish(message(1))
    board.publish(e.MessageRefused("smtp", "p", "", "c@d.example", "550 no"))
    board.publish(e.StorageState(10**9, 32 * 10**9, 10**6))
    board.publish(e.CertificateState(("box.local",), 1_900_000_000, "server"))
    board.publish(e.AccountsState(2, ("home.example",)))
    board.publish(e.TaskRunning("control"))
    board.publish(e.ServerState("ready"))
    return board


def test_json_has_every_field() -> None:
    s = full_board().snapshot()
    back = json.loads(json.dumps(encode_snapshot(s)))
    assert back["listeners"][1] == {"protocol": "imaps", "host": "::", "port": 993, "reason": "in use"}
    assert back["accounts"] == 2 and back["arrivals"][0]["octets"] == 1001
    assert back["conditions"][0]["severity"] == "critical"
    assert set(back) == set(type(s).__dataclass_fields__)


def test_text_has_the_worst_first_and_fits_a_screen() -> None:
    text = readable(full_board().snapshot())
    lines = text.splitlines()
    assert lines[0].startswith("CRITICAL: ") and "imaps port 993" in lines[0]
    assert len(lines) <= 24 and max(map(len, lines)) <= 140
    for fact in ("ready", "home.example", "[::]:25", "1 open", "from <>", "1.0 GB of 32.0 GB free", "box.local"):
        assert fact in text
    assert "All is well." in readable(healthy().snapshot())


def healthy() -> Board:
    board = Board(HandClock())
    board.publish(e.AccountsState(1, ("home.example",)))
    board.publish(e.ServerState("ready"))
    return board
