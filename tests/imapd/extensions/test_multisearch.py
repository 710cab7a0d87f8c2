"""MULTISEARCH: nothing is left open, whatever happens to a mailbox meanwhile."""

from pathlib import Path

import pytest

from appliance.mail.errors import StoreError, Trouble
from appliance.store.visible import VisibleMailboxes
from tests.imapd.client import signed_in
from tests.imapd.picture import ok
from tests.support.services import some_components


async def test_a_mailbox_that_was_deleted_meanwhile_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with some_components(tmp_path) as components:
        for mailbox in ("Archive", "INBOX", "Sent"):
            await components.deliver(b"Subject: a\r\n\r\n", mailbox)
        client = await signed_in(components)
        store, opened = components.store, VisibleMailboxes.open

        async def deleted_first(view: VisibleMailboxes, name: str, *, read_only: bool = False) -> object:
            if name == "Archive":
                raise StoreError(Trouble.NO_MAILBOX)
            return await opened(view, name, read_only=read_only)

        monkeypatch.setattr(VisibleMailboxes, "open", deleted_first)
        untagged = await ok(client, b"ESEARCH IN (personal) RETURN (COUNT) ALL")
        assert [line.split(b" MAILBOX ")[1].split()[0] for line in untagged] == [b"INBOX", b"Sent"]
        await ok(client, b"ESEARCH IN (personal) RETURN (COUNT) ALL")
        held = [known.sessions for known in store.mailbox_cache._known.values()]
        assert not any(held), "no mailbox is left open"


async def test_a_session_without_numbers_searches_by_uid(tmp_path: Path) -> None:
    async with some_components(tmp_path) as components:
        await components.deliver(b"Subject: a\r\n\r\n")
        client = await signed_in(components)
        await ok(client, b"ENABLE UIDONLY")
        assert (await client.command(b"ESEARCH IN (inboxes) 1"))[1].startswith(b"BAD [UIDREQUIRED]")
        assert len(await ok(client, b"ESEARCH IN (inboxes) UID 1")) == 1
