"""What a client is told of its selected mailbox, on the real store, without a wire."""

from pathlib import Path
from typing import Any

from appliance.imapd.selected import FLAG_TEXTS, FlagTexts, Selected
from appliance.mail.flags import DELETED, KEYWORD_SHIFT, SEEN
from appliance.store.values import Mode
from tests.support.services import Components, some_components


class Ear:
    """A session that only hears."""

    def __init__(self, *enabled: bytes) -> None:
        self.enabled = set(enabled)
        self.heard: list[bytes] = []

    async def send(self, *parts: bytes) -> None:
        self.heard += b"".join(parts).split(b"\r\n")[:-1]

    def take(self) -> list[bytes]:
        heard, self.heard = self.heard, []
        return heard


async def opened(components: Components, ear: Any, *, read_only: bool = False) -> Selected:
    return await Selected.open(ear, await components.store.open(components.account(), "INBOX", read_only=read_only))


async def test_sessions_share_one_array_of_uids(tmp_path: Path) -> None:
    """200 idle sessions on one mailbox hold one array, also after news (RFC 9051 sets no limit, the board's memory does)."""
    async with some_components(tmp_path) as components:
        for number in range(3):
            await components.deliver(b"Subject: %d\r\n\r\n" % number)
        ear: Any = Ear()
        sessions = [await opened(components, ear) for _ in range(20)]
        assert len({id(one.view.uids) for one in sessions}) == 1
        await components.deliver(b"Subject: new\r\n\r\n")
        await sessions[0].mailbox.set_flags([sessions[0].view.uid_of(2)], Mode.ADD, ("\\Deleted",))
        await sessions[0].mailbox.expunge()
        for one in sessions:
            await one.sync(ear, True)
        assert len({id(one.view.uids) for one in sessions}) == 1
        assert list(sessions[7].view.uids) == [1, 3, 4]


async def test_nothing_new_costs_nothing(tmp_path: Path) -> None:
    async with some_components(tmp_path) as components:
        await components.deliver(b"\r\n")
        ear: Any = Ear()
        selected = await opened(components, ear)
        reads = 0
        plain = components.family.writer.read

        async def read(work: Any) -> Any:
            nonlocal reads
            reads += 1
            return await plain(work)

        components.family.writer.read = read  # type: ignore[method-assign]
        ear.take()
        await selected.sync(ear, True)
        assert ear.take() == [] and reads == 0


async def test_expunge_waits_until_it_may_be_said(tmp_path: Path) -> None:
    async with some_components(tmp_path) as components:
        for number in range(4):
            await components.deliver(b"Subject: %d\r\n\r\n" % number)
        ear: Any = Ear()
        selected, other = await opened(components, ear), await opened(components, Ear())
        await other.mailbox.set_flags([other.view.uid_of(1), other.view.uid_of(3)], Mode.ADD, ("\\Deleted",))
        await other.mailbox.expunge()
        await components.deliver(b"Subject: new\r\n\r\n")
        ear.take()
        await selected.sync(ear, False)
        assert ear.take() == [b"* 5 EXISTS", b"* 5 RECENT"], "the numbers of those that went still stand"
        await selected.sync(ear, False)
        assert ear.take() == []
        await selected.sync(ear, True)
        assert ear.take() == [b"* 1 EXPUNGE", b"* 2 EXPUNGE"]
        assert list(selected.view.uids) == [2, 4, 5]


async def test_lazy_seen_is_shown_at_once_and_told_once(tmp_path: Path) -> None:
    async with some_components(tmp_path) as components:
        await components.deliver(b"\r\n")
        ear: Any = Ear()
        selected = await opened(components, ear)
        rows = await selected.mailbox.rows(selected.view.uid_of(1), selected.view.uid_of(1), _flags())
        selected.seeing(rows)
        assert selected.flags_of(rows[0]) == SEEN
        assert list(selected.flag_texts_of(rows)) == [b"(\\Seen \\Recent)"]
        selected.mailbox.see([rows[0].uid])
        ear.take()
        await selected.sync(ear, True)
        assert ear.take() == [], "the client knows already"
        await selected.mailbox.set_flags([rows[0].uid], Mode.REMOVE, ("\\Seen",))
        await selected.sync(ear, True)
        assert ear.take() == [b"* 1 FETCH (UID 1 FLAGS (\\Recent))"]


async def test_who_switches_condstore_on_hears_the_modseq_of_what_was_lazy(tmp_path: Path) -> None:
    async with some_components(tmp_path) as components:
        await components.deliver(b"\r\n")
        ear: Any = Ear()
        selected = await opened(components, ear)
        rows = await selected.mailbox.rows(selected.view.uid_of(1), selected.view.uid_of(1), _flags())
        selected.seeing(rows)
        ear.take()
        ear.enabled.add(b"CONDSTORE")
        await selected.begin_condstore(ear)
        assert ear.take() == [b"* OK [HIGHESTMODSEQ 2] The latest change told."]
        selected.mailbox.see([rows[0].uid])
        await selected.sync(ear, True)
        assert ear.take() == [b"* 1 FETCH (UID 1 FLAGS (\\Seen \\Recent) MODSEQ (3))"]


async def test_recent_belongs_to_the_first_session(tmp_path: Path) -> None:
    """RFC 3501 §2.3.2: EXAMINE takes nothing; an IMAP4rev2 client hears nothing of it."""
    async with some_components(tmp_path) as components:
        await components.deliver(b"\r\n")
        looking, first, second, modern = Ear(), Ear(), Ear(), Ear(b"IMAP4REV2")
        for ear, read_only in ((looking, True), (first, False), (second, False), (modern, False)):
            await opened(components, ear, read_only=read_only)
        assert [b"* 1 RECENT" in ear.heard for ear in (looking, first, second, modern)] == [True, True, False, False]
        assert not any(b"RECENT" in line or b"UNSEEN" in line for line in modern.heard)


def _flags() -> Any:
    from appliance.store.values import Want

    return Want.FLAGS


def test_flag_texts_are_made_once_and_bounded() -> None:
    texts = FlagTexts(("work", "Home"))
    assert texts[SEEN | DELETED | 1 << KEYWORD_SHIFT + 1] == b"(\\Deleted \\Seen Home)"
    assert texts[0] is texts[0]
    assert texts[1 << KEYWORD_SHIFT + 9] == b"()", "a keyword nobody was told of waits for the next sync"
    for flags in range(2 * FLAG_TEXTS):
        texts[flags]
    assert len(texts) <= FLAG_TEXTS
