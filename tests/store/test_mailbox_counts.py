"""Counts that follow the changes are those of who counts every message, for an owner and for whoever a part is shared with."""

import sqlite3
import tempfile
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.mail.flags import DELETED, DRAFT, SEEN
from appliance.mail.ids import MailboxId, Uid
from appliance.protocol.imap.bodystructure import make_describe
from appliance.store import mailbox_counts
from appliance.store.id_set import IdSet
from appliance.store.mailbox_counts import MailboxCounts, ScopeCounts
from appliance.store.scope import Scope, own, readable
from appliance.store.store import Store
from appliance.store.values import Mode, Placement

from .server import ANN, BEN, a_server, put
from .test_account_changes import place_of, step
from .test_shared_members import share

PLACES = st.sampled_from(["INBOX", "Archive", "Trash"])
NUMBERS = st.integers(0, 5)
STEPS = st.one_of(
    st.tuples(st.sampled_from(["append", "copy", "move", "mark", "remove", "delete"]), PLACES, PLACES, NUMBERS),
    st.tuples(st.just("reply"), PLACES, NUMBERS),
    st.tuples(st.sampled_from(["\\Seen", "\\Draft"]), PLACES, NUMBERS),
    st.tuples(st.just("share"), st.sampled_from(["INBOX", "Trash"]), st.sampled_from(["", "l", "lr"])),
)
SCOPES = (own(ANN), Scope(ANN, BEN))


def every_message(connection: sqlite3.Connection, scope: Scope) -> dict[MailboxId, MailboxCounts]:
    """RFC 8621 §2, read message by message."""
    numbers = readable(connection, scope)
    trash = {number for (number,) in connection.execute("SELECT id FROM mailbox WHERE special_use = '\\Trash'")}
    rows = connection.execute("SELECT mailbox, message_data, flags FROM message").fetchall()
    rows = [row for row in rows if row[0] in numbers and not row[2] & DELETED]
    thread = dict(connection.execute("SELECT id, thread FROM message_data").fetchall())
    read = {message for _, message, flags in rows if flags & (SEEN | DRAFT)}
    unread = {(mailbox in trash, thread[message]) for mailbox, message, _ in rows if message not in read}
    found = {}
    for number in numbers:
        messages = {message for mailbox, message, _ in rows if mailbox == number}
        threads = {thread[message] for message in messages}
        new = [one for one in threads if (number in trash, one) in unread]
        found[number] = MailboxCounts(len(messages), len(messages - read), len(threads), len(new))
    return found


async def change(store: Store, what: tuple[Any, ...]) -> None:
    if what[0] == "share":
        await share(store, *what[1:])
    elif what[0] == "reply":
        text = b"Subject: Re: Dinner\r\nMessage-ID: <%d@x>\r\nReferences: <0@x>\r\n\r\n" % what[2]
        await put(store, Placement(await place_of(store, what[1]), b""), octets=text)
    elif what[0].startswith("\\"):
        mailbox = await store.open(ANN, what[1])
        uids = [Uid(uid) for uid in range(1, mailbox.info.uid_next) if uid % 3 == what[2] % 3]
        await mailbox.set_flags(uids, Mode.ADD if what[2] % 2 else Mode.REMOVE, (what[0],))
        mailbox.close()
    else:
        await step(store, *what)


async def compare(store: Store, scope: Scope, counts: ScopeCounts) -> None:
    def work(connection: sqlite3.Connection) -> None:
        counts.bring_up_to_date(connection, scope)
        assert counts.by_mailbox() == every_message(connection, scope)

    await store.database.read(work)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(STEPS, st.booleans()), max_size=30))
def test_counts_that_follow_are_those_of_every_message(steps: list[tuple[Any, bool]]) -> None:
    async def run() -> None:
        with tempfile.TemporaryDirectory() as directory:
            async with a_server(Path(directory), scanner=make_describe) as store:  # type: ignore[arg-type]
                await share(store, "Archive", "lr")
                often, seldom = [ScopeCounts(), ScopeCounts()], [ScopeCounts(), ScopeCounts()]
                for what, both in steps:
                    await change(store, what)
                    for kept in (often, seldom) if both else (often,):
                        for scope, counts in zip(SCOPES, kept, strict=True):
                            await compare(store, scope, counts)
                for scope, counts in zip(SCOPES, seldom, strict=True):
                    await compare(store, scope, counts)

    trio.run(run)


async def test_a_change_reads_the_threads_it_touched_alone(tmp_path: Path) -> None:
    async with a_server(tmp_path, scanner=make_describe) as store:  # type: ignore[arg-type]
        inbox = Placement(await place_of(store, "INBOX"), b"")
        for number in range(20):
            await put(store, inbox, octets=b"Message-ID: <%d@x>\r\n\r\n" % number)
        counts = ScopeCounts()
        await compare(store, own(ANN), counts)
        mailbox = await store.open(ANN, "INBOX")
        await mailbox.set_flags([Uid(3)], Mode.ADD, ("\\Seen",))
        mailbox.close()
        statements: list[str] = []

        def work(connection: sqlite3.Connection) -> None:
            connection.set_trace_callback(statements.append)
            counts.bring_up_to_date(connection, own(ANN))
            connection.set_trace_callback(None)

        await store.database.read(work)
        (reading,) = [text for text in statements if "d.thread" in text]
        assert "'[3]'" in reading, "of the threads that changed"
        assert counts.by_mailbox()[MailboxId(inbox.mailbox)].unread == 19


async def test_after_an_error_all_is_counted_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with a_server(tmp_path, scanner=make_describe) as store:  # type: ignore[arg-type]
        inbox = Placement(await place_of(store, "INBOX"), b"")
        await put(store, inbox)
        counts = ScopeCounts()
        await compare(store, own(ANN), counts)
        await put(store, inbox)
        with monkeypatch.context() as patch:
            patch.setattr(mailbox_counts, "OF_THREADS", "SELECT 1, 1, 1, 1 FROM nowhere WHERE ?1 = ?2")
            with pytest.raises(Exception, match="nowhere"):
                await compare(store, own(ANN), counts)
        await compare(store, own(ANN), counts)


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5000))), st.sets(st.integers(0, 5000)))
def test_a_set_of_identities_is_a_set(steps: list[tuple[bool, int]], other: set[int]) -> None:
    tried, known = IdSet(), set[int]()
    for adding, number in steps:
        if adding:
            tried.add(number)
            known.add(number)
        else:
            tried.discard(number)
            known.discard(number)
    others = IdSet()
    for number in other:
        others.add(number)
    assert len(tried) == len(known) and all(number in tried for number in known)
    assert len(tried & others) == len(known & other)
