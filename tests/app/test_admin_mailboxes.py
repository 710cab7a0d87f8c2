"""app/admin_mailboxes: mailboxes are shared and taken back by address; what is refused says what to do."""

from pathlib import Path

import pytest

from appliance.control import requests as controls
from appliance.control.codec import decode_request, encode_value
from appliance.mail.errors import SetupError, StoreError
from appliance.store.visible import VisibleMailboxes
from tests.support.admin import ADA, PASSWORD, admin_server

BEN = "ben@home.example"


async def test_share_and_unshare(tmp_path: Path) -> None:
    async with admin_server(tmp_path / "data") as one:
        ask = one.running.ask
        await ask(controls.AddAccount(BEN, PASSWORD))
        await one.components.store.create(one.components.accounts.directory.accounts()[0].id, "Family")
        assert (await ask(controls.ListShares(ADA))).facts == {"given": [], "received": []}
        request = controls.ShareMailbox(ADA, "Family", BEN, "write")
        shared = await ask(decode_request(encode_value(request)))
        assert shared.facts == {"address": ADA, "mailbox": "Family", "account": BEN, "rights": "lrswite", "name": "Shared/Family"}
        assert f"{BEN} sees it as Shared/Family." in shared.text and "for all" in shared.text
        listed = await one.offline.ask(controls.ListShares(BEN))
        assert listed.facts["received"] == [{"mailbox": "Family", "address": ADA, "name": "Shared/Family", "rights": "lrswite"}]
        assert listed.text == f"Shared/Family: Family of {ADA} (write)"
        assert (await ask(controls.ListShares(ADA))).text == f"Family is shared with {BEN} (write)"
        hidden = await ask(controls.ShareMailbox(ADA, "Family", BEN, "r"))
        assert hidden.facts["name"] == "" and "does not see" in hidden.text
        await ask(controls.UnshareMailbox(ADA, "Family", BEN))
        with pytest.raises(SetupError, match="is not shared with"):
            await ask(controls.UnshareMailbox(ADA, "Family", BEN))
        refused = {
            "no mailbox Nothing": controls.ShareMailbox(ADA, "Nothing", BEN, "read"),
            "are no rights": controls.ShareMailbox(ADA, "Family", BEN, "everything"),
            "has all rights": controls.ShareMailbox(ADA, "Family", ADA, "read"),
            "no account": controls.ShareMailbox(ADA, "Family", "eve@home.example", "read"),
        }
        for words, request in refused.items():
            with pytest.raises(SetupError, match=words):
                await ask(request)


async def test_a_mailbox_for_all_accounts(tmp_path: Path) -> None:
    async with admin_server(tmp_path / "data") as one:
        ask = one.running.ask
        shared = await ask(controls.ShareMailbox(ADA, "Archive", "anyone", "read"))
        assert shared.facts["account"] == "anyone" and shared.facts["name"] == "Shared/Archive"
        await ask(controls.AddAccount(BEN, PASSWORD))
        assert [row["name"] for row in (await ask(controls.ListShares(BEN))).facts["received"]] == ["Shared/Archive"]
        assert (await ask(controls.ListShares(ADA))).text == "Archive is shared with anyone (read)"
        await ask(controls.UnshareMailbox(ADA, "Archive", "anyone"))
        assert (await ask(controls.ListShares(BEN))).facts["received"] == []


async def test_a_removed_account_shares_nothing_until_it_is_back(tmp_path: Path) -> None:
    async with admin_server(tmp_path / "data") as one:
        ask, store = one.running.ask, one.components.store
        await ask(controls.AddAccount(BEN, PASSWORD))
        await ask(controls.ShareMailbox(BEN, "Archive", ADA, "read"))
        view = VisibleMailboxes(store, one.components.accounts.directory.accounts()[0].id)
        opened = await view.open("Shared/Archive")
        await ask(controls.RemoveAccount(BEN))
        assert opened.rights_outdated
        with pytest.raises(StoreError):
            await opened.read_rights()
        opened.close()
        assert (await ask(controls.ListShares(ADA))).facts["received"] == []
        await ask(controls.RestoreAccount(BEN))
        assert [row["name"] for row in (await ask(controls.ListShares(ADA))).facts["received"]] == ["Shared/Archive"]
