"""A real browser for tests: Debian's Chromium by Playwright, which trusts the authority of the server under test and no other."""

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.needs import program
from tests.support.server import Pillarbox, pillarbox

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PROTOCOLS = ("smtp", "submissions", "imaps", "http", "https")
WIDTHS = (320, 768, 1280)
PATIENCE_MS = 60_000
"""For a busy machine: what a page is waited for, and what a test expects of it."""
PICTURE_WIDTH = "document => document.images[0].decode().then(() => document.images[0].naturalWidth)"
"""For `of_document`: the width of its first picture once that is there, in pixels."""


@dataclass
class Chromium:
    """A running browser; `page()` is a fresh one without cookies."""

    browser: "Browser"
    address: str

    def page(self, **words: Any) -> "Page":
        """A page of its own context; `faults` is what its console reports, but for forms that were sent back (422)."""
        words.setdefault("locale", "en-GB")
        context = self.browser.new_context(base_url=self.address, **words)
        context.set_default_timeout(PATIENCE_MS)
        page = context.new_page()
        faults: list[str] = []
        page.on("console", lambda message: faults.append(message.text) if message.type == "error" and " 422 " not in message.text else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.faults = faults  # type: ignore[attr-defined]
        return page


@contextmanager
def chromium(server: Pillarbox) -> Iterator[Chromium]:
    """The browser in a home of its own, whose certificate database has the server's authority."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE_MS)
    executable = program("chromium")
    certutil = program("certutil")
    with tempfile.TemporaryDirectory(prefix="pillarbox-browser-") as home:
        database = Path(home) / ".pki/nssdb"
        database.mkdir(parents=True)
        authority = Path(home) / "authority.pem"
        authority.write_text(pillarbox("certificate", "export", data=server.data).stdout)
        subprocess.run([certutil, "-d", f"sql:{database}", "-N", "--empty-password"], check=True)
        words = [certutil, "-d", f"sql:{database}", "-A", "-t", "C,,", "-n", "pillarbox", "-i", str(authority)]
        subprocess.run(words, check=True)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"], env={"HOME": home})
            try:
                yield Chromium(browser, f"https://localhost:{server.ports['https']}")
            finally:
                browser.close()


def violations(page: "Page") -> list[str]:
    """What axe-core finds wrong with the page, by the rules of WCAG 2.2 AA and its best practices."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page).response["violations"]
    return [f"{one['id']}: {node['html']}" for one in found for node in one["nodes"]]


def of_document(page: "Page", script: str) -> Any:
    """What `script`, a function of the open message's document, returns.

    It runs in the page around it: a script that Playwright evaluates in the sandboxed frame leaves listeners
    there, and the next movement of the mouse over the frame is a blocked script among the page's faults.
    """
    return page.locator("article.open iframe").evaluate(f"frame => ({script})(frame.contentDocument)")


def fitted(page: "Page") -> None:
    """Once the texts of the open messages are as high as what is in them: what stands below moves no more, and links in them are heard."""
    from playwright.sync_api import expect

    page.locator("article.open iframe[style*=height]").first.wait_for()
    expect(page.locator("article.open iframe:not([style*=height])")).to_have_count(0)


def sign_in(page: "Page", name: str, password: str) -> None:
    page.goto("/sign-in")
    page.get_by_label("E-mail address").fill(name)
    page.get_by_label("Password").fill(password)
    with page.expect_navigation():
        page.get_by_role("button", name="Sign in", exact=True).click()
