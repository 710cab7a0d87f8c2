"""The long checks of webmail, run by `make web-test`: eight tabs, lost connections, every hostile case by itself, pictures."""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from appliance.web.webmail.html_bounds import is_bounded
from tests.support.server import PASSWORD, Pillarbox, new_data
from tests.support.wire import eventually, faults
from tests.web.browser import PROTOCOLS, WIDTHS, Chromium, chromium, sign_in, violations
from tests.web.webmail.mailing import counting_server, deliver, message, pictures
from tests.web.webmail.test_html_cleaning import EVIL, HOSTILE
from tests.web.webmail.test_journeys import fetched
from tests.web.webmail.test_names_and_signatures import names

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

SHOTS = Path("build/shots")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pillarbox]:
    with Pillarbox(new_data(tmp_path_factory.mktemp("webmail") / "data", "ada", "mary"), protocols=PROTOCOLS) as one:
        deliver(one, *(message(f"Number {number}", f"Text {number}\n") for number in range(20)), pictures())
        yield one
        assert not faults(one.log)


@pytest.fixture(scope="module")
def browser(server: Pillarbox) -> Iterator[Chromium]:
    from playwright.sync_api import expect

    expect.set_options(timeout=60_000)
    with chromium(server) as one:
        yield one


@pytest.fixture
def ada(browser: Chromium) -> Iterator["Page"]:
    page = browser.page()
    page.set_default_timeout(60_000)
    sign_in(page, "ada@home.example", PASSWORD)
    page.goto("/mail/")
    page.get_by_role("option").first.wait_for()
    yield page
    page.context.close()


def another(context: "BrowserContext") -> "Page":
    page = context.new_page()
    page.goto("/mail/")
    page.get_by_role("option").first.wait_for()
    return page


def test_eight_tabs_share_one_stream_and_see_a_new_message_within_a_second(ada: "Page", server: Pillarbox) -> None:
    from playwright.sync_api import expect

    tabs = [ada, *(another(ada.context) for _ in range(7))]
    assert [one.evaluate("document.documentElement.dataset.push") for one in tabs].count("leader") == 1
    deliver(server, message("For all tabs", "hello\n"))
    for one in tabs:
        expect(one.get_by_role("option").filter(has_text="For all tabs")).to_have_count(1)
    tabs[0].close()
    expect(tabs[1].locator("html")).to_have_attribute("data-push", "leader")
    begun = time.monotonic()
    deliver(server, message("After the leader", "hello\n"))
    expect(tabs[1].get_by_role("option").filter(has_text="After the leader")).to_have_count(1)
    print(f"visible after {time.monotonic() - begun:.2f} s, delivery included")
    expect(tabs[7].get_by_role("option").filter(has_text="After the leader")).to_have_count(1)


def test_without_a_connection_it_says_so_and_goes_on_by_itself(ada: "Page", server: Pillarbox) -> None:
    from playwright.sync_api import expect

    ada.keyboard.press("c")
    ada.get_by_label("Subject").fill("Offline")
    ada.context.set_offline(True)
    ada.get_by_role("textbox", name="Text", exact=True).fill("written without a connection")
    ada.get_by_role("combobox", name="To").fill("mary@home.example")
    ada.get_by_role("button", name="Send", exact=True).click()
    expect(ada.get_by_role("alert")).to_contain_text("It will be sent when there is one")
    expect(ada.locator("#banner")).to_contain_text("No connection")
    ada.context.set_offline(False)
    expect(ada.locator("#said")).to_contain_text("Sent.")
    expect(ada.locator("#banner")).to_be_hidden()
    assert eventually(lambda: len(fetched(server, "mary", "Offline", "INBOX")[0]) == 1)


def test_an_older_tab_says_that_there_is_a_newer_version(ada: "Page") -> None:
    from playwright.sync_api import expect

    ada.route("**/mail/version", lambda route: route.fulfill(body="123456789abc"))
    ada.context.set_offline(True)
    ada.evaluate("dispatchEvent(new Event('offline'))")
    ada.context.set_offline(False)
    expect(ada.get_by_role("button", name="Load the new version")).to_be_visible(timeout=20_000)


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_each_hostile_case_in_its_frame(ada: "Page", server: Pillarbox, number: int) -> None:
    from playwright.sync_api import expect

    with counting_server() as (address, asked):
        subject = f"Case {number} {time.monotonic_ns()}"
        deliver(server, message(subject, "text\n", html=f"<p>before</p>{HOSTILE[number].replace(EVIL, address + '/x')}"))
        row = ada.get_by_role("option").filter(has_text=subject)
        expect(row).to_have_count(1)
        row.click()
        shown = re.compile("before" if is_bounded(HOSTILE[number]) else "text")  # what is no ordinary HTML is shown as text
        expect(ada.frame_locator("article.open iframe").locator("body")).to_contain_text(shown)
        ada.wait_for_timeout(150)
        assert not asked and "/mail/" in ada.url and ada.title().endswith("Pillarbox")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_pictures(browser: Chromium, width: int, scheme: str) -> None:
    SHOTS.mkdir(parents=True, exist_ok=True)
    page = browser.page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    sign_in(page, "ada@home.example", PASSWORD)
    page.goto("/mail/")
    page.get_by_role("option").first.wait_for()
    page.screenshot(path=SHOTS / f"mail-list-{width}-{scheme}.png")
    page.goto("/mail/#q=Holiday")  # in the list it stands below the hostile cases
    page.get_by_role("option").filter(has_text="Holiday").first.click()
    page.get_by_role("button", name="Show images").wait_for()
    page.screenshot(path=SHOTS / f"mail-reading-{width}-{scheme}.png")
    assert not violations(page)
    page.keyboard.press("r")
    page.locator("#composer").wait_for()
    page.screenshot(path=SHOTS / f"mail-writing-{width}-{scheme}.png")
    assert not violations(page) and not page.evaluate("document.documentElement.scrollWidth > innerWidth")
    page.get_by_role("button", name="Throw away").click()
    names(page)
    page.screenshot(path=SHOTS / f"mail-names-{width}-{scheme}.png")
    assert not violations(page) and not page.evaluate("document.documentElement.scrollWidth > innerWidth")
    page.context.close()
