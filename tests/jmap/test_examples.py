"""The long example of RFC 8621 §4.10, call by call: first sign-in, another device, what changed, a draft."""

from pathlib import Path

from .server import JmapClient, a_client

LIST = {"sort": [{"isAscending": False, "property": "receivedAt"}], "collapseThreads": True}


async def conversation(client: JmapClient, number: int) -> list[str]:
    """A message and its reply; their ids, oldest first."""
    at = 1_700_000_000 + 100 * number
    first = await client.append(
        b"From: jdoe@example.com\r\nSubject: %d\r\nMessage-ID: <a%d@x>\r\n\r\nAs you may be aware" % (number, number), at=at
    )
    reply = b"Subject: Re: %d\r\nMessage-ID: <b%d@x>\r\nIn-Reply-To: <a%d@x>\r\n\r\nI was not" % (number, number, number)
    return [f"M{first.message}", f"M{(await client.append(reply, at=at + 1)).message}"]


async def test_the_example_of_rfc_8621_section_4_10(tmp_path: Path) -> None:
    async with a_client(tmp_path) as client:
        pairs = [await conversation(client, number) for number in range(3)]
        inbox, drafts = await client.mailbox_id("INBOX"), await client.mailbox_id("Drafts")
        listed = {"accountId": "A1", "filter": {"inMailbox": inbox}, **LIST, "position": 0, "limit": 30, "calculateTotal": True}
        shown = ["threadId", "mailboxIds", "keywords", "hasAttachment", "from", "subject", "receivedAt", "size", "preview"]
        query, threads_of, threads, emails = await client.request(
            ["Email/query", listed, "0"],
            [
                "Email/get",
                {"accountId": "A1", "#ids": {"resultOf": "0", "name": "Email/query", "path": "/ids"}, "properties": ["threadId"]},
                "1",
            ],
            ["Thread/get", {"accountId": "A1", "#ids": {"resultOf": "1", "name": "Email/get", "path": "/list/*/threadId"}}, "2"],
            [
                "Email/get",
                {"accountId": "A1", "#ids": {"resultOf": "2", "name": "Thread/get", "path": "/list/*/emailIds"}, "properties": shown},
                "3",
            ],
        )
        newest = [reply for _, reply in reversed(pairs)]
        assert query[1]["ids"] == newest and query[1]["total"] == 3 and query[1]["canCalculateChanges"]
        assert [one["threadId"] for one in threads_of[1]["list"]] == [f"T{first[1:]}" for first, _ in reversed(pairs)]
        assert [one["emailIds"] for one in threads[1]["list"]] == pairs[::-1]
        assert [one["id"] for one in emails[1]["list"]] == [one for pair in reversed(pairs) for one in pair]
        assert {"preview", "from", "hasAttachment"} <= emails[1]["list"][0].keys()

        unread = await client.call("Email/set", update={newest[0]: {"keywords/$seen": None}})
        assert unread["updated"] == {newest[0]: None}
        await client.call("Email/set", destroy=pairs[0])
        arrived = (await conversation(client, 5))[1]
        changes, rows = await client.request(
            ["Email/changes", {"accountId": "A1", "sinceState": emails[1]["state"], "maxChanges": 50}, "3"],
            ["Email/queryChanges", {
                "accountId": "A1", "filter": {"inMailbox": inbox}, **LIST, "sinceQueryState": query[1]["queryState"], "upToId": newest[-1],
                "maxChanges": 25, "calculateTotal": True,
            }, "11"],
        )  # fmt: skip
        assert arrived in changes[1]["created"] and changes[1]["destroyed"] == pairs[0] and not changes[1]["hasMoreChanges"]
        known = [one for one in query[1]["ids"] if one not in rows[1]["removed"]]
        for added in rows[1]["added"]:
            known.insert(added["index"], added["id"])
        assert known == [arrived, newest[0], newest[1]] and rows[1]["total"] == 3

        draft = {
            "mailboxIds": {drafts: True}, "keywords": {"$seen": True, "$draft": True},
            "from": [{"name": "Joe Bloggs", "email": "joe@example.com"}],
            "to": [{"name": "John", "email": "john@example.com"}], "subject": "World domination", "receivedAt": "2018-07-10T01:05:08Z",
            "sentAt": "2018-07-10T11:05:08+10:00",
            "bodyStructure": {
                "type": "multipart/alternative",
                "subParts": [{"partId": "49db", "type": "text/html"}, {"partId": "bd48", "type": "text/plain"}],
            },
            "bodyValues": {
                "bd48": {"value": "I have the most brilliant plan.", "isTruncated": False},
                "49db": {"value": "<!DOCTYPE html><html><body>I have the most brilliant plan.</body></html>", "isTruncated": False},
            },
        }  # fmt: skip
        made = (await client.call("Email/set", create={"k192": draft}))["created"]["k192"]
        found = (await client.call("Email/get", ids=[made["id"]], properties=[*draft, "preview"], fetchAllBodyValues=True))["list"][0]
        for name in ("mailboxIds", "keywords", "from", "to", "subject", "receivedAt", "sentAt"):
            assert found[name] == draft[name], name
        assert found["preview"] == "I have the most brilliant plan."
