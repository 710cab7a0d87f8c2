"""Mailboxes made, renamed, deleted, emptied and read through in webmail; what was in one that is deleted is in the trash."""

from typing import TYPE_CHECKING

from tests.journeys.talk import Reader
from tests.support.server import Pillarbox
from tests.web.browser import violations
from tests.web.webmail.test_lists_and_focus import focus_is_somewhere, row
from tests.web.webmail.test_offline import offline, online

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route


def choose(page: "Page", choice: str) -> None:
    page.get_by_role("button", name="This mailbox").click()
    page.get_by_role("dialog").get_by_role("button", name=choice).click()


def mailbox(page: "Page", name: str) -> None:
    from playwright.sync_api import expect

    page.get_by_role("navigation", name="Mailboxes").get_by_role("link", name=name).click()
    expect(page.locator("#where")).to_have_text(name)
    page.locator("#list[aria-busy]").wait_for(state="detached")


def said(page: "Page", text: str) -> None:
    from playwright.sync_api import expect

    expect(page.locator("#said")).to_contain_text(text)
    assert focus_is_somewhere(page)


def test_a_mailbox_from_its_making_to_its_end(ada: "Page") -> None:
    from playwright.sync_api import expect

    ada.get_by_role("button", name="New mailbox", exact=True).click()
    dialog = ada.get_by_role("dialog")
    expect(dialog.get_by_label("Name")).to_be_focused()
    assert not violations(ada)
    dialog.get_by_label("Name").fill("School")
    ada.keyboard.press("Enter")
    said(ada, "The mailbox School is there now.")
    expect(ada.locator("#where")).to_have_text("School")

    choose(ada, "New mailbox in it")
    dialog.get_by_label("Name").fill("2026")
    assert dialog.get_by_label("In the mailbox").evaluate("one => one.selectedOptions[0].textContent") == "School"
    dialog.get_by_role("button", name="Make it").click()
    expect(ada.locator("#where")).to_have_text("2026")
    mailbox(ada, "School")
    choose(ada, "Delete it")
    said(ada, "There are mailboxes in School")

    mailbox(ada, "2026")
    choose(ada, "Rename or move it")
    dialog.get_by_label("Name").fill("Travel")
    dialog.get_by_label("In the mailbox").select_option("")
    dialog.get_by_role("button", name="Save").click()
    said(ada, "The mailbox is called Travel now.")
    expect(ada.locator("#where")).to_have_text("Travel")
    assert ada.locator("a[data-mailbox]", has_text="Travel").get_attribute("class") in (None, "")

    mailbox(ada, "Inbox")
    for number in (16, 17):
        row(ada, f"Number {number}").first.locator(".check").click()
    expect(ada.locator("#selected-count")).to_have_text("2 selected")
    ada.keyboard.press("v")
    dialog.get_by_label("To which mailbox?").select_option(label="Travel")
    dialog.get_by_role("button", name="Move").click()
    said(ada, "2 conversations moved: Travel")
    mailbox(ada, "Travel")
    expect(ada.get_by_role("option")).to_have_count(2)
    choose(ada, "Delete it")
    expect(dialog).to_contain_text("2 messages in it go to the trash.")
    dialog.get_by_role("button", name="Cancel").click()
    expect(ada.get_by_role("option")).to_have_count(2)
    choose(ada, "Delete it")
    dialog.get_by_role("button", name="Delete it").click()
    said(ada, "The mailbox Travel is deleted.")
    expect(ada.locator("#where")).to_have_text("Inbox")

    mailbox(ada, "Trash")
    expect(ada.get_by_role("option")).to_have_count(2)
    choose(ada, "Empty it")
    dialog.get_by_role("button", name="Delete for good").click()
    said(ada, "2 messages are gone for good")
    expect(ada.get_by_role("option")).to_have_count(0)


REFUSED = (
    ("", "Give it a name."), ("a/b", "no / in it"), ("Big*", "no * in it"), ("50%", "no % in it"), ("a\tb", "no tabs"),
    ("..", "more than dots"), ("x" * 101, "at most 100 characters"), ("archive", "There is a mailbox of that name already."),
)  # fmt: skip


def test_a_name_that_cannot_be_says_so_and_stays(ada: "Page", server: Pillarbox) -> None:
    """Also where only the server knows, and without a connection."""
    from playwright.sync_api import expect

    long = "/".join("abcd"[level] * 245 for level in range(4))
    with Reader(server.ports["imap"], "ada@home.example") as imap:
        imap.ok(b"CREATE Deep")
        imap.ok(b"CREATE Deep/%b" % long.encode())
        ada.get_by_role("navigation", name="Mailboxes").get_by_role("link", name="d" * 245).wait_for()
        ada.get_by_role("button", name="New mailbox", exact=True).click()
        dialog, name = ada.get_by_role("dialog"), ada.get_by_role("dialog").get_by_label("Name")
        for refused, why in REFUSED:
            name.fill(refused)
            ada.keyboard.press("Enter")
            expect(dialog.locator("#mailbox-name-fault")).to_contain_text(why)
            expect(name).to_be_focused()
            expect(name).to_have_value(refused)
            assert "fault" in str(name.get_attribute("aria-describedby")) and name.get_attribute("aria-invalid") == "true"
        assert not violations(ada)
        name.fill("Refused by the server")
        expect(dialog.locator("#mailbox-name-fault")).to_be_hidden()
        dialog.get_by_label("In the mailbox").select_option(label="\u2003" * 4 + "d" * 245)
        dialog.get_by_role("button", name="Make it").click()
        expect(dialog).to_contain_text("The server does not take this name here.")
        offline(ada)
        dialog.get_by_label("In the mailbox").select_option(label="Deep")
        dialog.get_by_role("button", name="Make it").click()
        expect(dialog.get_by_role("alert")).to_contain_text("there is no connection")
        online(ada)
        dialog.get_by_role("button", name="Make it").click()
        said(ada, "The mailbox Refused by the server is there now.")
        expect(ada.locator("#where")).to_have_text("Refused by the server")
        choose(ada, "Rename or move it")
        name.fill("100%")
        dialog.get_by_role("button", name="Save").click()
        expect(dialog.locator("#mailbox-name-fault")).to_contain_text("no % in it")
        ada.keyboard.press("Escape")
        expect(dialog).to_have_count(0)
        assert focus_is_somewhere(ada)
        for name_of in ("Deep/Refused by the server", *("/".join(("Deep", *long.split("/")[:level])) for level in range(4, -1, -1))):
            imap.ok(b'DELETE "%b"' % name_of.encode())
        mailbox(ada, "Inbox")


def test_all_is_read_and_undone(ada: "Page") -> None:
    from playwright.sync_api import expect

    row(ada, "Number 18").first.click()
    ada.get_by_role("heading", name="Number 18").wait_for()
    expect(ada.locator(".row.opened.unread")).to_have_count(0)
    unread = ada.locator(".row.unread")
    before = unread.count()
    assert before > 10
    choose(ada, "Mark all as read")
    said(ada, "messages are marked as read")
    expect(unread).to_have_count(0)
    ada.get_by_role("button", name="Undo").click()
    said(ada, "It is as it was.")
    expect(unread).to_have_count(before)


def test_mail_that_comes_while_a_mailbox_is_deleted_goes_to_the_trash(ada: "Page", server: Pillarbox) -> None:
    from playwright.sync_api import expect

    with Reader(server.ports["imap"], "ada@home.example") as imap:
        imap.ok(b"CREATE Leaving")
        imap.append("Leaving", [b"Subject: Leaving %d\r\n\r\ntext\r\n" % number for number in range(120)])
        mailbox(ada, "Leaving")
        link = ada.get_by_role("navigation", name="Mailboxes").get_by_role("link", name="Leaving")
        late = b"Subject: Came late\r\n\r\ntext\r\n"

        def first(route: "Route") -> None:
            if b"Email/set" in (route.request.post_data_buffer or b"") and late not in came:
                came.append(late)
                imap.append("Leaving", came)
            route.continue_()

        came: list[bytes] = []
        ada.route("**/jmap/api", first)
        choose(ada, "Delete it")
        ada.get_by_role("dialog").get_by_role("button", name="Delete it").click()
        said(ada, "The mailbox Leaving is deleted.")
        assert came
        ada.unroute("**/jmap/api")
        expect(link).to_have_count(0)
        mailbox(ada, "Trash")
        expect(row(ada, "Came late")).to_have_count(1)
        choose(ada, "Empty it")
        ada.get_by_role("dialog").get_by_role("button", name="Delete for good").click()
        expect(ada.get_by_role("option")).to_have_count(0)


def test_the_focus_stays_when_a_mailbox_goes_elsewhere(ada: "Page", server: Pillarbox) -> None:
    from playwright.sync_api import expect

    with Reader(server.ports["imap"], "ada@home.example") as imap:
        imap.ok(b"CREATE Passing")
        link = ada.get_by_role("navigation", name="Mailboxes").get_by_role("link", name="Passing")
        link.focus()
        imap.ok(b"DELETE Passing")
        expect(link).to_have_count(0)
        assert focus_is_somewhere(ada)


def test_what_another_shares_for_reading_is_copied_and_not_asked_about(ada: "Page", server: Pillarbox) -> None:
    from playwright.sync_api import expect

    with Reader(server.ports["imap"], "mary@home.example") as mary:
        for name, rights in ((b"Library", b"lr"), (b"Workshop", b"lrswipkxtea")):
            mary.ok(b"CREATE " + name)
            mary.append(name.decode(), [b"From: Mary <mary@x>\r\nSubject: In %b\r\n\r\ntext\r\n" % name])
            mary.ok(b"SETACL %b ada@home.example %b" % (name, rights))
        mailbox(ada, "Library")
        ada.locator("#list").press("#")
        said(ada, "You may not take out what is in this mailbox.")
        ada.locator("#list").press("v")
        dialog = ada.get_by_role("dialog")
        expect(dialog.locator("option", has_text="Sent")).to_have_count(0)
        dialog.get_by_label("To which mailbox?").select_option(label="Archive")
        dialog.get_by_role("button", name="Move").click()
        said(ada, "Copied, and here as before")
        expect(row(ada, "In Library")).to_have_count(1)
        mailbox(ada, "Workshop")
        choose(ada, "New mailbox in it")
        expect(dialog.get_by_label("In the mailbox").locator("option")).to_have_text(["Workshop"])
        dialog.get_by_label("Name").fill("Bench")
        dialog.get_by_role("button", name="Make it").click()
        said(ada, "The mailbox Bench is there now.")
        for name in (b"Workshop/Bench", b"Workshop", b"Library"):
            mary.ok(b"DELETE " + name)
        expect(ada.get_by_role("heading", name="Inbox")).to_be_visible()


def test_nothing_is_dropped_on_what_only_writing_fills(ada: "Page") -> None:
    before = ada.locator("#total").inner_text()
    for name in ("Sent", "Drafts"):
        row(ada, "Number 12").drag_to(ada.locator("#folders").get_by_role("link", name=name))
    assert ada.locator("#said").is_hidden() and ada.locator("#total").inner_text() == before


def test_on_a_phone_the_menu_has_the_way_out(ada: "Page") -> None:
    from playwright.sync_api import expect

    ada.set_viewport_size({"width": 320, "height": 640})
    ada.get_by_role("button", name="Mailboxes").click()
    expect(ada.get_by_role("navigation", name="Mailboxes").get_by_role("button", name="Sign out")).to_be_visible()
    assert not violations(ada) and not ada.evaluate("document.documentElement.scrollWidth > innerWidth")


def test_a_mailbox_deleted_elsewhere_leads_to_the_inbox(ada: "Page", server: Pillarbox) -> None:
    """Without the conversation of it that was open."""
    from playwright.sync_api import expect

    with Reader(server.ports["imap"], "ada@home.example") as imap:
        imap.ok(b"CREATE Gone")
        imap.append("Gone", [b"Subject: Was here\r\n\r\ntext\r\n"])  # type: ignore[attr-defined]
    mailbox(ada, "Gone")
    ada.get_by_role("option").filter(has_text="Was here").click()
    ada.get_by_role("heading", name="Was here").wait_for()
    with Reader(server.ports["imap"], "ada@home.example") as imap:
        imap.ok(b"DELETE Gone")
    expect(ada.locator("#where")).to_have_text("Inbox")
    expect(ada.locator("#conversation article")).to_have_count(0)
    assert "/" not in ada.evaluate("location.hash")
    ada.reload()
    expect(ada.locator("#where")).to_have_text("Inbox")
