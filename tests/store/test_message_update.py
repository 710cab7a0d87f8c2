"""One message changed in all its mailboxes: decided on what is there, in one commit, or not at all."""

from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.mail.errors import StoreError, Trouble
from appliance.mail.ids import AccountId, MailboxId, MessageId, Uid
from appliance.store.account_messages import flag_names
from appliance.store.message_update import MessageState
from appliance.store.scope import own
from appliance.store.store import Store
from appliance.store.values import Mode, Placement, Want

from .server import ANN, BEN, a_server, put


async def place_of(store: Store, name: str, account: AccountId = ANN) -> MailboxId:
    return (await store.find(account, name)).id


async def shown(store: Store, *names: str) -> dict[str, list[frozenset[str]]]:
    found = {}
    for name in names:
        mailbox = await store.open(ANN, name)
        rows = await mailbox.rows(Uid(1), Uid(2**32), Want.FLAGS)
        keywords = (await mailbox.changes(mailbox.modseq, fresh=True)).keywords
        found[name] = [flag_names(row.flags, keywords) for row in rows]
        mailbox.close()
    return found


def to(*mailboxes: MailboxId) -> Callable[[MessageState], MessageState]:
    return lambda before: MessageState(before.flags, frozenset(mailboxes))


async def test_flags_of_all_copies_and_one_with_deleted_stays_as_it_was(tmp_path: Path) -> None:
    async with a_server(tmp_path) as store:
        (placed,) = await put(store, Placement(await place_of(store, "INBOX"), b"", ("\\Seen", "$Work")))
        inbox = await store.open(ANN, "INBOX")
        await inbox.copy([placed.uid], "Archive")
        await inbox.set_flags([placed.uid], Mode.ADD, ("\\Deleted",))
        inbox.close()

        def decide(before: MessageState) -> MessageState:
            assert before.flags == {"\\Seen", "$Work"} and len(before.mailboxes) == 1
            return MessageState(before.flags - {"\\Seen"} | {"\\Flagged"}, before.mailboxes)

        await store.update_message(own(ANN), placed.message, decide)
        assert await shown(store, "INBOX", "Archive") == {
            "INBOX": [{"$Work", "\\Seen", "\\Deleted"}],
            "Archive": [{"$Work", "\\Flagged"}],
        }


async def test_a_message_moves_and_is_copied_and_keeps_its_identity(tmp_path: Path) -> None:
    async with a_server(tmp_path, quota=lambda _: 30) as store:
        inbox, archive, sent = [await place_of(store, name) for name in ("INBOX", "Archive", "Sent")]
        (placed,) = await put(store, Placement(inbox, b"", ("$Work",)), octets=b"0123456789")
        await store.update_message(own(ANN), placed.message, to(archive, sent))
        assert await shown(store, "INBOX", "Archive", "Sent") == {"INBOX": [], "Archive": [{"$Work"}], "Sent": [{"$Work"}]}
        with pytest.raises(StoreError) as refused:  # four copies are over the quota, and nothing of it lasts
            await store.update_message(own(ANN), placed.message, to(inbox, archive, sent, await place_of(store, "Junk")))
        assert refused.value.trouble is Trouble.OVER_QUOTA
        assert len((await shown(store, "INBOX"))["INBOX"]) == 0
        await store.update_message(own(ANN), placed.message, to(sent))
        await store.update_message(own(ANN), placed.message, to())
        with pytest.raises(StoreError) as refused:
            await store.update_message(own(ANN), placed.message, to(sent))
        assert refused.value.trouble is Trouble.GONE
        rows = await store.database.read(lambda connection: connection.execute("SELECT count(*) FROM message_data").fetchone()[0])
        assert rows == 0 and await shown(store, "Archive", "Sent") == {"Archive": [], "Sent": []}


async def test_other_accounts_are_out_of_reach(tmp_path: Path) -> None:
    async with a_server(tmp_path) as store:
        (placed,) = await put(store, Placement(await place_of(store, "INBOX"), b""))
        theirs = await place_of(store, "INBOX", BEN)
        for account, message, target, trouble in (
            (BEN, placed.message, theirs, Trouble.GONE),
            (ANN, placed.message, theirs, Trouble.NO_MAILBOX),
            (ANN, MessageId(99), theirs, Trouble.GONE),
        ):
            with pytest.raises(StoreError) as refused:
                await store.update_message(own(account), message, to(target))
            assert refused.value.trouble is trouble


async def test_what_the_decision_raises_changes_nothing(tmp_path: Path) -> None:
    async with a_server(tmp_path) as store:
        (placed,) = await put(store, Placement(await place_of(store, "INBOX"), b""))

        def refuse(before: MessageState) -> MessageState:
            raise KeyError("no")

        with pytest.raises(KeyError):
            await store.update_message(own(ANN), placed.message, refuse)
        assert await shown(store, "INBOX") == {"INBOX": [frozenset()]}
