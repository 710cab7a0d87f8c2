"""Setup and the own page in WebKit, run by `make web-test`: what Chromium's tests do, in the other engine of phones and computers."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.neighbours import Neighbours
from tests.support.server import PASSWORD, Pillarbox, new_data
from tests.support.wire import eventually, faults
from tests.web.browser import PROTOCOLS
from tests.web.shots import PAGES
from tests.web.test_setup import PASSWORD as CHOSEN
from tests.web.test_setup import code_of, read_first_message
from tests.web.webkit import NARROWEST, Window, webkit

ADA = "ada@home.example"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pillarbox]:
    with Pillarbox(new_data(tmp_path_factory.mktemp("webkit") / "data", "ada"), protocols=PROTOCOLS) as one:
        yield one
        assert not faults(one.log)


@pytest.fixture(scope="module")
def ada(server: Pillarbox) -> Iterator[Window]:
    with webkit(server) as window:
        window.sign_in(ADA, PASSWORD)
        yield window


def test_from_a_fresh_start_to_a_sent_message(tmp_path: Path) -> None:
    with Neighbours(tmp_path) as world:
        world.server = server = Pillarbox(tmp_path / "fresh", "--settings", str(world.settings), protocols=PROTOCOLS, domain="")
        with server, webkit(server) as page:
            far = world.peer("far.example")
            page.open("/")
            page.fill("Setup code", "aaaa-bbbb-cccc")
            page.press("Begin")
            page.says("[role=alert]", "not the setup code")
            page.fill("Setup code", code_of(server))
            page.press("Begin")
            page.press("Next")
            page.fill("Your name", "Ada Smith")
            page.fill("Your address", "ada b")
            page.fill("Your domain", "smith.example")
            page.press("Next")
            assert page.the("[role=alert]") and page.field("Your name").get_property("value") == "Ada Smith"
            page.fill("Your address", "ada")
            page.press("Next")
            for password in ("password1", CHOSEN):
                page.fill("Password", password)
                page.fill("Password, once more", password)
                page.press("Next")
            assert page.url.endswith("/setup/sending")
            page.fill("Try it", "bob@far.example")
            page.press("Send a test message")
            (taken,) = world.arrived(far)
            assert taken.sender == "ada@smith.example"
            page.press("Done")
            page.says("[role=status]", "The server is set up")
            read_first_message(server)


@pytest.mark.parametrize("width", [NARROWEST, 1280])
def test_every_page_fits(ada: Window, width: int) -> None:
    ada.resize(width)
    for path in PAGES:
        ada.open(path)
        assert ada.the("h1") and ada.fits, path


def test_a_wrong_password_is_told_in_words(server: Pillarbox) -> None:
    with webkit(server) as page:
        page.sign_in(ADA, "not-the-password")
        page.says("[role=alert]", "The address or the password is wrong.")
        assert page.field("E-mail address").get_property("value") == ADA and not page.field("Password").get_property("value")


def test_a_device_gets_a_password_and_loses_it(ada: Window, server: Pillarbox) -> None:
    from imaplib import IMAP4_SSL

    ada.open("/own/")
    ada.fill("Name of a new device", "Ada's phone")
    ada.press("Make a password for it")
    with IMAP4_SSL("localhost", server.ports["imaps"]) as imap:
        imap.login(ADA, ada.text(".secret"))
    ada.press("Done")
    ada.press("Remove the password of Ada's phone")
    ada.says("[role=status]", "The password of “Ada's phone” is removed.")


def test_the_language_is_changed_and_back(ada: Window) -> None:
    ada.open("/own/")
    for choice, button, heading in (("de", "Use it", "Dein Konto"), ("en", "Verwenden", "Your account")):
        ada.run("document.querySelector('#language-choice').value = arguments[0]", choice)
        ada.press(button)
        ada.says("h1", heading)


def test_forms_keep_what_was_typed(ada: Window) -> None:
    ada.open("/own/password")
    ada.fill("Present password", "not-the-password")
    ada.fill("New password", "paper tiger river")
    ada.fill("New password, once more", "paper tiger river")
    ada.press("Change it")
    ada.says("[role=alert]", "That is not your password.")
    ada.open("/admin/accounts")
    ada.fill("Address", "no address")
    ada.press("Add it")
    assert ada.the("[role=alert]") and ada.field("Address").get_property("value") == "no address"


def test_the_second_factor_is_offered_and_passkeys_say_what_they_need(ada: Window) -> None:
    ada.open("/own/second-factor")
    assert ada.the("svg").rect["width"] > 100 and len(ada.text("code.secret")) > 30
    ada.open("/own/passkeys")
    assert ada.the("[data-without-passkeys]") if not ada.run("return Boolean(window.PublicKeyCredential)") else ada.the("[data-passkey]")


def test_a_file_of_mail_is_brought_in_part_by_part(ada: Window, tmp_path: Path) -> None:
    file = tmp_path / "Old.mbox"
    form = "From ada@x Sat Jan  1 00:00:00 2022\nSubject: number {}\nMessage-ID: <m{}@x>\n\n{}\n\n"
    file.write_text("".join(form.format(number, number, "text " * 200) for number in range(20)))
    ada.open("/own/mail")
    ada.field("File").send_keys(str(file))
    ada.button("Send the file").click()
    ada.says("main", "Old.mbox is here")
    ada.press("Bring it in")
    ada.says("main", "Old.mbox is in.")
    assert ada.text("[data-figure=stored]") == "20"
    ada.press("Bring in another file")


def test_the_log_is_live(ada: Window, server: Pillarbox) -> None:
    from tests.support.wire import Smtp

    ada.open("/admin/logs")
    with Smtp(server.ports["smtp"]) as smtp:
        for line in (b"EHLO friend.example", b"MAIL FROM:<live-line@friend.example>", b"RCPT TO:<nobody@home.example>"):
            smtp.ask(line)
    ada.says("main", "live-line@friend.example")


def test_signing_out_ends_the_session(server: Pillarbox) -> None:
    with webkit(server) as page:
        page.sign_in(ADA, PASSWORD)
        page.open("/own/")
        page.press("Sign out")
        assert "/sign-in" in page.url
        page.open("/own/")
        assert eventually(lambda: "/sign-in" in page.url)
