"""What the list shows is what the server has once everything is quiet, whatever this tab and other programs did at the same time.

Bursts of keys, clicks and IMAP commands, with no wait between them; after each burst one more message arrives, and rows, marks and the
number of unread conversations have to become those of a query made anew.
"""

import random
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.journeys.talk import Reader
from tests.support.server import Pillarbox
from tests.support.wire import eventually
from tests.web.webmail.test_long_lists import append

if TYPE_CHECKING:
    from playwright.sync_api import Page

BURSTS = 25
PATIENCE_S = 15
KEYS = "jksueexxz"
COMMANDS = ("arrive", "arrive", "flag", "flag", "flag", "move", "back", "expunge")
THERE = """async () => {
  const load = (name) => import(document.querySelector("script[type=module]").src.replace("main.js", name))
  const [{ request }, { boot }, { byRole }] = await Promise.all(["jmap.js", "dom.js", "mail.js"].map(load))
  const inMailbox = byRole("inbox").id
  const more = { unread: { notKeyword: "$seen" }, starred: { hasKeyword: "$flagged" } }[location.hash.match(/;(\\w+)/)?.[1]]
  const filter = { operator: "AND", conditions: [{ inMailbox }, ...(more ? [more] : [])] }
  const query = { ...boot.list.query, filter, position: 0, limit: 200 }
  const calls = [["Email/query", query], ...boot.list.reading, ["Mailbox/get", { ids: [inMailbox] }]]
  const [, rows, threads, members, boxes] = await request(calls)
  const known = new Map(members.list.map((one) => [one.id, one.keywords]))
  const shown = ({ subject, threadId }) => {
    const some = threads.list.find(({ id }) => id === threadId).emailIds.map((id) => known.get(id))
    return [subject, some.some(({ $seen, $draft }) => !$seen && !$draft), some.some(({ $flagged }) => $flagged)]
  }
  return { rows: rows.list.map(shown), unread: boxes.list[0].unreadThreads }
}"""
SHOWN = """() => ({
  rows: [...document.querySelectorAll("#list-space .row")].sort((a, b) => a.dataset.at - b.dataset.at).map((row) => {
    const isStarred = [...row.querySelectorAll(".marks .away")].some((one) => one.textContent === "starred")
    return [row.querySelector(".subject")?.textContent, row.classList.contains("unread"), isStarred]
  }),
  unread: Number(document.title.match(/^\\((\\d+)\\)/)?.[1] ?? 0),
})"""
OPEN = "at => document.querySelectorAll('#list-space .row')[at]?.click()"
FILTER = "at => document.querySelectorAll('#filters button')[at].click()"


@pytest.fixture(scope="module")
def imap(server: Pillarbox) -> Iterator[Reader]:
    with Reader(server.ports["imap"], "ada@home.example") as reader:
        yield reader


class Actors:
    """The tab and another program; each action is told, for when something goes wrong."""

    def __init__(self, page: "Page", reader: Reader, seed: int) -> None:
        self._page, self._reader, self._chance = page, reader, random.Random(seed)
        self._arrived = 1000 * seed

    def burst(self) -> list[str]:
        told = [self._command() if self._chance.random() < 0.4 else self._key() for _ in range(self._chance.choice((0, 0, 2, 5, 8)))]
        last = self._chance.choice("sue")  # mail arrives in the midst of a change of this tab
        self._page.keyboard.press(last)
        return [*told, last, self._arrive(after="")]

    def _key(self) -> str:
        match self._chance.randrange(4):
            case 0:
                at = self._chance.randrange(12)
                self._page.evaluate(OPEN, at)
                return f"open {at}"
            case 1:
                at = self._chance.randrange(3)
                self._page.evaluate(FILTER, at)
                return f"filter {at}"
            case _:
                key = self._chance.choice(KEYS)
                self._page.keyboard.press(key)
                return key

    def _command(self) -> str:
        kind = self._chance.choice(COMMANDS)
        if kind == "arrive":
            return self._arrive(f"<n{self._arrived - self._chance.randrange(5)}@x>" if self._chance.random() < 0.3 else "")
        at = b"%d" % self._chance.randrange(1, 15)
        flag = b"STORE %b %bFLAGS (%b)" % (at, self._chance.choice((b"+", b"-")), self._chance.choice((b"\\Flagged", b"\\Seen")))
        command = {
            "flag": flag,
            "move": b"MOVE %b Archive" % at,
            "back": b"MOVE %b INBOX" % at,
            "expunge": b"STORE %b +FLAGS (\\Deleted)" % at,
        }
        self._reader.ok(b"SELECT " + (b"Archive" if kind == "back" else b"INBOX"))
        try:
            self._reader.ok(command[kind])
        except AssertionError:  # so many there are not
            return f"no {kind}"
        if kind == "expunge":
            self._reader.ok(b"EXPUNGE")
        return command[kind].decode()

    def _arrive(self, after: str) -> str:
        self._arrived += 1
        append(self._reader, "INBOX", (f"New {self._arrived}.", f"<n{self._arrived}@x>", after))
        return f"arrive {self._arrived}"


@pytest.mark.parametrize("seed", range(4))
def test_what_is_shown_is_what_is_there(ada: "Page", imap: Reader, seed: int) -> None:
    ada.set_viewport_size({"width": 1280, "height": 14_000})  # all rows are elements
    actors = Actors(ada, imap, seed)
    there: dict[str, Any] = {}

    def same() -> bool:
        there.update(ada.evaluate(THERE))
        return bool(there == ada.evaluate(SHOWN))

    for _ in range(BURSTS):
        told = actors.burst()
        assert eventually(same, PATIENCE_S), (told, there, ada.evaluate(SHOWN))
