"""Long lists, and lists that change while somebody looks at them: the view stays where it is, and nothing is done but to what is meant."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from appliance.web.webmail.modules import DIRECTORY
from tests.journeys.talk import Reader
from tests.support.server import PASSWORD, Pillarbox
from tests.support.wire import eventually
from tests.web.browser import Chromium, sign_in
from tests.web.webmail.mailing import deliver, message
from tests.web.webmail.network import routed
from tests.web.webmail.test_lists_and_focus import row
from tests.web.webmail.test_managing import mailbox, said

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

COUNT = 620
MODULE = "(name) => import(document.querySelector('script[type=module]').src.replace('main.js', name))"
SLOW_CHANGES = """() => {
    const plain = fetch
    window.fetch = async (url, options) => {
        if (options?.body?.includes?.('"Email/set"')) await new Promise(done => setTimeout(done, 1500))
        return plain(url, options)
    }
}"""
IN_SIGHT = """() => [...document.querySelectorAll('.row .subject')].map(row => [row.textContent, row.getBoundingClientRect().top | 0])
    .find(([text, top]) => top > document.getElementById('list').getBoundingClientRect().top)"""


def append(reader: Reader, name: str, *texts: tuple[str, str, str]) -> None:
    """Subject, Message-ID and the one it answers."""
    made = [message(subject, "text\n", id=id, after=after) for subject, id, after in texts]
    reader.append(name, [one.as_bytes().replace(b"\n", b"\r\n") for one in made])


@pytest.fixture(scope="module")
def imap(server: Pillarbox) -> Iterator[Reader]:
    with Reader(server.ports["imap"], "ada@home.example") as reader:
        reader.ok(b"CREATE Long")
        append(reader, "Long", *((f"Line {number}.", "", "") for number in range(COUNT)))
        yield reader


def scrolled_to_the_middle(page: "Page") -> list[object]:
    from playwright.sync_api import expect

    mailbox(page, "Long")
    page.evaluate("document.getElementById('list').scrollTop = 300 * 76 + 30")
    expect(row(page, f"Line {COUNT - 302}.")).to_have_count(1)
    expect(page.locator(".waiting")).to_have_count(0)
    return page.evaluate(IN_SIGHT)  # type: ignore[no-any-return]


def test_a_range_is_selected_whether_it_was_read_or_not(imap: Reader, ada: "Page") -> None:
    from playwright.sync_api import expect

    mailbox(ada, "Long")
    ada.get_by_role("option").first.locator(".check").click()
    ada.evaluate("document.getElementById('list').scrollTop = 400 * 76")
    row(ada, f"Line {COUNT - 401}.").click(modifiers=["Shift"])
    expect(ada.locator("#selected-count")).to_have_text("401 selected")
    ada.get_by_role("button", name="Select nothing").click()
    ada.locator("#list").press("Control+a")
    expect(ada.locator("#selected-count")).to_have_text("500 selected")
    said(ada, "No more than 500 conversations are selected at once.")
    ada.evaluate(SLOW_CHANGES)  # what is shown below is read meanwhile
    ada.locator("#selected").get_by_role("button", name="Archive").click()
    said(ada, "500 conversations archived")
    expect(ada.locator(".waiting")).to_have_count(0)
    expect(ada.locator("#total")).to_have_text("120 conversations")
    ada.wait_for_timeout(6000)
    expect(ada.locator("#total")).to_have_text("120 conversations")
    ada.keyboard.press("z")
    said(ada, "It is as it was.")
    expect(ada.locator("#total")).to_have_text(f"{COUNT} conversations")


def test_a_range_is_of_what_was_shown_although_mail_comes_while_it_is_read(imap: Reader, ada: "Page") -> None:
    from playwright.sync_api import expect

    mailbox(ada, "Long")
    before = ada.locator("#total").inner_text()
    ada.get_by_role("option").first.locator(".check").click()
    expect(ada.locator("#selected-count")).to_have_text("1 selected")
    ada.evaluate("document.getElementById('list').scrollTop = 400 * 76")
    last = row(ada, f"Line {COUNT - 401}.")
    last.wait_for()
    expect(ada.locator(".waiting")).to_have_count(0)
    held: list[Route] = []
    over: list[bool] = []

    def hold(route: "Route") -> None:
        if '"position"' in (route.request.post_data or "") and not over:
            held.append(route)
        else:
            route.continue_()

    routed(ada, "**/jmap/api", hold)
    last.click(modifiers=["Shift"])
    assert eventually(lambda: ada.wait_for_timeout(50) is None and held)
    append(imap, "Long", ("Not in the range", "", ""))
    expect(ada.locator("#total")).not_to_have_text(before)
    over.append(True)
    for route in held:
        route.continue_()
    expect(ada.locator("#selected-count")).to_have_text("401 selected")
    ada.unroute("**/jmap/api")
    expect(last).to_have_attribute("aria-selected", "true")
    ada.evaluate("document.getElementById('list').scrollTop = 0")
    expect(row(ada, "Not in the range")).to_have_attribute("aria-selected", "false")
    imap.ok(b"SELECT Long")
    imap.ok(b"STORE * +FLAGS.SILENT (\\Deleted)")
    imap.ok(b"EXPUNGE")
    expect(ada.locator("#total")).to_have_text(before)


def test_the_view_stays_when_much_comes_and_what_it_holds_on_to_goes(imap: Reader, ada: "Page") -> None:
    from playwright.sync_api import expect

    here = scrolled_to_the_middle(ada)
    for number in range(6):
        append(imap, "Long", (f"Burst {number}", "", ""))
    expect(ada.locator("#total")).to_have_text(f"{COUNT + 6} conversations")
    expect(ada.locator(".waiting")).to_have_count(0)
    assert ada.evaluate(IN_SIGHT) == here
    imap.ok(b"SELECT Long")
    first = COUNT - 300  # the row that the top of the list goes through
    imap.ok(b"STORE %d:%d +FLAGS.SILENT (\\Deleted)" % (first, first + 19))
    imap.ok(b"EXPUNGE")
    expect(ada.locator("#total")).to_have_text(f"{COUNT - 14} conversations")
    expect(row(ada, f"Line {first - 2}.")).to_be_in_viewport()
    append(imap, "Long", *((f"Line {number}.", "", "") for number in range(14)))
    expect(ada.locator("#total")).to_have_text(f"{COUNT} conversations")


def test_the_end_stays_in_view_when_mail_comes(imap: Reader, ada: "Page") -> None:
    from playwright.sync_api import expect

    mailbox(ada, "Inbox")
    ada.locator("#list").press("End")
    last = ada.get_by_role("option").last
    expect(last).to_be_in_viewport()
    here = ada.evaluate(IN_SIGHT)
    before = ada.locator("#total").inner_text()
    append(imap, "INBOX", ("At the top", "", ""))
    expect(ada.locator("#total")).not_to_have_text(before)
    assert ada.evaluate(IN_SIGHT) == here


def test_rows_that_were_refused_or_forgotten_are_read_again(imap: Reader, ada: "Page") -> None:
    from playwright.sync_api import expect

    scrolled_to_the_middle(ada)
    ada.evaluate(f"({MODULE})('mail.js').then(module => module.emails.clear())")
    ada.evaluate("document.getElementById('list').scrollTop = 310 * 76")
    expect(row(ada, f"Line {COUNT - 312}.")).to_have_count(1)
    refused: list[Route] = []
    routed(ada, "**/jmap/api", lambda route: (refused.append(route), route.fulfill(status=400)))
    ada.evaluate("document.getElementById('list').scrollTop = 500 * 76")
    said(ada, "The list could not be read. It will be tried again.")
    ada.unroute("**/jmap/api")
    expect(row(ada, f"Line {COUNT - 502}.")).to_have_count(1)
    assert refused
    ada.faults.clear()  # type: ignore[attr-defined]


def test_members_of_more_conversations_than_one_call_reads(imap: Reader, ada: "Page") -> None:
    from playwright.sync_api import expect

    for one in range(10):
        texts = [(f"Talk {one}", f"<t{one}-0@x>", ""), *((f"Re: Talk {one}", f"<t{one}-{n}@x>", f"<t{one}-0@x>") for n in range(1, 55))]
        append(imap, "Archive", *texts)
    mailbox(ada, "Archive")
    for one in range(10):
        expect(row(ada, f"Talk {one}")).to_contain_text("55 messages")


@pytest.mark.parametrize("address", ["#F999", "#q=%E0%A4%A", "#q=", "#F1;constructor", "#F1;nonsense/T0", "#" + "x" * 50_000])
def test_an_address_that_leads_nowhere_shows_the_inbox(ada: "Page", address: str) -> None:
    from playwright.sync_api import expect

    ada.goto("/own/")
    ada.goto(f"/mail/{address}")
    ada.get_by_role("option").first.wait_for()
    expect(ada.locator("#where")).to_have_text("Inbox")


def test_a_search_leads_back_to_where_it_began(imap: Reader, ada: "Page") -> None:
    from playwright.sync_api import expect

    mailbox(ada, "Long")
    query = ada.get_by_label("Search mail")
    for leave in (lambda: query.fill(""), lambda: ada.go_back()):
        query.fill("Number 1")
        expect(ada.locator("#where")).to_have_text("Found: Number 1")
        leave()
        expect(ada.locator("#where")).to_have_text("Long")
        expect(query).to_have_value("")


def test_nothing_else_is_deleted_when_the_open_conversation_is_gone(imap: Reader, ada: "Page", server: Pillarbox) -> None:
    from playwright.sync_api import expect

    deliver(server, message("Short-lived", "text\n"))
    row(ada, "Short-lived").click()
    ada.get_by_role("heading", name="Short-lived").wait_for()
    before = imap.ok(b"STATUS Trash (MESSAGES)")[0]
    imap.ok(b"SELECT INBOX")
    imap.ok(b"STORE * +FLAGS.SILENT (\\Deleted)")
    imap.ok(b"EXPUNGE")
    expect(row(ada, "Short-lived")).to_have_count(0)
    ada.keyboard.press("#")
    said(ada, "This conversation is not there any more.")
    assert imap.ok(b"STATUS Trash (MESSAGES)")[0] == before


def test_what_was_sent_stays_in_sent_when_its_conversation_is_archived(imap: Reader, ada: "Page") -> None:
    """The page is loaded with the conversation open, so no row of the list says which of its messages is meant."""
    from playwright.sync_api import expect

    append(imap, "INBOX", ("Plan", "<p1@x>", ""))
    append(imap, "Sent", ("Re: Plan", "<p2@x>", "<p1@x>"))
    row(ada, "Plan").click()
    expect(ada.locator("article")).to_have_count(2)
    ada.reload()
    expect(ada.locator("article")).to_have_count(2)
    before = imap.ok(b"STATUS Sent (MESSAGES)")[0]
    ada.keyboard.press("e")
    said(ada, "1 conversation archived")
    expect(row(ada, "Plan")).to_have_count(0)
    expect(ada.locator("article")).to_have_count(0)  # the step back in the history is done
    mailbox(ada, "Archive")
    expect(row(ada, "Plan")).to_have_count(1)
    assert imap.ok(b"STATUS Sent (MESSAGES)")[0] == before


def test_an_undo_without_a_connection_is_offered_again(imap: Reader, ada: "Page") -> None:
    from playwright.sync_api import expect

    row(ada, "Number 14").locator(".check").click()
    ada.keyboard.press("e")
    said(ada, "1 conversation archived")
    expect(row(ada, "Number 14")).to_have_count(0)
    refused: list[Route] = []
    routed(ada, "**/jmap/api", lambda route: (refused.append(route), route.abort()))
    ada.keyboard.press("z")
    said(ada, "That did not work: there is no connection")
    ada.get_by_role("button", name="Undo").hover()  # it stays there meanwhile
    while len(refused) < 3:  # the list is asked for meanwhile, which is not what is to be said
        ada.wait_for_timeout(100)
    ada.unroute("**/jmap/api")
    ada.get_by_role("button", name="Undo").click()
    said(ada, "It is as it was.")
    expect(row(ada, "Number 14")).to_have_count(1)
    ada.faults.clear()  # type: ignore[attr-defined]


def test_what_left_elsewhere_is_not_selected_any_more(imap: Reader, ada: "Page") -> None:
    from playwright.sync_api import expect

    append(imap, "INBOX", ("Stays", "<s1@x>", ""), ("Goes", "", ""))
    for text in ("Stays", "Goes"):
        row(ada, text).locator(".check").click()
    expect(ada.locator("#selected-count")).to_have_text("2 selected")
    imap.ok(b"SELECT INBOX")
    imap.ok(b"MOVE * Trash")
    expect(ada.locator("#selected-count")).to_have_text("1 selected")
    append(imap, "INBOX", ("Re: Stays", "<s2@x>", "<s1@x>"))
    expect(row(ada, "Stays")).to_contain_text("2 messages")
    expect(row(ada, "Stays")).to_have_attribute("aria-selected", "true")
    expect(ada.locator("#selected-count")).to_have_text("1 selected")


def test_conversations_with_more_messages_than_rows_are_kept_do_not_drive_each_other_out(imap: Reader, browser: Chromium) -> None:
    """What is in sight is read once, not again and again."""
    from playwright.sync_api import expect

    page = browser.page()
    source = (DIRECTORY / "mail.js").read_text()
    fewer = source.replace("const ROWS = 4000", "const ROWS = 40")
    assert fewer != source
    page.context.route("**/mail.js", lambda route: route.fulfill(body=fewer, content_type="text/javascript"))
    sign_in(page, "ada@home.example", PASSWORD)
    page.goto("/mail/")
    mailbox(page, "Long")
    asked: list[str] = []
    page.on("request", lambda one: asked.append(one.url) if one.url.endswith("/jmap/api") else None)
    page.evaluate("document.getElementById('list').scrollTop = 295 * 76")
    expect(row(page, f"Line {COUNT - 298}.")).to_have_count(1)
    page.wait_for_timeout(1000)
    expect(page.locator(".waiting")).to_have_count(0)
    assert len(asked) < 12, asked
    page.context.close()
