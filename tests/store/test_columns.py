"""store/columns, store/column_cache: numbers of messages in bulk, right whatever comes and goes between."""

from array import array
from pathlib import Path

import pytest

from appliance.mail.ids import MailboxId, Uid
from appliance.protocol.imap.bodystructure import make_describe
from appliance.store import column_cache, columns
from appliance.store.column_cache import ColumnCache
from appliance.store.store import Store
from appliance.store.threads import hash_of
from appliance.store.values import MISSING, Column, Placement

from .server import ANN, a_server, put


async def deliver(store: Store, number: int) -> None:
    inbox = await store.inbox_of(ANN)
    date = b"Date: Tue, %d Jan 2024 00:00:00 +0000\r\n" % number if number % 2 else b""
    await put(store, Placement(inbox, b"", (), 1_000 + number), octets=date + b"Message-ID: <%d@x>\r\n\r\n" % number)


async def test_columns_are_aligned_to_the_uids_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "ROWS", 2)
    async with a_server(tmp_path, scanner=make_describe) as store:  # type: ignore[arg-type]
        for number in range(1, 8):
            await deliver(store, number)
        box = await store.open(ANN, "INBOX")
        assert list(await box.column(Column.ARRIVAL, array("I", [2, 3, 7]))) == [1_002, 1_003, 1_007]
        sent = list(await box.column(Column.SENT, array("I", range(1, 8))))
        assert sent[1::2] == [1_002, 1_004, 1_006], "without a date, the internal date"
        assert sent[0] == 1_704_067_200 and sent[::2] == sorted(sent[::2])
        assert list(await box.column(Column.SENT, array("I", [3, 4]))) == [sent[2], sent[3]], "of what is cached"
        await box.remove([Uid(4)])
        await deliver(store, 9)
        assert list(await box.column(Column.SENT, array("I", [3, 5, 8]))) == [sent[2], sent[4], sent[4] + 4 * 86_400]
        assert list(await box.column(Column.ARRIVAL, array("I", [3, 4]))) == [1_003, MISSING]
        assert list(await box.column(Column.SENT, array("I"))) == []


async def test_thread_rows_hash_what_references_uses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "THREAD_ROWS", 2)
    async with a_server(tmp_path, scanner=make_describe) as store:  # type: ignore[arg-type]
        place = Placement(await store.inbox_of(ANN), b"", (), 7)
        for header in (
            b"Subject: Re: a",
            b'Message-ID: <"b"@x>\r\nReferences: <a@x> yes <yes> <c@x>\r\nIn-Reply-To: <d@x>',
            b"In-Reply-To: <d@x> <e@x>",
            b"Subject: [fwd: a]",
        ):
            await put(store, place, octets=header + b"\r\n\r\n")
        box = await store.open(ANN, "INBOX")
        found = await box.thread_rows(array("I", [1, 2, 3, 4, 9]))
        assert list(found.uids) == [1, 2, 3, 4]
        assert found.references == [(), (hash_of(b"a@x"), hash_of(b"c@x")), (hash_of(b"d@x"),), ()]
        assert list(found.message_ids) == [0, hash_of(b"b@x"), 0, 0]
        assert found.subjects[0] == found.subjects[3] != 0 and found.subjects[1] == 0
        assert list(found.is_reply) == [1, 0, 0, 1]
        assert (await box.thread_rows(array("I"))).references == []


def test_the_cache_is_bounded_and_keeps_what_was_used_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(column_cache, "CACHE_OCTETS", 12 * 10)
    cache, one, two = ColumnCache(), MailboxId(1), MailboxId(2)
    uids = array("I", [1, 2, 3, 4])
    cache.put(one, "a", (uids, array("q", [5, 6, 7, 8])), 0)
    cache.put(two, "a", (uids, array("q", [9, 9, 9, 9])), 0)
    assert cache.values(one, "a", array("I", [2, 4])) == array("q", [6, 8])
    cache.put(two, "b", (uids, array("q", [1, 1, 1, 1])), 0)
    assert cache.get(two, "a") is None and cache.get(one, "a") is not None
    cache.put(one, "a", (array("I", [1]), array("q", [5])), 0)
    assert cache.exact(one, "a", uids) is not None, "a few messages do not take the place of many"
    cache.put(one, "c", (array("I", range(50)), array("q", range(50))), 0)
    assert cache.get(one, "c") is None, "larger than the cache"
    assert cache.values(one, "a", array("I", [2, 99])) is None
    cache.clear()
    cache.put(one, "a", (uids, uids), 0)
    assert cache.get(one, "a") is None, "read before the messages were described anew"
