"""NOTIFY: limits, accounts kept apart, and changes while the client is at work (RFC 5465)."""

from pathlib import Path

import pytest
import trio

from appliance.imapd.extensions import notify
from tests.imapd.client import Client, signed_in
from tests.support.services import some_components

PERSONAL = b"NOTIFY SET (personal (MessageNew MessageExpunge FlagChange MailboxName))"


async def responses(client: Client, count: int) -> list[bytes]:
    found = []
    for _ in range(count):
        response = await client.response()
        assert response is not None
        found.append(response)
    return found


async def test_many_changes_are_sent_together_and_of_the_own_account_alone(tmp_path: Path) -> None:
    async with some_components(tmp_path) as components:
        client = await signed_in(components)
        assert (await client.command(PERSONAL))[1].startswith(b"OK")
        for _ in range(50):
            await components.deliver(b"Subject: x\r\n\r\n", "Sent")
            await components.deliver(b"Subject: x\r\n\r\n", "Sent", address="mary@example.org")
        last = b""
        count = 0
        while b"MESSAGES 50 " not in last:
            [last] = await responses(client, 1)
            assert last.startswith(b"* STATUS Sent ")
            count += 1
        assert count < 25
        assert (await client.command(b"NOOP"))[0] == []


async def test_a_session_that_ends_or_signs_out_watches_nothing(tmp_path: Path) -> None:
    async with some_components(tmp_path) as components:
        watches = components.store.watches
        client = await signed_in(components)
        for _ in range(3):
            assert (await client.command(PERSONAL))[1].startswith(b"OK")
            assert len(watches._watches) == 1
        assert (await client.command(b"NOTIFY SET (nowhere (MessageNew MessageExpunge))"))[1].startswith(b"BAD")
        assert len(watches._watches) == 1
        assert (await client.command(b"UNAUTHENTICATE"))[1].startswith(b"OK")
        assert not watches._watches
        other = await signed_in(components)
        assert (await other.command(PERSONAL))[1].startswith(b"OK")
        await other.stream.aclose()
        with trio.fail_after(10):
            while watches._watches:
                await trio.testing.wait_all_tasks_blocked(0.001)


async def test_too_many_mailboxes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notify, "MAILBOXES", 7)
    async with some_components(tmp_path) as components:
        client, other = await signed_in(components), await signed_in(components)
        assert (await client.command(PERSONAL))[1].startswith(b"OK")
        await other.command(b"CREATE one")
        assert await responses(client, 1) == [b'* LIST (\\HasNoChildren) "/" one']
        await other.command(b"CREATE two")
        assert (await responses(client, 1))[0].startswith(b"* OK [NOTIFICATIONOVERFLOW] ")
        await other.command(b"DELETE one")
        await other.command(b"CREATE three")
        assert (await client.command(b"NOOP"))[0] == []
        assert (await client.command(PERSONAL))[1].startswith(b"NO [NOTIFICATIONOVERFLOW]")
        groups = b" ".join([b"(inboxes (MailboxName))"] * 51)
        assert (await client.command(b"NOTIFY SET " + groups))[1].startswith(b"NO [NOTIFICATIONOVERFLOW]")
        assert not components.store.watches._watches


async def test_a_client_at_work_is_told_between_its_commands(tmp_path: Path) -> None:
    """Every change arrives, whatever the client sends meanwhile, and no response is broken by another."""
    async with some_components(tmp_path) as components:
        client = await signed_in(components, b"INBOX")
        assert (await client.command(b"NOTIFY SET (selected (MessageNew (FLAGS) MessageExpunge FlagChange))"))[1].startswith(b"OK")
        known = 0

        async def deliver() -> None:
            for _ in range(40):
                await components.deliver(b"Subject: x\r\n\r\n")

        async with trio.open_nursery() as nursery:
            nursery.start_soon(deliver)
            with trio.fail_after(30):
                while known < 40:
                    untagged, tagged = await client.command(b"UID SEARCH ALL")
                    assert tagged.startswith(b"OK")
                    for line in untagged:
                        words = line.split()
                        assert words[0] == b"*" and (words[1] == b"SEARCH" or words[2] in (b"EXISTS", b"RECENT", b"FETCH")), line
                        known = max(known, int(words[1])) if words[-1] == b"EXISTS" else known
