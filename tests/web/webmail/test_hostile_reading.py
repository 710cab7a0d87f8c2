"""Messages that are made to break the page that shows them: it shows them, and says what is to be said."""

import struct
from email import message_from_bytes, message_from_string
from typing import TYPE_CHECKING

import pytest

from tests.journeys.talk import Reader
from tests.support.server import Pillarbox
from tests.support.wire import eventually
from tests.web.browser import PICTURE_WIDTH, of_document
from tests.web.webmail.mailing import PNG, deliver, message, pictures
from tests.web.webmail.test_managing import mailbox
from tests.web.webmail.test_writing import throw_away

if TYPE_CHECKING:
    from email.message import Message

    from playwright.sync_api import FrameLocator, Locator, Page, Route

TALL = b"BM" + struct.pack("<IIIIiiHHIIiiII", 54 + 600 * 4, 0, 54, 40, 1, 600, 1, 24, 0, 600 * 4, 0, 0, 0, 0) + bytes(600 * 4)
"""A picture of 1 by 600."""


def shown(ada: "Page", server: Pillarbox, hostile: "Message", subject: str = "") -> "FrameLocator":
    """The frame of the message, delivered and opened."""
    deliver(server, hostile)
    ada.get_by_role("option").filter(has_text=subject or str(hostile["Subject"])).click()
    return ada.frame_locator("article.open iframe")


def test_an_event_on_no_day_hides_nothing_else(ada: "Page", server: Pillarbox) -> None:
    from playwright.sync_api import expect

    hostile = message("No day", "text", html="<p>See <img src='http://tracker.example/t.gif'></p>")
    hostile.add_attachment("BEGIN:VEVENT\r\nDTSTART:20261399T990000Z\r\nEND:VEVENT\r\n", subtype="calendar")
    expect(shown(ada, server, hostile).get_by_text("See")).to_be_visible()
    expect(ada.get_by_role("button", name="Show images")).to_be_visible()


def test_a_date_far_from_any_zone_and_half_characters(ada: "Page", server: Pillarbox) -> None:
    from playwright.sync_api import expect

    hostile = message_from_bytes(
        b"From: =?utf-7?q?+3AA-?= <a@friends.example>\nDate: Mon, 01 Jan 2024 00:00:00 +9959\nSubject: Far =?utf-7?q?+2AA-?= away\n"
        b"Content-Type: text/plain; charset=utf-7\n\nhalf +2AA- a character\n"
    )
    expect(shown(ada, server, hostile, "Far \ufffd away").get_by_text("half \ufffd a character")).to_be_visible()


def test_the_end_of_a_very_long_text_is_reached_by_wheel(ada: "Page", server: Pillarbox) -> None:
    from playwright.sync_api import expect

    frame = shown(ada, server, message("Very long", "".join(f"line {number}\n" for number in range(3000)) + "the very end\n"))
    expect(frame.get_by_text("the very end")).to_be_attached()

    def wheeled() -> float:
        """As often as a reader would: the first turns may come before the frame has its height."""
        ada.locator("article.open iframe").hover(position={"x": 50, "y": 200})
        ada.mouse.wheel(0, 50_000)
        return float(of_document(ada, "document => document.documentElement.scrollTop"))

    assert eventually(lambda: wheeled() > 30_000)


def test_files_in_the_text_are_listed_and_saved(ada: "Page", server: Pillarbox) -> None:
    from zipfile import ZipFile

    hostile = message("Files in the text", "text")
    for kind, subtype, name in (
        ("application", "pdf", "a.pdf"),
        ("image", "heic", "b.heic"),
        ("image", "svg+xml", "c.svg"),
        ("audio", "mpeg", "d.mp3"),
    ):
        hostile.add_attachment(b"%PDF-1.4", kind, subtype, filename=name, disposition="inline", cid=f"<{name}>")
    hostile.add_attachment(PNG, "image", "png", filename="e.png", disposition="inline", cid="<e.png>")
    hostile.add_attachment(PNG, "image", "png", filename="f.png", disposition="inline")
    frame = shown(ada, server, hostile)
    for name in ("a.pdf", "b.heic", "c.svg", "d.mp3"):
        ada.get_by_role("link", name=f"Save {name}").wait_for()
    frame.locator("img").first.wait_for()
    assert of_document(ada, PICTURE_WIDTH) == 10
    with ada.expect_download() as download:
        ada.get_by_role("link", name="Save all in one file").click()
    with ZipFile(download.value.path()) as archive:
        assert sorted(archive.namelist()) == ["a.pdf", "b.heic", "c.svg", "d.mp3"]
    ada.get_by_role("button", name="Forward").click()
    for name in ("a.pdf", "b.heic", "c.svg", "d.mp3", "f.png"):
        ada.locator("#composer .uploads").get_by_text(name).wait_for()
    throw_away(ada)


def test_files_are_saved_whatever_their_names_are(ada: "Page", server: Pillarbox) -> None:
    names = {
        "a%E2%80%AEgpj.exe": "a_gpj.exe",
        "..": "without a name",
        "a%00b%0D%0A.txt": "a_b__.txt",
        "n" * 4000 + ".pdf": "~nnnnnnnnnnnnnnnn.pdf",
        "x%2F..%2Fy": "x_.._y",
    }
    parts = "".join(f"--b\nContent-Disposition: attachment; filename*=utf-8''{name}\n\nx\n" for name in names)
    head = "From: a@friends.example\nSubject: Names of files\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\ntext\n"
    shown(ada, server, message_from_string(f"{head}{parts}--b--\n"))
    for number, name in enumerate(names.values()):
        row = ada.locator(".attachments li").nth(number)
        assert "\u202e" not in row.inner_text()
        with ada.expect_download() as download:
            row.get_by_role("link").click()
        assert download.value.suggested_filename.endswith(name) and download.value.path().read_bytes().strip() == b"x"


def test_a_name_that_is_another_address_is_not_shown_for_the_sender(ada: "Page", server: Pillarbox) -> None:
    from playwright.sync_api import expect

    forged = message_from_bytes(
        b'From: "info@bank.example" <evil@evil.example>, =?utf-8?q?=E2=80=AEknab?= <b@evil.example>\nSubject: Your account\n\ntext\n'
    )
    shown(ada, server, forged)
    row = ada.get_by_role("option").filter(has_text="Your account")
    expect(row).to_contain_text("evil@evil.example")
    expect(row).not_to_contain_text("bank.example")
    ada.get_by_text("evil@evil.example, b@evil.example to nobody named").click()
    expect(ada.locator(".addresses dd").first).to_have_text("info@bank.example <evil@evil.example>, \ufffdknab <b@evil.example>")


def test_addresses_of_mail_are_written_to_as_they_stand(ada: "Page", server: Pillarbox) -> None:
    from playwright.sync_api import expect

    html = "<a href='mailto:%zz@x.example?subject=C++&body=one?two%0D%0Athree&attach=/etc/passwd'>write</a>"
    frame = shown(ada, server, message("A strange address", "text", html=html))
    ada.locator("article.open iframe[style*=height]").wait_for()  # the page hears clicks in it
    frame.get_by_text("write").click()
    expect(ada.get_by_label("Subject")).to_have_value("C++")
    expect(ada.get_by_role("textbox", name="Text", exact=True)).to_have_value("one?two\nthree")
    expect(ada.get_by_role("combobox", name="To")).to_have_value("%zz@x.example")
    throw_away(ada)


def test_pictures_of_a_message_that_another_shares(ada: "Page", server: Pillarbox) -> None:
    with Reader(server.ports["imap"], "mary@home.example") as mary:
        mary.ok(b"CREATE Pictures")  # type: ignore[attr-defined]
        mary.append("Pictures", [pictures().as_bytes().replace(b"\n", b"\r\n")])  # type: ignore[attr-defined]
        mary.ok(b"SETACL Pictures ada@home.example lrs")  # type: ignore[attr-defined]
        mailbox(ada, "Pictures")
        ada.get_by_role("option").filter(has_text="Holiday").click()
        ada.frame_locator("article.open iframe").locator("img[alt=us]").wait_for()
        assert of_document(ada, PICTURE_WIDTH) == 10


def test_a_subject_and_recipients_without_end_leave_room_for_the_text(ada: "Page", server: Pillarbox) -> None:
    from playwright.sync_api import expect

    everybody = ",\n ".join(f"Somebody Else <number{number}@friends.example>" for number in range(500))
    head = f"From: a@friends.example\nTo: {everybody}\nSubject: Without end{(chr(10) + ' word') * 5000}\n\nthe text\n"
    expect(shown(ada, server, message_from_string(head), "Without end").get_by_text("the text")).to_be_in_viewport()


def height(frame: "Locator") -> float:
    box = frame.bounding_box()
    return box["height"] if box else 0


@pytest.mark.parametrize("around", ["<table align=left><tr><td>{}</table>", "<div style='height:10px'>{}</div>"])
def test_a_picture_that_comes_late_is_not_cut_off(ada: "Page", server: Pillarbox, around: str) -> None:
    """What floats or is higher than its box does not change the height of what is around it."""
    subject = f"Late {around[1:4]}"
    hostile = message(subject, "text", html=around.format("<img src='cid:tall' alt=tall>"))
    hostile.get_payload()[1].add_related(TALL, "image", "bmp", cid="<tall>")
    held: list[Route] = []
    ada.route("**/mail/image/*", lambda route: held.append(route))
    shown(ada, server, hostile)
    frame = ada.locator("article.open iframe")
    assert eventually(lambda: height(frame) < 200 and held)
    held[0].continue_()
    assert eventually(lambda: height(frame) >= 600), "all of it is seen"
    ada.unroute("**/mail/image/*")
