"""SORT and THREAD while messages come, go and are expunged by others; hostile commands; long work does not hold up others."""

from pathlib import Path

import trio

from appliance.mail import ordering
from appliance.protocol.imap import thread
from tests.imapd.client import signed_in
from tests.imapd.picture import ok
from tests.support.services import Components, some_components


async def deliver(components: Components, subject: str, day: int) -> None:
    await components.deliver(b"Subject: %b\r\nDate: Mon, %d Jan 2024 00:00:00 +0000\r\n\r\n" % (subject.encode(), day))


async def test_orders_follow_what_comes_and_goes(tmp_path: Path) -> None:
    async with some_components(tmp_path) as components:
        for day, subject in ((3, "c"), (1, "a"), (2, "b")):
            await deliver(components, subject, day)
        client, other = await signed_in(components, b"INBOX"), await signed_in(components, b"INBOX")
        for key in (b"DATE", b"SUBJECT"):
            assert await ok(client, b"UID SORT (%b) UTF-8 ALL" % key) == [b"* SORT 2 3 1"]
            assert await ok(client, b"UID SORT (%b) UTF-8 NOT 3" % key) == [b"* SORT 2 1"]
            assert await ok(client, b"UID SORT (REVERSE %b) UTF-8 ALL" % key) == [b"* SORT 1 3 2"]
        await deliver(components, "aa", 1)
        await ok(client, b"NOOP")
        for key in (b"DATE", b"SUBJECT"):
            assert await ok(client, b"UID SORT (%b) UTF-8 ALL" % key) == [b"* SORT 2 4 3 1"]
        await ok(other, b"STORE 2 +FLAGS.SILENT (\\Deleted)")
        await ok(other, b"EXPUNGE")
        untagged, _ = await client.command(b"SORT (DATE) UTF-8 ALL")
        assert untagged in ([b"* SORT 4 3 1"], [b"* SORT 2 4 3 1"]), "numbers stay until EXPUNGE is sent"
        untagged, _ = await client.command(b"UID THREAD ORDEREDSUBJECT UTF-8 ALL")
        assert untagged[-1] == b"* 2 EXPUNGE" and b"EXPUNGE" not in untagged[0]
        assert await ok(client, b"SORT (DATE) UTF-8 ALL") == [b"* SORT 3 2 1"]


async def test_a_message_expunged_during_the_command_is_left_out(tmp_path: Path) -> None:
    async with some_components(tmp_path) as components:
        for day in (1, 2, 3):
            await deliver(components, "a", day)
        client, other = await signed_in(components, b"INBOX"), await signed_in(components, b"INBOX")
        await ok(other, b"STORE 2 +FLAGS.SILENT (\\Deleted)")
        await ok(client, b"NOOP")
        await ok(other, b"EXPUNGE")
        for command, response in ((b"SORT (DATE) UTF-8 ALL", b"* SORT 1 3"), (b"THREAD ORDEREDSUBJECT UTF-8 ALL", b"* THREAD (1 3)")):
            untagged, tagged = await client.command(command)
            assert untagged == [response] and tagged.startswith(b"OK [EXPUNGEISSUED]"), (untagged, tagged)
        assert await ok(client, b"NOOP") == [b"* 2 EXPUNGE"]


async def test_hostile_commands_are_refused_in_a_sentence(tmp_path: Path) -> None:
    async with some_components(tmp_path) as components:
        client = await signed_in(components, b"INBOX")
        for command in (
            b"SORT (DATE) UTF-8 " + b"NOT " * 1_000 + b"SEEN",
            b"THREAD REFERENCES UTF-8 " + b"(" * 1_000 + b"SEEN" + b")" * 1_000,
            b"SORT (" + b"REVERSE DATE " * 500 + b"DATE) UTF-8 ALL",
            b"SORT (DATE) UTF-8" + b" SEEN" * 1_000,
            b"SORT RETURN (" + b"MIN " * 50 + b"MAX) (DATE) UTF-8 ALL",
        ):
            untagged, tagged = await client.command(command)
            assert not untagged and tagged.startswith(b"BAD ") and len(tagged.split()) > 3, tagged
            client = await signed_in(components, b"INBOX")


async def test_long_work_runs_in_steps(tmp_path: Path, monkeypatch: object) -> None:
    """Another task runs while a large mailbox is sorted and threaded."""
    monkeypatch.setattr(ordering, "CHUNK", 4)  # type: ignore[attr-defined]
    monkeypatch.setattr(thread, "STEP", 4)  # type: ignore[attr-defined]
    async with some_components(tmp_path) as components:
        for day in range(1, 29):
            await deliver(components, f"s{day % 3}", 29 - day)
        client = await signed_in(components, b"INBOX")
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                await trio.lowlevel.checkpoint()
                turns += 1

        async with trio.open_nursery() as nursery:
            nursery.start_soon(count)
            assert (await ok(client, b"SORT (DATE) UTF-8 ALL"))[0].split()[2:] == [b"%d" % number for number in range(28, 0, -1)]
            between = turns
            assert (await ok(client, b"THREAD REFERENCES UTF-8 ALL"))[0].startswith(b"* THREAD (")
            nursery.cancel_scope.cancel()
        assert between > 7 and turns > between
