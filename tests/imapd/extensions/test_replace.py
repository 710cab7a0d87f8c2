"""REPLACE: one commit, in a full account too, and nothing where the old message is gone (RFC 8508)."""

from pathlib import Path

from tests.imapd.client import Client, signed_in
from tests.support.services import some_components


async def replace(client: Client, number: bytes, octets: bytes, form: bytes = b"", mailbox: bytes = b"INBOX") -> tuple[list[bytes], bytes]:
    await client.send(b"r %bREPLACE %b %b {%d+}\r\n%b\r\n" % (form, number, mailbox, len(octets), octets))
    return await client.until_tag(b"r")


async def test_a_draft_is_saved_again_in_a_full_account(tmp_path: Path) -> None:
    async with some_components(tmp_path, quota_octets=1000) as components:
        client = await signed_in(components, b"INBOX")
        await components.deliver(b"Subject: draft\r\n\r\n" + b"x" * 900)
        await client.command(b"NOOP")
        untagged, tagged = await replace(client, b"1", b"Subject: draft\r\n\r\n" + b"y" * 950)
        assert tagged.startswith(b"OK") and untagged[1:3] == [b"* 1 EXPUNGE", b"* 1 EXISTS"]
        untagged, tagged = await replace(client, b"1", b"y" * 1001)
        assert tagged.startswith(b"NO [OVERQUOTA]") and untagged == []
        assert (await client.command(b"STATUS INBOX (MESSAGES SIZE)"))[0] == [b"* STATUS INBOX (MESSAGES 1 SIZE 968)"]


async def test_a_message_that_another_session_expunged_is_not_replaced(tmp_path: Path) -> None:
    async with some_components(tmp_path) as components:
        await components.deliver(b"Subject: draft\r\n\r\n")
        client, other = await signed_in(components, b"INBOX"), await signed_in(components, b"INBOX")
        await other.command(b"STORE 1 +FLAGS.SILENT (\\Deleted)")
        await other.command(b"EXPUNGE")
        untagged, tagged = await replace(client, b"1", b"Subject: again\r\n\r\n")
        assert tagged.startswith(b"NO [NONEXISTENT]")
        assert untagged == [b"* 1 EXPUNGE"]
        assert (await client.command(b"STATUS INBOX (MESSAGES UIDNEXT)"))[0] == [b"* STATUS INBOX (MESSAGES 0 UIDNEXT 2)"]


async def test_with_uidonly_and_qresync(tmp_path: Path) -> None:
    async with some_components(tmp_path) as components:
        for _ in range(2):
            await components.deliver(b"Subject: draft\r\n\r\n")
        client = await signed_in(components)
        await client.command(b"ENABLE QRESYNC UIDONLY")
        await client.command(b"SELECT INBOX")
        _, tagged = await replace(client, b"1", b"Subject: again\r\n\r\n")
        assert tagged.startswith(b"BAD [UIDREQUIRED]")
        untagged, tagged = await replace(client, b"1", b"Subject: again\r\n\r\n", b"UID ")
        assert untagged[0].startswith(b"* OK [APPENDUID ") and untagged[1:3] == [b"* VANISHED 1", b"* 2 EXISTS"]
        assert tagged.startswith(b"OK [HIGHESTMODSEQ ")
        assert (await client.command(b"UID FETCH 1:* FLAGS"))[0] == [
            b"* 2 UIDFETCH (FLAGS (\\Recent))", b"* 3 UIDFETCH (FLAGS (\\Recent))",
        ]  # fmt: skip
