"""Threads by JMAP: their messages by age, and what changes as messages come and go (RFC 8621 §3)."""

from pathlib import Path

from appliance.mail.ids import Uid

from .server import ANN, a_client
from .test_mailbox import message


async def test_a_thread_has_its_messages_in_all_mailboxes_oldest_first(tmp_path: Path) -> None:
    async with a_client(tmp_path) as client:
        first = await client.append(message(b"plan", b"1"), at=2_000)
        reply = await client.append(message(b"Re: plan", b"2", b"References: <1@b.example>\r\n"), "Archive", at=1_000)
        await client.append(message(b"other", b"3"))
        thread = f"T{first.message}"
        found = await client.call("Thread/get", ids=[thread, "T999", "M1"])
        assert found["list"] == [{"id": thread, "emailIds": [f"M{reply.message}", f"M{first.message}"]}]
        assert found["notFound"] == ["T999", "M1"]
        assert await client.error("Thread/get") == "requestTooLarge"


async def test_changes(tmp_path: Path) -> None:
    async with a_client(tmp_path) as client:
        start = (await client.call("Thread/get", ids=[]))["state"]
        first = await client.append(message(b"plan", b"1"))
        other = await client.append(message(b"other", b"3"))
        thread, brief = f"T{first.message}", f"T{other.message}"
        one = await client.call("Thread/changes", sinceState=start)
        assert (one["created"], one["updated"], one["destroyed"]) == ([thread, brief], [], [])
        await client.append(message(b"Re: plan", b"2", b"References: <1@b.example>\r\n"), "Archive")
        mailbox = await client.store.open(ANN, "INBOX")
        await mailbox.remove([Uid(2)])
        two = await client.call("Thread/changes", sinceState=one["newState"])
        assert (two["created"], two["updated"], two["destroyed"]) == ([], [thread], [brief])
        await mailbox.remove([Uid(1)])
        mailbox.close()
        three = await client.call("Thread/changes", sinceState=two["newState"])
        assert (three["created"], three["updated"], three["destroyed"]) == ([], [thread], [])
        assert await client.error("Thread/changes", sinceState="77777") == "cannotCalculateChanges"


async def test_changes_come_in_parts(tmp_path: Path) -> None:
    async with a_client(tmp_path) as client:
        state = (await client.call("Thread/get", ids=[]))["state"]
        made = [f"T{(await client.append(message(b'%d' % n, b'%d' % n))).message}" for n in range(5)]
        seen, more = [], True
        while more:
            part = await client.call("Thread/changes", sinceState=state, maxChanges=2)
            seen += part["created"]
            state, more = part["newState"], part["hasMoreChanges"]
        assert seen == made
