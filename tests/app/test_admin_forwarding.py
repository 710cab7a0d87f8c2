"""Forwarding as its owner sees it: a code to the new address, and a message for everything that happens."""

import re
from base64 import b64decode
from pathlib import Path

import pytest

from appliance.control import requests as controls
from appliance.mail.errors import SetupError
from tests.support.admin import ADA, PASSWORD, AdminServer, admin_server

MARY = "mary@home.example"


async def texts(server: AdminServer, address: str) -> list[str]:
    """The messages of the inbox, decoded."""
    found = server.components.accounts.directory.find_login(address)
    assert found is not None
    box = await server.components.store.open(found.id, "INBOX")
    messages = [await box.open_message(uid) for uid in box.uids]  # type: ignore[arg-type]
    box.close()
    octets = [await one.read(0, one.octets) for one in messages]
    return [b64decode(one.partition(b"\r\n\r\n")[2]).decode() for one in octets]


async def test_from_the_question_to_the_end(tmp_path: Path) -> None:
    async with admin_server(tmp_path) as server:
        await server.running.ask(controls.AddAccount(MARY, PASSWORD))
        ask = server.running.ask
        await ask(controls.AskForwarding(ADA, MARY, keep=False))
        (message,) = await texts(server, MARY)
        code = re.search(r"\b\d{8}\b", message)
        assert code is not None and code[0] not in "".join(await texts(server, ADA)), "the owner's mailbox does not have the code"
        with pytest.raises(SetupError):
            await ask(controls.ConfirmForwarding(ADA, "1"))
        facts = (await ask(controls.ShowForwarding(ADA))).facts
        assert facts == {"target": "", "keep": True, "asked": MARY, "asked_keep": False}
        await ask(controls.ConfirmForwarding(ADA, code[0]))
        assert (await ask(controls.ShowForwarding(ADA))).facts["target"] == MARY
        await ask(controls.StopForwarding(ADA))
        told = await texts(server, ADA)
        assert len(told) == 3 and all(MARY in one and "change your password" in one for one in told)
        assert (await ask(controls.StopForwarding(ADA))).facts["target"] == "" and len(await texts(server, ADA)) == 3


async def test_stopping_is_no_way_to_send_code_after_code(tmp_path: Path) -> None:
    async with admin_server(tmp_path) as server:
        ask = server.running.ask
        await ask(controls.AddAccount(MARY, PASSWORD))
        await ask(controls.AskForwarding(ADA, MARY, keep=True))
        await ask(controls.StopForwarding(ADA))
        with pytest.raises(SetupError, match="a moment ago"):
            await ask(controls.AskForwarding(ADA, MARY, keep=True))
        assert len(await texts(server, MARY)) == 1
