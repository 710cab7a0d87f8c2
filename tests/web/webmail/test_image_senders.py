"""Whose remote images are shown without asking: kept with the account, bounded, and only for what is an address."""

import json
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
import trio

from appliance.languages.catalogues import ENGLISH
from appliance.mail.ids import AccountId
from appliance.web.message import HttpRefusal
from appliance.web.webmail.image_senders import MOST, ImageSenders

ADA = AccountId(1)


class Values:
    """Metadata in memory."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}

    async def metadata(self, account: AccountId, name: str) -> dict[str, bytes]:
        assert (account, name) == (ADA, "")
        values = self.values
        await trio.lowlevel.checkpoint()
        return values

    async def set_metadata(self, account: AccountId, name: str, changes: Mapping[str, bytes | None]) -> None:
        assert (account, name) == (ADA, "")
        self.values = {key: value for key, value in (self.values | changes).items() if value is not None}


def posted(body: object) -> Any:
    async def read() -> bytes:
        return json.dumps(body).encode()

    return SimpleNamespace(session=SimpleNamespace(account=ADA), body=SimpleNamespace(read=read), language=ENGLISH)


async def test_a_sender_is_chosen_and_forgotten() -> None:
    senders = ImageSenders(Values())
    assert not await senders.has(ADA, "news@x.example") and not await senders.has(ADA, "")
    await senders.change(posted({"sender": "News@x.example", "show": True}))
    assert await senders.has(ADA, "news@X.example") and not await senders.has(ADA, "x.example")
    await senders.change(posted({"sender": "news@x.example", "show": False}))
    assert not await senders.has(ADA, "news@x.example")


async def test_the_oldest_choice_goes_first() -> None:
    senders = ImageSenders(Values())
    for number in range(MOST + 1):
        await senders.change(posted({"sender": f"a{number}@x.example", "show": True}))
    assert not await senders.has(ADA, "a0@x.example") and await senders.has(ADA, f"a{MOST}@x.example")


@pytest.mark.parametrize(
    "body", [None, [], {}, {"sender": 1, "show": True}, {"sender": "a\nb@c", "show": True}, {"sender": "@" * 400, "show": 1}]
)
async def test_anything_else_changes_nothing(body: object) -> None:
    values = Values()
    with pytest.raises(HttpRefusal):
        await ImageSenders(values).change(posted(body))
    assert not values.values


async def test_two_choices_at_once_are_both_kept() -> None:
    senders = ImageSenders(Values())
    async with trio.open_nursery() as nursery:
        for one in ("mary@x.example", "otto@x.example"):
            nursery.start_soon(senders.change, posted({"sender": one, "show": True}))
    assert await senders.has(ADA, "mary@x.example") and await senders.has(ADA, "otto@x.example")
