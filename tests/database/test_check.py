"""The check finds what must never be, and nothing where all is well."""

from pathlib import Path

import pytest

from appliance.database import migrations
from appliance.database.check import check
from appliance.database.database import InlineWriter

MESSAGE = "INSERT INTO message(mailbox, uid, modseq, flags, internal_at, octets, body, message_data) VALUES"
FAULTS = {
    f"{MESSAGE}(1, 1, 1, 0, 0, 10, 9, 1)": "1 messages have no body",
    f"{MESSAGE}(1, 1, 1, 0, 0, 10, 1, 9)": "1 messages have lost their descriptions",
    f"{MESSAGE}(9, 1, 1, 0, 0, 10, 1, 1)": "1 messages are in no mailbox",
    f"{MESSAGE}(1, 7, 1, 0, 0, 10, 1, 1)": "1 mailboxes hold a UID or MODSEQ above their own counters",
    "INSERT INTO shared_data VALUES(1, 2)": "1 descriptions count their messages wrongly",
    "UPDATE body SET refcount = 0": "1 bodies are needed by more messages than they count",
    "DELETE FROM body_data": "1 small bodies have lost their octets",
    "INSERT INTO body_data VALUES(5, x'00')": "the octets of 1 bodies belong to no message",
    "UPDATE mailbox SET messages = 5": "1 mailboxes count their messages wrongly",
    "INSERT INTO expunged VALUES(1, 1, 1, 3)": "1 UIDs are both there and expunged",
    "INSERT INTO body VALUES(2, 1, 1, 1, x'abcd')": "1 large bodies have lost their files",
}


def a_server(path: Path) -> InlineWriter:
    server = InlineWriter(path)

    def fill(transaction: object) -> None:
        for statement in (
            "INSERT INTO mailbox(id, account, name, uid_validity, uid_next, modseq, messages, octets) "
            "VALUES(1, 1, 'INBOX', 1, 3, 4, 1, 10)",
            f"{MESSAGE}(1, 2, 4, 0, 0, 10, 1, 1)",
            "INSERT INTO message_data(id, account, refcount, created_modseq, thread, subject_hash, described_by, prefix, envelope,"
            " bodystructure, parts) VALUES(1, 1, 1, 1, 1, 0, 1, x'', x'', x'', x'')",
            "INSERT INTO body VALUES(1, 10, 2, 1, NULL)",
            "INSERT INTO body_data VALUES(1, x'0000')",
            "INSERT INTO expunged VALUES(1, 3, 1, 1)",
        ):
            transaction.execute(statement)  # type: ignore[attr-defined]

    server.write_now(fill)
    return server


def test_all_is_well(tmp_path: Path) -> None:
    a_server(tmp_path / "pillarbox.db").close()
    report = check(tmp_path / "pillarbox.db", [])
    assert report.faults == []
    assert report.rows["message"] == 1 and report.body_octets == 10 and report.octets > 0


@pytest.mark.parametrize("statement", FAULTS)
def test_each_fault_has_its_sentence(tmp_path: Path, statement: str) -> None:
    server = a_server(tmp_path / "pillarbox.db")
    server.write_now(lambda transaction: transaction.execute(statement))
    server.close()
    assert FAULTS[statement] in check(tmp_path / "pillarbox.db", []).faults


def test_files_without_a_row_are_reported(tmp_path: Path) -> None:
    a_server(tmp_path / "pillarbox.db").close()
    report = check(tmp_path / "pillarbox.db", ["00"])
    assert len(report.notes) == 1 and not report.faults, "a message may be arriving, or leaving"


def test_a_file_that_came_after_the_listing_is_not_lost(tmp_path: Path) -> None:
    server = a_server(tmp_path / "pillarbox.db")
    server.write_now(lambda transaction: transaction.execute("INSERT INTO body VALUES(2, 1, 1, 1, x'abcd')"))
    server.close()
    assert check(tmp_path / "pillarbox.db", [], is_there=lambda name: name == "abcd").faults == []


def test_a_ruined_page_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "pillarbox.db"
    a_server(path).close()
    (tmp_path / "pillarbox.db-wal").unlink()
    octets = bytearray(path.read_bytes())
    octets[10 * 1024 : 11 * 1024] = bytes([7]) * 1024
    path.write_bytes(octets)
    assert check(path).faults


def test_a_file_of_an_earlier_version_is_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "pillarbox.db"
    with monkeypatch.context() as earlier:
        earlier.setattr(migrations, "STEPS", migrations.STEPS[:1])
        earlier.setattr(migrations, "VERSION", 1)
        a_server(path).close()
    assert migrations.is_outdated(path)
    assert check(path, []).faults == []
