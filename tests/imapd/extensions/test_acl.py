"""ACL: several users in one mailbox, their rights changed meanwhile; what each session is told and may do (RFC 4314)."""

import random
from pathlib import Path

from tests.imapd.client import Client, signed_in
from tests.imapd.picture import Picture, ok
from tests.support.services import Components, some_components

FRED, MARY = b"fred@example.org", b"mary@example.org"
MESSAGE = b"Subject: %d\r\n\r\nwords\r\n"


async def rights(owner: Client, given: bytes, name: bytes = b"Family") -> None:
    await ok(owner, b"SETACL %b %b %b" % (name, MARY, given or b'""'))


async def a_family(components: Components, given: bytes) -> tuple[Client, Client]:
    """fred with a shared mailbox of three messages, and mary."""
    fred = await signed_in(components)
    await ok(fred, b"CREATE Family")
    for number in range(3):
        await components.deliver(MESSAGE % number, "Family")
    await rights(fred, given)
    return fred, await signed_in(components, name=MARY)


async def test_changes_of_all_users_are_seen_by_all(tmp_path: Path) -> None:
    """Random changes by two users in four sessions, rights changed meanwhile: what each client was told equals the mailbox."""
    dice = random.Random(4314)
    async with some_components(tmp_path) as components:
        giver, mary = await a_family(components, b"lrswite")
        fred = await signed_in(components)
        clients = [(fred, b"Family"), (mary, b"Shared/Family")]
        clients += [(await signed_in(components), b"Family"), (await signed_in(components, name=MARY), b"Shared/Family")]
        pictures = []
        for client, name in clients:
            picture = Picture()
            pictures.append(picture)
            picture.feed(await ok(client, b"SELECT " + name))
            picture.feed(await ok(client, b"FETCH 1:* (UID FLAGS)"))
        for _ in range(60):
            at = dice.randrange(4)
            (client, name), picture = clients[at], pictures[at]
            number = dice.randint(1, max(len(picture.uids), 1))
            commands = [
                b"STORE %d +FLAGS (\\Seen)" % number, b"STORE %d -FLAGS (\\Seen)" % number, b"STORE %d FLAGS (\\Flagged $Work)" % number,
                b"STORE %d +FLAGS (\\Deleted)" % number, b"COPY %d %b" % (number, name), b"EXPUNGE", b"NOOP", b"FETCH %d BODY[]" % number,
            ]  # fmt: skip
            command = (
                dice.choice(commands) if picture.uids and 0 not in picture.uids else b"FETCH 1:* (UID FLAGS)" if picture.uids else b"NOOP"
            )
            picture.feed((await client.command(command))[0])
            if not dice.randrange(5):
                await rights(giver, dice.choice([b"lr", b"lrs", b"lrwi", b"lrte", b"lrswite"]))
            if not dice.randrange(6):
                await components.deliver(MESSAGE % number, "Family")
        shown = []
        for (client, _), picture in zip(clients, pictures, strict=True):
            picture.feed(await ok(client, b"NOOP"))
            if 0 in picture.uids:
                picture.feed(await ok(client, b"FETCH 1:* (UID FLAGS)"))
            shown.append(picture.messages())
        again, fresh = await signed_in(components), Picture()
        for command in (b"SELECT Family", b"FETCH 1:* (UID FLAGS)"):
            fresh.feed(await ok(again, command))
        assert all(one == fresh.messages() for one in shown)


async def test_rights_taken_from_sessions_that_wait(tmp_path: Path) -> None:
    async with some_components(tmp_path) as components:
        fred, idling = await a_family(components, b"lrs")
        watching = await signed_in(components, name=MARY)
        await ok(watching, b"NOTIFY SET (SUBTREE Shared (MessageNew MessageExpunge MailboxName))")
        await ok(idling, b"SELECT Shared/Family")
        await idling.send(b"i IDLE\r\n")
        assert (await idling.response() or b"").startswith(b"+ ")
        await rights(fred, b"lr")
        assert (await idling.response() or b"").startswith(b"* OK [READ-ONLY]")
        assert await idling.response() == b"* OK [PERMANENTFLAGS ()] Flags that stay."
        await rights(fred, b"")
        assert (await idling.response() or b"").startswith(b"* BYE [UNAVAILABLE]")
        assert await idling.response() is None
        assert await watching.response() == b'* LIST (\\NonExistent) "/" Shared/Family'
        await rights(fred, b"lr")
        assert (await watching.response() or b"").startswith(b'* LIST (\\HasNoChildren \\Subscribed) "/" Shared/Family')
        await fred.command(b"RENAME Family Home")
        seen = [await watching.response(), await watching.response()]
        assert any(b'"/" Shared/Home ("OLDNAME" (Shared/Family))' in (line or b"") for line in seen)


async def test_a_selected_mailbox_keeps_up_with_rights(tmp_path: Path) -> None:
    async with some_components(tmp_path) as components:
        fred, mary = await a_family(components, b"lr")
        assert (await mary.command(b"SELECT Shared/Family"))[1].startswith(b"OK [READ-ONLY]")
        assert (await mary.command(b"FETCH 1 BODY[]"))[1].startswith(b"OK")
        assert (await mary.command(b"FETCH 1 FLAGS"))[0][0].startswith(b"* 1 FETCH (FLAGS (")
        assert b"\\Seen" not in (await mary.command(b"FETCH 1 FLAGS"))[0][0]
        assert (await mary.command(b"STORE 1 +FLAGS (\\Seen)"))[1].startswith(b"NO")
        await rights(fred, b"+s")
        untagged, tagged = await mary.command(b"STORE 1 +FLAGS (\\Seen)")
        assert tagged.startswith(b"OK") and untagged[0].startswith(b"* OK [READ-WRITE]")
        assert untagged[1] == b"* OK [PERMANENTFLAGS (\\Seen)] Flags that stay."
        await ok(mary, b"FETCH 2 BODY[]")
        assert b"\\Seen" in (await mary.command(b"FETCH 2 FLAGS"))[0][0]
        await rights(fred, b"-s")
        await mary.command(b"FETCH 3 BODY[]")
        assert b"\\Seen" not in (await mary.command(b"FETCH 3 FLAGS"))[0][0]


async def test_what_is_put_in_counts_for_the_owner(tmp_path: Path) -> None:
    async with some_components(tmp_path, quota_octets=4096) as components:
        fred, mary = await a_family(components, b"lri")
        big = b"Subject: x\r\n\r\n" + b"x" * 3000 + b"\r\n"
        for name, tag, answer in ((b"Shared/Family", b"a", b"OK"), (b"Shared/Family", b"b", b"NO [OVERQUOTA]"), (b"INBOX", b"c", b"OK")):
            await mary.send(b"%b APPEND %b (\\Seen) {%d+}\r\n%b\r\n" % (tag, name, len(big), big))
            assert (await mary.until_tag(tag))[1].startswith(answer)
        untagged, _ = await mary.command(b"GETQUOTAROOT Shared/Family")
        assert untagged[0] == b"* QUOTAROOT Shared/Family fred@example.org"
        assert untagged[1].startswith(b"* QUOTA fred@example.org (STORAGE 4 4")
        assert (await mary.command(b"GETQUOTA fred@example.org"))[0] == untagged[1:]
        assert (await fred.command(b"GETQUOTA mary@example.org"))[1].startswith(b"NO [NONEXISTENT]")
        await ok(fred, b"SELECT Family")
        assert b"\\Seen" not in (await fred.command(b"FETCH * FLAGS"))[0][0]


async def test_searches_see_what_may_be_read(tmp_path: Path) -> None:
    async with some_components(tmp_path) as components:
        fred, mary = await a_family(components, b"lr")
        search = b"ESEARCH IN (subtree Shared) RETURN (ALL) SUBJECT 1"
        untagged, _ = await mary.command(search)
        assert b"MAILBOX Shared/Family" in untagged[0] and untagged[0].endswith(b"ALL 2")
        assert (await mary.command(b"ESEARCH IN (personal) RETURN (ALL) SUBJECT 1"))[0] == []
        await rights(fred, b"l")
        assert (await mary.command(search))[0] == []
        assert (await mary.command(b"STATUS Shared/Family (MESSAGES)"))[1].startswith(b"NO [NOPERM]")
