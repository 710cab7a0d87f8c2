"""The live log: every line once, in order, and where a browser goes on."""

import json
import os
from collections.abc import AsyncIterator, Callable
from typing import Any

from appliance.control.requests import Response
from appliance.status.journal import LINES, Journal
from appliance.web.pages.machine import LINES_A_LOOK
from tests.support.clock import HandClock
from tests.web.conftest import PASSWORD, Web, field_of


class LogControl:
    def __init__(self, journal: Journal) -> None:
        self.journal = journal

    async def ask(self, request: Any) -> Response:
        lines = self.journal.lines(request.since)
        return Response("", {"lines": lines, "count": self.journal.count})


async def next_lines(events: AsyncIterator[bytes]) -> tuple[list[str], str]:
    """The lines of the next event without their times, and its id."""
    text = (await anext(events)).decode()
    fields = dict(line.split(": ", 1) for line in text.splitlines() if line)
    return [line.partition(" ")[2] for line in json.loads(fields["data"])], fields["id"]


async def test_every_line_comes_once(make_web: Callable[..., Web], autojump_clock: object) -> None:
    fd = os.open(os.devnull, os.O_WRONLY)
    journal = Journal(HandClock(), fd=fd)
    web = make_web(LogControl(journal))
    await web.family.accounts.add_account("ada@home.example", PASSWORD)
    browser = web.browser()
    await browser.sign_in("ada@home.example")
    for number in range(LINES_A_LOOK + 10):
        journal.log(f"line {number}")
    response = await browser.get("/admin/logs/events?since=5")
    assert response.lasting and field_of(response, "cache-control") == "no-store"
    events: Any = response.body
    first, at = await next_lines(events)
    assert first == [f"line {number}" for number in range(5, LINES_A_LOOK + 5)] and at == str(LINES_A_LOOK + 5)
    assert (await next_lines(events))[0] == [f"line {number}" for number in range(LINES_A_LOOK + 5, LINES_A_LOOK + 10)]
    for number in range(2 * LINES):
        journal.log(f"more {number}")
    assert (await next_lines(events))[0][0] == f"more {LINES}", "what left the memory meanwhile is passed over"
    (account,) = web.family.accounts.directory.accounts()
    await web.context.sessions.end(*web.context.sessions.of(account.id))
    assert [one async for one in events] == []
    os.close(fd)
