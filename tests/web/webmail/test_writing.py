"""Writing in webmail: addresses are completed, nothing written in another tab or before is lost, pictures stay in the text."""

import base64
from email import message_from_bytes
from email.policy import default
from typing import TYPE_CHECKING

from tests.support.server import Pillarbox
from tests.support.wire import eventually
from tests.web.webmail.mailing import PNG
from tests.web.webmail.test_journeys import fetched

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Locator, Page

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


def another(context: "BrowserContext") -> "Page":
    page = context.new_page()
    page.set_default_timeout(60_000)
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
    ada.get_by_role("button", name="Throw away").click()


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
    assert eventually(lambda: len(fetched(server, "mary", "Lake", "INBOX")[0]) == 1)
    parts = {
        part.get_content_type(): part for part in message_from_bytes(fetched(server, "mary", "Lake", "INBOX")[0][0], policy=default).walk()
    }
    assert parts["image/png"].get_payload(decode=True) == PNG
    assert f"cid:{parts['image/png']['Content-ID'][1:-1]}" in parts["text/html"].get_content()  # type: ignore[attr-defined]


def test_two_tabs_write_at_once_and_both_messages_outlive_them(ada: "Page", server: Pillarbox) -> None:
    from playwright.sync_api import expect

    one, two = another(ada.context), another(ada.context)
    begin(one, "First of two", "one")
    begin(two, "Second of two", "two")
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
    ada.get_by_role("button", name="Throw away").click()
    expect(ada.locator("#said")).to_contain_text("Thrown away.")
    tab.close()


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
