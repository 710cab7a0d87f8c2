"""Drafts under kills of the tab, the network and the server: what was typed more than a second before is never lost.

python -m tests.web.webmail.draft_kills [--kills 200] [--seed 1]
"""

import argparse
import random
import tempfile
import time
from contextlib import suppress
from email import message_from_bytes
from email.policy import default
from imaplib import IMAP4_SSL
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.server import PASSWORD, Pillarbox, new_data
from tests.web.browser import PROTOCOLS, Chromium, chromium, sign_in
from tests.web.webmail.mailing import deliver, message

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

KINDS = ("tab", "network", "server", "tab without network", "server while saving")
SUBJECT = "Draft under kills"
STORED = """word => new Promise(resolve => {
  const begun = performance.now()
  const isDraft = name => name.startsWith("draft ")
  const isThere = () => Object.entries(localStorage).some(([name, text]) => isDraft(name) && text.includes(word))
  const look = () => isThere() ? resolve(performance.now() - begun) : setTimeout(look, 20)
  look()
})"""


class Writing:
    """One message that is written on, whatever ends. `slowest_ms`: until a word was kept in the browser."""

    def __init__(self, server: Pillarbox, browser: Chromium) -> None:
        self.server = server
        self.words: list[str] = []
        self.slowest_ms = 0.0
        first = browser.page()
        sign_in(first, "ada@home.example", PASSWORD)
        self.page = first
        self._load()
        first.keyboard.press("c")
        first.get_by_label("Subject").fill(SUBJECT)

    def kill(self, kind: str) -> None:
        self.write()
        getattr(self, "_" + kind.replace(" ", "_"))()
        self.check()

    def write(self) -> None:
        word = f"word{len(self.words)}"
        self._text().press("Control+End")
        self._text().press_sequentially(word + " ")
        self.words.append(word)
        self.slowest_ms = max(self.slowest_ms, self.page.evaluate(STORED, word + " "))

    def check(self) -> None:
        assert self._text().input_value().split() == self.words

    def end(self) -> None:
        """One draft is on the server, with all that was typed, and nothing is left in the browser."""
        self.page.get_by_role("button", name="Close and keep as a draft").click()
        self.page.locator("#composer").wait_for(state="detached")
        self.check_drafts()
        assert self.page.evaluate("Object.keys(localStorage).filter(key => key.startsWith('draft')).length") == 0

    def check_drafts(self) -> None:
        with IMAP4_SSL("localhost", self.server.ports["imaps"]) as imap:
            imap.login("ada@home.example", PASSWORD)
            imap.select("Drafts", readonly=True)
            numbers = imap.search(None, "SUBJECT", f'"{SUBJECT}"')[1][0].split()
            assert len(numbers) == 1, f"{len(numbers)} drafts"
            found = imap.fetch(numbers[0].decode(), "BODY[]")[1][0][1]  # type: ignore[index]
        body = message_from_bytes(found, policy=default).get_body(("plain",))  # type: ignore[arg-type]
        assert body is not None and body.get_content().split() == self.words

    # --- what ends -----------------------------------------------------------------------------------

    def _tab(self) -> None:
        """Its process is killed; another tab goes on."""
        from playwright.sync_api import Error

        old = self.page
        self.page = old.context.new_page()
        with old.expect_event("crash"), suppress(Error):
            old.goto("chrome://crash")
        old.close()
        self._load()
        self.page.get_by_role("button", name="Go on writing").click()

    def _network(self) -> None:
        self.page.context.set_offline(True)
        self.page.locator("#banner").get_by_text("No connection").wait_for()
        self.write()
        self.page.context.set_offline(False)
        self.page.locator("#banner").wait_for(state="hidden")

    def _tab_without_network(self) -> None:
        self.page.context.set_offline(True)
        self.write()
        self.page.context.set_offline(False)
        self._tab()

    def _server(self) -> None:
        self.server.kill()
        self.write()
        self.server.start()

    def _server_while_saving(self) -> None:
        """Whether the save was committed or not: the panel stays and is closed again, or it is closed."""
        from playwright.sync_api import Error

        self.page.get_by_role("button", name="Close and keep as a draft").click()
        self.server.kill()
        self.server.start()
        close = self.page.get_by_role("button", name="Close and keep as a draft")
        while close.count():
            if self.page.locator("#composer .fault").is_visible() and self.page.locator("#banner").is_hidden():
                close.click()
            self.page.wait_for_timeout(100)
        while self.page.evaluate("Object.keys(localStorage).some(key => key.startsWith('draft'))"):
            self.page.wait_for_timeout(100)
        self.check_drafts()
        self.page.get_by_role("link", name="Drafts").click()
        self.page.locator("#where").get_by_text("Drafts").wait_for()
        while not self.page.locator("#composer").count():  # a row that is read again just now may be that of the draft before
            with suppress(Error):
                self.page.get_by_role("option").filter(has_text="(no recipient)").click(timeout=2000)
            self.page.wait_for_timeout(1000)

    # --- the page ------------------------------------------------------------------------------------

    def _load(self) -> None:
        self.page.goto("/mail/")
        self.page.get_by_role("option").first.wait_for()

    def _text(self) -> "Locator":
        return self.page.get_by_role("textbox", name="Text", exact=True)


def run(server: Pillarbox, browser: Chromium, kinds: list[str]) -> float:
    """The slowest keeping in milliseconds."""
    writing = Writing(server, browser)
    for kind in kinds:
        writing.kill(kind)
    writing.end()
    page: Page = writing.page
    page.context.close()
    return writing.slowest_ms


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    chance, begun = random.Random(options.seed), time.monotonic()
    kinds = [chance.choice(KINDS) for _ in range(options.kills)]
    with (
        tempfile.TemporaryDirectory() as place,
        Pillarbox(new_data(Path(place) / "data", "ada"), protocols=PROTOCOLS) as server,
        chromium(server) as browser,
    ):
        deliver(server, message("Hello", "text\n"))
        slowest_ms = run(server, browser, kinds)
    print(f"{options.kills} kills in {time.monotonic() - begun:.0f} s, nothing lost; a word was kept within {slowest_ms:.0f} ms")
    assert slowest_ms < 1000


if __name__ == "__main__":
    main()
