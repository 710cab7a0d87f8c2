"""What an administrator and a user do in a real browser, over https with the server's own authority."""

import time
from base64 import b32decode
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from appliance.accounts.totp import code_of, step_of
from tests.support.server import PASSWORD, Pillarbox, new_data
from tests.support.wire import Smtp, eventually, faults
from tests.web.browser import PROTOCOLS, Chromium, chromium, sign_in, violations
from tests.web.shots import PAGES

if TYPE_CHECKING:
    from playwright.sync_api import Page


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pillarbox]:
    with Pillarbox(new_data(tmp_path_factory.mktemp("web") / "data", "ada", "mary"), protocols=PROTOCOLS) as one:
        yield one
        assert not faults(one.log)


@pytest.fixture(scope="module")
def browser(server: Pillarbox) -> Iterator[Chromium]:
    with chromium(server) as one:
        yield one


@pytest.fixture
def ada(browser: Chromium) -> Iterator["Page"]:
    page = browser.page()
    sign_in(page, "ada@home.example", PASSWORD)
    yield page
    assert not page.faults  # type: ignore[attr-defined]
    page.context.close()


def press(page: "Page", name: str) -> None:
    with page.expect_navigation():
        page.get_by_role("button", name=name, exact=True).click()


@pytest.mark.parametrize("paths", [PAGES[at : at + 3] for at in range(0, len(PAGES), 3)], ids=lambda paths: paths[0])
def test_every_page_is_accessible_and_fits_a_phone(ada: "Page", paths: tuple[str, ...]) -> None:
    found = []
    for path in paths:
        answer = ada.goto(path)
        assert answer is not None and answer.ok, path
        found += [f"{path}: {one}" for one in violations(ada)]
    ada.set_viewport_size({"width": 320, "height": 640})
    for path in paths:
        ada.goto(path)
        if ada.evaluate("document.documentElement.scrollWidth > innerWidth"):
            found.append(f"{path} scrolls sideways")
    assert not found, "\n".join(found)


def test_a_wrong_password_is_told_in_words(browser: Chromium) -> None:
    page = browser.page()
    sign_in(page, "ada@home.example", "not-the-password")
    assert page.get_by_role("alert").inner_text() == "The address or the password is wrong."
    assert page.get_by_label("E-mail address").input_value() == "ada@home.example" and not page.get_by_label("Password").input_value()
    assert not violations(page)
    page.context.close()


def test_an_account_is_added_and_its_owner_changes_the_password(ada: "Page", browser: Chromium) -> None:
    ada.goto("/admin/accounts")
    ada.get_by_label("Address", exact=True).fill("no address")
    press(ada, "Add it")
    assert ada.get_by_label("Address", exact=True).input_value() == "no address" and "not a mail address" in fault_of(ada, "Address")
    ada.get_by_label("Address", exact=True).fill("tim")
    ada.get_by_label("Password").fill("short")
    press(ada, "Add it")
    assert "fewer than" in fault_of(ada, "Password") and ada.get_by_label("Address", exact=True).input_value() == "tim"
    ada.get_by_label("Address", exact=True).fill("tim")
    press(ada, "Add it")
    password = ada.locator(".secret").inner_text()
    page = browser.page()
    sign_in(page, "tim@home.example", password)
    assert "/mail/" in page.url and page.get_by_role("link", name="Administration").count() == 0, "no administrator"
    page.goto("/own/password")
    page.get_by_label("Present password").fill(password)
    page.get_by_label("New password", exact=True).fill("12345678")
    page.get_by_label("New password, once more").fill("12345678")
    press(page, "Change it")
    assert "tried first" in page.get_by_role("alert").inner_text()
    page.get_by_label("Present password").fill(password)
    page.get_by_label("New password", exact=True).fill("paper tiger river")
    page.get_by_label("New password, once more").fill("paper tiger river")
    press(page, "Change it")
    assert "Your new password is set" in page.get_by_role("status").inner_text()
    page.context.close()
    ada.goto("/admin/accounts/tim@home.example")
    ada.get_by_label("Name", exact=True).fill("Tim")
    press(ada, "Change the name")
    ada.get_by_label("Space in MB").fill("many")
    press(ada, "Change the space")
    assert ada.get_by_label("Space in MB").input_value() == "many" and "whole number" in ada.get_by_role("alert").inner_text()
    ada.get_by_label("Space in MB").fill("500")
    press(ada, "Change the space")
    ada.get_by_text("Remove", exact=True).click()
    press(ada, "Remove the account")
    assert "kept for 30 days" in ada.get_by_role("status").inner_text()
    press(ada, "Bring it back")
    assert ada.get_by_role("link", name="tim@home.example").count() == 1


def test_a_device_gets_a_password_that_reads_mail_and_is_revoked(ada: "Page", server: Pillarbox) -> None:
    from imaplib import IMAP4_SSL

    ada.goto("/own/")
    ada.get_by_label("Name of a new device").fill("Ada's phone")
    press(ada, "Make a password for it")
    password = ada.locator(".secret").inner_text()
    with IMAP4_SSL("localhost", server.ports["imaps"]) as imap:
        imap.login("ada@home.example", password)
    press_link(ada, "Done")
    assert "from 127.0.0.1" in ada.locator("#devices ~ table").first.inner_text()
    press(ada, "Remove the password of Ada's phone")
    with IMAP4_SSL("localhost", server.ports["imaps"]) as imap, pytest.raises(imap.error):
        imap.login("ada@home.example", password)


def press_link(page: "Page", name: str) -> None:
    with page.expect_navigation():
        page.get_by_role("link", name=name).click()


def test_a_password_that_an_administrator_set_is_changed_before_anything_else(ada: "Page", browser: Chromium) -> None:
    ada.goto("/admin/accounts")
    ada.get_by_label("Address", exact=True).fill("eve")
    press(ada, "Add it")
    ada.goto("/admin/accounts/eve@home.example")
    ada.get_by_text("New password", exact=True).click()
    press(ada, "Make a new password")
    password = ada.locator(".secret").inner_text()
    page = browser.page()
    sign_in(page, "eve@home.example", password)
    assert page.url.endswith("/own/password") and "Choose your own password" in page.get_by_role("heading", level=1).inner_text()
    assert not violations(page)
    assert page.evaluate("fetch('/jmap/session').then(answer => answer.status)") == 403
    page.goto("/own/")
    assert page.url.endswith("/own/password")
    for chosen in (password, "paper tiger river"):
        page.get_by_label("New password", exact=True).fill(chosen)
        page.get_by_label("New password, once more").fill(chosen)
        press(page, "Change it")
        if chosen == password:
            assert "an administrator set" in page.get_by_role("alert").inner_text()
    page.goto("/own/")
    assert page.url.endswith("/own/")
    page.context.close()


def test_a_second_factor_from_setting_it_up_to_switching_it_off(browser: Chromium) -> None:
    page = browser.page()
    sign_in(page, "mary@home.example", PASSWORD)
    page.goto("/own/")
    press_link(page, "Set up a second factor")
    secret = b32decode(page.locator(".secret").inner_text().replace(" ", ""))
    page.get_by_label("Code of the app").fill("12")
    press(page, "Switch it on")
    assert "not the code" in page.get_by_role("alert").inner_text() and not violations(page)
    assert b32decode(page.locator(".secret").inner_text().replace(" ", "")) == secret, "the picture stays what the app has read"
    used = step_of(time.time())
    page.get_by_label("Code of the app").fill(code_of(secret, used))
    press(page, "Switch it on")
    recovery = page.locator("li code").all_inner_texts()
    assert len(recovery) == 10 and not violations(page)
    press(page, "Sign out")

    def sign_in_with(typed: str) -> None:
        sign_in(page, "mary@home.example", PASSWORD)
        assert page.url.endswith("/sign-in/code")
        page.get_by_label("Code of the app, or a recovery code").fill(typed)
        press(page, "Sign in")

    sign_in_with(code_of(secret, used))
    assert "used before" in page.get_by_role("alert").inner_text() and not violations(page)
    page.goto("/own/")
    assert "/sign-in" in page.url, "the password alone opens nothing"
    sign_in_with(code_of(secret, max(used + 1, step_of(time.time()))))
    page.goto("/own/")
    assert "10 recovery codes are left" in page.content()
    press(page, "Sign out")
    sign_in_with(recovery[0])
    page.goto("/own/second-factor")
    assert "9 recovery codes are left" in page.content() and not violations(page)
    press(page, "Switch it off")
    press(page, "Sign out")
    sign_in(page, "mary@home.example", PASSWORD)
    assert "/sign-in" not in page.url
    page.context.close()


def test_the_role_of_an_administrator_is_given_and_taken(ada: "Page", browser: Chromium) -> None:
    page = browser.page()
    sign_in(page, "mary@home.example", PASSWORD)
    ada.goto("/admin/accounts/ada@home.example")
    ada.get_by_text("Administrator", exact=True).click()
    press(ada, "Take the role away")
    assert "only administrator" in ada.get_by_role("alert").inner_text() and not violations(ada)
    ada.goto("/admin/accounts/mary@home.example")
    ada.get_by_text("Administrator", exact=True).click()
    press(ada, "Make it an administrator")
    assert "mary@home.example is an administrator now." in ada.get_by_role("status").inner_text()
    page.goto("/admin/accounts/ada@home.example")
    assert page.get_by_role("heading", level=1).inner_text() == "ada@home.example", "without signing in again"
    ada.get_by_text("Administrator", exact=True).click()
    press(ada, "Take the role away")
    page.get_by_text("Disable", exact=True).first.click()
    press(page, "Disable")
    assert "Only an administrator may see this page." in page.content(), "the page was open, the right is gone"
    page.context.close()


def test_the_overview_follows_the_server(ada: "Page", server: Pillarbox) -> None:
    from playwright.sync_api import expect

    ada.goto("/admin/")
    figure = ada.locator("[data-figure=arrived]")
    before = int(figure.inner_text())
    with Smtp(server.ports["smtp"]) as smtp:
        for line in (b"EHLO friend.example", b"MAIL FROM:<friend@elsewhere.example>", b"RCPT TO:<ada@home.example>", b"DATA"):
            smtp.ask(line)
        assert smtp.ask(b"Subject: hello\r\n\r\nhello\r\n.").startswith(b"250")
    expect(figure).to_have_text(str(before + 1))
    ada.goto("/admin/messages")
    assert ada.get_by_text("friend@elsewhere.example").count() == 1 and ada.get_by_text("hello").count() == 0


def test_signing_out_elsewhere_ends_a_session(ada: "Page", browser: Chromium) -> None:
    other = browser.page()
    sign_in(other, "ada@home.example", PASSWORD)
    ada.goto("/own/")
    press(ada, "Sign out all others")
    other.goto("/own/")
    assert "/sign-in" in other.url
    other.context.close()


def test_a_file_is_sent_and_brought_in_and_the_log_is_live(ada: "Page", server: Pillarbox) -> None:
    from playwright.sync_api import expect

    message = b"From x@x.example Sun Sep  9 01:46:40 2001\nSubject: %d\n\nhello\n\n"
    ada.goto("/own/mail")
    file = {"name": "Old.mbox", "mimeType": "application/mbox", "buffer": b"".join(message % n for n in range(50))}
    ada.get_by_label("File", exact=True).set_input_files(file)  # type: ignore[arg-type]
    press(ada, "Send the file")
    expect(ada.get_by_text("Old.mbox is here")).to_be_visible()
    assert not violations(ada)
    press(ada, "Bring it in")
    expect(ada.get_by_text("Old.mbox is in.")).to_be_visible(timeout=15_000)
    assert ada.locator("[data-figure=stored]").inner_text() == "50" and not violations(ada)
    press(ada, "Bring in another file")
    with ada.expect_download() as download:
        ada.get_by_role("link", name="Save all as mbox files").click()
    assert download.value.suggested_filename.endswith(".mbox.zip") and b"Old.mbox" in download.value.path().read_bytes()
    ada.goto("/admin/logs")
    log = ada.get_by_label("Lines of the log")
    with Smtp(server.ports["smtp"]) as smtp:
        for line in (b"EHLO friend.example", b"MAIL FROM:<live-line@friend.example>", b"RCPT TO:<nobody@home.example>"):
            smtp.ask(line)
    expect(log).to_contain_text("live-line@friend.example")


def test_domains_and_records(ada: "Page") -> None:
    ada.goto("/admin/domains")
    ada.get_by_label("Domain", exact=True).fill("smith.example")
    press(ada, "Add it")
    assert "smith.example" in ada.get_by_role("heading", level=1).inner_text()
    assert ada.get_by_text("v=spf1").count() >= 1 and ada.get_by_role("button", name="Copy").count() > 3
    with ada.expect_download() as download:
        ada.get_by_role("link", name="Download as a zone file").click()
    assert "MX" in download.value.path().read_text()
    ada.get_by_label("Go to this address").fill("nobody")
    press(ada, "Change it")
    assert "not a mail address" in fault_of(ada, "Go to this address") and ada.get_by_label("Go to this address").input_value() == "nobody"
    ada.get_by_text("Remove the domain").first.click()
    press(ada, "Remove the domain")
    assert ada.get_by_role("link", name="smith.example").count() == 0


def test_without_scripts_everything_works(browser: Chromium) -> None:
    page = browser.page(java_script_enabled=False)
    sign_in(page, "ada@home.example", PASSWORD)
    page.goto("/admin/accounts")
    page.get_by_label("Alias", exact=True).fill("family@home.example")
    page.get_by_label("Goes to").fill("mary@home.example")
    press(page, "Add the alias")
    assert "Messages to family@home.example go to mary@home.example." in page.get_by_role("status").inner_text()
    press(page, "Remove mary@home.example from family@home.example")
    press(page, "Sign out")
    assert "/sign-in" in page.url
    page.context.close()


def test_the_keyboard_is_enough(browser: Chromium) -> None:
    from playwright.sync_api import expect

    page = browser.page()
    page.goto("/sign-in")
    expect(page.get_by_label("E-mail address")).to_be_focused()
    page.keyboard.type("mary@home.example")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    with page.expect_navigation():
        page.keyboard.press("Enter")
    page.goto("/own/")
    page.locator("body").press("Tab")  # waits for the new page: a key pressed while pages change is lost
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    page.context.close()


def test_settings_are_changed_and_a_relay_needs_the_password(server: Pillarbox, browser: Chromium) -> None:
    page = browser.page()
    sign_in(page, "ada@home.example", PASSWORD)
    page.goto("/admin/settings")
    page.get_by_text("Accounts and signing in", exact=True).click()
    page.get_by_label("Most messages an account sends").fill("many")
    press(page, "Save: Accounts and signing in")
    assert "whole number" in fault_of(page, "Most messages an account sends")
    assert page.get_by_label("Most messages an account sends").input_value() == "many"
    page.get_by_label("Most messages an account sends").fill("50")
    press(page, "Save: Accounts and signing in")
    assert "changed and in use" in page.get_by_role("status").inner_text() and not page.get_by_text("wait for a restart").count()
    page.get_by_text("Add a relay").click()
    page.get_by_label("Name, for lists").fill("Not a name")
    page.get_by_label("Server of the provider").fill("smtp.provider.example")
    page.locator("#s-new").get_by_text("More").click()
    page.get_by_label("Only for messages to these domains").fill("far.example, near.example")
    press(page, "Save the relay")
    assert "a-z" in fault_of(page, "Name, for lists") and page.get_by_role("alert").count() == 1
    assert page.get_by_label("Only for messages to these domains").input_value() == "far.example, near.example"
    page.get_by_label("Name, for lists").fill("post")
    page.get_by_label("Server of the provider").fill("smtp.provider.example")
    page.get_by_label("User name there").fill("smith")
    page.get_by_label("Password there").fill("relay-secret")
    press(page, "Save the relay")
    assert "They take effect with a restart." in page.get_by_role("status").inner_text()
    assert page.get_by_text("post (smtp.provider.example)").count() == 1 and "relay-secret" not in page.content()
    assert not violations(page)
    text = (server.data / "pillarbox.toml").read_text()
    assert "messages_per_hour = 50" in text and "relay-secret" in text and '"near.example"' in text and "any_certificate" not in text
    press(page, "Restart the server")
    assert eventually(lambda: loads(page, "/admin/settings") and page.get_by_text("wait for a restart").count() == 0, 60)
    assert page.get_by_label("Most messages an account sends").input_value() == "50", "the session and the settings outlived the restart"
    page.context.close()


def fault_of(page: "Page", label: str) -> str:
    """What stands beside a field, as its description."""
    described = page.get_by_label(label).get_attribute("aria-describedby") or ""
    return page.locator(f"#{described.split()[0]}[role=alert]").inner_text()


def loads(page: "Page", path: str) -> bool:
    """Is the server there again?"""
    from playwright.sync_api import Error

    try:
        answer = page.goto(path)
    except Error:
        return False
    return answer is not None and answer.ok
