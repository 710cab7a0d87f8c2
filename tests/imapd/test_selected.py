"""What a client is sent about its selected mailbox, on the real store, without a connection."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from appliance.imapd.client import UpdateFormat
from appliance.imapd.extensions.condstore import EXTENSION as CONDSTORE
from appliance.imapd.extensions.condstore import begin
from appliance.imapd.flag_texts import FLAG_TEXTS, FlagTexts
from appliance.imapd.selected import Selected
from appliance.mail.flags import DELETED, KEYWORD_SHIFT, SEEN
from appliance.store.values import Mode
from tests.support.services import Components, some_components


class Recorder:
    """A client that records the responses."""

    def __init__(self, *enabled: bytes) -> None:
        self.enabled = set(enabled)
        self.updates = UpdateFormat()
        self.selected: Selected | None = None
        self.received: list[bytes] = []

    async def send(self, *parts: bytes) -> None:
        self.received += b"".join(parts).split(b"\r\n")[:-1]

    async def arrived(self, uids: Sequence[int]) -> None:
        """Nobody asked to be told."""

    def take(self) -> list[bytes]:
        received, self.received = self.received, []
        return received


async def opened(components: Components, recorder: Any, *, read_only: bool = False) -> Selected:
    return await Selected.open(recorder, await components.store.open(components.account(), "INBOX", read_only=read_only))


async def test_sessions_share_one_array_of_uids(tmp_path: Path) -> None:
    """200 idle sessions on one mailbox hold one array, also after news (RFC 9051 sets no limit, the board's memory does)."""
    async with some_components(tmp_path) as components:
        for number in range(3):
            await components.deliver(b"Subject: %d\r\n\r\n" % number)
        recorder: Any = Recorder()
        sessions = [await opened(components, recorder) for _ in range(20)]
        assert len({id(one.view.uids) for one in sessions}) == 1
        await components.deliver(b"Subject: new\r\n\r\n")
        await sessions[0].mailbox.set_flags([sessions[0].view.uid_of(2)], Mode.ADD, ("\\Deleted",))
        await sessions[0].mailbox.expunge()
        for one in sessions:
            await one.sync(recorder, True)
        assert len({id(one.view.uids) for one in sessions}) == 1
        assert list(sessions[7].view.uids) == [1, 3, 4]


async def test_nothing_new_costs_nothing(tmp_path: Path) -> None:
    async with some_components(tmp_path) as components:
        await components.deliver(b"\r\n")
        recorder: Any = Recorder()
        selected = await opened(components, recorder)
        reads = 0
        plain = components.family.writer.read

        async def read(work: Any) -> Any:
            nonlocal reads
            reads += 1
            return await plain(work)

        components.family.writer.read = read  # type: ignore[method-assign]
        recorder.take()
        await selected.sync(recorder, True)
        assert recorder.take() == [] and reads == 0


async def test_expunge_waits_until_it_may_be_sent(tmp_path: Path) -> None:
    async with some_components(tmp_path) as components:
        for number in range(4):
            await components.deliver(b"Subject: %d\r\n\r\n" % number)
        recorder: Any = Recorder()
        selected, other = await opened(components, recorder), await opened(components, Recorder())
        await other.mailbox.set_flags([other.view.uid_of(1), other.view.uid_of(3)], Mode.ADD, ("\\Deleted",))
        await other.mailbox.expunge()
        await components.deliver(b"Subject: new\r\n\r\n")
        recorder.take()
        await selected.sync(recorder, False)
        assert recorder.take() == [b"* 5 EXISTS", b"* 5 RECENT"], "the numbers of the expunged ones still count"
        await selected.sync(recorder, False)
        assert recorder.take() == []
        await selected.sync(recorder, True)
        assert recorder.take() == [b"* 1 EXPUNGE", b"* 2 EXPUNGE"]
        assert list(selected.view.uids) == [2, 4, 5]


async def test_lazy_seen_is_shown_at_once_and_sent_once(tmp_path: Path) -> None:
    async with some_components(tmp_path) as components:
        await components.deliver(b"\r\n")
        recorder: Any = Recorder()
        selected = await opened(components, recorder)
        rows = await selected.mailbox.rows(selected.view.uid_of(1), selected.view.uid_of(1), _flags())
        selected.show_seen(rows)
        assert selected.flags_of(rows[0]) == SEEN
        assert list(selected.flag_texts_of(rows)) == [b"(\\Seen \\Recent)"]
        selected.mailbox.see([rows[0].uid])
        recorder.take()
        await selected.sync(recorder, True)
        assert recorder.take() == [], "the client knows already"
        await selected.mailbox.set_flags([rows[0].uid], Mode.REMOVE, ("\\Seen",))
        await selected.sync(recorder, True)
        assert recorder.take() == [b"* 1 FETCH (UID 1 FLAGS (\\Recent))"]


async def test_enabling_condstore_sends_the_modseq_of_lazy_seen(tmp_path: Path) -> None:
    async with some_components(tmp_path) as components:
        await components.deliver(b"\r\n")
        recorder: Any = Recorder()
        selected = await opened(components, recorder)
        rows = await selected.mailbox.rows(selected.view.uid_of(1), selected.view.uid_of(1), _flags())
        selected.show_seen(rows)
        recorder.take()
        recorder.selected = selected
        recorder.updates = CONDSTORE.enable[0].applied(recorder.updates)
        await begin(recorder)
        assert recorder.take() == [b"* OK [HIGHESTMODSEQ 2] The latest change sent."]
        selected.mailbox.see([rows[0].uid])
        await selected.sync(recorder, True)
        assert recorder.take() == [b"* 1 FETCH (UID 1 FLAGS (\\Seen \\Recent) MODSEQ (3))"]


async def test_recent_belongs_to_the_first_session(tmp_path: Path) -> None:
    """RFC 3501 §2.3.2: EXAMINE claims nothing; with IMAP4rev2 it is not sent."""
    async with some_components(tmp_path) as components:
        await components.deliver(b"\r\n")
        looking, first, second, modern = Recorder(), Recorder(), Recorder(), Recorder(b"IMAP4REV2")
        for recorder, read_only in ((looking, True), (first, False), (second, False), (modern, False)):
            await opened(components, recorder, read_only=read_only)
        assert [b"* 1 RECENT" in recorder.received for recorder in (looking, first, second, modern)] == [True, True, False, False]
        assert not any(b"RECENT" in line or b"UNSEEN" in line for line in modern.received)


def _flags() -> Any:
    from appliance.store.values import Want

    return Want.FLAGS


def test_flag_texts_are_made_once_and_bounded() -> None:
    texts = FlagTexts(("work", "Home"))
    assert texts[SEEN | DELETED | 1 << KEYWORD_SHIFT + 1] == b"(\\Deleted \\Seen Home)"
    assert texts[0] is texts[0]
    assert texts[1 << KEYWORD_SHIFT + 9] == b"()", "a keyword without a name yet waits for the next sync"
    for flags in range(2 * FLAG_TEXTS):
        texts[flags]
    assert len(texts) <= FLAG_TEXTS
