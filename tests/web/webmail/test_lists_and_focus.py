"""Webmail by keyboard, by finger and in a search: the focus is never lost, and what is done is done to what is shown."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.journeys.talk import Reader
from tests.support.server import Pillarbox
from tests.support.wire import eventually
from tests.web.browser import violations
from tests.web.webmail.mailing import deliver, message, pictures

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page, Route


def row(page: "Page", text: str) -> "Locator":
    return page.get_by_role("option").filter(has_text=text)


def find(page: "Page", words: str) -> None:
    from playwright.sync_api import expect

    page.get_by_label("Search mail").fill(words)
    expect(page.locator("#where")).to_have_text(f"Found: {words}")
    page.locator("#list[aria-busy]").wait_for(state="detached")


def focus_is_somewhere(page: "Page") -> bool:
    return bool(page.evaluate("document.activeElement !== document.body && document.activeElement.getClientRects().length > 0"))


def test_the_focus_stays_when_what_had_it_goes(ada: "Page") -> None:
    from playwright.sync_api import expect

    for number in (22, 23):
        row(ada, f"Number {number}").locator(".check").click()
    ada.locator("#selected").get_by_role("button", name="Archive").click()
    expect(ada.locator("#said")).to_contain_text("2 conversations archived")
    assert focus_is_somewhere(ada)
    ada.get_by_role("button", name="Undo").click()
    expect(ada.locator("#said")).to_contain_text("It is as it was.")
    assert focus_is_somewhere(ada)
    row(ada, "Holiday").first.click()
    ada.get_by_role("button", name="Always from this sender").click()
    ada.get_by_role("button", name="Ask again").wait_for()
    assert focus_is_somewhere(ada)
    ada.get_by_role("button", name="Ask again").click()
    ada.get_by_role("button", name="Show images").wait_for()
    reply = ada.get_by_role("button", name="Reply", exact=True)
    reply.click()
    ada.locator("#composer").wait_for()
    ada.get_by_role("button", name="Throw away").click()
    expect(reply).to_be_focused()
    ada.faults[:] = [fault for fault in ada.faults if "502" not in fault]  # type: ignore[attr-defined]


def test_on_a_phone_writing_takes_one_tap_and_the_focus_follows(ada: "Page") -> None:
    from playwright.sync_api import expect

    ada.set_viewport_size({"width": 320, "height": 640})
    ada.get_by_role("banner").get_by_role("button", name="Write").click()
    expect(ada.get_by_role("combobox", name="To")).to_be_focused()
    ada.get_by_role("button", name="Close and keep as a draft").click()
    ada.locator("#composer").wait_for(state="detached")
    assert focus_is_somewhere(ada)
    row(ada, "Number 21").click()
    ada.get_by_role("heading", name="Number 21").wait_for()
    ada.locator("#reading-tools").get_by_role("button", name="Archive").click()
    expect(ada.locator("#list")).to_be_focused()
    ada.get_by_role("button", name="Undo").click()
    expect(row(ada, "Number 21")).to_have_count(1)
    row(ada, "Number 21").locator(".check").click()
    assert not violations(ada) and not ada.evaluate("document.documentElement.scrollWidth > innerWidth")


def test_a_search_leaves_junk_out_and_shows_what_was_archived(ada: "Page") -> None:
    from playwright.sync_api import expect

    row(ada, "Number 20").click()
    ada.get_by_role("heading", name="Number 20").wait_for()
    ada.keyboard.press("!")
    expect(ada.locator("#said")).to_contain_text("1 conversation is junk")
    find(ada, "Number")
    expect(row(ada, "Number 19")).to_have_count(1)
    expect(row(ada, "Number 20")).to_have_count(0)
    find(ada, 'subject:"Number 18"')
    expect(ada.locator("#total")).to_have_text("1 conversation")
    ada.locator("#list").press("e")
    expect(ada.locator("#said")).to_contain_text("1 conversation archived")
    expect(row(ada, "Number 18")).to_have_count(1)
    ada.keyboard.press("z")
    expect(ada.locator("#said")).to_contain_text("It is as it was.")
    ada.keyboard.press("#")
    expect(ada.locator("#said")).to_contain_text("1 conversation deleted")
    expect(row(ada, "Number 18")).to_have_count(0)
    ada.keyboard.press("z")
    expect(row(ada, "Number 18")).to_have_count(1)


def test_a_star_goes_whichever_message_of_the_conversation_had_it(ada: "Page", server: Pillarbox) -> None:
    from playwright.sync_api import expect

    deliver(server, message("Boat", "Shall we row?\n", id="<b1@x>"))
    row(ada, "Boat").click()
    ada.get_by_role("heading", name="Boat").wait_for()
    ada.keyboard.press("s")
    expect(row(ada, "Boat")).to_contain_text("starred")
    deliver(server, message("Re: Boat", "Yes.\n", id="<b2@x>", after="<b1@x>"))
    expect(row(ada, "Boat")).to_contain_text("2 messages")
    ada.keyboard.press("s")
    expect(row(ada, "Boat")).not_to_contain_text("starred")


@contextmanager
def pressed(page: "Page", target: "Locator") -> Iterator[None]:
    """While inside, the mouse is down on it."""
    target.hover()
    page.mouse.down()
    yield
    page.mouse.up()


def test_what_changes_while_it_is_pressed_is_pressed_all_the_same(ada: "Page", server: Pillarbox) -> None:
    """And whatever else changes: none of it is taken out for a moment."""
    from playwright.sync_api import expect

    with Reader(server.ports["imap"], "ada@home.example") as imap, pressed(ada, row(ada, "Number 19").locator(".check")):
        imap.ok(b"SELECT INBOX")
        (number,) = [line.split()[2] for line in imap.ok(b'SEARCH SUBJECT "Number 19"') if line.startswith(b"* SEARCH")]
        imap.ok(b"STORE %b +FLAGS (\\Flagged)" % number)
        expect(row(ada, "Number 19")).to_contain_text("starred")
    expect(row(ada, "Number 19")).to_have_attribute("aria-selected", "true")
    expect(ada.locator("#selected-count")).to_have_text("1 selected")
    with pressed(ada, row(ada, "Number 17").locator(".subject")):
        deliver(server, message("Moves all rows", "text\n"))
        expect(row(ada, "Moves all rows")).to_have_count(1)
    ada.get_by_role("heading", name="Number 17").wait_for()
    inbox = ada.locator("#folders").get_by_role("link", name="Inbox")
    ada.locator("#folders").get_by_role("link", name="Sent").click()
    expect(ada.locator("#where")).to_have_text("Sent")
    before = inbox.inner_text()
    with pressed(ada, inbox.locator(".name")):
        deliver(server, message("Counts", "text\n"))
        expect(inbox).not_to_have_text(before, use_inner_text=True)
    expect(ada.locator("#where")).to_have_text("Inbox")


def test_several_are_dragged_to_a_mailbox(ada: "Page") -> None:
    from playwright.sync_api import expect

    for number in (15, 16):
        row(ada, f"Number {number}").locator(".check").click()
    row(ada, "Number 16").drag_to(ada.locator("#folders").get_by_role("link", name="Archive"))
    expect(ada.locator("#said")).to_contain_text("2 conversations moved: Archive")
    expect(row(ada, "Number 15")).to_have_count(0)
    ada.keyboard.press("z")
    expect(row(ada, "Number 15")).to_have_count(1)


def test_a_text_is_there_before_its_images(ada: "Page", server: Pillarbox) -> None:
    """A slow image holds neither the text nor what is said of the message."""
    from playwright.sync_api import expect

    held: list[Route] = []
    ada.route("**/mail/image/**", lambda route: held.append(route))
    slow = pictures()
    slow.replace_header("Subject", f"Slow images {time.monotonic_ns()}")
    deliver(server, slow)
    row(ada, "Slow images").click()
    expect(ada.get_by_role("button", name="Show images")).to_be_visible()
    assert eventually(lambda: ada.wait_for_timeout(50) is None and held)
    assert ada.locator("article.open iframe").evaluate("frame => frame.contentDocument.readyState") == "interactive"
    for one in held:
        one.abort()
    ada.unroute("**/mail/image/**")
    ada.goto("/own/")
    ada.faults[:] = [fault for fault in ada.faults if "ERR_FAILED" not in fault]  # type: ignore[attr-defined]


def test_back_leads_to_the_list_by_the_browser_and_by_the_button(ada: "Page") -> None:
    from playwright.sync_api import expect

    before = ada.evaluate("history.length")
    for leave in (lambda: ada.go_back(), lambda: ada.keyboard.press("Escape")):
        row(ada, "Number 18").click()
        ada.get_by_role("heading", name="Number 18").wait_for()
        ada.keyboard.press("j")
        ada.get_by_role("heading", name="Number 17").wait_for()
        ada.keyboard.press("k")
        ada.get_by_role("heading", name="Number 18").wait_for()
        leave()
        expect(ada.locator("#subject")).to_have_count(0)
        expect(ada.locator("#list")).to_be_focused()
        assert ada.evaluate("history.length") == before + 1 and "/T" not in ada.url
