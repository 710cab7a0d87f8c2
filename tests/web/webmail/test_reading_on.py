"""Reading on while lists and conversations change: nothing is skipped, nothing gone is answered, and an address leads where it says."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.journeys.talk import Reader
from tests.support.server import PASSWORD, Pillarbox
from tests.web.browser import Chromium, fitted, of_document
from tests.web.webmail.mailing import deliver, message
from tests.web.webmail.test_lists_and_focus import find, row
from tests.web.webmail.test_long_lists import append
from tests.web.webmail.test_managing import mailbox

if TYPE_CHECKING:
    from playwright.sync_api import Page

MANY = 520
"""More than one call reads."""
READ_ON = """async number => {
  const { emails, keepEmails } = await import(document.querySelector("script[type=module]").src.replace("main.js", "mail.js"))
  const row = at => ({ id: `M${1e6 + at}`, threadId: `T${1e6 + at}`, keywords: {}, mailboxIds: {} })
  keepEmails(Array.from({ length: number }, (_none, at) => row(at)))
  return emails.size
}"""
"""Rows as of a list that is scrolled through."""


@pytest.fixture(scope="module")
def imap(server: Pillarbox) -> Iterator[Reader]:
    with Reader(server.ports["imap"], "ada@home.example") as reader:
        yield reader


def subject(page: "Page", text: str) -> None:
    page.locator("#subject").filter(has_text=text).wait_for()


def test_skipping_to_the_messages_stays_in_the_mailbox(ada: "Page") -> None:
    from playwright.sync_api import expect

    mailbox(ada, "Archive")
    ada.get_by_role("link", name="Skip to the messages").focus()
    ada.keyboard.press("Enter")
    expect(ada.locator("#list")).to_be_focused()
    expect(ada.locator("#where")).to_have_text("Archive")


def test_what_was_read_leaves_the_filter_and_the_next_is_the_next(imap: Reader, ada: "Page") -> None:
    from playwright.sync_api import expect

    imap.ok(b"CREATE Daily")
    append(imap, "Daily", *((f"Line {number}.", "", "") for number in range(9)))
    mailbox(ada, "Daily")
    ada.get_by_role("button", name="Unread", exact=True).click()
    row(ada, "Line 8.").click()
    for number in (7, 6):
        subject(ada, f"Line {number + 1}.")
        ada.keyboard.press("j")
    subject(ada, "Line 6.")
    expect(ada.locator(".row.unread")).to_have_count(6)
    append(imap, "Daily", ("One more.", "", ""))
    expect(row(ada, "One more.")).to_have_count(1)
    expect(row(ada, "Line 6.")).to_have_count(0)
    ada.keyboard.press("j")
    subject(ada, "Line 5.")
    ada.keyboard.press("k")
    subject(ada, "One more.")


def test_what_another_program_expunges_in_masses_is_selected_no_more(imap: Reader, ada: "Page") -> None:
    from playwright.sync_api import expect

    imap.ok(b"CREATE Mass")
    append(imap, "Mass", *((f"Line {number}.", "", "") for number in range(320)))
    mailbox(ada, "Mass")
    ada.locator("#list").focus()
    ada.keyboard.press("Control+a")
    expect(ada.locator("#selected-count")).to_have_text("320 selected")
    imap.ok(b"SELECT Mass")
    imap.ok(b"STORE 11:310 +FLAGS.SILENT (\\Deleted)")
    imap.ok(b"EXPUNGE")
    imap.ok(b"CLOSE")
    expect(ada.locator("#selected-count")).to_have_text("20 selected")
    ada.keyboard.press("e")
    expect(ada.locator("#said")).to_contain_text("20 conversations archived")
    expect(ada.locator("#total")).to_have_text("0 conversations")
    ada.keyboard.press("z")
    expect(ada.locator("#said")).to_contain_text("It is as it was.")
    expect(ada.locator("#total")).to_have_text("20 conversations")


def test_a_newer_message_moves_the_conversation_that_is_open(imap: Reader, ada: "Page") -> None:
    from playwright.sync_api import expect

    imap.ok(b"CREATE Talk")
    append(imap, "Talk", *((f"Talk {number}.", f"<talk{number}@x>", "") for number in range(4)))
    mailbox(ada, "Talk")
    row(ada, "Talk 1.").click()
    subject(ada, "Talk 1.")
    append(imap, "Talk", ("Re: Talk 1.", "<talk5@x>", "<talk1@x>"))
    expect(ada.get_by_role("option").first).to_have_class("row unread active opened")
    ada.keyboard.press("j")
    subject(ada, "Talk 3.")


def test_a_conversation_longer_than_one_call_reads(imap: Reader, ada: "Page") -> None:
    from playwright.sync_api import expect

    imap.ok(b"CREATE Endless")
    append(imap, "Endless", ("Endless", "<e0@x>", ""), *(("Re: Endless", f"<e{one}@x>", f"<e{one - 1}@x>") for one in range(1, MANY)))
    mailbox(ada, "Endless")
    row(ada, f"{MANY} messages").click()
    subject(ada, "Endless")
    expect(ada.locator("#conversation article")).to_have_count(MANY)
    expect(ada.locator("article.open iframe")).to_have_count(5)


def test_what_is_gone_is_not_answered(imap: Reader, ada: "Page") -> None:
    from playwright.sync_api import expect

    row(ada, "Number 12").click()
    subject(ada, "Number 12")
    ada.evaluate("location.hash = location.hash.split('/')[0] + '/T99999999'")
    expect(ada.locator("#conversation")).to_contain_text("This conversation is not there any more.")
    ada.keyboard.press("r")
    expect(ada.locator("#said")).to_contain_text("This conversation is not there any more.")
    assert ada.locator("#composer").count() == 0


def test_what_could_not_be_read_is_not_said_to_be_gone(ada: "Page") -> None:
    from playwright.sync_api import expect

    ada.route(
        "**/jmap/api", lambda route: route.fulfill(status=500) if "Thread/get" in (route.request.post_data or "") else route.continue_()
    )
    row(ada, "Number 10").click()
    expect(ada.locator("#conversation")).to_contain_text("This conversation could not be read.")
    for key in ("s", "r"):
        ada.keyboard.press(key)
        expect(ada.locator("#said")).to_contain_text("This conversation could not be read.")
    ada.unroute("**/jmap/api")
    ada.faults.clear()  # type: ignore[attr-defined]


def test_a_draft_that_was_thrown_away_leaves_the_conversation(ada: "Page", server: Pillarbox) -> None:
    from playwright.sync_api import expect

    deliver(server, message("Question", "Do you come?\n", id="<question@x>"))
    row(ada, "Question").click()
    subject(ada, "Question")
    articles, reply = ada.locator("#conversation article"), ada.get_by_role("button", name="Reply", exact=True)
    fitted(ada)
    reply.click()
    ada.locator("#compose-text").press_sequentially("Perhaps ")
    ada.get_by_role("button", name="Close and keep as a draft").click()
    expect(articles).to_have_count(2)
    reply.click()  # to what was asked, not to what answers it
    expect(ada.locator("#compose-text")).to_have_value(re.compile(r"^\s*Mary Smith wrote"))
    ada.locator("#compose-text").press_sequentially("Or not ")
    expect(articles).to_have_count(3)
    ada.get_by_role("button", name="Throw away").click()
    expect(articles).to_have_count(2)


def test_a_search_as_it_is_typed_on_a_phone_and_as_it_is_pasted(ada: "Page", server: Pillarbox) -> None:
    from playwright.sync_api import expect

    words = " ".join(f"word{number}" for number in range(150))
    deliver(server, message("Boat race", f"A sunny day. {words}\n"))
    row(ada, "Boat race").wait_for()
    for typed in ('From:mary Subject:"boat race"', '"sunny day', 'subject:"boat ra', words):
        find(ada, typed)
        expect(ada.locator("#total")).to_have_text("1 conversation")
    find(ada, 'subject:"boat ri')
    expect(ada.locator("#total")).to_have_text("0 conversations")


def test_an_undo_brings_back_what_a_filter_left_out(imap: Reader, ada: "Page") -> None:
    from playwright.sync_api import expect

    row(ada, "Number 13").click()
    subject(ada, "Number 13")
    ada.keyboard.press("s")
    expect(ada.locator("#said")).to_contain_text("1 message has a star")
    ada.get_by_role("button", name="Starred").click()
    row(ada, "Number 13").click()
    subject(ada, "Number 13")
    ada.keyboard.press("s")
    append(imap, "INBOX", ("Meanwhile", "", ""))
    expect(row(ada, "Number 13")).to_have_count(0)
    ada.keyboard.press("z")
    expect(row(ada, "Number 13")).to_have_count(1)


def test_the_open_conversation_is_known_however_far_the_list_was_read(ada: "Page") -> None:
    from playwright.sync_api import expect

    row(ada, "Number 11").click()
    subject(ada, "Number 11")
    assert ada.evaluate(READ_ON, 5000) <= 4001
    ada.keyboard.press("s")
    expect(ada.locator("#said")).to_contain_text("1 message has a star")
    ada.keyboard.press("z")
    expect(ada.locator("#said")).to_contain_text("It is as it was")


def test_going_back_closes_a_question_about_what_was_shown(ada: "Page") -> None:
    from playwright.sync_api import expect

    ada.locator("#folder-list").get_by_text("Archive").click()
    expect(ada.locator("#where")).to_have_text("Archive")
    ada.locator("#folder-list").get_by_text("Inbox").click()
    row(ada, "Number 12").click()
    subject(ada, "Number 12")
    ada.keyboard.press("v")
    question = ada.get_by_role("dialog", name="Move 1 conversation")
    question.wait_for()
    ada.go_back()
    expect(question).to_have_count(0)
    expect(ada.locator("#where")).to_have_text("Inbox")


def test_the_menu_of_a_phone_closes_and_says_so(ada: "Page") -> None:
    from playwright.sync_api import expect

    ada.set_viewport_size({"width": 320, "height": 640})
    menu = ada.get_by_role("banner").get_by_role("button", name="Mailboxes")
    for leave in (lambda: ada.keyboard.press("Escape"), lambda: ada.keyboard.press("Enter")):
        menu.click()
        expect(menu).to_have_attribute("aria-expanded", "true")
        expect(ada.locator("#folder-list a").first).to_be_focused()
        ada.locator("#folder-list a").nth(3).focus()
        leave()
        expect(menu).to_have_attribute("aria-expanded", "false")
        expect(ada.locator("#folders")).not_to_be_visible()
    expect(ada.locator("#where")).to_have_text("Archive")


def test_what_is_printed_is_whole_and_says_when(ada: "Page", server: Pillarbox) -> None:
    """A wide screen has fewer lines than paper."""
    from playwright.sync_api import expect

    deliver(server, message("On paper", "text\n", html=f"<p>{'word ' * 600}</p>"))
    ada.set_viewport_size({"width": 2000, "height": 800})
    row(ada, "On paper").click()
    frame = ada.locator("article.open iframe")
    expect(frame).to_have_attribute("style", re.compile("height"))
    before = of_document(ada, "document => document.body.scrollHeight")
    ada.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert frame.evaluate("frame => parseFloat(frame.style.height)") > 1.5 * before
    expect(ada.get_by_text("Received", exact=True)).to_be_visible()
    ada.emulate_media(media="print")
    expect(ada.get_by_role("banner")).not_to_be_visible()
    ada.emulate_media(media="screen")
    ada.evaluate("dispatchEvent(new Event('afterprint'))")
    expect(ada.get_by_text("Received", exact=True)).not_to_be_visible()


def test_signing_in_leads_to_where_the_address_says(browser: Chromium, ada: "Page") -> None:
    from playwright.sync_api import expect

    row(ada, "Number 11").click()
    subject(ada, "Number 11")
    page = browser.page()
    page.goto(f"/mail/{ada.evaluate('location.hash')}")
    page.get_by_label("E-mail address").fill("ada@home.example")
    for password in ("wrong", PASSWORD):
        page.get_by_label("Password").fill(password)
        page.get_by_role("button", name="Sign in", exact=True).click()
        if password == "wrong":
            page.get_by_role("alert").wait_for()
    subject(page, "Number 11")
    expect(page.locator("#where")).to_have_text("Inbox")
    page.context.close()
