"""app/admin_accounts: what is asked about accounts, and which sessions a change ends."""

from pathlib import Path

import pytest

from appliance.control import requests as controls
from appliance.mail.errors import SetupError
from appliance.mail.limits import MB
from appliance.store.values import Placement
from tests.support.admin import ADA, PASSWORD, admin_server


async def test_accounts_and_sessions(tmp_path: Path) -> None:
    async with admin_server(tmp_path / "data") as one:
        added = await one.running.ask(controls.AddAccount("ben@home.example"))
        assert added.facts["address"] == "ben@home.example" and added.facts["password"] in added.text and one.ended == 0
        given = await one.running.ask(controls.SetPassword("ben@home.example", PASSWORD))
        assert "password" not in given.facts and given.facts["sessions_ended"] == 2 and "2 open sessions were signed out" in given.text
        assert (await one.offline.ask(controls.SetPassword("ben@home.example", PASSWORD))).facts["sessions_ended"] == 0
        for request in (controls.DisableAccount("ben@home.example"), controls.RemoveAccount("ben@home.example")):
            assert (await one.running.ask(request)).facts["sessions_ended"] == 2
        assert one.ended == 3
        listed = (await one.running.ask(controls.ListAccounts())).facts
        assert [row["address"] for row in listed["accounts"]] == [ADA] and [row["address"] for row in listed["removed"]] == [
            "ben@home.example"
        ]
        with pytest.raises(SetupError, match="Nothing was changed"):
            await one.running.ask(controls.SetAccount(ADA))
        with pytest.raises(SetupError, match="no account"):
            await one.running.ask(controls.ListMailboxes("nobody@home.example"))


async def test_a_reset_is_told_and_has_to_be_changed_by_the_owner(tmp_path: Path) -> None:
    async with admin_server(tmp_path / "data") as one:
        accounts = one.components.accounts
        account = accounts.directory.accounts()[0].id

        def has_to_change() -> bool:
            row = accounts.main_password(account)
            return row is not None and accounts.must_change(account, row.id)

        reset = await one.running.ask(controls.SetPassword(ADA, "Other-Horse-8"))
        assert reset.facts["must_change"] and has_to_change() and "next sign-in" in reset.text
        boxes = (await one.running.ask(controls.ListMailboxes(ADA))).facts["mailboxes"]
        assert [box["messages"] for box in boxes if box["name"] == "INBOX"] == [1], "the owner is told"
        login = one.components.login()
        assert await login.check(ADA, "Other-Horse-8", peer="192.0.2.1", protocol="imap", mechanism="PLAIN"), "mail goes on"
        with pytest.raises(SetupError, match="that an administrator set"):
            await one.running.ask(controls.SetPassword(ADA, "Other-Horse-8", by_owner=True))
        assert has_to_change()
        again = type(accounts)(one.components.database, accounts.passwords, one.components.clock)
        await one.components.database.read(again.read)
        assert [row.must_change for row in again.secrets.rows[account]] == [True], "it outlives a restart"
        changed = await one.running.ask(controls.SetPassword(ADA, PASSWORD, by_owner=True))
        assert not changed.facts["must_change"] and not has_to_change()
        boxes = (await one.running.ask(controls.ListMailboxes(ADA))).facts["mailboxes"]
        assert [box["messages"] for box in boxes if box["name"] == "INBOX"] == [1], "the owner knows"


async def test_quota_and_name_change_apart_and_more_mail_than_space_stays(tmp_path: Path) -> None:
    async with admin_server(tmp_path / "data") as one:
        async with one.components.store.receive(3 * MB) as incoming:
            await incoming.write(b"Subject: a\r\n\r\n" + b"x" * 2 * MB)
            inbox = await one.components.store.find(one.components.accounts.directory.accounts()[0].id, "INBOX")
            await one.components.store.file(await incoming.finish(), [Placement(inbox.id, b"", (), 1_700_000_000)])
        changed = await one.running.ask(controls.SetAccount(ADA, 1))
        assert changed.facts["quota_octets"] == MB and "nothing more arrives" in changed.text
        named = await one.running.ask(controls.SetAccount(ADA, -1, "Ada", True))
        assert named.facts == {"address": ADA, "name": "Ada", "quota_octets": MB}
        assert (await one.running.ask(controls.SetAccount(ADA, 0, "", True))).facts == {"address": ADA, "name": "", "quota_octets": None}


async def test_a_renamed_account_keeps_its_old_address_as_an_alias(tmp_path: Path) -> None:
    async with admin_server(tmp_path / "data") as one:
        renamed = await one.offline.ask(controls.RenameAccount(ADA, "adele@home.example"))
        assert renamed.facts == {"address": "adele@home.example", "former": ADA} and "stays as an alias" in renamed.text
        spelled = await one.offline.ask(controls.RenameAccount("adele@home.example", "Adele@home.example"))
        assert "is written Adele@home.example now" in spelled.text
        with pytest.raises(SetupError, match="is the address already"):
            await one.offline.ask(controls.RenameAccount("Adele@home.example", "Adele@home.example"))


async def test_a_weak_password_changes_nothing(tmp_path: Path) -> None:
    async with admin_server(tmp_path / "data") as one:
        for request in (controls.SetPassword(ADA, "1234"), controls.AddAccount("ben@home.example", "ben@home.example")):
            with pytest.raises(SetupError):
                await one.running.ask(request)
        assert one.ended == 0 and len(one.components.accounts.directory.accounts()) == 1


async def test_app_passwords_are_shown_once_and_removed_by_label(tmp_path: Path) -> None:
    async with admin_server(tmp_path / "data") as one:
        made = await one.running.ask(controls.AddAppPassword(ADA, "phone"))
        assert made.facts["password"] in made.text
        listed = await one.running.ask(controls.ListAppPasswords(ADA))
        (row,) = listed.facts["app_passwords"]
        assert row["label"] == "phone" and row["used_at"] is None and "never used" in listed.text
        assert made.facts["password"] not in listed.text
        assert (await one.running.ask(controls.RemoveAppPassword(ADA, "phone"))).facts["sessions_ended"] == 2
        assert (await one.running.ask(controls.ListAppPasswords(ADA))).text == "No app passwords."
        with pytest.raises(SetupError):
            await one.running.ask(controls.RemoveAppPassword(ADA, "phone"))


async def test_purged_at_once_or_kept_to_be_restored(tmp_path: Path) -> None:
    async with admin_server(tmp_path / "data") as one:
        await one.running.ask(controls.AddAccount("ben@home.example", PASSWORD))
        kept = await one.running.ask(controls.RemoveAccount("ben@home.example"))
        assert kept.facts["purged"] is False and "account restore ben@home.example" in kept.text
        await one.running.ask(controls.RestoreAccount("ben@home.example"))
        ben = next(account for account in one.components.accounts.directory.accounts() if str(account.address) == "ben@home.example")
        await one.components.transfers.service().imports.begin(ben.id, "old.mbox", 100, "")
        sent = one.components.directory.path / "imports" / f"{ben.id}.data"
        assert sent.exists()
        purged = await one.running.ask(controls.RemoveAccount("ben@home.example", True))
        assert purged.facts["purged"] is True and not sent.exists(), "all its mail"
        with pytest.raises(SetupError):
            await one.running.ask(controls.RestoreAccount("ben@home.example"))
