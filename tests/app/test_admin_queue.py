"""app/admin_queue: messages that wait, as an administrator sees and changes them."""

from pathlib import Path
from typing import Any

import pytest

from appliance.config.settings import RelaySettings, Settings
from appliance.control import requests as controls
from appliance.delivery.executor import MessageFacts
from appliance.delivery.plan import OutboundGroup
from appliance.mail.address import Address
from appliance.mail.envelope import Recipient
from appliance.mail.errors import SetupError
from appliance.mail.ids import BodyId
from appliance.mail.options import EnvelopeOptions
from appliance.store.values import Placement
from tests.support.admin import AdminServer, admin_server


async def test_the_queue(tmp_path: Path) -> None:
    async with admin_server(tmp_path / "data") as one:
        assert (await one.offline.ask(controls.ListQueue())).facts == {"messages": []}
        assert (await one.offline.ask(controls.FlushQueue())).facts == {"rows": 0}
        for request in (
            controls.ShowMessage("zzz"),
            controls.HoldMessage("zzz"),
            controls.CancelMessage("zzz"),
            controls.TrackMessage("zzz"),
        ):
            with pytest.raises(SetupError):
                await one.offline.ask(request)
        with pytest.raises(SetupError, match="no relay"):
            await one.offline.ask(controls.RerouteMessage("zzz", "post"))


RELAY = Settings(relay=(RelaySettings(name="post", host="smtp.provider.example"),))
BOB = Address("bob", "far.example")


async def queue_message(one: AdminServer, message: str = "M1A2", *recipients: Address) -> None:
    """A message of Ada's that waits."""
    components = one.components
    ada = components.accounts.directory.accounts()[0].id
    async with components.store.receive(1000) as incoming:
        await incoming.write(b"Subject: a\r\n\r\nb\r\n")
        inbox = await components.store.find(ada, "INBOX")
        staged = await incoming.finish()
        await components.store.file(staged, [Placement(inbox.id, b"", (), 1_700_000_000)])
    ((body,),) = await components.database.read(lambda c: c.execute("SELECT id FROM body ORDER BY id DESC LIMIT 1").fetchall())
    group = OutboundGroup(Address("ada", "home.example"), tuple(map(Recipient, recipients or (BOB,))), b"")
    facts = MessageFacts(message, group.sender, 17, 14, EnvelopeOptions(), ada)

    def add(transaction: Any) -> None:
        one.outbound.enqueuer.add(transaction, BodyId(body), facts, group, staged.describe)

    await components.database.write(add)


async def test_a_part_of_a_long_queue(tmp_path: Path) -> None:
    async with admin_server(tmp_path / "data", RELAY) as one:
        await queue_message(one, "M1")
        await queue_message(one, "M2")
        await queue_message(one, "M3")
        first = (await one.offline.ask(controls.ListQueue(most=2))).facts["messages"]
        rest = (await one.offline.ask(controls.ListQueue(first[-1]["id"], 2))).facts["messages"]
        assert [row["message"] for row in (*first, *rest)] == ["M1", "M2", "M3"] and len(first) == 2


async def states(one: AdminServer) -> list[tuple[str, str, str]]:
    rows = (await one.offline.ask(controls.ListQueue())).facts["messages"]
    return [(row["message"], row["destination"], row["state"]) for row in rows]


async def test_held_released_rerouted_and_cancelled(tmp_path: Path) -> None:
    async with admin_server(tmp_path / "data", RELAY) as one:
        await queue_message(one)
        assert await states(one) == [("M1A2", "far.example", "queued")]
        held = await one.running.ask(controls.HoldMessage("M1A2"))
        assert (
            "is held" in held.text and held.facts["messages"][0]["due_at"] == 0 and await states(one) == [("M1A2", "far.example", "held")]
        )
        await one.running.ask(controls.ReleaseMessage("M1A2"))
        rerouted = await one.running.ask(controls.RerouteMessage("M1A2", "post"))
        assert "post" in rerouted.text and await states(one) == [("M1A2", "@post", "queued")]
        await one.running.ask(controls.RerouteMessage("M1A2", "direct"))
        assert await states(one) == [("M1A2", "far.example", "queued")]
        shown = await one.running.ask(controls.ShowMessage("M1A2"))
        assert str(BOB) in shown.text
        assert (await one.running.ask(controls.FlushQueue())).facts == {"rows": 0}, "it is due already"
        assert "is not sent" in (await one.running.ask(controls.CancelMessage("M1A2"))).text and await states(one) == []
        track = (await one.offline.ask(controls.TrackMessage("M1A2"))).text
        assert "cancelled" in track.lower()


async def test_a_message_to_several_destinations_is_one_to_the_administrator(tmp_path: Path) -> None:
    async with admin_server(tmp_path / "data") as one:
        await queue_message(one, "M1A2", BOB, Address("eve", "other.example"))
        await queue_message(one, "M2B3")
        held = (await one.running.ask(controls.HoldMessage("M1A2"))).facts["messages"]
        assert {row["destination"] for row in held} == {"far.example", "other.example"}
        assert [state for message, _, state in await states(one) if message == "M2B3"] == ["queued"]


async def test_a_wrong_route_changes_nothing(tmp_path: Path) -> None:
    async with admin_server(tmp_path / "data", RELAY) as one:
        await queue_message(one)
        with pytest.raises(SetupError, match='no relay "pots"') as caught:
            await one.running.ask(controls.RerouteMessage("M1A2", "pots"))
        assert "post" in caught.value.remedy and await states(one) == [("M1A2", "far.example", "queued")]
