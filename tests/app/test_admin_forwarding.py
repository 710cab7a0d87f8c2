"""Forwarding as its owner sees it: a code to the new address, and a message for everything that happens."""

import re
from base64 import b64decode
from pathlib import Path

import pytest

from appliance.control import requests as controls
from appliance.mail.errors import SetupError
from appliance.mail.limits import MB
from appliance.store.values import Placement
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


@pytest.mark.parametrize("stored_mb", [1.5, 5])
async def test_a_full_mailbox_is_when_forwarding_is_wanted(tmp_path: Path, stored_mb: float) -> None:
    """The owner is told all the same: beyond the quota, and where even that has no room, as soon as there is some."""
    async with admin_server(tmp_path) as server:
        ask = server.running.ask
        await ask(controls.AddAccount(MARY, PASSWORD))
        async with server.components.store.receive(6 * MB) as incoming:
            await incoming.write(b"Subject: a\r\n\r\n" + b"x" * int(stored_mb * MB))
            inbox = await server.components.store.find(server.components.accounts.directory.accounts()[0].id, "INBOX")
            await server.components.store.file(await incoming.finish(), [Placement(inbox.id, b"", (), 1_700_000_000)])
        await ask(controls.SetAccount(ADA, 1))
        await ask(controls.AskForwarding(ADA, MARY, keep=False))
        code = re.search(r"\b\d{8}\b", *await texts(server, MARY))
        assert code is not None
        await ask(controls.ConfirmForwarding(ADA, code[0]))
        box = await server.components.store.find(inbox.account, "INBOX")
        waiting = (await ask(controls.ListQueue())).facts["messages"]
        assert (box.messages - 1, len(waiting)) == ((2, 0) if stored_mb < 3 else (0, 2))
