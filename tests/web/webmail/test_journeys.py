"""What a user does with webmail in a real browser: reading, finding, putting away; hostile mail is watched by a server that counts."""

import random
import re
from email import message_from_bytes
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.web.webmail.text_document import Flow, unflowed
from tests.journeys.talk import Reader
from tests.support.server import PASSWORD, Pillarbox
from tests.support.wire import eventually
from tests.web.browser import PICTURE_WIDTH, Chromium, of_document, violations
from tests.web.webmail.mailing import counting_server, deliver, message
from tests.web.webmail.test_html_cleaning import EVIL, together

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

HELD = "() => navigator.locks.query().then(({ held }) => held.filter(({ name }) => name.startsWith('draft ')).length)"


def test_a_conversation_is_read_put_away_and_brought_back(ada: "Page") -> None:
    from playwright.sync_api import expect

    dinner = ada.get_by_role("option").filter(has_text="Dinner").first
    expect(dinner).to_contain_text("2 messages")
    dinner.click()
    expect(ada.get_by_role("heading", name="Dinner")).to_be_visible()
    expect(ada.frame_locator("article.open iframe").last.locator("body")).to_contain_text("Yes, gladly.")
    assert "[object" not in (ada.locator("#reading").text_content() or ""), "every part of the page is text or an element"
    expect(dinner).not_to_contain_text("Unread")
    ada.keyboard.press("e")
    expect(ada.locator("#said")).to_contain_text("1 conversation archived")
    expect(ada.get_by_role("option").filter(has_text="Dinner")).to_have_count(0)
    ada.keyboard.press("z")
    expect(ada.get_by_role("option").filter(has_text="Dinner")).to_have_count(1)


def test_a_mailbox_that_another_shares(server: Pillarbox, ada: "Page") -> None:
    """Read, starred, moved from and into as the rights allow, and gone with them, in a page that stays open."""
    from playwright.sync_api import expect

    seeds = message("Seeds", "Beans and peas.\n").as_bytes().replace(b"\n", b"\r\n")
    deliver(server, message("Tulips", "Red ones.\n"))
    with Reader(server.ports["imap"], "mary@home.example") as mary:
        mary.ok(b"CREATE Garden")  # type: ignore[attr-defined]
        mary.append("Garden", [seeds])  # type: ignore[attr-defined]
        mary.ok(b"SETACL Garden ada@home.example lrswite")  # type: ignore[attr-defined]
        heading = ada.locator("#folders").get_by_role("heading", name="Shared by mary@home.example")
        expect(heading).to_be_visible()
        ada.locator("#folders").get_by_role("link", name="Garden").click()
        row = ada.get_by_role("option").filter(has_text="Seeds")
        row.click()
        expect(ada.frame_locator("article.open iframe").locator("body")).to_contain_text("Beans and peas.")
        expect(row).not_to_contain_text("Unread")
        ada.keyboard.press("s")
        expect(ada.locator("#said")).to_contain_text("1 message has a star")
        ada.get_by_label("Search mail").fill("tulips")
        expect(ada.get_by_role("heading", name="Found: tulips · Shared by mary@home.example")).to_be_visible()
        expect(ada.locator("#empty")).to_be_visible()
        ada.get_by_label("Search mail").fill("beans")
        expect(row.locator("mark")).to_have_text("Beans")
        ada.reload()
        row.click()
        expect(ada.get_by_role("heading", name="Seeds")).to_be_visible()
        ada.get_by_label("Search mail").fill("")
        expect(ada.get_by_role("heading", name="Inbox")).to_be_visible()
        ada.locator("#folders").get_by_role("link", name="Garden").click()
        row.click()
        ada.keyboard.press("v")
        ada.get_by_label("To which mailbox?").select_option("Archive")
        ada.get_by_role("button", name="Move", exact=True).click()
        expect(ada.locator("#said")).to_contain_text("1 conversation moved: Archive")
        expect(row).to_have_count(0)
        ada.locator("#folders").get_by_role("link", name="Inbox").click()
        ada.get_by_role("option").filter(has_text="Tulips").first.click()
        expect(ada.get_by_role("heading", name="Tulips")).to_be_visible()
        ada.keyboard.press("v")
        ada.get_by_label("To which mailbox?").select_option("Garden")
        ada.get_by_role("button", name="Move", exact=True).click()
        expect(ada.locator("#said")).to_contain_text("1 conversation moved: Garden")
        held = b"".join(mary.bodies("Garden").values())  # type: ignore[attr-defined]
        assert b"Subject: Tulips" in held and b"Subject: Seeds" not in held
        ada.locator("#folders").get_by_role("link", name="Garden").click()
        expect(ada.get_by_role("option").filter(has_text="Tulips")).to_have_count(1)
        mary.ok(b'SETACL Garden ada@home.example ""')  # type: ignore[attr-defined]
        expect(heading).to_have_count(0)
        expect(ada.get_by_role("heading", name="Inbox")).to_be_visible()


def test_the_first_list_comes_with_the_page(ada: "Page") -> None:
    held: list[Route] = []
    ada.route("**/jmap/api", lambda route: held.append(route))
    ada.reload()
    ada.get_by_role("option").filter(has_text="Number").first.wait_for()
    ada.goto("/own/")
    ada.unroute("**/jmap/api")


def test_html_images_attachments_and_an_invitation(ada: "Page") -> None:
    from playwright.sync_api import expect

    ada.get_by_role("option").filter(has_text="Holiday").first.click()
    expect(ada.get_by_text("Invitation: Slide show")).to_be_visible()
    expect(ada.get_by_role("button", name="Show images")).to_be_visible()
    frame = ada.frame_locator("article.open iframe")
    expect(frame.get_by_role("heading", name="Holiday")).to_be_visible()
    frame.locator("img[alt=us]").wait_for()
    assert of_document(ada, PICTURE_WIDTH) == 10
    assert "Holiday" not in ada.locator("main").inner_html().replace("Holiday pictures", ""), "no HTML of a message is in the page"
    with ada.expect_download() as download:
        ada.get_by_role("link", name="Save page.html").click()
    assert "<script>" in download.value.path().read_text()
    ada.get_by_role("button", name="beach.png").click()
    ada.get_by_role("dialog").get_by_role("img").wait_for()
    ada.keyboard.press("Escape")
    with ada.expect_download() as download:
        ada.get_by_role("link", name="Save all in one file").click()
    from zipfile import ZipFile

    with ZipFile(download.value.path()) as archive:
        assert archive.testzip() is None and sorted(archive.namelist()) == ["beach.png", "invite.ics", "page.html"]
    assert not violations(ada)


def test_a_search_finds_as_it_is_typed_and_filters_work(ada: "Page") -> None:
    from playwright.sync_api import expect

    ada.keyboard.press("/")
    ada.keyboard.type("gladly")
    expect(ada.get_by_role("option")).to_have_count(1)
    expect(ada.get_by_role("option").locator("mark")).to_have_text("gladly")
    ada.get_by_label("Search mail").fill("")
    expect(ada.locator("#total")).to_have_text("26 conversations")
    ada.get_by_role("button", name="Attachments", exact=True).click()
    expect(ada.locator("#total")).to_have_text("1 conversation")


def test_several_are_selected_by_keyboard_and_moved(ada: "Page") -> None:
    from playwright.sync_api import expect

    ada.locator("#list").focus()
    ada.keyboard.press("End")
    expect(ada.get_by_role("option").filter(has_text="Number 0").first).to_be_visible()
    ada.keyboard.press("Space")
    ada.keyboard.press("Shift+ArrowUp")
    expect(ada.locator("#selected-count")).to_have_text("2 selected")
    ada.keyboard.press("v")
    ada.get_by_role("dialog").get_by_role("button", name="Move", exact=True).click()
    expect(ada.locator("#said")).to_contain_text("2 conversations moved: Archive")
    expect(ada.locator("#total")).to_have_text("24 conversations")
    ada.keyboard.press("z")
    expect(ada.locator("#total")).to_have_text("26 conversations")


def test_it_fits_a_phone_and_is_accessible(ada: "Page") -> None:
    from playwright.sync_api import expect

    assert not violations(ada)
    ada.set_viewport_size({"width": 320, "height": 640})
    assert not ada.evaluate("document.documentElement.scrollWidth > innerWidth")
    ada.get_by_role("option").filter(has_text="Dinner").first.click()
    expect(ada.get_by_role("heading", name="Dinner")).to_be_visible()
    expect(ada.locator("#list")).to_be_hidden()
    assert not ada.evaluate("document.documentElement.scrollWidth > innerWidth")
    assert not violations(ada)
    ada.get_by_role("button", name="Back to the list").click()
    expect(ada.locator("#list")).to_be_focused()
    ada.get_by_role("button", name="Mailboxes").click()
    ada.get_by_role("link", name="Sent").click()
    expect(ada.get_by_text("Nothing is here.")).to_be_visible()


def fetched(server: Pillarbox, name: str, subject: str, *mailboxes: str) -> list[list[bytes]]:
    """The messages with this subject in each of the mailboxes, by IMAP; one that goes meanwhile is left out."""
    from imaplib import IMAP4_SSL

    found = []
    with IMAP4_SSL("localhost", server.ports["imaps"]) as imap:
        imap.login(f"{name}@home.example", PASSWORD)
        for mailbox in mailboxes:
            imap.select(mailbox, readonly=True)
            numbers = imap.search(None, "SUBJECT", f'"{subject}"')[1][0].split()
            items = [item for number in numbers for item in imap.fetch(number.decode(), "BODY[]")[1]]
            found.append([item[1] for item in items if isinstance(item, tuple)])
    return found


def test_a_reply_is_taken_back_and_sent_with_a_file(ada: "Page", server: Pillarbox) -> None:
    from playwright.sync_api import expect

    ada.get_by_role("option").filter(has_text="Dinner").first.click()
    expect(ada.get_by_role("heading", name="Dinner")).to_be_visible()
    ada.keyboard.press("r")
    text = ada.get_by_role("textbox", name="Text", exact=True)
    expect(text).to_be_focused()
    assert "> Yes, gladly." in text.input_value()
    ada.keyboard.type(f"See you there.\n{'word ' * 30}end")
    assert not violations(ada)
    ada.get_by_role("combobox", name="To").fill("not an address")
    ada.get_by_role("button", name="Send", exact=True).click()
    expect(ada.get_by_role("alert")).to_contain_text("is no e-mail address")
    ada.get_by_role("combobox", name="To").fill("Mary <mary@home.example>")
    ada.locator("#composer input[type=file]").set_input_files({"name": "menu.txt", "mimeType": "text/plain", "buffer": b"soup"})
    expect(ada.locator("#composer .attachments li")).to_contain_text("4 B")
    ada.get_by_role("button", name="Send later…").click()
    ada.get_by_role("button", name="Send then").click()
    expect(ada.locator("#said")).to_contain_text("It will be sent")
    ada.get_by_role("link", name="Scheduled").click()
    expect(ada.locator("#where")).to_have_text("Scheduled")
    expect(ada.get_by_role("option").filter(has_text="To: Mary").locator(".many")).to_have_count(0)
    ada.get_by_role("link", name="Sent").click()
    expect(ada.locator("#where")).to_have_text("Sent")
    ada.get_by_role("option").filter(has_text="To: Mary").click()
    expect(ada.locator(".fact").filter(has_text="It will be sent")).to_be_visible()
    ada.get_by_role("button", name="Take back").click()
    expect(text).to_have_value(re.compile(f"^See you there.\n{'word ' * 30}end\n"))
    ada.get_by_role("button", name="Send", exact=True).click()
    expect(ada.locator("#said")).to_contain_text("Sent.")
    (octets,), drafts = fetched(server, "ada", "Re: Dinner", "Sent", "Drafts")
    assert not drafts
    head = octets.partition(b"\r\n\r\n")[0]
    references = head.partition(b"References:")[2]
    assert b"In-Reply-To: <d2@x>" in head and references.split()[:2] == [b"<d1@x>", b"<d2@x>"]
    assert b"See you there." in octets and b"menu.txt" in octets
    assert b"text/plain; charset=utf-8; format=flowed" in octets and b"word \r\nword" in octets
    ada.get_by_role("option").filter(has_text="To: Mary").click()
    expect(ada.frame_locator("article.open iframe").last.locator("p").first).to_contain_text(f"{'word ' * 30}end")


def test_flowed_text_is_read_as_it_was_written(ada: "Page") -> None:
    module = ada.evaluate("document.querySelector('script[type=module]').src").replace("main.js", "flowed.js")
    words = "It is a truth universally acknowledged, that a single man in possession of a good fortune, must be in want of a wife. "
    texts = [
        *(words[:-1] * 3, f"> {words}", f">>> {words}x\n>> {words}y", f"{'x' * 90} yy", "-- \nAda", f"-- {'z' * 80} end", " indented"),
        *(f"{words[:60]}{' ' * count}>From {words}end" for count in range(1, 15)), ">", "", "\n\n", "From here", "Grüße " * 30 + "x",
    ]  # fmt: skip
    encoded = ada.evaluate("async ([module, texts]) => texts.map((await import(module)).encodeFlowed)", [module, texts])
    for text, flowed in zip(texts, encoded, strict=True):
        written = "\n".join(line if line == "-- " else line.rstrip() for line in text.split("\n"))
        assert unflowed(flowed, Flow(True)).replace("> \n", ">\n") == written or text == ">"
        assert all(len(line) <= 75 or " " not in line.strip(" >") or "z" * 80 in line for line in flowed.split("\n"))


def test_a_file_goes_on_where_its_upload_was_interrupted(ada: "Page", server: Pillarbox, tmp_path: Path) -> None:
    from playwright.sync_api import expect

    octets = random.Random(7).randbytes(9_000_000)
    sent: list[int] = []

    def upload(route: "Route") -> None:
        sent.append(int(route.request.headers.get("content-length") or 0) or len(route.request.post_data_buffer or b""))
        if len(sent) == 2:
            route.abort("connectionreset")
        else:
            route.continue_()

    ada.route("**/jmap/upload/**", upload)
    ada.keyboard.press("c")
    ada.get_by_label("Subject").fill("Large file")
    file = tmp_path / "film.bin"
    file.write_bytes(octets)
    ada.locator("#composer input[type=file]").set_input_files(file)
    expect(ada.locator("#composer .attachments li")).to_contain_text("9.0 MB")
    assert len(sent) == 4, "the part that was lost is sent again, and no other"
    ada.unroute("**/jmap/upload/**")
    with file.open("r+b") as stream:
        stream.truncate(45_000_000)
    ada.locator("#composer input[type=file]").set_input_files(file)
    expect(ada.locator("#composer .uploads [role=status]")).to_contain_text("too large: a message may have 50 MB of files")
    ada.get_by_role("button", name="Close and keep as a draft").click()
    expect(ada.locator("#said")).to_contain_text("Kept in Drafts")
    ((draft,),) = fetched(server, "ada", "Large file", "Drafts")
    (attached,) = [part for part in message_from_bytes(draft).walk() if part.get_filename() == "film.bin"]
    assert attached.get_payload(decode=True) == octets
    ada.faults[:] = [fault for fault in ada.faults if "ERR_CONNECTION_RESET" not in fault]  # type: ignore[attr-defined]


def test_what_was_typed_outlives_the_tab(browser: Chromium, ada: "Page", server: Pillarbox) -> None:
    from playwright.sync_api import expect

    ada.keyboard.press("c")
    ada.get_by_label("Subject").fill("Unfinished")
    ada.get_by_role("textbox", name="Text", exact=True).fill("the last words")
    expect(ada.locator("#draft-state")).to_contain_text("Kept in this browser")
    other = ada.context.new_page()
    other.goto("/mail/")
    ada.goto("about:blank")
    assert eventually(lambda: not other.evaluate(HELD)), "the tab that wrote it is gone for the browser, too"
    other.reload()
    other.get_by_role("button", name="Go on writing").click()
    expect(other.get_by_role("textbox", name="Text", exact=True)).to_have_value("the last words")
    other.get_by_role("button", name="Close and keep as a draft").click()
    expect(other.locator("#said")).to_contain_text("Kept in Drafts")
    assert other.evaluate("Object.keys(localStorage).filter(key => key.startsWith('draft')).length") == 0
    assert [len(one) for one in fetched(server, "ada", "Unfinished", "Drafts")] == [1]
    other.close()


def test_a_new_message_appears_by_itself(ada: "Page", server: Pillarbox) -> None:
    from playwright.sync_api import expect

    expect(ada.locator("html")).to_have_attribute("data-push", "leader")
    deliver(server, message("Just now", "hello\n"))
    expect(ada.get_by_role("option").filter(has_text="Just now")).to_have_count(1)


def test_hostile_html_neither_runs_nor_fetches_nor_leaves_its_frame(server: Pillarbox, signed_in: "Page") -> None:
    page = signed_in
    with counting_server() as (address, asked):
        texts = together()
        for part, html in enumerate(texts):
            deliver(server, message(f"Hostile {part}", "text\n", html=html.replace(EVIL, f"{address}/x")))
        page.goto("/mail/")
        page.get_by_role("option").first.wait_for()
        ids = page.evaluate("[...document.querySelectorAll('.row')].map(row => row.dataset.key.split(' ')[0])")[: len(texts)]
        dialogs: list[str] = []
        page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
        for part, one in zip(reversed(range(len(texts))), ids, strict=True):
            answer = page.goto(f"/mail/message/A1/{one}?images=0")
            assert ("before" if part < len(texts) - 1 else "text") in page.locator("body").inner_text()
            assert answer is not None and "sandbox allow-same-origin" in answer.headers["content-security-policy"]
            page.wait_for_load_state("networkidle")
            assert (
                page.url.split("?")[0].endswith(one) and page.evaluate("document.querySelectorAll('script, form, svg, iframe').length") == 0
            )
        assert not asked and not dialogs
        files = message("Hostile files", "text\n")
        files.add_attachment("<script>x()</script>", subtype="html", filename="a.html")
        files.add_attachment(b"<svg xmlns='http://www.w3.org/2000/svg' onload='x()'/>", "image", "svg+xml", filename="a.svg")
        deliver(server, files)
        page.goto("/mail/")
        newest = page.get_by_role("option").filter(has_text="Hostile files")
        number = (newest.get_attribute("data-key") or "").split()[0][1:]
        kinds = page.evaluate(
            """paths => Promise.all(paths.map(async path => {
                const answer = await fetch(path)
                const [kind, policy] = ["content-type", "content-security-policy"].map(name => answer.headers.get(name))
                return [answer.status, kind, policy.includes("sandbox")]
            }))""",
            [f"/mail/preview/A1/B{number}-2", f"/mail/source/A1/B{number}", f"/jmap/download/A1/B{number}-3/a.svg?accept=image/svg%2Bxml"],
        )
        types = ["text/plain; charset=utf-8", "text/plain; charset=utf-8", "application/octet-stream"]
        assert kinds == [[200, kind, True] for kind in types]
        assert page.goto(f"/mail/preview/A1/B{number}-3").status == 415  # type: ignore[union-attr]
        page.faults.clear()  # type: ignore[attr-defined]
