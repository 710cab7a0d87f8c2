"""What is done while the list is read and changes are under way: it is done to what one sees, in the order one did it."""

from typing import TYPE_CHECKING

from tests.support.server import Pillarbox
from tests.support.wire import eventually
from tests.web.webmail.mailing import deliver, message
from tests.web.webmail.test_lists_and_focus import row
from tests.web.webmail.test_long_lists import MODULE
from tests.web.webmail.test_races import FRAMES, held

if TYPE_CHECKING:
    from playwright.sync_api import Page

CHANGES = '"Email/set"'
IS_READ = f"subject => ({MODULE})('mail.js').then(({{ emails }}) => [...emails.values()].some(one => one.subject === subject))"


def test_a_click_on_a_conversation_is_for_it_although_a_newer_message_stands_for_it(ada: "Page", server: Pillarbox) -> None:
    """The list has the newer one, and draws it a moment later."""
    deliver(server, message("Raft", "Does it float?\n", id="<r1@x>"))
    row(ada, "Raft").wait_for()
    ada.evaluate("() => { window.plain = requestAnimationFrame; window.requestAnimationFrame = () => 0 }")
    deliver(server, message("Re: Raft", "It does.\n", id="<r2@x>", after="<r1@x>"))
    assert eventually(lambda: ada.evaluate(IS_READ, "Re: Raft"), 60)
    row(ada, "Raft").evaluate("row => row.click()")
    ada.get_by_role("heading", name="Raft").wait_for()
    ada.evaluate("() => { window.requestAnimationFrame = window.plain }")


def test_an_undo_is_sent_once_what_it_undoes_is_answered(ada: "Page") -> None:
    """Two requests at once are carried out in any order (RFC 8620 §3.10)."""
    from playwright.sync_api import expect

    with held(ada, "**/jmap/api", CHANGES) as changing:
        row(ada, "Number 19").locator(".check").click()
        ada.keyboard.press("e")
        expect(row(ada, "Number 19")).to_have_count(0)
        changing.wait()
        ada.keyboard.press("z")
        ada.evaluate(FRAMES)
        assert len(changing.routes) == 1
    expect(ada.locator("#said")).to_contain_text("It is as it was.")
    expect(row(ada, "Number 19")).to_have_count(1)
    ada.reload()
    expect(row(ada, "Number 19")).to_have_count(1)


def test_a_filter_has_what_was_being_changed_when_it_was_read(ada: "Page") -> None:
    from playwright.sync_api import expect

    row(ada, "Number 18").click()
    ada.get_by_role("heading", name="Number 18").wait_for()
    ada.evaluate(f"({MODULE})('mail.js').then(module => module.settled())")  # it was marked as read
    with held(ada, "**/jmap/api", CHANGES) as changing:
        ada.keyboard.press("s")
        changing.wait()
        ada.get_by_role("button", name="Starred").click()
        expect(ada.locator("#total")).to_have_text("0 conversations")
    expect(row(ada, "Number 18")).to_have_count(1)


def test_a_message_is_read_although_the_server_does_not_know_it_yet(ada: "Page") -> None:
    """Opened again it is a line, as those are that were read."""
    from playwright.sync_api import expect

    with held(ada, "**/jmap/api", CHANGES) as changing:
        row(ada, "Dinner").click()
        expect(ada.locator("article.open")).to_have_count(2)
        changing.wait()
        ada.keyboard.press("Escape")
        expect(ada.locator("article")).to_have_count(0)
        expect(ada.locator("body.reading")).to_have_count(0)
        row(ada, "Dinner").click()
        expect(ada.locator("article")).to_have_count(2)
        assert ada.locator("article.open").count() == 1
