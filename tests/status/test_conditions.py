"""status/conditions: each row shows when its facts hold, alone, and goes when they end."""

from collections.abc import Callable

import pytest

from appliance.status import events as e
from appliance.status.board import Board
from appliance.status.conditions import ROWS
from tests.support.clock import HandClock

NOW = int(HandClock().wall_s())
GB = 10**9
DAY_S = 86400


def guess(board: Board) -> None:
    for n in range(40):
        board.publish(e.LoginFailed("imap", f"192.0.2.{n % 3}", "ada", "PLAIN"))


def publish(event: e.Event) -> Callable[[Board], None]:
    return lambda board: board.publish(event)


def both(*events: e.Event) -> Callable[[Board], None]:
    def happen(board: Board) -> None:
        for event in events:
            board.publish(event)

    return happen


def delayed(domain: str, cause: str, reason: str) -> Callable[[Board], None]:
    def happen(board: Board) -> None:
        board.publish(e.QueueState(1, 0, 0, 0, 1, 0.0, 300.0))
        board.publish(e.MessageDelayed("M1", domain, 1, reason, 300.0, cause))
        board.clock.forward(61.0)  # type: ignore[attr-defined]

    return happen


CASES: tuple[tuple[str, Callable[[Board], None], str], ...] = (
    ("storage-error", publish(e.StorageTrouble("broken", "EIO")), "EIO"),
    ("storage-full", publish(e.StorageTrouble("full", "")), "deferred"),
    ("storage-full", publish(e.StorageState(10**6, 32 * GB, 0)), "deferred"),
    ("listener-down", publish(e.ListenerDown("imaps", "::", 993, "in use")), "imaps port 993"),
    ("certificate-expired", publish(e.CertificateState(("x",), NOW - 5, "own")), "expired"),
    ("certificate-expiring", publish(e.CertificateState(("x",), NOW + 5 * DAY_S, "own")), "5 days"),
    ("certificate-error", publish(e.CertificateTrouble("no such file")), "no such file"),
    ("certificate-names", publish(e.ConditionFound("certificate-names", ("No other.example.",))), "other.example"),
    ("authority-error", publish(e.ConditionFound("authority-error", ("It has ended.",))), "ended"),
    ("bodies-missing", publish(e.bodies_missing(3)), "files of 3 message bodies are gone"),
    ("authority-new", publish(e.ConditionFound("authority-new", ("It is new.",))), "new"),
    ("task-down", publish(e.TaskCrashed("control", "KeyError", 3.0)), "control"),
    ("storage-low", publish(e.StorageState(GB, 32 * GB, 0)), "1.0 GB of 32.0 GB"),
    ("storage-worn", publish(e.StorageState(20 * GB, 32 * GB, 0, worn_percent=90)), "90 %"),
    ("storage-writes", both(e.StorageState(8 * GB, 16 * GB, 0), e.HostState("box", ("::7",), written_octets_a_day=5 * GB)), "6 months"),
    ("low-voltage", publish(e.HostState("box", ("192.0.2.1",), low_voltage=True)), "too weak"),
    ("too-hot", publish(e.HostState("box", ("192.0.2.1",), temperature_c=80.0)), "80 °C"),
    ("settings-error", publish(e.ConditionFound("settings-error", ("line 3: No.",))), "line 3"),
    ("no-network", publish(e.HostState("box", (), 1, None, 0)), "no IP address"),
    ("outbound-blocked", publish(e.OutboundState("blocked", "none", "Port 25 is blocked and no relay is set.")), "Port 25 is blocked"),
    ("queue-stuck", publish(e.QueueState(3, 1, 0, 2, 3, 90_000.0, 60.0)), "2 messages need you"),
    ("relay-down", delayed("@provider", "unreachable", "No connection."), "The relay provider accepts no messages: No connection."),
    ("relay-down", delayed("@provider", "sign_in", "535 no"), "The relay provider accepts no messages: 535 no."),
    ("dns-down", delayed("x.example", "dns", "Nobody answered."), "no answer for x.example: Nobody answered."),
    ("queue-delayed", delayed("x.example", "not_now", "450 later."), "Messages to x.example wait: 450 later."),
    ("queue-delayed", delayed("@provider", "not_now", "450 later."), "Messages for the relay provider wait: 450 later."),
    ("queue-delayed", delayed(".", "not_now", "The mailbox is full."), "Messages for mailboxes here wait: The mailbox is full."),
    ("mailbox-full", publish(e.ConditionFound("mailbox-full", ("The mailbox of a@b.example is nearly full.",))), "a@b.example"),
    ("mailbox-full", publish(e.MessageRefused("smtp", "p", "", "a@b.example", "452 4.2.2 The mailbox is full")), "example was deferred"),
    ("sending-limited", publish(e.SendingLimited("ada@home.example", True)), "ada@home.example"),
    ("dkim-unsigned", publish(e.ConditionFound("dkim-unsigned", ("Messages leave unsigned: x.",))), "leave unsigned: x."),
    ("dkim-new", publish(e.ConditionFound("dkim-new", ("The keys are new.",))), "keys are new"),
    ("console-shared", publish(e.ConditionFound("console-shared", ("The program agetty uses it too.",))), "agetty"),
    ("password-guessing", guess, "40 wrong ones in ten minutes, from 3"),
    ("database-damaged", publish(e.StorageDamage("damaged", "malformed")), "part of the database is damaged"),
    ("database-repaired", publish(e.StorageDamage("repaired", "message_modseq")), "has been rebuilt"),
    ("bodies-orphaned", publish(e.OrphanedBodies(3)), "3 message bodies are not in the database"),
    ("session-failed", publish(e.SessionFailed("imap", "p", "", "KeyError")), "1 session"),
    ("no-accounts", publish(e.AccountsState(0, ())), "no accounts"),
    ("recovering", publish(e.ServerState("recovering")), "Power was lost"),
    ("updating", publish(e.ServerState("updating")), "new version"),
    ("starting", publish(e.ServerState("starting")), "starting"),
    ("draining", publish(e.ServerState("draining")), "shutting down"),
)


def board_in_order() -> tuple[Board, HandClock]:
    clock = HandClock()
    board = Board(clock)
    board.publish(e.ServerState("ready"))
    board.publish(e.AccountsState(1, ("home.example",)))
    board.publish(e.StorageState(20 * GB, 32 * GB, 0))
    board.publish(e.CertificateState(("box.local",), NOW + 300 * DAY_S, "server"))
    board.publish(e.ListenerUp("imaps", "::", 993))
    return board, clock


def test_all_is_well() -> None:
    board, _clock = board_in_order()
    assert board.snapshot().conditions == () and board.snapshot().severity == ""


@pytest.mark.parametrize(("key", "happen", "words"), CASES, ids=[f"{n}-{key}" for n, (key, _, _) in enumerate(CASES)])
def test_a_row_shows_alone(key: str, happen: Callable[[Board], None], words: str) -> None:
    board, _clock = board_in_order()
    happen(board)
    (only,) = board.snapshot().conditions
    assert only.key == key and words in only.sentence and only.sentence.endswith(".") and only.remedy.endswith(".")


def test_the_clock_not_set_is_a_notice_and_hides_dates() -> None:
    board, clock = board_in_order()
    clock.is_trusted = False
    board.publish(e.CertificateState(("x",), NOW - 5, "own"))
    (only,) = board.snapshot().conditions
    assert only.key == "clock-not-set"


def test_every_row_has_a_case() -> None:
    assert {row.key for row in ROWS} == {key for key, _, _ in CASES} | {"clock-not-set"}
    assert len({row.key for row in ROWS}) == len(ROWS)
    order = [row.severity for row in ROWS]
    assert order == sorted(order, key=["critical", "warning", "notice"].index)


def test_the_severity_is_the_worst() -> None:
    board, _clock = board_in_order()
    board.publish(e.AccountsState(0, ()))
    assert board.snapshot().severity == "notice"
    board.publish(e.CertificateTrouble("x"))
    assert board.snapshot().severity == "warning"
    board.publish(e.StorageTrouble("broken", ""))
    assert board.snapshot().severity == "critical"


def test_what_a_part_found_goes_when_it_says_so() -> None:
    board, _clock = board_in_order()
    board.publish(e.ConditionFound("authority-new", ("It is new.",)))
    board.publish(e.ConditionFound("authority-new", ()))
    assert not board.snapshot().conditions


@pytest.mark.parametrize(("source", "helps"), [("server", "certificate renew"), ("own", "in place of the file")])
def test_the_remedy_of_an_ending_certificate_is_one_that_can_help(source: str, helps: str) -> None:
    for days in (-1, 5):
        board, _clock = board_in_order()
        board.publish(e.CertificateState(("x",), NOW + days * DAY_S, source))
        (only,) = board.snapshot().conditions
        assert helps in only.remedy


def test_a_delay_is_reported_after_a_minute_and_goes_with_the_message() -> None:
    for ends in (
        e.MessageSent("M1", "@provider", "mx", 1, 1, "TLSv1.3", 0.1),
        e.MessageFailed("M1", "@provider", 1, "no"),
        e.QueueState(0, 0, 0, 0, 0, 0.0, None),
    ):
        board, clock = board_in_order()
        board.publish(e.QueueState(1, 0, 0, 0, 1, 0.0, 300.0))
        board.publish(e.MessageDelayed("M1", "@provider", 1, "No connection.", 300.0, "unreachable"))
        board.publish(e.MessageDelayed("M2", "x.example", 1, "450 later", 300.0, "not_now"))
        assert [one.key for one in board.snapshot().conditions] == ["relay-down"]
        clock.forward(300.0)
        board.publish(e.MessageDelayed("M1", "@provider", 1, "No connection.", 600.0, "unreachable"))
        board.publish(e.MessageDelayed("M2", "x.example", 1, "450 later", 600.0, "not_now"))
        assert [one.key for one in board.snapshot().conditions] == ["relay-down", "queue-delayed"], "since the first attempt"
        board.publish(e.MessageSent("M2", "x.example", "mx", 1, 1, "TLSv1.3", 0.1))
        board.publish(ends)
        assert not board.snapshot().conditions


def test_a_delay_whose_message_took_another_route_is_forgotten() -> None:
    board, clock = board_in_order()
    delayed("@provider", "unreachable", "No connection.")(board)
    clock.forward(3600.0)
    assert not board.snapshot().conditions


def test_many_destinations_are_counted() -> None:
    board, clock = board_in_order()
    for n in range(200):
        board.publish(e.QueueState(n + 1, 0, 0, 0, n, 0.0, 300.0))
        board.publish(e.MessageDelayed(f"M{n}", f"x{n}.example", 1, "Later.", 300.0, "not_now"))
        board.publish(e.MessageDelayed(f"D{n}", f"d{n}.example", 1, "Silence.", 300.0, "dns"))
    clock.forward(61.0)
    sentences = [one.sentence for one in board.snapshot().conditions]
    assert len(sentences) <= 6 and len(board.state.delays) <= 64, sentences


def test_guessing_ends_by_itself() -> None:
    board, clock = board_in_order()
    guess(board)
    assert board.snapshot().conditions
    clock.forward(601)
    assert not board.snapshot().conditions
