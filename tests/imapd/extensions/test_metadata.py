"""METADATA: limits, and what becomes of values when mailboxes are renamed, deleted and made again (RFC 5464)."""

from pathlib import Path

from appliance.mail import limits
from tests.imapd.client import Client, signed_in
from tests.support.services import some_components


async def put(client: Client, mailbox: bytes, entry: bytes, value: bytes) -> bytes:
    return (await client.command(b"SETMETADATA %b (%b ~{%d+}\r\n%b)" % (mailbox, entry, len(value), value)))[1]


async def get(client: Client, mailbox: bytes, entry: bytes) -> bytes:
    untagged, tagged = await client.command(b"GETMETADATA %b %b" % (mailbox, entry))
    assert tagged.startswith(b"OK")
    return untagged[0]


async def test_values_are_kept_octet_by_octet(tmp_path: Path) -> None:
    async with some_components(tmp_path) as components:
        client = await signed_in(components)
        for value in (b"", b"\0\r\n\xff", b'"\\', "Größe".encode(), b"x" * limits.METADATA_VALUE_OCTETS):
            assert (await put(client, b"INBOX", b"/private/a", value)).startswith(b"OK")
            answer = await get(client, b"INBOX", b"/private/a")
            assert answer.endswith((b"}\r\n" + value + b")", b'"' + value.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'")'))


async def test_limits(tmp_path: Path) -> None:
    async with some_components(tmp_path) as components:
        client = await signed_in(components)
        assert (await put(client, b"INBOX", b"/private/a", b"x" * (limits.METADATA_VALUE_OCTETS + 1))).startswith(
            b"NO [METADATA MAXSIZE 16384]"
        )
        for number in range(limits.METADATA_ENTRIES):
            assert (await put(client, b"INBOX", b"/private/%d" % number, b"")).startswith(b"OK")
        assert (await put(client, b"INBOX", b"/private/more", b"x")).startswith(b"NO [METADATA TOOMANY]")
        assert (await get(client, b"INBOX", b"/private/more")).endswith(b" NIL)"), "nothing of it is stored"
        assert (await put(client, b"INBOX", b"/private/1", b"other")).startswith(b"OK")
        large = b"x" * limits.METADATA_VALUE_OCTETS
        answers = [
            await put(client, b'""', b"/private/%d" % number, large) for number in range(limits.METADATA_ACCOUNT_OCTETS // len(large) + 1)
        ]
        assert answers[-1].startswith(b"NO [OVERQUOTA]")
        assert all(answer.startswith(b"OK") for answer in answers[:-2])


async def test_values_go_with_their_mailbox_and_belong_to_one_account(tmp_path: Path) -> None:
    async with some_components(tmp_path) as components:
        client, other = await signed_in(components), await signed_in(components, name=b"mary@example.org")
        await client.command(b"CREATE Work")
        await put(client, b"Work", b"/private/comment", b"mine")
        assert (await get(other, b"INBOX", b"/private/comment")).endswith(b" NIL)")
        await client.command(b"RENAME Work Play")
        assert (await get(client, b"Play", b"/private/comment")).endswith(b'"mine")')
        await client.command(b"DELETE Play")
        await client.command(b"CREATE Play")
        assert (await get(client, b"Play", b"/private/comment")).endswith(b" NIL)")
        left = components.store.database.read
        rows = await left(lambda connection: connection.execute("SELECT count(*) FROM metadata").fetchone())
        assert rows == (0,)
