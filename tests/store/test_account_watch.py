"""A watch hears of its account's commits, and of no other."""

import trio

from appliance.mail.ids import AccountId, MailboxId, ModSeq
from appliance.store.account_watch import AccountWatches, key_of


def happened(watch: object) -> bool:
    return watch._changed.is_set()  # type: ignore[attr-defined, no-any-return]


async def test_what_wakes_a_watch() -> None:
    watches = AccountWatches()
    ann, ben = watches.add(AccountId(1)), watches.add(AccountId(2))
    watches.touched({MailboxId(7): ModSeq(3)})
    assert happened(ann) and happened(ben), "before the mailboxes are read any change counts"
    for watch, numbers in ((ann, (7, 8)), (ben, (9,))):
        watch.begin()
        watch.mailboxes = frozenset(map(MailboxId, numbers))
    watches.touched({MailboxId(8): ModSeq(4)})
    assert happened(ann) and not happened(ben)
    with trio.fail_after(1):
        await ann.wait()
    ann.begin()
    watches.touched({key_of(AccountId(2)): ModSeq(1)})
    assert happened(ben) and not happened(ann), "the tree of mailboxes"
    ben.close()
    ben.close()
    ben.begin()
    watches.touched({MailboxId(9): ModSeq(5)})
    assert not happened(ben)
