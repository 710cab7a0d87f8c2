"""store/threads, mail/threads: which messages form a thread (RFC 8621 §3, RFC 5256 §2.1)."""

import sqlite3
from pathlib import Path

import pytest

from appliance.mail.collation import casemap
from appliance.mail.ids import MessageId, Uid
from appliance.mail.threads import REFERENCES, base_subject, thread_keys
from appliance.protocol.imap.bodystructure import make_describe
from appliance.store.store import Store
from appliance.store.values import Placement

from .server import ANN, BEN, a_server

SUBJECTS = {
    b"Dinner": "dinner",
    b"Re: Dinner": "dinner",
    b"RE: re: Fwd: Dinner": "dinner",
    b"re[2]: Dinner (fwd) (Fwd)": "dinner",
    b"[family] Re: [family] Dinner": "dinner",
    b"[Fwd: Re: Dinner]": "dinner",
    b"[dinner]": "[dinner]",
    b"=?utf-8?Q?Re:_Gr=C3=BC=C3=9Fe?=": "grüße",
    b"Regards": "regards",
    b"Dinner\n\tat eight": "dinner at eight",
    b"": "",
    b"Re:": "",
}


@pytest.mark.parametrize("subject", SUBJECTS)
def test_base_subject(subject: bytes) -> None:
    assert base_subject(subject) == casemap(SUBJECTS[subject])


@pytest.mark.parametrize("text", [b"[" * 4000, b"[a]" * 2000, b"re:" * 2000, b"(fwd)" * 2000, b"[fwd:" * 1000 + b"]" * 1000, b" " * 4000])
def test_base_subject_of_hostile_octets_ends(text: bytes) -> None:
    base_subject(text)


def test_references_first_then_in_reply_to_each_once() -> None:
    keys = thread_keys(
        {b"references": [b"<a@x> <b@x>\n <c@x>"], b"in-reply-to": [b"Your mail <c@x> and <d@x>"], b"message-id": [b" <e@x> "]}
    )
    assert keys.references == (b"a@x", b"b@x", b"c@x", b"d@x") and keys.message_id == b"e@x"


def test_of_many_references_the_root_and_the_last_stay() -> None:
    keys = thread_keys({b"references": [b" ".join(b"<%d@x>" % number for number in range(100))]})
    assert len(keys.references) == REFERENCES and keys.references[0] == b"0@x" and keys.references[-1] == b"99@x"


async def append(store: Store, message_id: str, references: str = "", subject: str = "Dinner", account: object = ANN) -> MessageId:
    lines = [f"Subject: {subject}", *([f"Message-ID: <{message_id}@x>"] if message_id else [])]
    if references:
        lines.append("References: " + " ".join(f"<{one}@x>" for one in references.split()))
    async with store.bodies.receive(10_000, make_describe) as incoming:
        await incoming.write("\r\n".join([*lines, "", message_id]).encode())
        mailbox = await store.inbox_of(account)  # type: ignore[arg-type]
        return (await store.file(await incoming.finish(), [Placement(mailbox, b"")]))[0].message


async def threads(store: Store) -> dict[int, int]:
    def work(connection: sqlite3.Connection) -> list[tuple[int, int]]:
        return connection.execute("SELECT id, thread FROM message_data").fetchall()

    return dict(await store.database.read(work))


async def test_a_reply_joins_and_another_subject_does_not(tmp_path: Path) -> None:
    async with a_server(tmp_path) as store:
        first = await append(store, "a")
        reply = await append(store, "b", "a", "Re: Dinner")
        second = await append(store, "c", "a b", "AW: something else")
        elsewhere = await append(store, "d", "a", "Re: Dinner", BEN)
        alone = await append(store, "", "", "Dinner")
        assert await threads(store) == {first: first, reply: first, second: second, elsewhere: elsewhere, alone: alone}


async def test_replies_to_a_message_that_is_not_here_share_a_thread_and_it_joins_late(tmp_path: Path) -> None:
    async with a_server(tmp_path) as store:
        first = await append(store, "b", "a", "Re: Dinner")
        second = await append(store, "c", "a", "Re: Dinner")
        root = await append(store, "a")
        assert await threads(store) == {first: first, second: first, root: first}


async def test_a_late_link_does_not_merge_threads(tmp_path: Path) -> None:
    async with a_server(tmp_path) as store:
        one, two = await append(store, "a"), await append(store, "b")
        link = await append(store, "c", "a b", "Re: Dinner")
        assert await threads(store) == {one: one, two: two, link: one}


async def test_the_identity_stays_with_copy_and_move(tmp_path: Path) -> None:
    async with a_server(tmp_path) as store:
        message = await append(store, "a")
        inbox = await store.open(ANN, "INBOX")
        await inbox.copy([Uid(1)], "Archive")
        await inbox.move([Uid(1)], "Trash")
        inbox.close()
        assert await threads(store) == {message: message}
        reply = await append(store, "b", "a", "Re: Dinner")
        assert (await threads(store))[reply] == message


async def test_an_expunged_message_is_found_no_more(tmp_path: Path) -> None:
    async with a_server(tmp_path) as store:
        await append(store, "a")
        inbox = await store.open(ANN, "INBOX")
        await inbox.remove([Uid(1)])
        inbox.close()
        reply = await append(store, "b", "a", "Re: Dinner")
        assert await threads(store) == {reply: reply}
