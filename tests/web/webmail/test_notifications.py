"""Notifications of new mail in a real browser: switched on in webmail, pushed by the server to a push service of the test's own, decrypted
as the browser would, and given to the service worker, which shows them."""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.push_phone import Phone, served_with_pushes
from tests.support.push_receiver import Receiver, checked_token
from tests.support.server import PASSWORD, Pillarbox
from tests.web.browser import PROTOCOLS, chromium, sign_in, violations
from tests.web.webmail.mailing import deliver, message
from tests.web.webmail.test_races import FRAMES, IS_LATE, LATE

if TYPE_CHECKING:
    from playwright.sync_api import Page

ON = "Notifications are on."
CODE = '"verificationCode"'
"""In the request that gives the pushed code back."""
ENDPOINT = "https://push.example/device-1"
SUBSCRIPTION = """
const KEYS = %s
const made = () => ({ endpoint: "%s", toJSON: () => ({ endpoint: "%s", keys: KEYS }), unsubscribe: async () => delete localStorage.made })
PushManager.prototype.subscribe = async (wanted) => { localStorage.made = wanted.applicationServerKey; return made() }
PushManager.prototype.getSubscription = async () => (localStorage.made ? made() : null)
"""
"""Debian's Chromium knows no push service: what it would answer. The rest is the browser's own."""


@pytest.fixture(scope="module")
def phone() -> Phone:
    return Phone(Receiver())


@pytest.fixture(scope="module")
def server(phone: Phone, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pillarbox]:
    with served_with_pushes(tmp_path_factory.mktemp("push"), phone, PROTOCOLS) as one:
        yield one


@pytest.fixture(scope="module")
def ada(server: Pillarbox, phone: Phone) -> Iterator["Page"]:
    with chromium(server) as browser:
        page = browser.page(permissions=["notifications"])
        page.add_init_script(SUBSCRIPTION % (json.dumps(phone.receiver.keys), ENDPOINT, ENDPOINT))
        sign_in(page, "ada@home.example", PASSWORD)
        page.goto("/mail/")
        page.evaluate("navigator.serviceWorker.ready.then(() => 0)")
        yield page
        assert not page.faults  # type: ignore[attr-defined]


def give(page: "Page", text: str, title: str, *, close: bool = True) -> Any:
    """The worker gets a push message, as from the browser's push client; returned are text and target of the notification with this title.

    A push service may give a message twice, and Chromium's tool now and then loses one: then it gets it again.
    """
    session = page.context.new_cdp_session(page)
    known: list[str] = []
    session.on("ServiceWorker.workerRegistrationUpdated", lambda told: known.extend(one["registrationId"] for one in told["registrations"]))
    session.send("ServiceWorker.enable")
    for _ in range(600):
        if not known:
            page.wait_for_timeout(100)
    assert known, "no service worker is registered"
    origin = page.evaluate("location.origin")
    for _ in range(6):
        session.send("ServiceWorker.deliverPushMessage", {"origin": origin, "registrationId": known[0], "data": text})
        if (found := page.evaluate(SHOWN, {"title": title, "close": close})) is not None:
            session.detach()
            return found
    raise AssertionError(f"{title} is not shown")


SHOWN = """async ({ title, close }) => {
    for (let tries = 0; tries < 100; tries++) {
        const found = await (await navigator.serviceWorker.ready).getNotifications()
        const one = found.find((one) => one.title === title)
        if (one && close) one.close()
        if (one) return { body: one.body, data: one.data }
        await new Promise((resolve) => setTimeout(resolve, 100))
    }
    return null
}"""


def said(page: "Page", sentence: str) -> None:
    """The line that says what was done does; it is taken away for the next time."""
    from playwright.sync_api import expect

    expect(page.locator("#said")).to_have_text(sentence)
    page.evaluate("document.getElementById('said').replaceChildren()")


def test_new_mail_is_notified_as_the_user_chose_and_leads_to_the_conversation(ada: "Page", phone: Phone, server: Pillarbox) -> None:
    from playwright.sync_api import expect

    ada.get_by_role("button", name="Notifications").click()
    dialog = ada.get_by_role("dialog")
    expect(dialog).to_contain_text("the browser's maker, who sees when mail arrives")
    expect(dialog.get_by_label("Show sender and subject")).to_be_disabled()
    dialog.get_by_label("Notify me of new mail").check()
    assert not violations(ada)
    dialog.get_by_role("button", name="Save").click()
    fields, code = phone.next()
    assert json.loads(code)["@type"] == "PushVerification"
    checked_token(fields["authorization"], ada.evaluate("localStorage.made"))
    assert give(ada, code, ON)["body"] == ""
    said(ada, ON)

    deliver(server, message("A secret plan", "Come at six\n"))
    _, told = phone.next()
    assert "secret" not in told and "mary" not in told.lower(), "sender and subject are not told unless the user chose so"
    assert give(ada, told, "New mail")["body"] == ""

    ada.get_by_role("button", name="Notifications").click()
    dialog.get_by_label("Show sender and subject").check()
    dialog.get_by_role("button", name="Save").click()
    give(ada, phone.next()[1], ON)
    said(ada, ON)
    deliver(server, message("Dinner", "Shall we meet at six?\n"))
    _, told = phone.next()
    found = give(ada, told, "Mary Smith", close=False)
    assert found["body"] == "Dinner" and found["data"] == json.loads(told)["email"]["threadId"]

    (worker,) = ada.context.service_workers
    worker.evaluate("""async () => {
        const [notification] = (await registration.getNotifications()).filter((one) => one.title === "Mary Smith")
        dispatchEvent(new NotificationEvent("notificationclick", { notification }))
    }""")
    expect(ada.get_by_role("heading", name="Dinner")).to_be_visible()
    assert not ada.evaluate("caches.keys()").count("") and ada.evaluate("indexedDB.databases()") == [], "the worker keeps nothing of it"


def test_the_own_page_lists_and_ends_it_and_the_page_makes_it_again(ada: "Page", phone: Phone, server: Pillarbox) -> None:
    from playwright.sync_api import expect

    ada.goto("/own/")
    row = ada.get_by_role("row").filter(has_text="push.example")
    expect(row).to_contain_text("Chrom")
    assert not violations(ada)
    row.get_by_role("button", name="Switch off").click()
    expect(ada.get_by_text("That device is not notified any more.")).to_be_visible()
    expect(ada.get_by_text("push.example")).to_have_count(0)
    deliver(server, message("Nobody is told", "x\n"))
    ada.goto("/mail/")
    told = phone.next()[1]
    assert json.loads(told)["@type"] == "PushVerification", "the page that has notifications on made the subscription again"
    give(ada, told, ON)
    ada.get_by_role("button", name="Notifications").click()
    expect(ada.get_by_label("Notify me of new mail")).to_be_checked()
    ada.get_by_label("Notify me of new mail").uncheck()
    ada.get_by_role("button", name="Save").click()
    said(ada, "Notifications are off.")
    ada.goto("/own/")
    expect(ada.get_by_text("push.example")).to_have_count(0)
    assert phone.posted.empty()


def test_what_is_switched_off_while_it_is_made_again_is_off(ada: "Page", phone: Phone) -> None:
    ada.goto("/mail/")
    ada.evaluate("localStorage.setItem('notifications ada@home.example', 'plain')")
    ada.reload()
    ada.evaluate(LATE, CODE)
    give(ada, phone.next()[1], ON)
    ada.evaluate(IS_LATE)
    ada.get_by_role("button", name="Notifications").click()
    ada.get_by_label("Notify me of new mail").uncheck()
    ada.get_by_role("button", name="Save").click()
    ada.evaluate(FRAMES)
    ada.evaluate("window.goOn()")
    said(ada, "Notifications are off.")
    assert ada.evaluate("localStorage.getItem('notifications ada@home.example')") is None
    assert phone.posted.empty()
