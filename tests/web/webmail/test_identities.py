"""Who a message is from: the identity it came to, and what that brings along; and what of a message is forwarded."""

from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import TYPE_CHECKING

import pytest

from tests.support.server import Pillarbox, pillarbox
from tests.support.wire import eventually
from tests.web.webmail.mailing import PNG, deliver, message
from tests.web.webmail.test_journeys import fetched
from tests.web.webmail.test_offline import CLOSE, open_draft
from tests.web.webmail.test_writing import begin, text, throw_away

if TYPE_CHECKING:
    from playwright.sync_api import Page

SET = """async address => {
  const { call } = await import(document.querySelector("script[type=module]").src.replace("main.js", "jmap.js"))
  const { list } = await call("Identity/get", { ids: null })
  const office = [{ name: "Office", email: "office@home.example" }], copy = [{ name: null, email: "mary@home.example" }]
  const { id } = list.find(one => one.email === address)
  await call("Identity/set", { update: { [id]: { name: "Ada Lovelace", replyTo: office, bcc: copy, textSignature: "Ada\\nLondon" } } })
}"""
ALIAS = "lovelace@home.example"


@pytest.fixture
def alias(ada: "Page", server: Pillarbox) -> str:
    pillarbox("alias", "add", ALIAS, "ada@home.example", data=server.data, check=False)
    ada.evaluate(SET, ALIAS)
    ada.reload()
    ada.get_by_role("option").first.wait_for()
    return f"Ada Lovelace <{ALIAS}>"


def sender(page: "Page") -> str:
    return str(page.locator("#compose-from").evaluate("one => one.selectedOptions[0].textContent"))


def answer(page: "Page", subject: str, key: str = "r") -> None:
    page.get_by_role("option").filter(has_text=subject).first.click()
    page.get_by_role("heading", name=subject).wait_for()
    page.locator("article.open iframe").last.wait_for()
    page.keyboard.press(key)
    page.locator("#composer").wait_for()


def test_an_identity_brings_reply_to_bcc_and_signature(ada: "Page", alias: str, server: Pillarbox) -> None:
    from playwright.sync_api import expect

    begin(ada, "From the alias")
    ada.get_by_role("combobox", name="To").fill("ada@home.example")
    ada.get_by_label("From").select_option(label=alias)
    expect(text(ada)).to_have_value("\n\n-- \nAda\nLondon")
    ada.get_by_label("From").select_option(label="ada@home.example")
    expect(text(ada)).to_have_value("")
    expect(ada.locator("#compose-bcc")).to_have_value("")
    ada.get_by_label("From").select_option(label=alias)
    expect(ada.locator("#compose-bcc")).to_have_value("mary@home.example")
    ada.keyboard.press("Control+Enter")
    expect(ada.locator("#said")).to_contain_text("Sent.")
    assert eventually(lambda: len(fetched(server, "mary", "From the alias", "INBOX")[0]) == 1)
    arrived = message_from_bytes(fetched(server, "mary", "From the alias", "INBOX")[0][0], policy=default)
    assert (arrived["From"], arrived["Reply-To"], arrived["Bcc"]) == (alias, "Office <office@home.example>", None)
    assert arrived.get_content().splitlines()[-3:] == ["-- ", "Ada", "London"]


def test_an_answer_comes_from_the_address_the_message_came_to(ada: "Page", alias: str, server: Pillarbox) -> None:
    for subject, to in (("To the alias", f"Ada <{ALIAS}>"), ("To nobody named", "undisclosed-recipients:;")):
        asked = message(subject, "Hello\n", id=f"<{subject.replace(' ', '-')}@x>")
        asked.replace_header("To", to)
        deliver(server, asked, to=ALIAS.encode())
        answer(ada, subject)
        assert sender(ada) == alias
        text(ada).press_sequentially("Yes.")
        ada.get_by_role("button", name=CLOSE).click()
        ada.locator("#composer").wait_for(state="detached")
    open_draft(ada, "Re: To the alias")
    assert sender(ada) == alias
    ada.get_by_role("button", name=CLOSE).click()
    ada.locator("#composer").wait_for(state="detached")


def test_what_a_message_shows_is_forwarded_with_it(ada: "Page", server: Pillarbox) -> None:
    from playwright.sync_api import expect

    files = ada.locator("#composer .attachments .name")
    answer(ada, "Holiday", "f")
    expect(files).to_have_count(4)
    assert {"beach.png", "page.html", "invite.ics"} < set(files.all_text_contents()), "and the picture in the text"
    throw_away(ada)
    between = EmailMessage()
    between["From"], between["To"], between["Subject"] = "mary.smith@friends.example", "ada@home.example", "Between"
    between.set_content("before\n")
    between.add_attachment(PNG, maintype="image", subtype="png", filename="between.png", disposition="inline")
    between.add_attachment("after\n", disposition="inline")
    deliver(server, between)
    answer(ada, "Between", "f")
    expect(files).to_have_text(["between.png"])
    throw_away(ada)


def test_a_draft_of_another_program_keeps_its_parts(ada: "Page", server: Pillarbox) -> None:
    from playwright.sync_api import expect

    from tests.journeys.talk import Reader

    draft = EmailMessage()
    draft["From"], draft["Subject"], draft["Message-ID"] = "ada@home.example", "Elsewhere begun", "<elsewhere@x>"
    draft.set_content("before\n")
    draft.add_attachment(PNG, maintype="image", subtype="png", filename="between.png", disposition="inline")
    draft.add_attachment("after\n", disposition="inline")
    with Reader(server.ports["imap"], "ada@home.example") as reader:
        reader.append("Drafts", [draft.as_bytes().replace(b"\n", b"\r\n")])  # type: ignore[attr-defined]
        reader.ok(b"SELECT Drafts")  # type: ignore[attr-defined]
        reader.ok(rb"STORE 1:* +FLAGS (\Draft)")  # type: ignore[attr-defined]
    open_draft(ada, "Elsewhere begun")
    expect(ada.locator("#composer .attachments .name")).to_have_text(["between.png"])
    written = text(ada).input_value()
    assert "before" in written and "after" in written
    throw_away(ada)
