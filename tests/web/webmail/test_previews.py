"""Files of a message looked at in a dialog: what is no picture, PDF or text says so, and text is read by what it is."""

from typing import TYPE_CHECKING

from tests.support.server import Pillarbox
from tests.web.browser import fitted
from tests.web.webmail.mailing import PNG, deliver, message
from tests.web.webmail.test_lists_and_focus import row

if TYPE_CHECKING:
    from playwright.sync_api import Page

PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj trailer<</Root 1 0 R>>"
TEXTS = {
    "utf-8.txt": ("Grüße, 日本".encode(), "utf-8"),
    "latin-1.txt": ("Grüße".encode("latin-1"), "us-ascii"),
    "table.csv": (b"a,b", "utf-8"),
}
"""Without a word of their charset: octets, and what a browser is told."""
LOOKED = "src => fetch(src).then(async one => [one.status, one.headers.get('content-type'), await one.text()])"


def looked_at(page: "Page", name: str) -> tuple[int, str, str]:
    """Status, type and text of what the dialog of this file shows; the dialog is closed again."""
    page.get_by_role("button", name=name, exact=True).click()
    shown = page.locator("dialog.look iframe")
    found = page.evaluate(LOOKED, shown.get_attribute("src"))
    page.get_by_role("button", name="Close").click()
    return tuple(found)


def test_what_cannot_be_shown_says_so(ada: "Page", server: Pillarbox) -> None:
    from playwright.sync_api import expect

    made = message("Odd files", "text\n")
    for name, octets in (("good.png", PNG), ("empty.png", b""), ("invoice.pdf", PDF), ("fake.pdf", b"<script>1</script>")):
        kind = ("image", "png") if name.endswith("png") else ("application", "octet-stream" if octets is PDF else "pdf")
        made.add_attachment(octets, *kind, filename=name)
    made.add_attachment(b"<b>", "text", "html", filename="page.html")
    deliver(server, made)
    row(ada, "Odd files").click()
    fitted(ada)
    ada.get_by_role("button", name="empty.png").click()
    expect(ada.locator("dialog.look")).to_contain_text("This file cannot be shown here.")
    ada.get_by_role("button", name="Close").click()
    ada.get_by_role("button", name="good.png").click()
    expect(ada.locator("dialog.look img")).to_have_js_property("naturalWidth", 10)
    ada.get_by_role("button", name="Close").click()
    assert looked_at(ada, "invoice.pdf")[:2] == (200, "application/pdf")
    assert looked_at(ada, "fake.pdf") == (415, "text/plain; charset=utf-8", "This file cannot be shown here.")
    assert ada.get_by_role("button", name="page.html").count() == 0
    ada.faults[:] = [fault for fault in ada.faults if "415" not in fault]  # type: ignore[attr-defined]


def test_text_that_does_not_say_what_it_is(ada: "Page", server: Pillarbox) -> None:
    made = message("Odd texts", "text\n")
    for name, (octets, _) in TEXTS.items():
        made.add_attachment(octets, "text", "csv" if name.endswith("csv") else "plain", filename=name)
    deliver(server, made)
    row(ada, "Odd texts").click()
    fitted(ada)
    for name, (_, charset) in TEXTS.items():
        assert looked_at(ada, name)[:2] == (200, f"text/plain; charset={charset}")
