"""A message whose sending was never answered is sent once."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.support.server import PASSWORD, Pillarbox, new_data
from tests.support.wire import eventually
from tests.web.browser import PROTOCOLS, Chromium, chromium, sign_in
from tests.web.webmail.mailing import deliver, message
from tests.web.webmail.test_journeys import fetched

if TYPE_CHECKING:
    from playwright.sync_api import Route

AWAY = """() => {
  Object.defineProperty(document, "visibilityState", { get: () => "hidden", configurable: true })
  document.dispatchEvent(new Event("visibilitychange"))
}"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pillarbox]:
    with Pillarbox(new_data(tmp_path_factory.mktemp("drafts") / "data", "ada", "mary"), protocols=PROTOCOLS) as one:
        deliver(one, message("Hello", "text\n"))
        yield one


@pytest.fixture(scope="module")
def browser(server: Pillarbox) -> Iterator[Chromium]:
    with chromium(server) as one:
        yield one


def test_a_message_is_sent_once_although_its_sending_was_never_answered(server: Pillarbox, browser: Chromium) -> None:
    page = browser.page()
    sign_in(page, "ada@home.example", PASSWORD)
    page.goto("/mail/")
    page.get_by_role("option").first.wait_for()
    page.keyboard.press("c")
    page.get_by_role("combobox", name="To").fill("mary@home.example")
    page.get_by_label("Subject").fill("Only once")
    page.evaluate("""() => {
      const real = window.fetch
      window.fetch = async (url, options) => {
        const answer = await real(url, options)
        if (!String(options?.body).includes("EmailSubmission/set")) return answer
        window.fetch = real
        window.lost = (window.lost ?? 0) + 1
        throw new TypeError("the connection was lost")
      }
    }""")
    page.get_by_role("button", name="Send", exact=True).click()
    page.locator("#said").get_by_text("Sent.").wait_for()  # by itself, once there is a connection
    assert page.evaluate("window.lost") == 1
    assert eventually(lambda: fetched(server, "mary", "Only once", "INBOX") != [[]], 60)
    sent, drafts = fetched(server, "ada", "Only once", "Sent", "Drafts")
    assert [len(sent), len(drafts)] == [1, 0] and len(fetched(server, "mary", "Only once", "INBOX")[0]) == 1
    page.context.close()


@pytest.mark.parametrize("habit", ["puts the phone away", "closes the message"])
def test_no_draft_is_left_of_a_message_left_while_it_is_sent(server: Pillarbox, browser: Chromium, habit: str) -> None:
    from playwright.sync_api import expect

    page = browser.page()
    sign_in(page, "ada@home.example", PASSWORD)
    page.goto("/mail/")
    page.get_by_role("option").first.wait_for()
    page.keyboard.press("c")
    page.get_by_role("combobox", name="To").fill("mary@home.example")
    page.get_by_label("Subject").fill(habit)
    held: list[Route] = []
    others: list[str] = []

    def hold(route: "Route") -> None:
        body = route.request.post_data or ""
        if "EmailSubmission/set" in body:
            held.append(route)
        else:
            others.append(body)
            route.continue_()

    page.route("**/jmap/api", hold)
    page.get_by_role("button", name="Send", exact=True).click()
    assert eventually(lambda: page.evaluate("1") == 1 and held, 60)
    others.clear()  # who is slow had it saved before
    if "phone" in habit:
        page.evaluate(AWAY)
    else:
        page.get_by_role("button", name="Close and keep as a draft").click()
    page.evaluate("new Promise(resolve => setTimeout(resolve))")  # what is done at once
    held[0].continue_()
    expect(page.locator("#said")).to_contain_text("Sent.")
    page.locator("#composer").wait_for(state="detached")
    assert not [one for one in others if '"Email/set"' in one and "create" in one]
    assert [len(found) for found in fetched(server, "ada", habit, "Sent", "Drafts")] == [1, 0]
    page.context.close()
