"""INPROGRESS: a long command says so, and its responses stay whole (RFC 9585)."""

from pathlib import Path
from typing import Any

import pytest
import trio
import trio.lowlevel

from appliance.imapd import progress
from appliance.mail.errors import StoreError, Trouble
from appliance.mail.limits import BATCH_ROWS
from appliance.store.mailbox import Mailbox
from tests.imapd.client import signed_in
from tests.support.services import some_components


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "MANY", 2)
    monkeypatch.setattr(progress, "EVERY_S", 0.01)


async def test_long_commands_say_so(tmp_path: Path, soon: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of these waits for the store; the store waits until the client has read that the command is in progress."""
    told = trio.Event()
    for name in ("copy", "move", "set_flags", "expunge"):
        monkeypatch.setattr(Mailbox, name, held_up(getattr(Mailbox, name), lambda: told))
    async with some_components(tmp_path) as components:
        for _ in range(3):
            await components.deliver(b"Subject: x\r\n\r\n")
        client = await signed_in(components, b"INBOX")
        commands = (b"COPY 1:3 Sent", b"STORE 1:2 +FLAGS.SILENT (\\Deleted)", b"EXPUNGE")
        for tag, command in zip((b"p0", b"p1", b"p]"), commands, strict=True):
            told = trio.Event()
            await client.send(tag + b" " + command + b"\r\n")
            named = b'"%b"' % tag if tag != b"p]" else b"NIL"  # RFC 9585 §4: it would end the response code
            assert await client.response() == b"* OK [INPROGRESS (%b NIL NIL)] Still at work." % named
            told.set()
            assert (await client.until_tag(tag))[1].startswith(b"OK")
        assert (await client.command(b"SEARCH ALL"))[0] == [b"* SEARCH 1"]


def held_up(real: Any, until: Any) -> Any:
    async def wait_first(self: Mailbox, *arguments: Any, **words: Any) -> Any:
        await until().wait()
        return await real(self, *arguments, **words)

    return wait_first


async def test_a_search_says_how_far_it_is(tmp_path: Path, soon: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 9585 §4: PROGRESS of GOAL messages, which it does not reach."""
    told = trio.Event()
    batches = iter((None, told))
    real = Mailbox.examine

    async def wait_at_the_second(self: Mailbox, *arguments: Any) -> Any:
        if (until := next(batches)) is not None:
            await until.wait()
        return await real(self, *arguments)

    monkeypatch.setattr(Mailbox, "examine", wait_at_the_second)
    async with some_components(tmp_path) as components:
        client = await signed_in(components, b"INBOX")
        await client.command(b"APPEND INBOX " + b" ".join([b"{6+}\r\nA: b\r\n"] * (BATCH_ROWS + 125)))
        await client.send(b"A001 SEARCH TEXT nothing\r\n")
        assert await client.response() == b'* OK [INPROGRESS ("A001" %d %d)] 80%% of the messages are done.' % (
            BATCH_ROWS,
            BATCH_ROWS + 125,
        )
        told.set()
        untagged, tagged = await client.until_tag(b"A001")
        assert b"* SEARCH" in untagged and tagged.startswith(b"OK")


async def test_a_failure_is_the_command_s_own(tmp_path: Path, soon: None, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(self: Mailbox, *arguments: Any, **words: Any) -> Any:
        await trio.lowlevel.checkpoint()
        raise StoreError(Trouble.OVER_QUOTA)

    monkeypatch.setattr(Mailbox, "copy", fails)
    async with some_components(tmp_path) as components:
        for _ in range(3):
            await components.deliver(b"Subject: x\r\n\r\n")
        client = await signed_in(components, b"INBOX")
        _untagged, tagged = await client.command(b"COPY 1:3 Sent")
        assert tagged.startswith(b"NO [OVERQUOTA]")
        assert (await client.command(b"NOOP"))[1].startswith(b"OK")
