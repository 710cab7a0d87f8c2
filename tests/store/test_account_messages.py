"""Messages by identity: copies with the flags of each mailbox, threads, and nothing of other accounts."""

from pathlib import Path

from appliance.mail.ids import AccountId, MailboxId, MessageId, Uid
from appliance.store.account_messages import AccountMessage, account_messages, thread_messages
from appliance.store.scope import own
from appliance.store.store import Store
from appliance.store.values import Mode, Placement

from .server import ANN, BEN, a_server, put


async def place_of(store: Store, name: str, account: AccountId = ANN) -> MailboxId:
    return (await store.find(account, name)).id


async def read(store: Store, account: AccountId, *ids: int) -> dict[MessageId, AccountMessage]:
    return await store.database.read(lambda connection: account_messages(connection, own(account), ids))


async def test_a_message_in_two_mailboxes_is_one_with_two_copies(tmp_path: Path) -> None:
    async with a_server(tmp_path) as store:
        inbox, archive = await place_of(store, "INBOX"), await place_of(store, "Archive")
        (placed,) = await put(store, Placement(inbox, b"Received: x\r\n", ("\\Seen", "$Work"), 77), octets=b"Subject: a\r\n\r\nbody\r\n")
        mailbox = await store.open(ANN, "INBOX")
        await mailbox.copy([placed.uid], "Archive")
        await mailbox.set_flags([placed.uid], Mode.REPLACE, ("\\Flagged", "later"))
        mailbox.close()
        (message,) = (await read(store, ANN, placed.message, placed.message + 99)).values()
        assert (message.id, message.thread, message.internal_at, message.octets) == (placed.message, placed.message, 77, 13 + 20)
        assert [(copy.mailbox, copy.uid, copy.flags) for copy in message.copies] == [
            (inbox, 1, {"\\Flagged", "later"}),
            (archive, 1, {"\\Seen", "$Work"}),
        ]
        assert await read(store, BEN, placed.message) == {} and await read(store, ANN) == {}


async def test_an_expunged_message_is_not_there_and_one_copy_less_is(tmp_path: Path) -> None:
    async with a_server(tmp_path) as store:
        inbox, archive = await place_of(store, "INBOX"), await place_of(store, "Archive")
        placed = await put(store, Placement(inbox, b""))
        mailbox = await store.open(ANN, "INBOX")
        await mailbox.copy([Uid(1)], "Archive")
        await mailbox.remove([Uid(1)])
        (message,) = (await read(store, ANN, placed[0].message)).values()
        assert [copy.mailbox for copy in message.copies] == [archive]
        await (await store.open(ANN, "Archive")).remove([Uid(1)])
        assert await read(store, ANN, placed[0].message) == {}


async def test_threads_have_their_messages_by_when_they_were_received(tmp_path: Path) -> None:
    async with a_server(tmp_path) as store:
        inbox, other = await place_of(store, "INBOX"), await place_of(store, "INBOX", BEN)

        def work(transaction: object) -> None:
            for message, thread in ((2, 1), (3, 1)):
                transaction.execute("UPDATE message_data SET thread = ? WHERE id = ?", (thread, message))  # type: ignore[attr-defined]

        for at in (30, 10, 20, 5):
            await put(store, Placement(inbox, b"", internal_at=at))
        await put(store, Placement(other, b""))
        await store.database.write(work)
        found = await store.database.read(lambda connection: thread_messages(connection, own(ANN), [1, 2, 4, 5, 99]))
        assert found == {1: [2, 3, 1], 4: [4]}
        assert await store.database.read(lambda connection: thread_messages(connection, own(BEN), [1, 5])) == {5: [5]}
