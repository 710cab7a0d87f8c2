"""OBJECTID: ids of any form are answered, and are the store's own."""

from pathlib import Path

import pytest

from appliance.imapd.extensions.objectid import reads
from appliance.mail.query import MessageIs, Or, Query
from appliance.protocol.imap.search import SearchTokens
from appliance.protocol.imap.tokens import Tokens
from tests.imapd.client import signed_in
from tests.imapd.picture import ok
from tests.support.services import some_components


@pytest.mark.parametrize(
    ("written", "query"),
    [
        (b"M1", MessageIs(1)),
        (b"M9223372036854775807", MessageIs(2**63 - 1)),
        (b"M9223372036854775808", Or(())),
        (b"M0", Or(())),
        (b"M", Or(())),
        (b"T1", Or(())),
        (b"-", Or(())),
    ],
)
def test_ids(written: bytes, query: Query) -> None:
    assert reads(b"M", MessageIs)(SearchTokens(Tokens(b" " + written), {}, "utf-8")) == query


async def test_ids_stay_across_mailboxes_and_identical_messages_have_their_own(tmp_path: Path) -> None:
    async with some_components(tmp_path) as components:
        placed = [await components.deliver(b"Subject: a\r\nMessage-ID: <a@x>\r\n\r\n") for _ in range(2)]
        client = await signed_in(components, b"INBOX")
        fetched = await ok(client, b"FETCH 1:2 (EMAILID THREADID)")
        assert fetched == [
            b"* %d FETCH (EMAILID (M%d) THREADID (T%d))" % (number, one.message, placed[0].message) for number, one in enumerate(placed, 1)
        ]
        await ok(client, b"MOVE 1:2 Archive")
        await ok(client, b"SELECT Archive")
        assert await ok(client, b"FETCH 1:2 (EMAILID THREADID)") == fetched
