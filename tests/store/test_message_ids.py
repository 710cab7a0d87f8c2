"""Which message stands at which UID: grows with the mailbox, shared by copies, begun anew when most are gone."""

from pathlib import Path

from appliance.mail.ids import Uid
from appliance.mail.query import BodyHas
from appliance.store.message_ids import MessageIds, grown
from appliance.store.search_found import Hits, TextHits

from .server import ANN, a_server, deliver


async def test_the_arrays_grow_and_forget(tmp_path: Path) -> None:
    async with a_server(tmp_path) as store:
        for _ in range(3):
            await deliver(store)
        box = await store.open(ANN, "INBOX")
        number = box.info.id

        async def again(known: MessageIds | None, messages: int) -> MessageIds:
            return await store.database.read(lambda connection: grown(connection, number, known, box.newest(), messages))

        first = await again(None, 3)
        assert (list(first.uids), list(first.ids)) == ([1, 2, 3], [1, 2, 3])
        await box.copy([Uid(2)], "INBOX")
        await box.remove([Uid(1)])
        second = await again(first, 3)
        assert (list(second.uids), list(second.ids)) == ([1, 2, 3, 4], [1, 2, 3, 2])
        assert second.chosen(frozenset({2, 9})) == [2, 4]
        assert second.unindexed(TextHits(((1, 2),), {})) == [3]
        assert second.unindexed(TextHits(((1, 3),), {})) == []
        assert list((await again(MessageIds(second.modseq, second.uids * 60, second.ids * 60), 3)).uids) == [2, 3, 4]
        box.close()


def test_hits_decide_leaves_of_indexed_messages() -> None:
    one, two = BodyHas("one"), BodyHas("two")
    hits = TextHits(((1, 9),), {one: Hits(frozenset({1, 2}), frozenset({2})), two: None})
    assert [hits.facts(message) for message in (1, 2, 3, 10)] == [{}, {one: True}, {one: False}, {}]
