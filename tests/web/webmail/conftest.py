"""A server with mail, and Ada signed in to it in Chromium; each test begins with the inbox on a wide screen."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.support.server import PASSWORD, Pillarbox, new_data
from tests.support.wire import faults
from tests.web.browser import PROTOCOLS, Chromium, chromium, sign_in
from tests.web.webmail.mailing import deliver, message, pictures

if TYPE_CHECKING:
    from playwright.sync_api import Page

SETTLED = """() => Promise.race([
    import(document.querySelector("script[type=module]").src.replace("main.js", "mail.js")).then(module => module.settled()),
    new Promise(done => setTimeout(done, 5000)),
])"""
"""What a test changed is done: it is not carried out in the midst of the next one."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pillarbox]:
    with Pillarbox(new_data(tmp_path_factory.mktemp("webmail") / "data", "ada", "mary"), protocols=(*PROTOCOLS, "imap")) as one:
        deliver(one, *(message(f"Number {number}", f"Text {number}\n") for number in range(24)))
        first = message("Dinner", "Shall we meet at six?\n", id="<d1@x>")
        deliver(one, first, message("Re: Dinner", "Yes, gladly.\n", id="<d2@x>", after="<d1@x>"))
        deliver(one, pictures())
        yield one
        assert not faults(one.log)


@pytest.fixture(scope="module")
def browser(server: Pillarbox) -> Iterator[Chromium]:
    with chromium(server) as one:
        yield one


@pytest.fixture(scope="module")
def signed_in(browser: Chromium) -> "Page":
    page = browser.page()
    sign_in(page, "ada@home.example", PASSWORD)
    return page


@pytest.fixture
def ada(signed_in: "Page") -> Iterator["Page"]:
    signed_in.goto("/own/")
    signed_in.set_viewport_size({"width": 1280, "height": 800})
    signed_in.faults.clear()  # type: ignore[attr-defined]
    signed_in.goto("/mail/")
    signed_in.get_by_role("option").first.wait_for()
    yield signed_in
    if "/mail/" in signed_in.url:
        signed_in.evaluate(SETTLED)
    assert not signed_in.faults  # type: ignore[attr-defined]
