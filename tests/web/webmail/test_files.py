"""Files of a message: what stands in the list of a message is sent with it, whatever happens to drafts, tabs and the files meanwhile."""

from email import message_from_bytes
from email.message import Message
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.server import PASSWORD, Pillarbox
from tests.support.wire import eventually
from tests.web.browser import Chromium, sign_in
from tests.web.webmail.network import routed
from tests.web.webmail.test_journeys import fetched
from tests.web.webmail.test_offline import CLOSE, open_draft
from tests.web.webmail.test_writing import begin, text, throw_away

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page, Route

AWAY = """state => {
  Object.defineProperty(document, "visibilityState", { get: () => state, configurable: true })
  document.dispatchEvent(new Event("visibilitychange"))
}"""
DROP = """([name, type]) => {
  const dataTransfer = new DataTransfer()
  dataTransfer.items.add(new File(["octets"], name, { type }))
  document.querySelector("#composer").dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true, cancelable: true }))
}"""


def hide(page: "Page") -> None:
    page.evaluate(AWAY, "hidden")
    page.evaluate(AWAY, "visible")


def save(page: "Page", server: Pillarbox, subject: str, version: str) -> None:
    """As when the tab goes out of sight: again and again, since with a file it does not save at every time."""
    assert eventually(lambda: hide(page) is None and words(server, subject) == [version])  # type: ignore[func-returns-value]


def items(page: "Page") -> "Locator":
    return page.locator("#composer .uploads li")


def attach(page: "Page", file: dict[str, object] | Path) -> None:
    page.locator("#composer input[type=file]").set_input_files(file)  # type: ignore[arg-type]


def note(octets: bytes) -> dict[str, object]:
    return {"name": "note.txt", "mimeType": "text/plain", "buffer": octets}


def parts(server: Pillarbox, subject: str, mailbox: str, *empty: str) -> list[Message]:
    """Those with a file of the only message of this subject, which is not in the other mailboxes."""
    (octets,), *others = fetched(server, "ada", subject, mailbox, *empty)
    assert not any(others)
    return [part for part in message_from_bytes(octets).walk() if part.get_content_disposition() == "attachment"]


def words(server: Pillarbox, subject: str) -> list[str]:
    """The texts of its drafts."""
    found = [message_from_bytes(one) for one in fetched(server, "ada", subject, "Drafts")[0]]
    return [
        str(part.get_payload()).strip()
        for one in found
        for part in one.walk()
        if part.get_content_disposition() is None and not part.is_multipart()
    ]


def opened_with_file(page: "Page", subject: str, octets: bytes) -> None:
    """A draft with a file, kept in Drafts and opened again."""
    from playwright.sync_api import expect

    begin(page, subject, "one")
    attach(page, note(octets))
    expect(items(page)).to_contain_text(f"{len(octets)} B")
    page.get_by_role("button", name=CLOSE).click()
    page.locator("#composer").wait_for(state="detached")
    open_draft(page, subject)


def test_the_files_of_a_draft_outlive_that_it_is_written_on(ada: "Page", server: Pillarbox) -> None:
    """Each save is another message in place of the one whose parts they are."""
    from playwright.sync_api import expect

    opened_with_file(ada, "With a file", b"The only copy")
    for version in ("two", "three"):
        text(ada).fill(version)
        save(ada, server, "With a file", version)
    ada.reload()
    ada.locator("#said").get_by_role("button", name="Go on writing").click()
    text(ada).fill("four")
    save(ada, server, "With a file", "four")
    ada.get_by_role("button", name="Throw away").click()
    ada.locator("#said").get_by_role("button", name="Undo").click()
    ada.get_by_role("combobox", name="To").fill("mary@home.example")
    for _ in range(2):
        ada.get_by_role("button", name="Send", exact=True).click()
        expect(ada.locator("#said")).to_contain_text("Sent.")
        (part,) = parts(server, "With a file", "Sent", "Drafts", "Trash")
        ada.locator("#said").get_by_role("button", name="Undo").click()
        expect(ada.locator("#said")).to_contain_text("Taken back")
        assert (part.get_filename(), part.get_payload(decode=True)) == ("note.txt", b"The only copy")
    throw_away(ada)


def test_a_save_that_is_refused_leaves_the_draft_before_it(ada: "Page", server: Pillarbox) -> None:
    from playwright.sync_api import expect

    opened_with_file(ada, "Refused", b"kept")
    ada.route("**/jmap/api", lambda route: route.continue_(post_data=(route.request.post_data or "").replace('"text/plain"', '"no type"')))
    text(ada).fill("two")
    ada.get_by_role("button", name=CLOSE).click()
    expect(ada.locator("#composer [role=alert]")).to_contain_text("but not in Drafts")
    assert words(server, "Refused") == ["one"]
    ada.unroute("**/jmap/api")
    ada.get_by_role("button", name=CLOSE).click()
    ada.locator("#composer").wait_for(state="detached")
    assert words(server, "Refused") == ["two"] and len(parts(server, "Refused", "Drafts")) == 1


def test_a_message_is_not_sent_without_a_file_of_its_list(ada: "Page", server: Pillarbox) -> None:
    """Also when the tab is loaded anew before the file was there."""
    from playwright.sync_api import expect

    begin(ada, "Without", "See the file")
    ada.get_by_role("combobox", name="To").fill("mary@home.example")
    routed(ada, "**/jmap/upload/**", lambda route: route.fulfill(status=400, body="{}"))
    attach(ada, note(b"x"))
    expect(items(ada)).to_contain_text("was refused by the server")
    ada.get_by_role("button", name="Send", exact=True).click()
    expect(ada.locator("#composer [role=alert]")).to_have_text("note.txt is not attached. Try again, or remove it.")
    hide(ada)
    ada.unroute("**/jmap/upload/**")
    ada.faults[:] = [fault for fault in ada.faults if " 400 " not in fault]  # type: ignore[attr-defined]
    ada.reload()
    ada.locator("#said").get_by_role("button", name="Go on writing").click()
    expect(items(ada)).to_contain_text("did not get there: attach it again")
    ada.get_by_role("button", name="Send", exact=True).click()
    expect(ada.locator("#composer [role=alert]")).to_contain_text("note.txt is not attached.")
    assert fetched(server, "ada", "Without", "Sent") == [[]]
    items(ada).get_by_role("button", name="Remove note.txt").click()
    ada.get_by_role("button", name="Send", exact=True).click()
    expect(ada.locator("#said")).to_contain_text("Sent.")


def test_a_file_that_is_tried_again_shows_how_far_it_is(ada: "Page") -> None:
    from playwright.sync_api import expect

    begin(ada, "Again")
    routed(ada, "**/jmap/upload/**", lambda route: route.fulfill(status=400, body="{}"))
    attach(ada, note(b"x"))
    expect(items(ada)).to_contain_text("was refused by the server")
    ada.unroute("**/jmap/upload/**")
    held: list[Route] = []
    routed(ada, "**/jmap/upload/**", lambda route: held.append(route))
    items(ada).get_by_role("button", name="Try again").click()
    expect(items(ada).get_by_role("progressbar")).to_be_visible()
    expect(items(ada)).not_to_contain_text("was refused")
    assert eventually(lambda: ada.wait_for_timeout(50) is None and held)
    held[0].continue_()
    expect(items(ada)).to_contain_text("1 B")
    ada.unroute("**/jmap/upload/**")
    throw_away(ada)
    ada.faults[:] = [fault for fault in ada.faults if " 400 " not in fault]  # type: ignore[attr-defined]


def test_a_file_that_cannot_be_read_is_no_lost_connection(ada: "Page", tmp_path: Path) -> None:
    """It was changed after it was chosen; a folder that is dropped."""
    from playwright.sync_api import expect

    begin(ada, "Unreadable")
    file = tmp_path / "log.txt"
    file.write_bytes(b"x")
    routed(ada, "**/jmap/upload/**", lambda route: (file.write_bytes(b"longer"), route.abort("failed")))
    attach(ada, file)
    expect(items(ada).first).to_contain_text("cannot be read")
    ada.unroute("**/jmap/upload/**")
    folder = tmp_path / "folder"
    folder.mkdir()
    box = ada.locator("#composer").bounding_box()
    assert box
    session = ada.context.new_cdp_session(ada)
    data = {"items": [], "files": [str(folder)], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        session.send("Input.dispatchDragEvent", {"type": kind, "x": box["x"] + 50, "y": box["y"] + 50, "data": data})
    expect(items(ada).nth(1)).to_contain_text("cannot be read")
    expect(ada.locator("#banner")).to_be_hidden()
    session.detach()
    throw_away(ada)
    ada.faults.clear()  # type: ignore[attr-defined]


def test_a_file_that_went_with_the_draft_of_another_device_is_named(ada: "Page", browser: Chromium, server: Pillarbox) -> None:
    """What was typed goes to Drafts as soon as the file is taken out of the list."""
    from playwright.sync_api import expect

    begin(ada, "Both have it", "base")
    attach(ada, note(b"x"))
    expect(items(ada)).to_contain_text("1 B")
    ada.get_by_role("button", name=CLOSE).click()
    ada.locator("#composer").wait_for(state="detached")
    other = browser.page()
    sign_in(other, "ada@home.example", PASSWORD)
    other.goto("/mail/")
    for page in (ada, other):
        open_draft(page, "Both have it")
    text(ada).fill("one")
    ada.get_by_role("button", name=CLOSE).click()
    ada.locator("#composer").wait_for(state="detached")
    text(other).fill("two")
    other.get_by_role("button", name=CLOSE).click()
    expect(items(other)).to_contain_text("is not on the server any more: attach it again")
    items(other).get_by_role("button", name="Remove note.txt").click()
    other.get_by_role("button", name=CLOSE).click()
    other.locator("#composer").wait_for(state="detached")
    assert sorted(words(server, "Both have it")) == ["one", "two"]
    other.context.close()


@pytest.mark.parametrize(
    ("name", "kind", "becomes"),
    [
        ("tab\tline\nend\x85.txt", "text/plain;charset=utf-8", ("tab line end .txt", "text/plain")),
        ("page.mhtml", "multipart/related", ("page.mhtml", "application/octet-stream")),
        ("photo", "image/*", ("photo", "application/octet-stream")),
    ],
)
def test_a_file_with_an_odd_name_or_type_is_sent(ada: "Page", server: Pillarbox, name: str, kind: str, becomes: tuple[str, str]) -> None:
    from playwright.sync_api import expect

    subject = f"Odd {becomes[0]}"
    begin(ada, subject)
    ada.get_by_role("combobox", name="To").fill("mary@home.example")
    ada.evaluate(DROP, [name, kind])
    expect(items(ada)).to_contain_text("6 B")
    ada.get_by_role("button", name="Send", exact=True).click()
    expect(ada.locator("#said")).to_contain_text("Sent.")
    (part,) = parts(server, subject, "Sent")
    assert (part.get_filename(), part.get_content_type(), part.get_payload(decode=True)) == (*becomes, b"octets")
