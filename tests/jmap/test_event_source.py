"""The event stream: each change at once, of the types asked for, in order; what was missed; pings; the end (RFC 8620 §7.3)."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trio

from appliance.jmap import event_source
from appliance.protocol.jmap.push import EventRequest
from appliance.store.values import Mode

from .sending import ANN, BEN, SendingServer, a_sending_server


def opened(server: SendingServer, wanted: EventRequest | None = None, *, live: Any = lambda: True) -> AsyncIterator[bytes]:
    stream = server.service.events(ANN, wanted or EventRequest(), live)
    assert stream is not None
    return stream


async def event(stream: AsyncIterator[bytes]) -> tuple[str, Any, str]:
    """The next event: its type, data and id; comments passed over."""
    while True:
        with trio.fail_after(10):
            octets = await anext(stream)
        fields = dict(line.split(": ", 1) for line in octets.decode().splitlines() if line and line[0] != ":")
        if fields:
            return fields["event"], json.loads(fields["data"]), fields.get("id", "")


async def changed(stream: AsyncIterator[bytes]) -> dict[str, str]:
    kind, data, _ = await event(stream)
    assert kind == "state" and data["@type"] == "StateChange" and list(data["changed"]) == ["A1"]
    found: dict[str, str] = data["changed"]["A1"]
    return found


async def test_every_change_is_told_with_the_state_that_get_has(tmp_path: Path) -> None:
    async with a_sending_server(tmp_path) as server:
        stream = opened(server)
        assert await anext(stream) == b":\n\n"
        email = await server.draft()
        states = await changed(stream)
        assert states.keys() == {"Mailbox", "Thread", "Email", "EmailDelivery", "Quota"}
        for name in ("Mailbox", "Email"):
            assert states[name] == (await server.call(f"{name}/get", ids=[]))["state"]
        mailbox = await server.store.open(ANN, "Drafts")
        await mailbox.set_flags(list(mailbox.uids), Mode.ADD, ("\\Seen",))
        assert (await changed(stream)).keys() == {"Mailbox", "Thread", "Email"}
        held = {"mailFrom": {"email": "ann@home.test"}, "rcptTo": [{"email": "bob@far.example"}]}
        await server.send(email, envelope=held)
        states = await changed(stream)
        assert states == {"EmailSubmission": (await server.call("EmailSubmission/get", ids=[]))["state"]}
        await server.call("Identity/set", update={await server.identity(): {"name": "Ann"}})
        assert (await changed(stream)) == {"Identity": (await server.call("Identity/get"))["state"]}
        await server.store.create(ANN, "New")
        assert "Mailbox" in await changed(stream)
        await stream.aclose()  # type: ignore[attr-defined]
        assert not server.store.watches._watches


async def test_types_closeafter_and_what_was_missed(tmp_path: Path) -> None:
    async with a_sending_server(tmp_path) as server:
        stream = opened(server, EventRequest(frozenset({"EmailSubmission", "EmailDelivery"}), close_after_state=True))
        await anext(stream)
        await server.store.create(ANN, "New", "")  # of no type asked for
        await server.store.create(BEN, "Theirs")
        await server.draft()
        kind, data, last = await event(stream)
        assert kind == "state" and data["changed"]["A1"].keys() == {"EmailDelivery"}
        with pytest.raises(StopAsyncIteration):
            await anext(stream)
        await server.draft()
        again = opened(server, EventRequest(frozenset({"Email", "Identity"}), last=last))
        assert (await changed(again)).keys() == {"Email"}
        await again.aclose()  # type: ignore[attr-defined]
        now = opened(server, EventRequest(last="garbage;A1:x"))
        assert "Identity" in await changed(now)
        await now.aclose()  # type: ignore[attr-defined]


async def test_pings_limits_and_the_end_of_a_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_source, "STREAMS", 1)
    monkeypatch.setattr(event_source, "MOST_PING_S", 0.01)
    async with a_sending_server(tmp_path) as server:
        signed_in = [True]
        stream = opened(server, EventRequest(ping_s=300), live=lambda: signed_in[0])
        assert await event(stream) == ("ping", {"interval": 0.01}, "")
        assert server.service.events(ANN, EventRequest(), lambda: True) is None
        assert server.service.events(BEN, EventRequest(), lambda: True) is not None
        signed_in[0] = False
        await server.draft()
        with pytest.raises(StopAsyncIteration):
            await event(stream)
        assert server.service.events(ANN, EventRequest(), lambda: True) is not None


async def test_streams_let_in_at_once_are_no_more_than_those_one_after_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_source, "STREAMS", 1)
    async with a_sending_server(tmp_path) as server:
        first, second = opened(server), opened(server)  # neither has begun
        assert await anext(first) == b":\n\n"
        with pytest.raises(StopAsyncIteration):
            await anext(second)
        await first.aclose()  # type: ignore[attr-defined]
        assert not server.store.watches._watches


async def test_a_stream_that_is_cancelled_while_it_reads_loses_nothing(tmp_path: Path) -> None:
    async with a_sending_server(tmp_path) as server:
        watch = event_source.StateWatch(server.service._events._states, server.store, ANN, lambda: server.service.caller(ANN).accounts)
        await watch.begin()
        await server.draft()
        with trio.CancelScope() as scope:
            scope.cancel()
            await watch.next()
        with trio.fail_after(10):
            assert "Email" in (await watch.next())["A1"]
        watch.close()
