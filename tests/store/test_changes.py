"""Snapshots of a mailbox's UIDs: read in windows, whatever gaps expunged messages left."""

from pathlib import Path
from random import Random

import pytest

from appliance.database.database import InlineWriter
from appliance.mail.ids import MailboxId
from appliance.store import changes

UIDS_AT_ONCE = changes.UIDS_AT_ONCE
SETS = {
    "none": [],
    "one": [7],
    "a run": list(range(1, 2 * UIDS_AT_ONCE + 2)),
    "exactly a window": list(range(5, UIDS_AT_ONCE + 5)),
    "gaps": sorted(Random(1).sample(range(1, 40_000), 2 * UIDS_AT_ONCE)),
    "the last one": [1, 2**32 - 1],
}


@pytest.mark.parametrize("uids", SETS.values(), ids=SETS)
def test_all_uids_ascending_and_of_this_mailbox_alone(tmp_path: Path, uids: list[int]) -> None:
    server = InlineWriter(tmp_path / "pillarbox.db")

    def fill(transaction: object) -> None:
        insert = "INSERT INTO message(mailbox, uid, modseq, flags, internal_at, octets, body, message_data) VALUES(?, ?, 1, 1, 0, 1, 1, 1)"
        transaction.execute("INSERT INTO mailbox(id, account, name, uid_validity, modseq) VALUES(2, 1, 'INBOX', 1, 1)")  # type: ignore[attr-defined]
        transaction.executemany(insert, [(2, uid) for uid in uids] + [(1, 3), (3, 4)])  # type: ignore[attr-defined]

    server.write_now(fill)
    snapshot = server.read_now(lambda connection: changes.snapshot(connection, MailboxId(2), None))
    assert snapshot.uids.tolist() == uids
    server.close()
