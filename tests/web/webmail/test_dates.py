"""The dates of the list in the browser's kind of the page's language: the time of today, the day of this year, else with the year."""

from datetime import UTC, datetime
from email.policy import SMTP

import pytest
from imapclient import IMAPClient

from tests.support.server import PASSWORD, Pillarbox
from tests.web.browser import Chromium
from tests.web.webmail.mailing import message

NOW = datetime(2026, 3, 9, 20, tzinfo=UTC)
RECEIVED = tuple(
    datetime.fromisoformat(one)
    for one in ("2026-03-09T13:05Z", "2026-03-09T00:10Z", "2026-03-08T23:50Z", "2026-03-08T12:00Z", "2025-12-31T08:00Z")
)


@pytest.fixture(scope="module")
def dated(server: Pillarbox) -> None:
    """Mary has a mailbox with messages of those instants."""
    with IMAPClient("127.0.0.1", server.ports["imap"], ssl=False) as imap:
        imap.login("mary@home.example", PASSWORD)
        imap.create_folder("Dates")
        for at in RECEIVED:
            imap.append("Dates", message("Dated", "Text\n").as_bytes(policy=SMTP), msg_time=at)


@pytest.mark.usefixtures("dated")
@pytest.mark.parametrize(
    ("locale", "shown"),
    [
        ("en-GB", ["14:05", "01:10", "00:50", "8 Mar", "31 Dec 2025"]),
        ("en-US", ["2:05 PM", "1:10 AM", "12:50 AM", "Mar 8", "Dec 31, 2025"]),
        ("en-AU", ["2:05 PM", "1:10 AM", "12:50 AM", "8 Mar", "31 Dec 2025"]),
        ("fr-FR", ["14:05", "01:10", "00:50", "8 Mar", "31 Dec 2025"]),  # the page is in English
        ("de-DE", ["14:05", "01:10", "00:50", "8. März", "31. Dez 2025"]),
    ],
)
def test_a_list_has_the_dates_of_its_reader(browser: Chromium, locale: str, shown: list[str]) -> None:
    """In Berlin, where the day begins an hour before that of UTC."""
    page = browser.page(locale=locale, timezone_id="Europe/Berlin")
    page.goto("/sign-in")
    page.locator("[name=name]").fill("mary@home.example")
    page.locator("[name=password]").fill(PASSWORD)
    with page.expect_navigation():
        page.keyboard.press("Enter")
    page.clock.set_fixed_time(NOW)
    page.goto("/mail/")
    page.get_by_role("link", name="Dates").click()
    page.get_by_role("option").filter(has_text="Dated").nth(4).wait_for()
    assert page.locator("#list time").all_inner_texts() == shown
    page.context.close()
