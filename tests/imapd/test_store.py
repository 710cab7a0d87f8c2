"""STORE concurrent with another session, and its bounds."""

import time
from pathlib import Path
from typing import Any

from appliance.mail.flags import KEYWORDS_PER_MAILBOX
from appliance.store.values import Mode
from tests.support.services import some_components

from .client import signed_in
from .picture import ok


async def test_silent_sends_a_concurrent_change(tmp_path: Path) -> None:
    """Another session's \\Flagged is committed between this session's last sync and its own change: the client must be sent it."""
    async with some_components(tmp_path) as components:
        await components.deliver(b"\r\n")
        client = await signed_in(components, b"INBOX")
        assert await ok(client, b"STORE 1 +FLAGS.SILENT (\\Seen)") == [], "alone it is silent"
        other = await components.store.open(components.account(), "INBOX")
        writer = components.family.writer
        plain = writer.write

        async def write(work: Any, *, octets: int = 0) -> Any:
            writer.write = plain  # type: ignore[method-assign]
            await other.set_flags([other.uids[0]], Mode.ADD, ("\\Flagged",))  # type: ignore[list-item]
            return await plain(work, octets=octets)

        writer.write = write  # type: ignore[method-assign]
        assert await ok(client, b"STORE 1 +FLAGS.SILENT (\\Answered)") == [b"* 1 FETCH (FLAGS (\\Answered \\Flagged \\Seen \\Recent))"]


async def test_the_mailbox_has_room_for_so_many_keywords(tmp_path: Path) -> None:
    async with some_components(tmp_path) as components:
        await components.deliver(b"\r\n")
        client = await signed_in(components, b"INBOX")
        for number in range(KEYWORDS_PER_MAILBOX):
            await ok(client, b"STORE 1 +FLAGS.SILENT (k%d)" % number)
        _, tagged = await client.command(b"STORE 1 +FLAGS (one-more)")
        assert tagged.startswith(b"NO [LIMIT]")
        untagged = await ok(client, b"SELECT INBOX")
        assert not any(b"\\*" in line for line in untagged), "PERMANENTFLAGS announces that no more can be created"
        assert len((await ok(client, b"FETCH 1 FLAGS"))[0].split()) == KEYWORDS_PER_MAILBOX + len(["*", "1", "FETCH", "(FLAGS"])


async def test_bad_flags_change_nothing(tmp_path: Path) -> None:
    async with some_components(tmp_path) as components:
        await components.deliver(b"\r\n")
        client = await signed_in(components, b"INBOX")
        for flags in (b"(\\Nosuch)", b"(" + b"k" * 300 + b")", b"(a b", b"a)", b"(%)", b"", b"({1}\r\na)"):
            _, tagged = await client.command(b"STORE 1 FLAGS " + flags)
            assert tagged.startswith(b"BAD"), flags
        assert await ok(client, b"STORE 1 FLAGS (\\Recent)") == [b"* 1 FETCH (FLAGS (\\Recent))"], "RFC 3501 §2.3.2: cannot be changed"


async def test_many_at_once(tmp_path: Path) -> None:
    async with some_components(tmp_path) as components:
        for number in range(600):
            await components.deliver(b"Subject: %d\r\n\r\n" % number)
        one, two = await signed_in(components, b"INBOX"), await signed_in(components, b"INBOX")
        started = time.process_time()
        assert len(await ok(one, b"UID STORE 1:* +FLAGS (work)")) == 602
        assert len(await ok(two, b"NOOP")) == 602
        assert await ok(one, b"STORE 1:599 +FLAGS.SILENT (\\Deleted)") == []
        assert len(await ok(one, b"EXPUNGE")) == 599
        received = await ok(two, b"NOOP")
        assert sum(line.endswith(b"EXPUNGE") for line in received) == 599
        assert await ok(two, b"FETCH 1:* UID") == [b"* 1 FETCH (UID 600)"]
        assert time.process_time() - started < 10
