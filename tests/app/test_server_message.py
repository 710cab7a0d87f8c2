"""app/server_message: short messages of the server's own take the way of every message."""

from pathlib import Path

import pytest

from appliance.app.admin_api import AdminApi
from appliance.app.components import open_components
from appliance.app.outbound import Outbound
from appliance.app.server_message import WORD_OCTETS, encode_words
from appliance.config.settings import Settings
from appliance.control.requests import AddAccount, ListMailboxes, ListQueue, SendServerMessage, TrackMessage
from appliance.mail.encoding import decode_words
from appliance.mail.errors import SetupError


@pytest.mark.parametrize("text", ["plain", "Grüße an alle", "ü" * 200, "😀" * 60, "line\nend"])
def test_encoded_words_come_back(text: str) -> None:
    made = encode_words(text)
    assert decode_words(made.replace(b"\r\n ", b" ")) == text.replace("\n", " ")
    assert all(len(line) <= 76 for line in made.split(b"\r\n ")) and WORD_OCTETS % 3 == 0


async def test_to_the_account_itself_and_elsewhere(tmp_path: Path) -> None:
    async with open_components(tmp_path / "data", Settings()) as components:
        api = AdminApi(components, await Outbound.open(components))
        await api.ask(AddAccount("ada@home.example", "Correct-Horse-7"))
        await api.ask(SendServerMessage("ada@home.example", "Willkommen, Jürgen", "Hallo\nJürgen"))
        boxes = (await api.ask(ListMailboxes("ada@home.example"))).facts["mailboxes"]
        assert [box["messages"] for box in boxes if box["name"] == "INBOX"] == [1]
        facts = (await api.ask(SendServerMessage("ada@home.example", "Test", "Hello", "bob@far.example"))).facts
        (row,) = (await api.ask(ListQueue())).facts["messages"]
        assert row["message"] == facts["message"] and row["sender"] == "ada@home.example"
        assert (await api.ask(TrackMessage(facts["message"]))).facts["events"][0]["event"] == "accepted"
        for wrong in ("bob", "nobody@home.example"):
            with pytest.raises(SetupError):
                await api.ask(SendServerMessage("ada@home.example", "Test", "Hello", wrong))
        with pytest.raises(SetupError):
            await api.ask(SendServerMessage("ada@home.example", "Test", "x" * 30_000))
