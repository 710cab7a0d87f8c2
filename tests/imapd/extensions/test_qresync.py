"""QRESYNC: what a client that reconnects is sent (RFC 7162 §3.2.5)."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from appliance.store import expunge
from tests.imapd.client import Client, signed_in
from tests.support.services import Components, some_components

MESSAGE = b"Subject: x\r\n\r\nx\r\n"


@asynccontextmanager
async def mailbox(directory: Path, messages: int) -> AsyncIterator[Components]:
    async with some_components(directory) as components:
        for _ in range(messages):
            await components.deliver(MESSAGE)
        yield components


async def resyncing(components: Components) -> Client:
    client = await signed_in(components)
    assert (await client.command(b"ENABLE QRESYNC"))[1].startswith(b"OK")
    return client


def value(responses: list[bytes], code: bytes) -> int:
    found = re.search(rb"\[%b ([0-9]+)\]" % code, b"\n".join(responses))
    assert found
    return int(found[1])


def changes(responses: list[bytes]) -> list[bytes]:
    return [line for line in responses if b"VANISHED" in line or b"FETCH" in line or b"EXPUNGE" in line]


async def test_select_sends_what_changed(tmp_path: Path) -> None:
    async with mailbox(tmp_path, 6) as components:
        client = await resyncing(components)
        responses, _ = await client.command(b"SELECT INBOX")
        validity, modseq = value(responses, b"UIDVALIDITY"), value(responses, b"HIGHESTMODSEQ")
        await client.command(b"UNSELECT")
        other = await signed_in(components, b"INBOX")
        await other.command(b"UID STORE 2,4 +FLAGS (\\Deleted)")
        await other.command(b"EXPUNGE")
        await other.command(b"UID STORE 5 +FLAGS (\\Seen)")
        await components.deliver(MESSAGE)
        since = b"%d %d" % (validity, modseq)
        responses, tagged = await client.command(b"SELECT INBOX (QRESYNC (%b))" % since)
        assert tagged.startswith(b"OK [READ-WRITE]")
        assert changes(responses)[0] == b"* VANISHED (EARLIER) 2,4"
        assert b"FLAGS (\\Seen" in changes(responses)[1] and changes(responses)[1].endswith(b"MODSEQ (%d))" % (modseq + 3))
        assert [line.split(b" FLAGS")[0] for line in changes(responses)[1:]] == [b"* 3 FETCH (UID 5", b"* 5 FETCH (UID 7"]
        # only of the messages the client knows (§3.2.5.2)
        responses, _ = await client.command(b"SELECT INBOX (QRESYNC (%b 1:2,5:6))" % since)
        assert [line.split(b" FLAGS")[0] for line in changes(responses)] == [b"* VANISHED (EARLIER) 2", b"* 3 FETCH (UID 5"]
        # numbers that still hold prove that nothing before them is gone
        responses, _ = await client.command(b"SELECT INBOX (QRESYNC (%b 1:6 (1:6 1:6)))" % since)
        assert changes(responses)[0] == b"* VANISHED (EARLIER) 2,4"
        # another UIDVALIDITY: nothing the client knows is worth anything
        responses, _ = await client.command(b"SELECT INBOX (QRESYNC (%d %d))" % (validity + 1, modseq))
        assert changes(responses) == []
        responses, _ = await client.command(b"EXAMINE INBOX (QRESYNC (%d %d))" % (validity, modseq + 1000))
        assert changes(responses) == []


async def test_beyond_the_horizon_every_uid_that_is_not_there_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store forgot the oldest runs: the answer is longer and still right (§3.2.5.2); known numbers make it short again."""
    monkeypatch.setattr(expunge, "KEPT", 2)
    monkeypatch.setattr(expunge, "SLACK", 0)
    async with mailbox(tmp_path, 12) as components:
        client = await resyncing(components)
        responses, _ = await client.command(b"SELECT INBOX")
        validity = value(responses, b"UIDVALIDITY")
        other = await signed_in(components, b"INBOX")
        await other.command(b"UID STORE 2 +FLAGS (\\Deleted)")
        await other.command(b"UID EXPUNGE 2")
        responses, _tagged = await client.command(b"NOOP")
        assert b"* VANISHED 2" in responses
        responses, _ = await client.command(b"SELECT INBOX")
        known = value(responses, b"HIGHESTMODSEQ")
        await client.command(b"UNSELECT")
        for uid in (5, 7, 9, 11):
            await other.command(b"UID STORE %d +FLAGS (\\Deleted)" % uid)
            await other.command(b"UID EXPUNGE %d" % uid)
        responses, _ = await client.command(b"SELECT INBOX (QRESYNC (%d %d))" % (validity, known))
        assert changes(responses)[0] == b"* VANISHED (EARLIER) 2,5,7,9,11"
        responses, _ = await client.command(b"SELECT INBOX (QRESYNC (%d %d 1,3:12 (1:11 1,3:12)))" % (validity, known))
        assert changes(responses)[0] == b"* VANISHED (EARLIER) 5,7,9,11"


async def test_vanished_and_earlier_are_told_apart_while_others_expunge(tmp_path: Path) -> None:
    """A message expunged between SELECT and UID FETCH has a number: VANISHED without EARLIER, once."""
    async with mailbox(tmp_path, 5) as components:
        client = await resyncing(components)
        await client.command(b"SELECT INBOX")
        other = await signed_in(components, b"INBOX")
        await other.command(b"UID STORE 3 +FLAGS (\\Deleted)")
        await other.command(b"UID EXPUNGE 3")
        responses, tagged = await client.command(b"UID FETCH 1:5 (FLAGS) (CHANGEDSINCE 1 VANISHED)")
        assert tagged.startswith(b"OK")
        assert [line for line in responses if b"VANISHED" in line] == [b"* VANISHED 3"]
        responses, _ = await client.command(b"UID FETCH 1:5 (FLAGS) (CHANGEDSINCE 1 VANISHED)")
        assert [line for line in responses if b"VANISHED" in line] == [b"* VANISHED (EARLIER) 3"]


async def test_many_ranges_are_sent_in_several_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from appliance.imapd.extensions import qresync

    monkeypatch.setattr(qresync, "RANGES_OF_ONE", 3)
    async with mailbox(tmp_path, 20) as components:
        client = await resyncing(components)
        responses, _ = await client.command(b"SELECT INBOX")
        since = b"%d %d" % (value(responses, b"UIDVALIDITY"), value(responses, b"HIGHESTMODSEQ"))
        await client.command(b"UID STORE 2,4,6,8,10,12,14 +FLAGS.SILENT (\\Deleted)")
        await client.command(b"EXPUNGE")
        responses, _ = await client.command(b"SELECT INBOX (QRESYNC (%b))" % since)
        assert [line for line in responses if b"VANISHED" in line] == [
            b"* VANISHED (EARLIER) 2,4,6", b"* VANISHED (EARLIER) 8,10,12", b"* VANISHED (EARLIER) 14",
        ]  # fmt: skip
