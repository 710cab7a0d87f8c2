"""What a message says above its text, in a real browser."""

import re
from collections.abc import Iterator
from email.message import EmailMessage
from typing import TYPE_CHECKING

import pytest

from tests.journeys.talk import Reader
from tests.support.server import PASSWORD, Pillarbox
from tests.web.browser import Chromium, sign_in, violations
from tests.web.webmail.calendars import APPLE_REPLY, NEXTCLOUD_CANCEL, OUTLOOK_COUNTER, OUTLOOK_REQUEST, TASK
from tests.web.webmail.mailing import deliver, message

if TYPE_CHECKING:
    from playwright.sync_api import Page


@pytest.fixture
def reader(browser: Chromium, signed_in: "Page") -> Iterator["Page"]:
    """Ada in Berlin, whose language is English; her inbox."""
    page = browser.page(timezone_id="Europe/Berlin")
    sign_in(page, "ada@home.example", PASSWORD)
    page.goto("/mail/")
    page.get_by_role("option").first.wait_for()
    yield page
    assert not page.faults  # type: ignore[attr-defined]
    page.context.close()


def test_an_invitation_whose_words_do_not_load(server: Pillarbox, browser: Chromium) -> None:
    from playwright.sync_api import expect

    page = browser.page(service_workers="block")
    sign_in(page, "ada@home.example", PASSWORD)
    page.route("**/invitation.js", lambda route: route.abort())
    page.goto("/mail/")
    page.get_by_role("option").filter(has_text="Holiday pictures").click()
    expect(page.get_by_text("What this invitation says could not be read")).to_be_visible()
    page.context.close()


def with_calendar(subject: str, calendar: str) -> EmailMessage:
    made = message(subject, "See the calendar.\n")
    method = next(line.partition(":")[2] for line in calendar.splitlines() if line.startswith("METHOD:"))
    made.add_alternative(calendar, subtype="calendar", params={"method": method})
    return made


def test_what_a_calendar_asks_and_answers(server: Pillarbox, reader: "Page") -> None:
    from playwright.sync_api import expect

    told = {
        "Series": (OUTLOOK_REQUEST, (
            "Changed invitation: Hausaufgabenhilfe", "Wednesday, 7 October 2026", "18:00–19:00", "From: Smith, Mary",
            "It repeats. These dates differ: 21 October 2026",
        )),
        "Counter": (OUTLOOK_COUNTER, ("Mary Smith proposes another time: New time proposed: Dinner", "19:00–21:00")),
        "Reply": (APPLE_REPLY, ("Mary Smith declines: Concert", "1 August 2026", "20:00–22:30")),
        "Cancel": (NEXTCLOUD_CANCEL, ("Called off: Yoga", "02:30–03:30", "some dates of a series: 3 December 2026; 10 December 2026")),
        "Task": (TASK, ("Task: Water the plants", "5 December 2026")),
    }  # fmt: skip
    deliver(server, *(with_calendar(subject, calendar) for subject, (calendar, _) in told.items()))
    for subject, (_, texts) in told.items():
        reader.get_by_role("option").filter(has_text=subject).first.click()
        expect(reader.get_by_role("heading", name=subject, exact=True)).to_be_visible()
        for text in texts:
            expect(reader.locator(".fact.invitation")).to_contain_text(text)
        expect(reader.locator(".attachments li")).to_contain_text("calendar.ics")
    assert not violations(reader)


def test_who_writes_my_address_into_a_message_is_not_me(server: Pillarbox, reader: "Page") -> None:
    from playwright.sync_api import expect

    forged = message("I recorded you", "Pay me.\n", name="Ada")
    forged.replace_header("From", "Ada <ada@home.example>")
    deliver(server, forged)
    row = reader.get_by_role("option").filter(has_text="I recorded you")
    expect(row.locator(".who")).to_have_text("Ada")
    row.click()
    expect(reader.locator("article .who")).to_have_text("Ada")
    expect(reader.locator(".fact.bad")).to_contain_text("nobody signed in here to send it")
    assert not violations(reader)
    reader.keyboard.press("c")
    reader.get_by_role("combobox", name="To").fill("mary@home.example")
    reader.get_by_label("Subject").fill("Mine")
    reader.get_by_role("textbox", name="Text", exact=True).fill("Really.")
    reader.get_by_role("button", name="Close and keep as a draft").click()
    expect(reader.locator("#said")).to_contain_text("Kept in Drafts")
    reader.get_by_label("Search mail").fill("Really.")
    expect(reader.get_by_role("option").filter(has_text="Mine").locator(".who")).to_have_text("Me")


def test_what_the_server_s_own_results_say_of_a_sender(server: Pillarbox, reader: "Page") -> None:
    """As they stand above mail that was brought in from where such a server verified it; a forged field below counts for nothing."""
    from playwright.sync_api import expect

    told = {
        "Passed": ("dmarc=pass header.from=friends.example", ""),
        "Signed": ("dkim=pass header.d=friends.example; dmarc=none header.from=friends.example", ""),
        "List": ("dkim=pass header.d=list.example; dmarc=fail (p=none) header.from=friends.example", "of friends.example by list.example"),
        "Unknown": ("spf=softfail smtp.mailfrom=a@friends.example; arc=pass (i=1)", "could not be confirmed"),
        "Refused": ("dmarc=fail (p=reject) header.from=friends.example; arc=pass", "probably not from friends.example"),
    }  # fmt: skip
    with Reader(server.ports["imap"], "ada@home.example") as imap:
        (arrived, *_) = imap.bodies("INBOX").values()
        name = re.search(rb"\r\n by (\S+) ", arrived)[1].decode()  # type: ignore[index]
        for subject, (results, _) in told.items():
            head = f"Authentication-Results: {name}; {results}\nReceived: by x.example; Mon, 1 Jun 2026 10:00:00 +0000\n"
            forged = f"Authentication-Results: {name}; dmarc={'fail' if subject == 'Passed' else 'pass'} header.from=friends.example\n"
            octets = head.encode() + forged.encode() + message(subject, "text\n").as_bytes()
            imap.append("INBOX", [octets.replace(b"\n", b"\r\n")])
    for subject, (_, sentence) in told.items():
        reader.get_by_role("option").filter(has_text=subject).first.click()
        expect(reader.get_by_role("heading", name=subject, exact=True)).to_be_visible()
        expect(reader.frame_locator("article.open iframe").locator("body")).to_contain_text("text")
        if sentence:
            expect(reader.locator(".fact")).to_contain_text(sentence)
        else:
            expect(reader.locator("article .facts-of .fact")).to_have_count(0)


def test_a_message_of_thousands_of_files_lists_some_and_the_others_when_asked(server: Pillarbox, reader: "Page") -> None:
    from playwright.sync_api import expect

    many = message("Many files", "See the files.\n")
    for number in range(1200):
        many.add_attachment(b"x" * number, "application", "octet-stream", filename=f"file {number}.bin")
    deliver(server, many)
    reader.get_by_role("option").filter(has_text="Many files").click()
    listed = reader.locator(".attachments li")
    expect(reader.get_by_role("heading", name="1,200 attachments")).to_be_visible()
    expect(listed).to_have_count(40)
    expect(listed.last).to_contain_text("39 B")
    assert not violations(reader)
    reader.get_by_role("button", name="Show 1,160 more files").click()
    expect(listed).to_have_count(1200)
    expect(reader.get_by_role("link", name="Save file 40.bin", exact=True)).to_be_focused()
    expect(listed.last).to_contain_text("1.2 kB")
