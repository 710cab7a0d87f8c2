"""app/admin_second_factor: on, new codes and off, each told to the owner, and which sessions end."""

from pathlib import Path

import pytest

from appliance.accounts.second_factor import RECOVERY_CODES, new_secret
from appliance.accounts.totp import code_of, step_of
from appliance.control import requests as controls
from appliance.mail.errors import SetupError
from tests.support.admin import ADA, admin_server


async def test_on_new_codes_and_off(tmp_path: Path) -> None:
    async with admin_server(tmp_path / "data") as one:

        async def messages() -> int:
            boxes = (await one.running.ask(controls.ListMailboxes(ADA))).facts["mailboxes"]
            return next(int(box["messages"]) for box in boxes if box["name"] == "INBOX")

        secret = new_secret()
        code = code_of(secret, step_of(one.components.clock.wall_s()))
        for wrong in (controls.EnableSecondFactor(ADA, "no hex", code), controls.EnableSecondFactor(ADA, secret.hex(), "")):
            with pytest.raises(SetupError):
                await one.running.ask(wrong)
        assert code not in repr(controls.EnableSecondFactor(ADA, secret.hex(), code))
        on = (await one.running.ask(controls.EnableSecondFactor(ADA, secret.hex(), code))).facts
        assert len(on["recovery_codes"]) == RECOVERY_CODES and on["sessions_ended"] == 2 and await messages() == 1
        listed = (await one.offline.ask(controls.ListAccounts())).facts["accounts"]
        assert [row["second_factor"] for row in listed] == [True]
        renewed = (await one.running.ask(controls.NewRecoveryCodes(ADA))).facts["recovery_codes"]
        assert not set(renewed) & set(on["recovery_codes"])
        await one.running.ask(controls.RemoveSecondFactor(ADA))
        assert await messages() == 2
        with pytest.raises(SetupError, match="no second factor"):
            await one.running.ask(controls.RemoveSecondFactor(ADA))
