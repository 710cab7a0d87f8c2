"""Writing in webmail: addresses are completed, nothing written in another tab or before is lost, pictures stay in the text."""

import base64
import re
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.policy import default
from typing import TYPE_CHECKING

from tests.journeys.talk import Reader
from tests.support.server import PASSWORD, Pillarbox
from tests.support.wire import eventually
from tests.web.browser import Chromium, sign_in, violations
from tests.web.webmail.draft_kills import STORED
from tests.web.webmail.mailing import PNG, message
from tests.web.webmail.test_journeys import fetched

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Locator, Page

SUNDAY = 6
KEPT = "Object.keys(localStorage).filter(key => key.startsWith('draft ')).length"
PASTE = """base64 => {
  const octets = Uint8Array.from(atob(base64), one => one.charCodeAt(0))
  const clipboardData = new DataTransfer()
  clipboardData.items.add(new File([octets], "lake.png", { type: "image/png" }))
  document.activeElement.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }))
}"""


def text(page: "Page") -> "Locator":
    return page.get_by_role("textbox", name="Text", exact=True)


def begin(page: "Page", subject: str, words: str = "") -> None:
    """A message that is kept in the browser."""
    from playwright.sync_api import expect

    page.locator("#list").press("c")
    page.get_by_label("Subject").fill(subject)
    text(page).fill(words)
    expect(page.locator("#draft-state")).to_contain_text("Kept in")
    page.evaluate(STORED, words or subject)  # the line may be of what was typed first


def throw_away(page: "Page") -> None:
    """Once nothing is left of it, in Drafts or in the browser: a page that is left meanwhile keeps it."""
    page.get_by_role("button", name="Throw away").click()
    page.locator("#composer").wait_for(state="detached")


def another(context: "BrowserContext") -> "Page":
    page = context.new_page()
    page.goto("/mail/")
    page.get_by_role("option").first.wait_for()
    return page


def test_addresses_are_completed_from_the_mail_there_is_and_enter_does_not_send(ada: "Page") -> None:
    from playwright.sync_api import expect

    ada.keyboard.press("c")
    to = ada.get_by_role("combobox", name="To")
    to.press_sequentially("smi")
    suggestion = ada.get_by_role("listbox", name="Suggestions").get_by_role("option")
    expect(suggestion).to_have_text("Mary Smith <mary.smith@friends.example>")
    expect(to).to_have_attribute("aria-expanded", "true")
    ada.keyboard.press("Enter")
    expect(to).to_have_value("Mary Smith <mary.smith@friends.example>, ")
    ada.keyboard.press("Enter")
    expect(ada.get_by_label("Subject")).to_be_focused()
    ada.keyboard.press("Enter")
    expect(text(ada)).to_be_focused()
    assert ada.get_by_role("alert").count() == 0
    throw_away(ada)


def test_who_presses_twice_has_one_message_open(ada: "Page") -> None:
    from playwright.sync_api import expect

    ada.locator("html[data-ready]").wait_for(state="attached")
    ada.locator(".write:visible").dblclick()
    expect(ada.get_by_role("combobox", name="To")).to_be_focused()
    expect(ada.locator("#composer")).to_have_count(1)
    throw_away(ada)


def test_a_pasted_picture_stays_when_the_message_is_taken_back(ada: "Page", server: Pillarbox) -> None:
    from playwright.sync_api import expect

    ada.keyboard.press("c")
    ada.get_by_role("combobox", name="To").fill("mary@home.example")
    ada.get_by_label("Subject").fill("Lake")
    ada.get_by_role("button", name="Formatting", exact=True).click()
    text(ada).press_sequentially("Look: ")
    ada.evaluate(PASTE, base64.b64encode(PNG).decode())
    picture = text(ada).get_by_role("img", name="lake.png")
    picture.wait_for()
    ada.keyboard.press("Control+Enter")
    ada.locator("#said").get_by_role("button", name="Undo").click()
    expect(ada.locator("#said")).to_contain_text("Taken back")
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") == 10
    ada.keyboard.press("Control+Enter")
    expect(ada.locator("#said")).to_contain_text("Sent.")
    assert eventually(lambda: len(fetched(server, "mary", "Lake", "INBOX")[0]) == 1, 60)
    parts = {
        part.get_content_type(): part for part in message_from_bytes(fetched(server, "mary", "Lake", "INBOX")[0][0], policy=default).walk()
    }
    assert parts["image/png"].get_payload(decode=True) == PNG
    assert f"cid:{parts['image/png']['Content-ID'][1:-1]}" in parts["text/html"].get_content()  # type: ignore[attr-defined]


def test_what_was_deleted_from_sent_is_a_draft_again_when_taken_back(ada: "Page", server: Pillarbox) -> None:
    from playwright.sync_api import expect

    begin(ada, "Deleted meanwhile", "all of it")
    ada.get_by_role("combobox", name="To").fill("mary@home.example")
    ada.keyboard.press("Control+Enter")
    expect(ada.locator("#said")).to_contain_text("Sent.")
    with Reader(server.ports["imap"], "ada@home.example") as reader:
        reader.ok(b"SELECT Sent")
        reader.ok(b"STORE * +FLAGS.SILENT (\\Deleted)")
        reader.ok(b"EXPUNGE")
    ada.locator("#said").get_by_role("button", name="Undo").click()
    expect(ada.locator("#said")).to_contain_text("Taken back")
    ada.get_by_role("button", name="Close and keep as a draft").click()
    ada.locator("#composer").wait_for(state="detached")
    ((draft,),) = fetched(server, "ada", "Deleted meanwhile", "Drafts")
    assert draft.endswith(b"all of it")


def test_two_tabs_write_at_once_and_both_messages_outlive_them(ada: "Page", server: Pillarbox) -> None:
    from playwright.sync_api import expect

    one, two = another(ada.context), another(ada.context)
    begin(one, "First of two", "one")
    begin(two, "Second of two", "two")
    expect(one.locator("#draft-state")).to_have_text("Kept in Drafts")  # saved after the second was typed
    third = another(ada.context)
    assert third.evaluate(KEPT) == 2 and third.locator("#said").is_hidden(), "both are being written"
    one.goto("about:blank")
    two.goto("about:blank")
    third.reload()
    third.get_by_role("button", name="Go on writing").click()
    expect(text(third)).to_have_value("two")
    third.get_by_role("button", name="Close and keep as a draft").click()
    expect(third.locator("#said")).to_contain_text("Kept in Drafts")
    assert third.evaluate(KEPT) == 0
    assert [len(fetched(server, "ada", subject, "Drafts")[0]) for subject in ("First of two", "Second of two")] == [1, 1]
    for page in (one, two, third):
        page.close()


def test_a_message_waits_until_a_usual_instant(browser: Chromium) -> None:
    from playwright.sync_api import expect

    tab = browser.page()
    sign_in(tab, "mary@home.example", PASSWORD)
    tab.goto("/mail/")
    tab.locator("#list").wait_for()
    day = (datetime.now(UTC).astimezone() + timedelta(days=1)).replace(hour=10, minute=20, second=0, microsecond=0)
    tab.clock.set_fixed_time(day)
    begin(tab, "For tomorrow", "no hurry")
    tab.get_by_role("combobox", name="To").fill("ada@home.example")
    tab.get_by_role("button", name="Send later…").click()
    dialog = tab.get_by_role("dialog", name="Send later")
    expect(dialog.get_by_role("radio").first).to_be_checked()
    expect(dialog.locator("label.choice").first).to_contain_text(re.compile(r"This evening · .* 18:00"))
    assert dialog.get_by_text("Monday morning").count() == (day.weekday() != SUNDAY)
    expect(dialog.get_by_label("Date and time")).to_have_value(f"{day:%Y-%m-%d}T11:00")
    dialog.get_by_label("Date and time").fill(f"{day:%Y-%m-%d}T10:00")
    expect(dialog.get_by_role("radio", name="At another time")).to_be_checked()
    assert not violations(tab)
    dialog.get_by_role("button", name="Send then").click()
    expect(dialog).to_contain_text("That instant is over.")
    dialog.get_by_role("radio", name="Tomorrow morning").check()
    dialog.get_by_role("button", name="Send then").click()
    expect(tab.locator("#said")).to_contain_text(re.compile(rf"It will be sent .*\b{(day + timedelta(days=1)).day}\b.* 08:00"))
    tab.get_by_role("button", name="Undo").click()
    throw_away(tab)
    expect(tab.locator("#said")).to_contain_text("Thrown away.")
    tab.context.close()


def test_a_clock_that_is_slow_is_named_as_the_reason(browser: Chromium) -> None:
    from playwright.sync_api import expect

    tab = browser.page()
    sign_in(tab, "mary@home.example", PASSWORD)
    tab.goto("/mail/")
    tab.locator("#list").wait_for()
    tab.clock.set_fixed_time(datetime.now(UTC) - timedelta(days=3))
    begin(tab, "Long ago", "no hurry")
    tab.get_by_role("combobox", name="To").fill("ada@home.example")
    tab.get_by_role("button", name="Send later…").click()
    tab.get_by_role("dialog", name="Send later").get_by_role("button", name="Send then").click()
    expect(tab.locator("#composer [role=alert]")).to_contain_text("Is the clock of this device right?")
    throw_away(tab)
    expect(tab.locator("#said")).to_contain_text("Thrown away.")
    tab.context.close()


def test_a_new_message_leaves_an_unfinished_one_alone(ada: "Page", server: Pillarbox) -> None:
    from playwright.sync_api import expect

    tab = another(ada.context)
    begin(tab, "Left behind", "do not lose this")
    tab.goto("about:blank")
    ada.reload()
    ada.get_by_role("button", name="Go on writing").wait_for()
    begin(ada, "Something else", "else")
    ada.get_by_role("button", name="Close and keep as a draft").click()
    expect(ada.locator("#said")).to_contain_text("Kept in Drafts")
    ada.reload()
    ada.get_by_role("button", name="Go on writing").click()
    expect(text(ada)).to_have_value("do not lose this")
    throw_away(ada)
    expect(ada.locator("#said")).to_contain_text("Thrown away.")
    tab.close()


def test_a_message_of_a_shared_mailbox_is_answered(ada: "Page", server: Pillarbox) -> None:
    """While its mailbox is shown: draft, message and mark go where each belongs."""
    from playwright.sync_api import expect

    asked = message("Which seeds", "Beans or peas?\n", id="<seeds@x>").as_bytes().replace(b"\n", b"\r\n")
    with Reader(server.ports["imap"], "mary@home.example") as mary:
        mary.ok(b"CREATE Allotment")  # type: ignore[attr-defined]
        mary.append("Allotment", [asked])  # type: ignore[attr-defined]
        mary.ok(b"SETACL Allotment ada@home.example lrsw")  # type: ignore[attr-defined]
        ada.locator("#folders").get_by_role("link", name="Allotment").click()
        ada.get_by_role("option").filter(has_text="Which seeds").click()
        ada.get_by_role("heading", name="Which seeds").wait_for()
        ada.keyboard.press("r")
        text(ada).press_sequentially("Both.")
        ada.get_by_role("button", name="Close and keep as a draft").click()
        expect(ada.locator("#said")).to_contain_text("Kept in Drafts")
        ada.keyboard.press("r")
        ada.get_by_role("combobox", name="To").fill("mary@home.example")
        ada.get_by_role("button", name="Send", exact=True).click()
        expect(ada.locator("#said")).to_contain_text("Sent.")
        assert [len(fetched(server, "ada", "Re: Which seeds", one)[0]) for one in ("Drafts", "Sent")] == [1, 1]
        mary.ok(b"SELECT Allotment")  # type: ignore[attr-defined]
        assert eventually(lambda: b"Answered" in b"".join(mary.ok(b"FETCH 1 FLAGS")))  # type: ignore[attr-defined]
        mary.ok(b"UNSELECT")  # type: ignore[attr-defined]
        mary.ok(b'SETACL Allotment ada@home.example ""')  # type: ignore[attr-defined]
        expect(ada.get_by_role("heading", name="Inbox")).to_be_visible()


def test_signing_out_puts_what_was_kept_into_drafts(ada: "Page", server: Pillarbox) -> None:
    from playwright.sync_api import expect

    tab = another(ada.context)
    begin(tab, "Before leaving", "kept words")
    tab.goto("about:blank")
    ada.reload()
    begin(ada, "Open while leaving", "open words")
    ada.get_by_role("button", name="Sign out").click()
    expect(ada.get_by_role("heading", name="Sign in")).to_be_visible()
    assert ada.evaluate(KEPT) == 0
    found = [fetched(server, "ada", subject, "Drafts")[0] for subject in ("Before leaving", "Open while leaving")]
    ada.faults.clear()  # type: ignore[attr-defined]  # the stream of changes ends with the session
    assert [len(one) for one in found] == [1, 1] and b"kept words" in found[0][0] and b"open words" in found[1][0]
    tab.close()
