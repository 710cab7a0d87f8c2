"""app/admin_passkeys: added, listed and removed, what the owner is told, and which sessions end."""

from pathlib import Path

import pytest

from appliance.accounts.passkeys import checked
from appliance.control import requests as controls
from appliance.mail.errors import SetupError
from tests.support.admin import ADA, admin_server
from tests.support.authenticator import HOST, Authenticator, ceremony


async def test_added_listed_and_removed(tmp_path: Path) -> None:
    async with admin_server(tmp_path / "data") as one:

        async def messages() -> int:
            boxes = (await one.running.ask(controls.ListMailboxes(ADA))).facts["mailboxes"]
            return next(int(box["messages"]) for box in boxes if box["name"] == "INBOX")

        async def add(name: str) -> None:
            asked = ceremony()
            facts = checked(Authenticator().make(asked), asked)
            accounts = one.components.accounts
            row = accounts.main_password(accounts.directory.accounts()[0].id)
            assert row is not None
            octets = facts.credential.hex(), facts.algorithm, facts.public_key.hex()
            add = controls.AddPasskey(ADA, name, facts.host, *octets, facts.sign_count, row.id)
            assert facts.public_key.hex() not in repr(add)
            await one.running.ask(add)

        await add("Ada's phone")
        await add("key")
        assert await messages() == 2
        with pytest.raises(SetupError, match="not hexadecimal"):
            await one.running.ask(controls.AddPasskey(ADA, "x", HOST, "no hex", -7, "", 0, 0))
        listed = await one.offline.ask(controls.ListPasskeys(ADA))
        assert [(row["name"], row["host"], row["used_at"]) for row in listed.facts["passkeys"]] == [
            ("Ada's phone", HOST, None), ("key", HOST, None),
        ]  # fmt: skip
        assert listed.text.splitlines()[1] == f"key          never used, works at {HOST}"
        removed = await one.running.ask(controls.RemovePasskey(ADA, "ada's phone"))
        assert removed.facts["sessions_ended"] == 2 and await messages() == 3
        await one.running.ask(controls.RemovePasskey(ADA, "key", by_owner=True))
        assert await messages() == 3, "the owner knows"
        with pytest.raises(SetupError, match="no passkey called"):
            await one.running.ask(controls.RemovePasskey(ADA, "key"))
        assert (await one.offline.ask(controls.ListPasskeys(ADA))).text == "No passkeys."
