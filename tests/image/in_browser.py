"""Webmail of a started box, used by a real browser as a person does."""

import shutil
from typing import TYPE_CHECKING

from .machine import Machine
from .mail import ACCOUNT, PASSWORD

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

TABS = 5
OPENED = 10


def read_and_write(machine: Machine, slowness: float) -> None:
    """Several tabs; in one of them messages are opened, searched for and marked, and one is written and arrives."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        context = browser.new_context(base_url=f"https://localhost:{machine.ports['https']}", ignore_https_errors=True, locale="en-GB")
        context.set_default_timeout(60_000 * slowness)
        page = _sign_in(context)
        for _ in range(TABS - 1):
            _mail(context.new_page())
        page.bring_to_front()
        _mail(page)
        page.keyboard.press("o")
        for _ in range(OPENED):
            page.frame_locator("article.open iframe").get_by_text("Hello").wait_for()
            subject = page.locator("#subject").text_content()
            page.keyboard.press("j")
            page.wait_for_function("before => document.getElementById('subject')?.textContent !== before", arg=subject)
        page.get_by_label("Search mail").fill('"subject 7"')
        page.get_by_role("option").filter(has_text="subject 7").first.wait_for()
        _write(page)
        browser.close()


def _sign_in(context: "BrowserContext") -> "Page":
    page = context.new_page()
    page.goto("/sign-in")
    page.get_by_label("E-mail address").fill(ACCOUNT)
    page.get_by_label("Password").fill(PASSWORD)
    with page.expect_navigation():
        page.get_by_role("button", name="Sign in", exact=True).click()
    return page


def _mail(page: "Page") -> None:
    page.goto("/mail/")
    page.get_by_role("option").first.wait_for()


def _write(page: "Page") -> None:
    page.get_by_role("button", name="Write").first.click()
    page.get_by_role("combobox", name="To").fill(ACCOUNT)
    page.get_by_role("textbox", name="Subject").fill("From the browser")
    page.get_by_role("textbox", name="Text", exact=True).fill("Written on the box's own page.")
    page.get_by_role("button", name="Send", exact=True).click()
    page.locator("#said").get_by_text("Sent").wait_for()
    page.wait_for_timeout(12_000)  # Undo is offered for ten seconds
