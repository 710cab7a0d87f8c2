"""Rich text as a user makes it in a real browser, and what of it arrives."""

import base64
from email import message_from_bytes
from email.policy import default
from typing import TYPE_CHECKING

from tests.support.server import Pillarbox
from tests.support.wire import eventually
from tests.web.webmail.mailing import PNG
from tests.web.webmail.test_journeys import fetched
from tests.web.webmail.test_writing import PASTE, text, throw_away

if TYPE_CHECKING:
    from playwright.sync_api import Page

NOTE = "Dear all,\n\n\n  two spaces\n    four   three\n\ttab\n> quoted\n-- \nAda"


def begin(page: "Page", subject: str = "") -> None:
    page.keyboard.press("c")
    page.get_by_role("combobox", name="To").fill("mary@home.example")
    page.get_by_label("Subject").fill(subject)


def formatting(page: "Page") -> None:
    page.get_by_role("button", name="Formatting", exact=True).click()


def sent(page: "Page", server: Pillarbox, subject: str) -> dict[str, str]:
    """The parts as they arrive."""
    from playwright.sync_api import expect

    page.keyboard.press("Control+Enter")
    expect(page.locator("#said")).to_contain_text("Sent.")
    assert eventually(lambda: len(fetched(server, "mary", subject, "INBOX")[0]) == 1, 60)
    parts = message_from_bytes(fetched(server, "mary", subject, "INBOX")[0][0], policy=default).walk()
    return {part.get_content_type(): part.get_content() for part in parts if part.get_content_maintype() == "text"}  # type: ignore[attr-defined]


def link(page: "Page", place: str) -> None:
    page.get_by_role("button", name="Link", exact=True).click()
    page.get_by_label("Where does it lead?").fill(place)
    page.get_by_role("button", name="Make the link").click()


def test_links_are_made_as_they_are_typed(ada: "Page", server: Pillarbox) -> None:
    from playwright.sync_api import expect

    begin(ada, "Links")
    formatting(ada)
    text(ada).press_sequentially("Look here")
    for _ in range(4):
        ada.keyboard.press("Shift+ArrowLeft")
    link(ada, "example.com/page")
    expect(text(ada).get_by_role("link", name="here")).to_have_attribute("href", "https://example.com/page")
    ada.keyboard.type(" and ")
    link(ada, "mary@home.example")
    expect(text(ada).get_by_role("link", name="mary@home.example")).to_have_attribute("href", "mailto:mary@home.example")
    link(ada, "javascript:alert(1)")
    dialog = ada.get_by_role("dialog", name="Link")
    expect(dialog).to_contain_text("A link leads to a web page or an e-mail address.")
    expect(dialog.get_by_label("Where does it lead?")).to_have_value("javascript:alert(1)")
    dialog.get_by_role("button", name="Cancel").click()
    expect(text(ada)).to_be_focused()
    arrived = sent(ada, server, "Links")
    markup = arrived["text/html"].replace("\xa0", " ")
    assert '<a href="https://example.com/page">here</a> and <a href="mailto:mary@home.example">' in markup
    assert "here <https://example.com/page> and mary@home.example" in arrived["text/plain"].replace("\n", "")


def test_plain_and_rich_and_back_lose_nothing(ada: "Page", server: Pillarbox) -> None:
    from playwright.sync_api import expect

    begin(ada, "Spaces")
    text(ada).fill(NOTE)
    formatting(ada)
    formatting(ada)
    expect(text(ada)).to_have_value(NOTE)
    formatting(ada)
    text(ada).press("Control+End")
    ada.keyboard.press("Control+b")
    ada.keyboard.type(" L.")
    ada.keyboard.press("Control+b")
    formatting(ada)
    expect(text(ada)).to_have_value(f"{NOTE} L.".replace("\t", "    "))
    formatting(ada)
    expect(text(ada).locator("b")).to_have_text("L.")
    arrived = sent(ada, server, "Spaces")
    assert "<p>" not in arrived["text/html"], "lines are lines, not paragraphs"
    assert "<div>\xa0 two spaces</div>" in arrived["text/html"]


def test_pasted_pictures_stand_in_rich_text_and_are_attached_to_plain_text(ada: "Page") -> None:
    from playwright.sync_api import expect

    picture = base64.b64encode(PNG).decode()
    begin(ada)
    formatting(ada)
    text(ada).press_sequentially("Look: ")
    ada.evaluate(PASTE, picture)
    text(ada).get_by_role("img", name="lake.png").wait_for()
    ada.keyboard.press("Backspace")
    expect(text(ada).get_by_role("img")).to_have_count(0)
    formatting(ada)
    text(ada).focus()
    ada.evaluate(PASTE, picture)
    expect(ada.locator("#composer .attachments li")).to_contain_text("lake.png")
    throw_away(ada)


def test_a_block_begins_a_line_of_its_own_as_text_too(ada: "Page") -> None:
    """Also behind words that stand in no block, as other programs and a field that was emptied have them."""
    read = """async html => {
      const address = document.querySelector("script[type=module]").src.replace("main.js", "markup.js")
      const { fill, plainText } = await import(address)
      const area = document.createElement("div")
      fill(area, html, [])
      return plainText(area)
    }"""
    lists = "three<ul><li>four<ul><li>five</li></ul></li><li>six</li></ul>seven"
    html = f"Hello,<div>one</div>two<br>{lists}<blockquote>eight<br>nine</blockquote>\n<div>ten</div>"
    text = "Hello,\none\ntwo\nthree\n- four\n  - five\n- six\nseven\n> eight\n> nine\nten"
    assert ada.evaluate(read, html) == text


def test_many_lines_are_pasted_without_a_wait(ada: "Page") -> None:
    """In the midst of a line; typed by the browser they would take minutes."""
    from playwright.sync_api import expect

    begin(ada)
    formatting(ada)
    text(ada).press_sequentially("before after")
    for _ in "after":
        ada.keyboard.press("ArrowLeft")
    ada.evaluate("""() => {
      const clipboardData = new DataTransfer()
      clipboardData.setData("text/plain", Array.from({ length: 4000 }, (_, at) => `${at}  x`).join("\\r\\n"))
      document.activeElement.dispatchEvent(new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true }))
    }""")
    ada.keyboard.type("!")
    formatting(ada)
    lines = "\n".join(f"{at}  x" for at in range(4000))
    expect(text(ada)).to_have_value(f"before \n{lines}\n!after")
    throw_away(ada)
