"""Webmail in WebKit, run by `make web-test`: the main journeys, and hostile HTML watched by a server that counts."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.server import PASSWORD, Pillarbox, new_data
from tests.support.wire import eventually, faults
from tests.web.browser import PROTOCOLS
from tests.web.webkit import NARROWEST, Window, webkit
from tests.web.webmail.mailing import counting_server, deliver, message, pictures
from tests.web.webmail.test_html_cleaning import EVIL, together
from tests.web.webmail.test_journeys import fetched

ADA = "ada@home.example"
TEXTS = together()
"""Hostile cases in one message."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pillarbox]:
    with Pillarbox(new_data(tmp_path_factory.mktemp("webkit") / "data", "ada", "mary"), protocols=PROTOCOLS) as one:
        deliver(one, *(message(f"Number {number}", f"Text {number}\n") for number in range(24)))
        first = message("Dinner", "Shall we meet at six?\n", id="<d1@x>")
        deliver(one, first, message("Re: Dinner", "Yes, gladly.\n", id="<d2@x>", after="<d1@x>"), pictures())
        yield one
        assert not faults(one.log)


@pytest.fixture(scope="module")
def window(server: Pillarbox) -> Iterator[Window]:
    with webkit(server) as one:
        one.resize(1280)
        one.sign_in(ADA, PASSWORD)
        yield one


@pytest.fixture
def ada(window: Window) -> Window:
    window.open("/mail/")
    window.the("[role=option]")
    return window


def frame_says(page: Window, text: str) -> None:
    """In the frame of the message that was opened last; read from the page, since who switches into a frame leaves the focus there."""
    script = "return [...document.querySelectorAll('article.open iframe')].at(-1)?.contentDocument?.body?.textContent ?? ''"
    page.until(lambda: text in page.run(script), f"“{text}” in the frame")


def test_a_conversation_is_read_put_away_and_brought_back(ada: Window) -> None:
    dinner = ada.the("[role=option]", "Dinner")
    assert ada.shown("[role=option]", "2 messages")
    dinner.click()
    ada.the("#subject", "Dinner")
    frame_says(ada, "Yes, gladly.")
    assert "[object" not in ada.text("#reading")
    ada.keys("e")
    ada.says("#said", "1 conversation archived")
    ada.until(lambda: not ada.shown("[role=option]", "Dinner"))
    ada.keys("z")
    ada.the("[role=option]", "Dinner")


def test_html_images_and_attachments(ada: Window) -> None:
    ada.the("[role=option]", "Holiday").click()
    ada.says("#reading", "Invitation: Slide show")
    ada.button("Show images")
    frame_says(ada, "Holiday")
    picture = "return document.querySelector('article.open iframe').contentDocument.querySelector('img[alt=us]')?.naturalWidth === 10"
    ada.until(lambda: ada.run(picture), "the inline picture")
    frame = ada.the("article.open iframe")
    assert frame.rect["height"] > 60, "the frame is as high as its document"
    ada.button("beach.png").click()
    ada.until(lambda: ada.run("return document.querySelector('dialog[open] img')?.naturalWidth === 10"), "the preview")
    ada.keys("\ue00c")
    ada.until(lambda: not ada.all("dialog[open]"))


def test_a_search_finds_as_it_is_typed(ada: Window) -> None:
    ada.field("Search mail").send_keys("gladly")
    ada.until(lambda: len(ada.shown("[role=option]")) == 1)
    ada.says("[role=option] mark", "gladly")


def test_a_reply_is_written_and_sent(ada: Window, server: Pillarbox) -> None:
    ada.the("[role=option]", "Dinner").click()
    frame_says(ada, "Yes, gladly.")
    ada.keys("r")
    text = ada.field("Text")
    ada.until(lambda: "> Yes, gladly." in str(text.get_property("value")), "the quote")
    ada.keys("See you there.")
    to = ada.field("To")
    to.clear()
    to.send_keys("Mary <mary@home.example>")
    ada.button("Send").click()
    ada.says("#said", "Sent.")
    assert eventually(lambda: len(fetched(server, "mary", "Re: Dinner", "INBOX")[0]) == 1)
    (octets,) = fetched(server, "ada", "Re: Dinner", "Sent")[0]
    assert b"See you there." in octets and b"In-Reply-To: <d2@x>" in octets


def test_a_rich_message_keeps_its_form(ada: Window, server: Pillarbox) -> None:
    ada.keys("c")
    ada.field("Subject").send_keys("Rich")
    ada.field("To").send_keys("mary@home.example")
    ada.button("Formatting").click()
    ada.until(lambda: ada.run("return document.activeElement?.isContentEditable"), "the editor")
    ada.button("Bold").click()
    ada.keys("strong words")
    ada.button("Send").click()
    ada.says("#said", "Sent.")
    assert eventually(lambda: len(fetched(server, "mary", "Rich", "INBOX")[0]) == 1)
    (octets,) = fetched(server, "mary", "Rich", "INBOX")[0]
    assert b"multipart/alternative" in octets and b"strong words" in octets and (b"<b>" in octets or b"<strong>" in octets)


def test_what_was_typed_outlives_the_page(ada: Window, server: Pillarbox) -> None:
    ada.keys("c")
    ada.field("Subject").send_keys("Unfinished")
    ada.field("Text").send_keys("the last words")
    ada.says("#draft-state", "Kept in this browser")
    ada.open("/own/")
    ada.open("/mail/")
    ada.button("Go on writing").click()
    ada.until(lambda: ada.field("Text").get_property("value") == "the last words")
    ada.button("Close and keep as a draft").click()
    ada.says("#said", "Kept in Drafts")
    assert [len(one) for one in fetched(server, "ada", "Unfinished", "Drafts")] == [1]


def test_files_go_with_a_message(ada: Window, server: Pillarbox, tmp_path: Path) -> None:
    file = tmp_path / "menu.txt"
    file.write_text("soup")
    ada.keys("c")
    ada.field("Subject").send_keys("Menu")
    ada.field("To").send_keys("mary@home.example")
    ada.until(lambda: ada.all("#composer input[type=file]"))[0].send_keys(str(file))
    ada.says("#composer .attachments li", "4 B")
    ada.button("Send").click()
    ada.says("#said", "Sent.")
    assert eventually(lambda: len(fetched(server, "mary", "Menu", "INBOX")[0]) == 1)
    assert b"menu.txt" in fetched(server, "mary", "Menu", "INBOX")[0][0]


def test_a_new_message_appears_by_itself(ada: Window, server: Pillarbox) -> None:
    ada.until(lambda: ada.run("return document.documentElement.dataset.push") == "leader")
    deliver(server, message("Just now", "hello\n"))
    ada.the("[role=option]", "Just now")


def test_it_fits_a_narrow_window(ada: Window) -> None:
    ada.resize(NARROWEST)
    try:
        assert ada.fits
        away = "return getComputedStyle(document.getElementById('folders')).visibility === 'hidden'"
        ada.until(lambda: ada.run(away), "the mailboxes to be out of the way")
        ada.the("[role=option]", "Dinner").click()
        frame_says(ada, "Yes, gladly.")
        assert ada.fits and not ada.shown("#list")
        ada.button("Back to the list").click()
        ada.the("[role=option]", "Dinner")
    finally:
        ada.resize(1280)


@pytest.mark.parametrize("part", range(len(TEXTS)))
def test_hostile_html_neither_runs_nor_fetches_nor_leaves_its_frame(ada: Window, server: Pillarbox, part: int) -> None:
    with counting_server() as (address, asked):
        subject = f"Hostile {part}"
        deliver(server, message(subject, "text\n", html=TEXTS[part].replace(EVIL, f"{address}/x")))
        shown = "before" if part < len(TEXTS) - 1 else "text"
        row = ada.the("[role=option]", subject)
        number = str(row.get_attribute("data-key")).split()[0]
        row.click()
        frame_says(ada, shown)
        assert "/mail/" in ada.url and ada.driver.title.endswith("Pillarbox")
        ada.open(f"/mail/message/A1/{number}?images=0")
        ada.says("body", shown)
        assert ada.run("return document.querySelectorAll('script, form, svg, iframe').length") == 0
        assert number in ada.url
        ada.open("/mail/")
        ada.the("[role=option]", subject)
        assert not asked, f"fetched: {asked}"


def test_hostile_files_are_shown_as_text_or_saved(ada: Window, server: Pillarbox) -> None:
    files = message("Hostile files", "text\n")
    files.add_attachment("<script>document.title='ran'</script>", subtype="html", filename="a.html")
    files.add_attachment(b"<svg xmlns='http://www.w3.org/2000/svg' onload='x()'/>", "image", "svg+xml", filename="a.svg")
    deliver(server, files)
    number = str(ada.the("[role=option]", "Hostile files").get_attribute("data-key")).split()[0][1:]
    for path in (f"/mail/preview/A1/B{number}-2", f"/mail/source/A1/B{number}"):
        ada.open(path)
        ada.says("body", "<script>")
        assert ada.driver.title != "ran" and ada.run("return document.contentType") == "text/plain"
    ada.open("/mail/")
