"""Names and signatures changed in webmail, and where a signature stands in what is written."""

from typing import TYPE_CHECKING, Any

from tests.support.server import PASSWORD, Pillarbox, pillarbox
from tests.support.wire import eventually
from tests.web.browser import Chromium, violations
from tests.web.webmail.mailing import deliver, message
from tests.web.webmail.test_identities import ALIAS, answer, sender
from tests.web.webmail.test_lists_and_focus import focus_is_somewhere
from tests.web.webmail.test_managing import mailbox
from tests.web.webmail.test_offline import CLOSE, offline, online, open_draft
from tests.web.webmail.test_rich_text import formatting, sent
from tests.web.webmail.test_writing import another, text, throw_away

if TYPE_CHECKING:
    from playwright.sync_api import Dialog, Locator, Page

CALL = """async ([name, given]) => {
  const { call } = await import(document.querySelector("script[type=module]").src.replace("main.js", "jmap.js"))
  return call(name, given)
}"""
SIGNED = {"name": "", "textSignature": "Ada\nLondon", "htmlSignature": "", "replyTo": None, "bcc": None}
PLAIN = {**SIGNED, "textSignature": ""}


def identities(page: "Page") -> dict[str, dict[str, Any]]:
    return {one["email"]: one for one in page.evaluate(CALL, ["Identity/get", {"ids": None}])["list"]}


def change(page: "Page", address: str, details: dict[str, Any]) -> None:
    """As another program does it."""
    one = identities(page)[address]["id"]
    assert one in page.evaluate(CALL, ["Identity/set", {"update": {one: details}}])["updated"]


def begin_anew(page: "Page", **signed: Any) -> None:
    """She has this identity and no other."""
    found = page.evaluate(CALL, ["Identity/get", {"ids": None}])["list"]
    page.evaluate(CALL, ["Identity/set", {"destroy": [one["id"] for one in found if one["mayDelete"]]}])
    change(page, "ada@home.example", {**PLAIN, **signed})
    page.reload()
    page.get_by_role("option").first.wait_for()


def names(page: "Page") -> "Locator":
    """The dialog, from the menu of a narrow window too."""
    if page.locator("#menu").is_visible():
        page.locator("#menu").click()
    page.get_by_role("button", name="Names and signatures").click()
    dialog = page.get_by_role("dialog", name="Names and signatures")
    dialog.wait_for()
    return dialog


def save(dialog: "Locator") -> None:
    dialog.get_by_role("button", name="Save").click()
    dialog.wait_for(state="detached")


def write(page: "Page", subject: str = "") -> None:
    page.locator("#list").press("c")
    page.get_by_label("Subject").fill(subject)


def test_one_address_is_one_form(ada: "Page") -> None:
    from playwright.sync_api import expect

    begin_anew(ada)
    dialog = names(ada)
    expect(dialog.get_by_label("Name", exact=True)).to_be_focused()
    expect(dialog.get_by_role("radio")).to_have_count(0)
    expect(dialog.locator("p", has_text="ada@home.example")).to_be_visible()
    expect(dialog.get_by_label("Replies go to")).to_be_hidden()
    assert not violations(ada)
    dialog.get_by_label("Name", exact=True).fill("Ada Lovelace")
    dialog.get_by_label("Signature").fill("Ada\nLondon\n\n")
    ada.keyboard.press("Escape")
    question = ada.get_by_role("dialog", name="Throw away what you changed?")
    question.get_by_role("button", name="Go on editing").click()
    expect(dialog.get_by_label("Signature")).to_have_value("Ada\nLondon\n\n")
    dialog.get_by_text("Replies and copies").click()
    dialog.get_by_label("Replies go to").fill("Office <office@home.example>")
    dialog.get_by_label("A copy of each message").fill("mary@home.example")
    save(dialog)
    expect(ada.locator("#said")).to_contain_text("Saved.")
    assert focus_is_somewhere(ada)
    one = identities(ada)["ada@home.example"]
    assert (one["name"], one["textSignature"]) == ("Ada Lovelace", "Ada\nLondon")
    assert one["replyTo"] == [{"name": "Office", "email": "office@home.example"}]
    assert one["bcc"] == [{"name": None, "email": "mary@home.example"}]
    dialog = names(ada)
    expect(dialog.get_by_label("Replies go to")).to_have_value("Office <office@home.example>")
    ada.keyboard.press("Escape")
    expect(dialog).to_have_count(0)


def test_faults_stay_at_their_fields(ada: "Page") -> None:
    from playwright.sync_api import expect

    begin_anew(ada)
    dialog = names(ada)
    name, signature = dialog.get_by_label("Name", exact=True), dialog.get_by_label("Signature")
    for refused, why in (("x" * 101, "at most 100 characters"), ("a\tb", "no tabs")):
        name.fill(refused)
        name.press("Enter")
        expect(dialog).to_contain_text(why)
        expect(name).to_be_focused()
        assert name.get_attribute("aria-invalid") == "true"
    name.fill("Ada")
    bcc = dialog.get_by_label("A copy of each message")
    dialog.get_by_text("Replies and copies").click()
    bcc.fill("mary@home.example, nobody")
    dialog.get_by_text("Replies and copies").click()
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_contain_text("“nobody” is no e-mail address.")
    expect(bcc).to_be_focused()
    assert not violations(ada)
    bcc.fill(", ".join(f"a{number}@x.example" for number in range(51)))
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_contain_text("At most 50 addresses")
    bcc.fill("")
    signature.fill("x" * 140_000)
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_contain_text("The signature is too long.")
    expect(signature).to_be_focused()
    signature.fill("Ada \x1b[1m")
    offline(ada)
    dialog.get_by_role("button", name="Save").click()
    expect(dialog.get_by_role("alert")).to_contain_text("there is no connection")
    expect(name).to_have_value("Ada")
    online(ada)
    save(dialog)
    assert identities(ada)["ada@home.example"]["textSignature"] == "Ada [1m"


def test_the_browser_asks_before_what_was_typed_goes(ada: "Page") -> None:
    from playwright.sync_api import expect

    begin_anew(ada)
    asked: list[str] = []

    def refuse(dialog: "Dialog") -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    ada.on("dialog", refuse)
    dialog = names(ada)
    dialog.get_by_label("Name", exact=True).fill("Ada L.")
    ada.evaluate("setTimeout(() => location.reload())")
    assert eventually(lambda: ada.evaluate("true") and asked == ["beforeunload"])
    expect(dialog.get_by_label("Name", exact=True)).to_have_value("Ada L.")
    save(dialog)
    ada.reload()
    ada.get_by_role("option").first.wait_for()
    ada.remove_listener("dialog", refuse)
    assert asked == ["beforeunload"], "nothing is lost by leaving now"


def test_another_is_added_used_and_removed(ada: "Page", server: Pillarbox) -> None:
    from playwright.sync_api import expect

    begin_anew(ada, **SIGNED)
    dialog = names(ada)
    dialog.get_by_role("button", name="Add a name or address").click()
    address = dialog.get_by_label("Address", exact=True)
    expect(address).to_be_focused()
    expect(dialog.get_by_role("radio")).to_have_count(2)
    assert not violations(ada)
    for refused, why in (
        ("ada", "Write one e-mail address."), ("ada@home.example, mary@home.example", "Write one e-mail address."),
        ("mary@home.example", "Mail to this address does not come to you"),
    ):  # fmt: skip
        address.fill(refused)
        address.press("Enter")
        expect(dialog).to_contain_text(why)
        expect(address).to_be_focused()
    address.fill("ada@home.example")
    dialog.get_by_label("Name", exact=True).fill("Chess club")
    expect(dialog.get_by_role("radio", name="Chess club <ada@home.example>")).to_be_checked()
    save(dialog)
    write(ada, "From the club")
    expect(text(ada)).to_have_value("\n\n-- \nAda\nLondon")
    ada.locator("#compose-from").select_option(label="Chess club <ada@home.example>")
    expect(text(ada)).to_have_value("")
    dialog = names(ada)
    dialog.get_by_role("radio", name="Chess club").check()
    dialog.get_by_label("Signature").fill("The club")
    save(dialog)
    expect(text(ada)).to_have_value("\n\n-- \nThe club"), "what is being written is signed with it"
    dialog = names(ada)
    dialog.get_by_role("radio", name="Chess club").check()
    dialog.get_by_role("button", name="Remove this one").click()
    expect(dialog.get_by_role("radio")).to_have_count(0)
    assert focus_is_somewhere(ada)
    save(dialog)
    expect(text(ada)).to_have_value("\n\n-- \nAda\nLondon")
    assert list(identities(ada)) == ["ada@home.example"] and ada.locator("#compose-from").is_hidden()
    throw_away(ada)


def test_two_tabs_and_another_program(ada: "Page") -> None:
    """Each changes what it changed; writing takes what is there."""
    from playwright.sync_api import expect

    begin_anew(ada, **SIGNED)
    write(ada, "Before")
    expect(text(ada)).to_have_value("\n\n-- \nAda\nLondon")
    throw_away(ada)
    tab = another(ada.context)
    one, two = names(ada), names(tab)
    two.get_by_label("Name", exact=True).fill("Ada L.")
    save(two)
    one.get_by_label("Signature").fill("Ada\nParis")
    save(one)
    found = identities(ada)["ada@home.example"]
    assert (found["name"], found["textSignature"]) == ("Ada L.", "Ada\nParis")

    def written() -> str:
        tab.locator("#list").press("c")
        tab.locator("#composer").wait_for()
        value = text(tab).input_value()
        throw_away(tab)
        return value

    assert eventually(lambda: written() == "\n\n-- \nAda\nParis")
    change(ada, "ada@home.example", {"textSignature": "-- \nAda\nRome"})
    assert eventually(lambda: written() == "\n\n-- \nAda\nRome")
    tab.context.set_offline(True)
    assert written() == "\n\n-- \nAda\nRome", "without a connection what was read last"
    tab.context.set_offline(False)
    ada.locator("#banner").wait_for(state="hidden")
    ada.faults.clear()  # type: ignore[attr-defined]
    tab.close()


def test_the_signature_stands_above_the_original(ada: "Page", server: Pillarbox) -> None:
    from playwright.sync_api import expect

    pillarbox("alias", "add", ALIAS, "ada@home.example", data=server.data, check=False)
    begin_anew(ada, **SIGNED)
    change(ada, ALIAS, {"textSignature": "Countess of L."})
    deliver(server, message("Signed above", "Shall we?\n\nMary\n", id="<above@x>"))
    answer(ada, "Signed above")
    value = text(ada).input_value()
    assert value.startswith("\n\nAda\nLondon\n\nMary Smith wrote on ") and value.endswith("> Shall we?\n> \n> Mary\n")
    assert sender(ada) == "ada@home.example"
    text(ada).press_sequentially("Yes.")
    ada.locator("#compose-from").select_option(label=ALIAS)
    assert text(ada).input_value().startswith("Yes.\n\nCountess of L.\n\nMary Smith wrote on ")
    ada.get_by_role("button", name=CLOSE).click()
    ada.locator("#composer").wait_for(state="detached")
    open_draft(ada, "Re: Signed above")
    ada.locator("#compose-from").select_option(label="ada@home.example")
    assert text(ada).input_value().startswith("Yes.\n\nAda\nLondon\n\nMary Smith wrote on "), "of an opened draft too"
    text(ada).fill(text(ada).input_value().replace("London", "Rome"))
    ada.locator("#compose-from").select_option(label=ALIAS)
    assert text(ada).input_value().startswith("Yes.\n\nAda\nRome\n\nMary Smith"), "what was changed by hand stays"
    throw_away(ada)
    mailbox(ada, "Inbox")
    answer(ada, "Signed above", "f")
    assert text(ada).input_value().startswith("\n\nAda\nLondon\n\n-------- Forwarded message --------\n")
    throw_away(ada)
    pillarbox("alias", "remove", ALIAS, data=server.data, check=False)
    expect(ada.locator("#composer")).to_have_count(0)


def test_rich_text_is_signed_too(ada: "Page", server: Pillarbox) -> None:
    """With what another program wrote as HTML, where the editor has all that is in it."""
    from playwright.sync_api import expect

    html = "<DIV style='color:red'>\n<b>Ada</b> &#38; <a href=\"https://ada.example\">more</a><br>London</DIV>"
    begin_anew(ada, **{**SIGNED, "htmlSignature": html})
    write(ada, "Signed richly")
    ada.get_by_role("combobox", name="To").fill("mary@home.example")
    text(ada).press_sequentially("Hello")
    formatting(ada)
    expect(text(ada).locator("b")).to_have_text("Ada")
    text(ada).press("Control+Home")
    ada.keyboard.type("Well: ")
    formatting(ada)
    expect(text(ada)).to_have_value("Well: Hello\n\n-- \nAda\nLondon")
    formatting(ada)
    arrived = sent(ada, server, "Signed richly")
    markup = '<div><div><b>Ada</b> &amp; <a href="https://ada.example">more</a><br>London</div></div>'
    assert arrived["text/html"].replace("\xa0", " ").strip() == f"<div>Well: Hello</div><div><br></div><div>-- </div>{markup}"
    assert arrived["text/plain"].splitlines()[-3:] == ["-- ", "Ada", "London"]

    separated = ("-- <br><b>Ada</b>", "<div>-- </div><p><b>Ada</b></p>", "<div>--<br><b>Ada</b></div>")
    complicated = ("<table><tr><td>Ada</td></tr></table>", "<p>Ada &eacute;</p>", '<img src="cid:logo">')
    for signature, shown in (*((one, "-- Ada") for one in separated), *((one, "-- AdaLondon") for one in complicated)):
        begin_anew(ada, **{**SIGNED, "htmlSignature": signature})
        ada.keyboard.press("c")
        formatting(ada)
        expect(text(ada)).to_have_text(shown)
        throw_away(ada)


def test_what_another_program_wrote_as_html_never_contradicts(ada: "Page") -> None:
    from playwright.sync_api import expect

    def saved(signature: str) -> tuple[str, str]:
        dialog = names(ada)
        dialog.get_by_label("Signature").fill(signature)
        save(dialog)
        one = identities(ada)["ada@home.example"]
        return one["textSignature"], one["htmlSignature"]

    html = "<div><b>Ada</b></div><div>London</div>"
    begin_anew(ada, **{**SIGNED, "htmlSignature": html})
    assert saved("Ada  \n\nLondon") == ("Ada  \n\nLondon", html), "it says the same"
    assert saved("Ada") == ("Ada", "")
    begin_anew(ada, **{**PLAIN, "htmlSignature": html})
    dialog = names(ada)
    expect(dialog.get_by_label("Signature")).to_have_value("Ada\nLondon")
    dialog.get_by_label("Name", exact=True).fill("Ada")
    save(dialog)
    assert identities(ada)["ada@home.example"]["htmlSignature"] == html, "it was not touched"
    assert saved("") == ("", "")


def test_on_a_phone_in_the_dark_and_in_german(browser: Chromium, server: Pillarbox) -> None:
    from playwright.sync_api import expect

    page = browser.page(viewport={"width": 320, "height": 640}, color_scheme="dark", locale="de-DE", has_touch=True)
    page.goto("/sign-in")
    page.get_by_label("E-Mail-Adresse").fill("ada@home.example")
    page.get_by_label("Passwort").fill(PASSWORD)
    with page.expect_navigation():
        page.get_by_role("button", name="Anmelden", exact=True).click()
    page.goto("/mail/")
    page.get_by_role("option").first.wait_for()
    page.get_by_role("button", name="Postfächer").click()
    page.get_by_role("button", name="Namen und Signaturen").click()
    dialog = page.get_by_role("dialog", name="Namen und Signaturen")
    expect(dialog.get_by_label("Name", exact=True)).to_be_focused()
    dialog.get_by_role("button", name="Name oder Adresse hinzufügen").click()
    dialog.get_by_text("Antworten und Kopien").click()
    dialog.get_by_label("Adresse", exact=True).fill("niemand")
    dialog.get_by_role("button", name="Speichern").click()
    expect(dialog).to_contain_text("Gib eine E-Mail-Adresse ein.")
    assert not violations(page) and not page.evaluate("document.documentElement.scrollWidth > innerWidth")
    assert dialog.evaluate("one => one.scrollWidth <= one.clientWidth")
    page.context.close()
