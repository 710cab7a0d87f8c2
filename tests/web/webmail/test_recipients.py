"""The fields of addresses: whatever is pasted or completed, nobody who was typed is lost or taken for another."""

from typing import TYPE_CHECKING

import pytest

from tests.support.server import Pillarbox
from tests.web.browser import fitted
from tests.web.webmail.mailing import deliver, message
from tests.web.webmail.test_journeys import fetched
from tests.web.webmail.test_writing import throw_away

if TYPE_CHECKING:
    from playwright.sync_api import Page

PASTE = """text => {
  const clipboardData = new DataTransfer()
  clipboardData.setData("text/plain", text)
  const event = new ClipboardEvent("paste", { clipboardData, bubbles: true, cancelable: true })
  if (document.activeElement.dispatchEvent(event)) document.execCommand("insertText", false, text)
}"""
READ = """async text => {
  const address = document.querySelector("script[type=module]").src.replace("main.js", "recipients.js")
  return (await import(address)).addressesIn(text).map(one => `${one.name}|${one.email}`)
}"""
BOTH = ["|a@x.example", "|b@x.example"]


@pytest.mark.parametrize(
    ("pasted", "found"),
    [
        ("a@x.example\nb@x.example\n", BOTH),
        ("a@x.example;\r\nb@x.example;\r\n", BOTH),
        ("a@x.example\tb@x.example", BOTH),
        ("L, Ada\ta@x.example\nb@x.example\tBo\tX\n", ["L, Ada|a@x.example", "Bo X|b@x.example"]),
        ("a@x.example b@x.example", BOTH),
        ("Friends: a@x.example, b@x.example;", BOTH),
        ("mailto:a@x.example,,b@x.example,", BOTH),
        ("Ada L <a@x.example>\nBo <b@x.example>", ["Ada L|a@x.example", "Bo|b@x.example"]),
        ('"Smith, Mary" <m@x.example>; <a@x.example>', ["Smith, Mary|m@x.example", "|a@x.example"]),
        (r'"Bo \" X" <b@x.example>, c@x.example', ['Bo " X|b@x.example', "|c@x.example"]),
        ("Jürgen <ü@müller.example>", ["Jürgen|ü@müller.example"]),
    ],
)
def test_a_pasted_list(ada: "Page", pasted: str, found: list[str]) -> None:
    ada.keyboard.press("c")
    to = ada.get_by_role("combobox", name="To")
    to.focus()
    ada.evaluate(PASTE, pasted)
    assert ada.evaluate(READ, to.input_value()) == found
    throw_away(ada)


def test_a_completion_in_the_middle_leaves_the_others(ada: "Page") -> None:
    from playwright.sync_api import expect

    ada.keyboard.press("c")
    to = ada.get_by_role("combobox", name="To")
    to.fill("one@x.example, smi, three@x.example")
    for _ in range(len(", three@x.example")):
        ada.keyboard.press("ArrowLeft")
    ada.keyboard.type("t")
    ada.get_by_role("listbox", name="Suggestions").get_by_role("option").wait_for()
    ada.keyboard.press("Enter")
    expect(to).to_have_value("one@x.example, Mary Smith <mary.smith@friends.example>, three@x.example")
    to.fill("")
    to.press_sequentially("smith má")
    expect(ada.get_by_role("listbox", name="Suggestions").get_by_role("option")).to_have_text("Mary Smith <mary.smith@friends.example>")
    throw_away(ada)


def test_an_address_that_is_whole_is_not_taken_for_a_longer_one(ada: "Page") -> None:
    from playwright.sync_api import expect

    ada.keyboard.press("c")
    to = ada.get_by_role("combobox", name="To")
    to.press_sequentially("mary.smith@friends.ex")
    ada.get_by_role("listbox", name="Suggestions").get_by_role("option").wait_for()
    ada.keyboard.press("Tab")
    expect(to).to_have_value("mary.smith@friends.ex")
    to.press("End")
    to.press_sequentially("a")
    ada.get_by_role("listbox", name="Suggestions").get_by_role("option").wait_for()
    ada.keyboard.press("ArrowDown")
    ada.keyboard.press("Tab")
    expect(to).to_have_value("Mary Smith <mary.smith@friends.example>, ")
    throw_away(ada)


def test_an_address_of_mail_with_copies_is_written_to_with_them(ada: "Page", server: Pillarbox) -> None:
    """RFC 6068 §2; where the copies go stands open."""
    from playwright.sync_api import expect

    html = "<a href='mailto:a@x.example?cc=b@x.example&amp;bcc=c@x.example&amp;subject=Copies'>write</a>"
    deliver(server, message("Write to us", "text\n", html=html))
    ada.get_by_role("option").filter(has_text="Write to us").click()
    fitted(ada)
    ada.frame_locator("article.open iframe").get_by_role("link", name="write").click()
    expect(ada.get_by_role("combobox", name="To")).to_have_value("a@x.example")
    expect(ada.get_by_role("combobox", name="Cc", exact=True)).to_have_value("b@x.example")
    expect(ada.get_by_role("combobox", name="Bcc", exact=True)).to_have_value("c@x.example")
    throw_away(ada)


@pytest.mark.parametrize(
    "typed", ["Ada L <a@x.example> Bo <b@x.example>", "'a@x.example'", "a@x.example.", "a..b@x.example", "\u202aa@x.example\u202c"]
)
def test_what_is_no_address_is_named(ada: "Page", typed: str) -> None:
    """Two addresses without a comma between them are not one, the other being its name."""
    from playwright.sync_api import expect

    ada.keyboard.press("c")
    ada.get_by_role("combobox", name="To").fill(f"{typed}, c@x.example")
    ada.get_by_role("button", name="Send", exact=True).click()
    expect(ada.locator("#composer [role=alert]")).to_have_text(f"“{typed}” is no e-mail address.")
    throw_away(ada)


def test_keys_of_an_input_method_are_its_own(ada: "Page") -> None:
    """Enter and Escape choose and leave characters while these are composed."""
    from playwright.sync_api import expect

    ada.keyboard.press("c")
    to = ada.get_by_role("combobox", name="To")
    to.press_sequentially("smi")
    ada.get_by_role("listbox", name="Suggestions").get_by_role("option").first.wait_for()
    press = """key => document.activeElement.dispatchEvent(
      new KeyboardEvent("keydown", { key, isComposing: true, keyCode: 229, bubbles: true, cancelable: true }))"""
    ada.evaluate(press, "Enter")
    expect(to).to_have_value("smi")
    ada.get_by_label("Subject").focus()
    for key in ("Enter", "Escape"):
        ada.evaluate(press, key)
    expect(ada.get_by_label("Subject")).to_be_focused()
    throw_away(ada)


def test_a_local_part_in_quotation_marks_is_answered(ada: "Page", server: Pillarbox) -> None:
    from playwright.sync_api import expect

    odd = message("Quoted local part", "text\n")
    odd.replace_header("From", '"john \\"j\\" doe"@friends.example')
    deliver(server, odd)
    ada.get_by_role("option").filter(has_text="Quoted local part").click()
    ada.locator("article.open").wait_for()
    ada.keyboard.press("r")
    expect(ada.get_by_role("combobox", name="To")).to_have_value('"john \\"j\\" doe"@friends.example')
    ada.get_by_role("button", name="Send", exact=True).click()
    expect(ada.locator("#said")).to_contain_text("Sent.")
    ((sent,),) = fetched(server, "ada", "Quoted local part", "Sent")
    assert b'\r\nTo: "john \\"j\\" doe"@friends.example\r\n' in sent
