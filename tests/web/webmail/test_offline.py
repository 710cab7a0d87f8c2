"""Without a connection, and with one again: what is open, what is written and where it goes."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.journeys.talk import Reader
from tests.support.server import PASSWORD, Pillarbox, pillarbox
from tests.support.wire import eventually
from tests.web.browser import Chromium, sign_in
from tests.web.webmail.draft_kills import STORED
from tests.web.webmail.test_journeys import fetched
from tests.web.webmail.test_writing import KEPT, another, begin, text, throw_away

if TYPE_CHECKING:
    from playwright.sync_api import FilePayload, Page, Route

FILL = """() => { for (const length of [1e6, 1e4, 100, 1]) {
    try { for (let at = 0; ; at++) localStorage.setItem(`fill ${length} ${at}`, "x".repeat(length)) } catch { /* full */ } } }"""
TOLD = """() => {
    const line = document.getElementById("draft-state")
    window.told = []
    new MutationObserver(() => window.told.push(line.textContent)).observe(line, { childList: true })
}"""
"""What the line says, one after the other."""
CLOSE = "Close and keep as a draft"


def offline(page: "Page") -> None:
    """Once the page has what it needs then."""
    page.locator("html[data-ready]").wait_for(state="attached")
    page.context.set_offline(True)
    page.locator("#banner").get_by_text("No connection").wait_for()


def online(page: "Page") -> None:
    page.context.set_offline(False)
    page.locator("#banner").wait_for(state="hidden")
    page.faults.clear()  # type: ignore[attr-defined]  # what could not be loaded


def drafts(server: Pillarbox, subject: str) -> list[bytes]:
    (found,) = fetched(server, "ada", subject, "Drafts")
    return sorted(one.partition(b"\r\n\r\n")[2].strip() for one in found)


def open_draft(page: "Page", subject: str) -> None:
    page.locator("#folders").get_by_role("link", name="Drafts").click()
    page.get_by_role("option").filter(has_text=subject).click()
    page.locator("#composer").wait_for()


def test_a_conversation_opened_without_a_connection_is_shown_when_there_is_one(ada: "Page") -> None:
    from playwright.sync_api import expect

    offline(ada)
    ada.get_by_role("option").filter(has_text="Number 21").first.click()
    expect(ada.locator("#conversation")).to_contain_text("This conversation could not be read.")
    online(ada)
    expect(ada.frame_locator("article.open iframe").locator("body")).to_contain_text("Text 21")
    ada.faults.clear()  # type: ignore[attr-defined]


def test_a_message_begun_and_left_without_a_connection_goes_to_drafts(ada: "Page", server: Pillarbox) -> None:
    from playwright.sync_api import expect

    offline(ada)
    begin(ada, "Begun offline", "in a tunnel")
    ada.get_by_role("button", name=CLOSE).click()
    expect(ada.locator("#said")).to_contain_text("Kept in this browser. It goes to Drafts when there is a connection.")
    expect(ada.locator("#composer")).to_have_count(0)
    online(ada)
    expect(ada.locator("#said")).to_contain_text("Kept in Drafts.")
    assert drafts(server, "Begun offline") == [b"in a tunnel"] and ada.evaluate(KEPT) == 0


def test_a_message_written_and_sent_without_a_connection_has_its_sender(ada: "Page", server: Pillarbox) -> None:
    from playwright.sync_api import expect

    offline(ada)
    begin(ada, "Sent offline", "words")
    ada.get_by_role("combobox", name="To").fill("mary@home.example, Mary@home.example")
    ada.get_by_role("button", name="Send", exact=True).click()
    expect(ada.locator("#composer").get_by_role("alert")).to_contain_text("There is no connection.")
    expect(ada.get_by_role("button", name="Send", exact=True)).to_be_focused()
    online(ada)
    expect(ada.locator("#said")).to_contain_text("Sent.")
    assert eventually(lambda: len(fetched(server, "mary", "Sent offline", "INBOX")[0]) == 1, 60), "once, although addressed twice"
    assert b"From: ada@home.example" in fetched(server, "mary", "Sent offline", "INBOX")[0][0]


def test_a_draft_open_on_two_devices_is_kept_twice(ada: "Page", browser: Chromium, server: Pillarbox) -> None:
    """Also when one of them does not know whether it was saved."""
    from playwright.sync_api import expect

    begin(ada, "Both devices", "base")
    ada.get_by_role("button", name=CLOSE).click()
    ada.locator("#composer").wait_for(state="detached")
    other = browser.page()
    sign_in(other, "ada@home.example", PASSWORD)
    other.goto("/mail/")
    for page in (ada, other):
        open_draft(page, "Both devices")
    text(ada).fill("base one")
    expect(ada.locator("#draft-state")).to_have_text("Kept in Drafts")
    text(other).fill("base two")
    expect(other.locator("#draft-state")).to_contain_text("It was changed or deleted elsewhere as well.")
    text(other).fill("base two more")
    expect(other.locator("#draft-state")).to_have_text("Kept in this browser")
    other.goto("about:blank")
    other.goto("/mail/")
    other.get_by_role("button", name="Go on writing").click()
    other.get_by_role("button", name=CLOSE).click()
    other.locator("#composer").wait_for(state="detached")
    ada.get_by_role("button", name=CLOSE).click()
    ada.locator("#composer").wait_for(state="detached")
    assert drafts(server, "Both devices") == [b"base one", b"base two more"]
    other.context.close()


def test_a_draft_that_was_replaced_a_moment_ago_is_told_of(ada: "Page", server: Pillarbox) -> None:
    """The list does not know yet: what the push stream told of it first is not answered."""
    from playwright.sync_api import expect

    held: list[Route] = []
    ada.route("**/jmap/api", lambda route: held.append(route) if "Mailbox/get" in (route.request.post_data or "") else route.continue_())
    with Reader(server.ports["imap"], "ada@home.example") as reader:
        reader.append("Drafts", [b"Subject: Replaced\r\n\r\nx"])
        reader.ok(b"SELECT Drafts")
        reader.ok(b"STORE * +FLAGS.SILENT (\\Draft)")
        assert eventually(lambda: ada.wait_for_timeout(100) is None and held, 60)
        ada.locator("#folders").get_by_role("link", name="Drafts").click()
        row = ada.get_by_role("option").filter(has_text="Replaced")
        row.wait_for()
        reader.ok(b"STORE * +FLAGS.SILENT (\\Deleted)")
        reader.ok(b"EXPUNGE")
    row.click()
    expect(ada.locator("#said")).to_contain_text("This draft was changed or deleted elsewhere.")
    expect(row).to_have_count(0)
    for route in held:
        route.continue_()
    ada.unroute("**/jmap/api")


def test_a_draft_open_in_two_tabs_is_kept_in_two_places(ada: "Page", server: Pillarbox) -> None:
    begin(ada, "Both tabs", "base")
    ada.get_by_role("button", name=CLOSE).click()
    ada.locator("#composer").wait_for(state="detached")
    other = another(ada.context)
    for page in (ada, other):
        open_draft(page, "Both tabs")  # what is typed in one replaces the draft that the other is to open
    for page, word in ((ada, "one"), (other, "two")):
        text(page).fill(f"base {word}")
        page.evaluate(STORED, f"base {word}")
    assert ada.evaluate(KEPT) == 2
    ada.get_by_role("button", name=CLOSE).click()
    ada.locator("#composer").wait_for(state="detached")
    other.goto("about:blank")
    other.goto("/mail/")
    other.get_by_role("button", name="Go on writing").click()
    other.get_by_role("button", name=CLOSE).click()
    other.locator("#composer").wait_for(state="detached")
    assert drafts(server, "Both tabs") == [b"base one", b"base two"]
    other.close()


def test_what_is_offered_does_not_cover_the_message_being_written(ada: "Page") -> None:
    from playwright.sync_api import expect

    begin(ada, "Not finished", "x")
    ada.goto("about:blank")
    ada.goto("/mail/")
    ada.get_by_role("button", name="Go on writing").wait_for()
    begin(ada, "Meanwhile")
    expect(ada.get_by_role("button", name="Go on writing")).to_have_count(0)
    ada.get_by_role("button", name="Send later…").click()
    ada.get_by_label("Date and time").fill("2099-01-01T10:00")
    ada.get_by_role("button", name="Send then").click()
    expect(ada.get_by_role("dialog", name="Send later")).to_contain_text("A message waits for 366 days at most.")
    expect(ada.get_by_label("Date and time")).to_be_focused()
    ada.get_by_role("dialog", name="Send later").get_by_role("button", name="Cancel").click()
    throw_away(ada)
    ada.reload()
    ada.get_by_role("button", name="Go on writing").click()
    throw_away(ada)
    expect(ada.locator("#said")).to_contain_text("Thrown away.")


def test_a_full_mailbox_is_said_while_one_writes(ada: "Page", server: Pillarbox) -> None:
    from playwright.sync_api import expect

    pillarbox("account", "set", "ada@home.example", "--quota-mb", "1", data=server.data)
    with Reader(server.ports["imap"], "ada@home.example") as reader:
        reader.append("Trash", [b"Subject: fill\r\n\r\n" + b"x" * 970_000])  # type: ignore[attr-defined]
    begin(ada, "No room", "words " * 8000)
    expect(ada.locator("#draft-state")).to_contain_text("Kept in this browser, but not in Drafts: the mailbox is full")
    pillarbox("account", "set", "ada@home.example", "--quota-mb", "1000", data=server.data)
    ada.get_by_role("button", name=CLOSE).click()
    ada.locator("#composer").wait_for(state="detached")
    assert len(drafts(server, "No room")) == 1


def test_a_browser_without_room_says_so_and_the_server_keeps_more(browser: Chromium, server: Pillarbox) -> None:
    """What it kept before is older than the draft on the server: it is not offered any more."""
    from playwright.sync_api import expect

    page = browser.page()
    sign_in(page, "ada@home.example", PASSWORD)
    page.clock.install()
    page.goto("/mail/")
    begin(page, "No room here", "first")
    page.evaluate(STORED, "first")
    page.evaluate(FILL)
    page.evaluate(TOLD)
    text(page).fill("first and second")
    expect(page.locator("#draft-state")).to_have_text("Kept in Drafts")
    assert page.evaluate("window.told").count("This browser has no room to keep it") >= 1, "until it was in Drafts"
    assert page.evaluate(KEPT) == 0
    text(page).fill("first, second and third")
    expect(page.locator("#draft-state")).to_have_text("This browser has no room to keep it")
    page.clock.fast_forward(20_000)
    expect(page.locator("#draft-state")).to_have_text("Kept in Drafts")
    assert drafts(server, "No room here") == [b"first, second and third"]
    page.context.set_offline(True)
    text(page).fill("first, second, third and fourth")
    expect(page.locator("#draft-state")).to_have_text("This browser has no room to keep it")
    page.clock.fast_forward(20_000)
    expect(page.locator("#draft-state")).to_have_text("Not kept yet: there is no connection")
    page.context.close()


@pytest.mark.parametrize("files", [[], ["photo.jpg"]])
def test_a_draft_with_files_is_seldom_saved_while_one_types(browser: Chromium, server: Pillarbox, files: list[str]) -> None:
    """Each save writes them once more: what was typed waits in this browser, until the panel is closed."""
    from playwright.sync_api import expect

    page = browser.page()
    sign_in(page, "ada@home.example", PASSWORD)
    page.clock.install()
    page.goto("/mail/")
    page.get_by_role("option").first.wait_for()
    page.clock.pause_at(datetime.now() + timedelta(minutes=1))  # it is saved when the test says so
    subject = f"Seldom {len(files)}"
    page.locator("#list").press("c")
    page.get_by_label("Subject").fill(subject)
    text(page).fill("first")
    for name in files:
        photo: FilePayload = {"name": name, "mimeType": "image/jpeg", "buffer": b"\xff\xd8" + bytes(10**6)}
        page.locator("#composer input[type=file]").set_input_files(photo)
        expect(page.locator("#composer .uploads")).to_contain_text("1.0 MB")
    page.clock.run_for(10_000)
    expect(page.locator("#draft-state")).to_have_text("Kept in Drafts")
    saves: list[str] = []
    page.on("request", lambda request: saves.append(request.url) if '"keywords":{"$draft"' in (request.post_data or "") else None)
    text(page).fill("first and second")
    page.clock.run_for(1000)
    page.evaluate(STORED, "first and second")
    page.clock.fast_forward(200_000)
    page.evaluate("fetch('/mail/version').then(one => one.text())")
    assert len(saves) == (0 if files else 1)
    page.get_by_role("button", name=CLOSE).click()
    page.locator("#composer").wait_for(state="detached")
    (draft,) = drafts(server, subject)
    assert b"first and second" in draft
    page.context.close()


def test_a_part_of_the_page_that_did_not_come_is_asked_for_again(browser: Chromium) -> None:
    """It is no newer version."""
    from playwright.sync_api import expect

    page = browser.page()
    sign_in(page, "ada@home.example", PASSWORD)
    page.context.route("**/compose.js", lambda route: route.abort())
    page.goto("/mail/")
    page.locator("html[data-ready]").wait_for(state="attached")
    page.keyboard.press("c")
    expect(page.locator("#said")).to_contain_text("That did not work: there is no connection")
    expect(page.locator("#banner")).to_be_hidden()
    page.context.unroute("**/compose.js")
    page.keyboard.press("c")
    expect(page.locator("#composer")).to_be_visible()
    page.context.close()


def test_signing_out_on_another_page_puts_what_was_kept_into_drafts(ada: "Page", server: Pillarbox) -> None:
    from playwright.sync_api import expect

    begin(ada, "Own page", "kept words")
    ada.goto("/own/")
    ada.get_by_role("banner").get_by_role("button", name="Sign out").click()
    expect(ada.get_by_role("heading", name="Sign in")).to_be_visible()
    assert ada.evaluate(KEPT) == 0 and drafts(server, "Own page") == [b"kept words"]
    ada.faults.clear()  # type: ignore[attr-defined]  # the stream of changes ends with the session
