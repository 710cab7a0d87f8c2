"""Networks that swallow what they get, cut answers off or answer themselves; a device that slept; tabs that the browser freezes. Run by
`make web-test`: what a network swallows is waited for."""

import secrets
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.support.server import PASSWORD, Pillarbox
from tests.web.browser import Chromium, sign_in
from tests.web.webmail.mailing import deliver, message
from tests.web.webmail.network import Network, network

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page, Route

LEADER = "html[data-push=leader]"


@pytest.fixture
def net(server: Pillarbox) -> Iterator[Network]:
    with network(server.ports["https"]) as one:
        yield one


@pytest.fixture
def far(net: Network, browser: Chromium) -> Iterator["Page"]:
    """Ada's page, by that network."""
    page = Chromium(browser.browser, f"https://localhost:{net.port}").page()
    page.set_default_timeout(60_000)
    sign_in(page, "ada@home.example", PASSWORD)
    show(page)
    yield page
    page.context.close()


def show(page: "Page") -> None:
    page.goto("/mail/")
    page.get_by_role("option").first.wait_for()
    page.locator("html[data-ready]").wait_for(state="attached")


def another(context: "BrowserContext") -> "Page":
    page = context.new_page()
    page.set_default_timeout(60_000)
    show(page)
    return page


def is_read(page: "Page", text: str) -> None:
    """Once the connection is back."""
    from playwright.sync_api import expect

    expect(page.locator("#banner")).to_be_hidden(timeout=60_000)
    expect(page.frame_locator("article.open iframe").locator("body")).to_contain_text(text, timeout=60_000)


def open_in_vain(page: "Page", subject: str) -> None:
    from playwright.sync_api import expect

    page.get_by_role("option").filter(has_text=subject).first.click()
    expect(page.locator("#banner")).to_contain_text("No connection to the server.", timeout=60_000)
    expect(page.locator("#conversation")).to_contain_text("This conversation could not be read.")


def test_a_network_that_swallows_all_is_no_connection(far: "Page", net: Network) -> None:
    net.passing.clear()
    open_in_vain(far, "Number 20")
    net.passing.set()
    is_read(far, "Text 20")


def test_answers_that_are_cut_off_are_no_connection_and_not_asked_for_without_end(far: "Page", net: Network, server: Pillarbox) -> None:
    """What is short gets through: the page learns that the server is there, again and again."""
    deliver(server, message(f"Wide {secrets.token_hex(16_000)}", "All of it\n"))
    far.get_by_role("option").filter(has_text="Wide").wait_for()
    before = net.connections
    net.most_octets = 6000
    open_in_vain(far, "Wide")
    far.wait_for_timeout(15_000)
    assert net.connections - before < 60
    net.most_octets = None
    is_read(far, "All of it")


@pytest.mark.parametrize("status", [200, 502, 503, 504])
def test_somebody_else_who_answers_is_no_connection(far: "Page", status: int) -> None:
    """A network that wants a sign-in first answers 200; a proxy whose server is away 502 to 504."""
    from playwright.sync_api import expect

    asked = []

    def answer(route: "Route") -> None:
        asked.append(route.request.url)
        route.fulfill(status=status, content_type="text/html; charset=utf-8", body="<title>Welcome</title><p>Accept our terms.</p>")

    far.context.route("**/*", answer)
    open_in_vain(far, "Number 19")
    far.wait_for_timeout(10_000)
    expect(far.locator("#banner")).to_contain_text("No connection to the server.")
    assert len(asked) < 12, asked
    far.context.unroute("**/*", answer)
    is_read(far, "Text 19")


def test_a_stream_that_died_in_sleep_is_opened_again(far: "Page", net: Network, server: Pillarbox) -> None:
    from playwright.sync_api import expect

    far.locator(LEADER).wait_for(state="attached")
    far.clock.install()
    show(far)
    far.locator(LEADER).wait_for(state="attached")
    net.abandon()
    deliver(server, message("While it slept", "x\n"))
    far.clock.fast_forward("08:00:00")
    expect(far.get_by_role("option").filter(has_text="While it slept")).to_have_count(1, timeout=60_000)


def test_when_the_leader_is_frozen_or_answers_no_more_another_leads(far: "Page", server: Pillarbox) -> None:
    from playwright.sync_api import expect

    tabs = [far, another(far.context), another(far.context)]
    expect(far.locator(LEADER)).to_have_count(1)
    far.evaluate("document.dispatchEvent(new Event('freeze'))")
    expect(tabs[1].locator(LEADER)).to_have_count(1)
    deliver(server, message("To the second", "x\n"))
    expect(tabs[2].get_by_role("option").filter(has_text="To the second")).to_have_count(1)
    devtools = far.context.new_cdp_session(tabs[1])
    devtools.send("Debugger.enable")
    devtools.send("Debugger.pause")
    tabs[2].evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(tabs[2].locator(LEADER)).to_have_count(1)
    deliver(server, message("To the third", "x\n"))
    expect(tabs[2].get_by_role("option").filter(has_text="To the third")).to_have_count(1)
    devtools.send("Debugger.disable")
    expect(tabs[1].locator(LEADER)).to_have_count(0)
    expect(tabs[1].get_by_role("option").filter(has_text="To the third")).to_have_count(1)


def test_a_session_that_ends_elsewhere_is_said_at_once(far: "Page") -> None:
    from playwright.sync_api import expect

    far.locator(LEADER).wait_for(state="attached")
    other = far.context.new_page()
    other.goto("/own/")
    other.get_by_role("banner").get_by_role("button", name="Sign out").click()
    expect(other.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(far.locator("#banner")).to_contain_text("You are signed out.", timeout=30_000)
