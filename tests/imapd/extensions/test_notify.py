"""NOTIFY: limits, accounts kept apart, and changes while the client is at work (RFC 5465)."""

import gc
import random
import re
from pathlib import Path

import pytest
import trio

from appliance.imapd.extensions import notify
from appliance.imapd.selected import Selected
from appliance.store import account_watch
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


SELECTED = b"NOTIFY SET (selected (MessageNew (UID %b) MessageExpunge))"


async def test_what_is_fetched_of_new_messages_is_checked_at_once(tmp_path: Path) -> None:
    async with some_components(tmp_path) as components:
        client = await signed_in(components, b"INBOX")
        for words in (b"NOSUCH", b"BODY[MIME]"):
            assert (await client.command(SELECTED % words))[1].startswith(b"BAD"), words
        assert (await client.command(SELECTED % b"BODY.PEEK[HEADER.FIELDS ({7+}\r\nSubject)]"))[1].startswith(b"OK")
        await components.deliver(b"Subject: x\r\n\r\n")
        assert (await responses(client, 3))[2] == b"* 1 FETCH (UID 1 BODY[HEADER.FIELDS (Subject)] {14}\r\nSubject: x\r\n\r\n)"
        assert (await client.command(b"NOOP"))[0] == []
        selected = [one for one in gc.get_objects() if isinstance(one, Selected)]
        assert selected and all(one.kept is None for one in selected), "no message stays in memory"


async def test_new_messages_that_a_command_announces_are_fetched_too_but_the_client_s_own_are_not(tmp_path: Path) -> None:
    """RFC 5465 §5.2: the client need not send anything, however it came to know of the message."""
    async with some_components(tmp_path) as components:
        client = await signed_in(components, b"INBOX")
        assert (await client.command(SELECTED % b"RFC822.SIZE"))[1].startswith(b"OK")
        await components.deliver(b"12345")
        await client.send(b"a FETCH 1 FLAGS\r\nb FETCH 1 (UID RFC822.SIZE)\r\nc FETCH 1 (UID RFC822.SIZE)\r\n")  # as NOTIFY fetches
        untagged = [line for tag in (b"a", b"b", b"c") for line in (await client.until_tag(tag))[0]]
        assert untagged.count(b"* 1 FETCH (UID 1 RFC822.SIZE 5)") == 3
        for command in (b"APPEND INBOX {3+}\r\nabc", b"COPY 1 INBOX", b"MOVE 2 INBOX", b"UID REPLACE 3 INBOX {3+}\r\nabc"):
            untagged, tagged = await client.command(command)
            assert tagged.startswith(b"OK")
            assert not [line for line in untagged if b" FETCH " in line], command
        await components.deliver(b"1234567")
        untagged, _ = await client.command(b"SEARCH ALL")
        assert b"* 4 FETCH (UID 6 RFC822.SIZE 7)" in untagged


async def test_what_the_client_does_to_the_tree_is_not_told_and_what_others_do_is(tmp_path: Path) -> None:
    """RFC 5465 §5, §5.4: nor are mailboxes below a renamed one."""
    async with some_components(tmp_path) as components:
        client, other = await signed_in(components), await signed_in(components)
        await client.command(b"NOTIFY SET (personal (MailboxName SubscriptionChange MailboxMetadataChange ServerMetadataChange))")
        await other.command(b"CREATE theirs/a/b")
        told: list[bytes] = []
        for command in (b"CREATE mine/a/b", b"SUBSCRIBE mine", b"RENAME mine own", b"DELETE own/a/b", b'SETMETADATA own (/private/x "y")'):
            untagged, tagged = await client.command(command)
            assert tagged.startswith(b"OK")
            told += untagged
        told += await responses(client, 3 - len(told))
        assert [line.split()[-1] for line in told] == [b"theirs", b"theirs/a", b"theirs/a/b"]
        await other.command(b"RENAME theirs/a moved")
        assert await responses(client, 1) == [b'* LIST (\\HasChildren) "/" moved ("OLDNAME" (theirs/a))']
        await other.command(b"DELETE moved")  # a name with mailboxes below it is left
        assert await responses(client, 1) == [b'* LIST (\\Noselect \\HasChildren) "/" moved']
        assert (await client.command(b"NOTIFY SET (mailboxes own (MailboxName))"))[1].startswith(b"OK")
        await other.command(b"RENAME own other")
        assert await responses(client, 1) == [b'* LIST (\\HasChildren \\Subscribed) "/" other ("OLDNAME" (own))']


async def test_metadata(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 5465 §5.6, §5.7: names of entries, each user's private ones to that user alone; RFC 5465 §5.8 when they are too many."""
    events = b"(MailboxName MailboxMetadataChange ServerMetadataChange)"
    async with some_components(tmp_path) as components:
        fred, mary = await signed_in(components), await signed_in(components, name=b"mary@example.org")
        await fred.command(b"CREATE Family")
        await fred.command(b"SETACL Family mary@example.org lrw")
        other = await signed_in(components)
        for client in (fred, mary):
            assert (await client.command(b"NOTIFY SET (subtree (Family Shared) %b) (inboxes %b)" % (events, events)))[1].startswith(b"OK")
        await other.command(b'SETMETADATA Family (/shared/comment "a" /private/comment "b")')
        await other.command(b'SETMETADATA "" (/private/vendor/x "c")')
        await other.command(b"SETMETADATA Family (/shared/comment NIL)")
        await other.command(b'SETMETADATA Sent (/shared/comment "of no interest")')
        told: list[bytes] = []
        while not any(line.startswith(b'* METADATA ""') for line in told):
            told += await responses(fred, 1)
        assert set(told) <= {
            b"* METADATA Family /private/comment /shared/comment", b"* METADATA Family /private/comment",
            b"* METADATA Family /shared/comment", b'* METADATA "" /private/vendor/x',
        }  # fmt: skip
        assert (await responses(mary, 1)) == [b"* METADATA Shared/Family /shared/comment"]
        monkeypatch.setattr(account_watch, "ENTRIES", 3)
        await other.command(b'SETMETADATA Family (/shared/a "" /shared/b "" /shared/c "" /shared/d "")')
        while not (line := (await responses(mary, 1))[0]).startswith(b"* OK [NOTIFICATIONOVERFLOW]"):
            assert line == b"* METADATA Shared/Family /shared/comment"
        assert (await mary.command(b"NOOP"))[0] == []


async def test_a_mailbox_that_is_shared_no_more(tmp_path: Path) -> None:
    """RFC 5465 §5.9."""
    async with some_components(tmp_path) as components:
        fred, mary = await signed_in(components), await signed_in(components, name=b"mary@example.org")
        await fred.command(b"CREATE Family")
        await fred.command(b"SETACL Family mary@example.org lr")
        await mary.command(b"NOTIFY SET (subtree Shared (MessageNew MessageExpunge))")
        attributes = b"\\HasNoChildren \\Subscribed"
        for rights, told in ((b"l", attributes + b" \\NoAccess"), (b"lr", attributes), (b'""', b"\\NoAccess")):
            await fred.command(b"SETACL Family mary@example.org " + rights)
            assert await responses(mary, 1) == [b'* LIST (%b) "/" Shared/Family' % told]
        await fred.command(b"SETACL Family mary@example.org lr")
        assert (await responses(mary, 1))[0].startswith(b"* LIST (\\HasNoChildren")


_FETCH = re.compile(rb"\* ([0-9]+) FETCH \((?:UID ([0-9]+) )?FLAGS \(([^)]*)\)")


class Picture:
    """The selected mailbox as a client knows it that only listens: UID and flags of each message, None before they were told."""

    def __init__(self, messages: int) -> None:
        self.known: list[tuple[int, frozenset[bytes]] | None] = [None] * messages

    def hear(self, line: bytes) -> None:
        words = line.split()
        if words[2:3] == [b"EXISTS"]:
            assert int(words[1]) >= len(self.known)
            self.known += [None] * (int(words[1]) - len(self.known))
        elif words[2:3] == [b"EXPUNGE"]:
            del self.known[int(words[1]) - 1]
        elif found := _FETCH.match(line):
            before = self.known[int(found[1]) - 1]
            uid = int(found[2]) if found[2] else before[0] if before else 0
            assert before is None or before[0] == uid
            self.known[int(found[1]) - 1] = (uid, frozenset(found[3].split()) - {b"\\Recent"})


@pytest.mark.parametrize("seed", range(3))
async def test_a_client_that_only_listens_knows_the_mailbox(tmp_path: Path, seed: int) -> None:
    """Whatever others do, and whichever command of its own announces it."""
    chance = random.Random(seed)
    async with some_components(tmp_path) as components:
        for _ in range(3):
            await components.deliver(b"Subject: x\r\n\r\n")
        listener, other = await signed_in(components, b"INBOX"), await signed_in(components, b"INBOX")
        picture = Picture(3)
        for line in (await listener.command(b"FETCH 1:* (UID FLAGS)"))[0]:
            picture.hear(line)
        await listener.command(b"NOTIFY SET (selected (MessageNew (UID FLAGS) MessageExpunge FlagChange)) (personal (MailboxName))")

        async def disturb() -> None:
            for _ in range(60):
                await other.command(
                    chance.choice((
                        b"APPEND INBOX (\\Flagged) {3+}\r\nabc", b"COPY 1 INBOX", b"UID STORE 1:* +FLAGS.SILENT (\\Answered)", b"NOOP",
                        b"STORE %d +FLAGS (\\Deleted)" % chance.randrange(1, 4), b"EXPUNGE", b"STORE 1 FLAGS ($k%d)" % chance.randrange(3),
                    ))
                )  # fmt: skip

        async with trio.open_nursery() as nursery:
            nursery.start_soon(disturb)
            for _ in range(40):
                command = chance.choice((b"NOOP", b"SEARCH ALL", b"UID STORE 1:* -FLAGS ($k1)", b"UID FETCH 1:3 BODY.PEEK[]", b"CHECK"))
                for line in (await listener.command(command))[0]:
                    picture.hear(line)
        for command in (b"NOOP", b"NOOP"):
            for line in (await listener.command(command))[0]:
                picture.hear(line)
        there = Picture(len(picture.known))
        for line in (await listener.command(b"FETCH 1:* (UID FLAGS)"))[0]:
            there.hear(line)
        assert picture.known == there.known
