"""store/change_runs: changes since a MODSEQ found by runs are those that all rows say, however few runs there are."""

import random
from pathlib import Path

import pytest

from appliance.database.database import InlineWriter
from appliance.mail.ids import MailboxId, ModSeq, Uid
from appliance.store import change_runs
from appliance.store.change_runs import keep, rows_since, runs_over_gaps
from appliance.store.values import Mode

from .server import ANN, a_server, deliver

ROW = "INSERT OR REPLACE INTO message(mailbox, uid, modseq, flags, internal_at, octets, body, message_data) VALUES(1, ?, ?, ?, 0, 1, 1, 1)"


@pytest.mark.parametrize("kept", [1, 5, 50])
def test_runs_find_what_all_rows_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: int) -> None:
    """Some runs were dropped: from before the oldest, all rows are looked at."""
    monkeypatch.setattr(change_runs, "KEPT", kept)
    monkeypatch.setattr(change_runs, "SLACK", 3)
    dice, rows = random.Random(kept), {}
    database = InlineWriter(tmp_path / "pillarbox.db")
    database.write_now(lambda t: t.execute("INSERT INTO mailbox(id, account, name, uid_validity, messages) VALUES(1, 1, 'INBOX', 1, 400)"))
    for modseq in range(1, 120):
        first = dice.randrange(1, 400)
        uids = sorted(dice.sample(range(first, 401), dice.randrange(1, min(40, 402 - first)))) if modseq > 1 else list(range(1, 401))

        def change(transaction: object, modseq: int = modseq, uids: list[int] = uids) -> None:
            for uid in uids:
                transaction.execute(ROW, (uid, modseq, modseq % 7))  # type: ignore[attr-defined]
            keep(transaction, MailboxId(1), ModSeq(modseq), uids)  # type: ignore[arg-type]

        database.write_now(change)
        rows.update((uid, (uid, modseq % 7, modseq)) for uid in uids)
        for since in (0, modseq - 1, dice.randrange(modseq + 1)):
            found = database.read_now(lambda connection: rows_since(connection, MailboxId(1), since, ("uid", "flags", "modseq")))  # noqa: B023
            assert found == [rows[uid] for uid in sorted(rows) if rows[uid][2] > since]
    database.close()


def test_a_run_reaches_over_small_gaps() -> None:
    assert runs_over_gaps([5]) == [(5, 5)]
    assert runs_over_gaps(range(7, 3000)) == [(7, 2999)]
    assert runs_over_gaps(list(range(1, 3000, 2))) == [(1, 2999)]
    assert runs_over_gaps([1, 2, 1000, 1001, 5000]) == [(1, 2), (1000, 1001), (5000, 5000)]


async def test_who_follows_a_store_reads_nothing(tmp_path: Path) -> None:
    async with a_server(tmp_path) as store:
        for _ in range(3):
            await deliver(store)
        box = await store.open(ANN, "INBOX")
        since = box.modseq
        await box.set_flags([Uid(1), Uid(3)], Mode.ADD, ("\\Flagged",))
        reads = []
        monitored, store.database.read = store.database.read, lambda work: reads.append(work) or monitored(work)  # type: ignore
        changes = await box.changes(since)
        assert [row[0] for row in changes.flags] == [1, 3] and not reads
        store.database.read = monitored
        assert (await box.changes(since, fresh=True)).flags == changes.flags
        box.close()
