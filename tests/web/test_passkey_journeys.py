"""Passkeys in a real browser, with Chromium's virtual authenticator: made, used, copied, used elsewhere and again, removed."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest

from tests.support.server import PASSWORD, Pillarbox, new_data, pillarbox
from tests.support.wire import faults
from tests.web.browser import PROTOCOLS, Chromium, chromium, violations

if TYPE_CHECKING:
    from playwright.sync_api import Page, Request

ADA = "ada@home.example"
POST = """([path, body]) => fetch(path, {method: "POST", body: new URLSearchParams(body), headers: {
    "X-Form-Token": document.querySelector("form[data-passkey] [name=token]").value, Accept: "application/json"}})
    .then(answer => answer.json())"""
SIGN = """async ({challenge, host}) => {
    const octets = text => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), one => one.charCodeAt(0))
    const text = octets => btoa(String.fromCharCode(...new Uint8Array(octets)))
        .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "")
    const {rawId, response} = await navigator.credentials.get(
        {publicKey: {challenge: octets(challenge), rpId: host, userVerification: "required"}})
    return {credential: text(rawId), client_data: text(response.clientDataJSON), handle: text(response.userHandle),
        authenticator_data: text(response.authenticatorData), signature: text(response.signature)}
}"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pillarbox]:
    with Pillarbox(new_data(tmp_path_factory.mktemp("passkeys") / "data", "ada", "mary"), protocols=PROTOCOLS) as one:
        yield one
        assert not faults(one.log)


@pytest.fixture(scope="module")
def browser(server: Pillarbox) -> Iterator[Chromium]:
    with chromium(server) as one:
        yield one


def with_the_password(page: "Page", address: str = "") -> None:
    """Sign in, straight to the page of passkeys."""
    page.goto(f"{address}/sign-in?next=/own/passkeys")
    page.get_by_label("E-mail address").fill(ADA)
    page.get_by_label("Password").fill(PASSWORD)
    with page.expect_navigation():
        page.get_by_role("button", name="Sign in", exact=True).click()


class VirtualAuthenticator:
    """The authenticator of one page (Chromium's WebAuthn domain): has a fingerprint, says yes at once."""

    def __init__(self, page: "Page") -> None:
        self._session = page.context.new_cdp_session(page)
        self._session.send("WebAuthn.enable")
        able = {"hasResidentKey": True, "hasUserVerification": True, "isUserVerified": True}
        options = {"protocol": "ctap2", "transport": "internal", **able}
        self._id = self.ask("addVirtualAuthenticator", options=options)["authenticatorId"]

    def ask(self, command: str, **values: Any) -> dict[str, Any]:
        named = {"authenticatorId": self._id, **values} if command != "addVirtualAuthenticator" else values
        answer: dict[str, Any] = self._session.send(f"WebAuthn.{command}", named)
        return answer

    @property
    def credentials(self) -> list[dict[str, Any]]:
        return self.ask("getCredentials")["credentials"]  # type: ignore[no-any-return]

    def put_back(self, credential: dict[str, Any], **changed: Any) -> None:
        self.ask("removeCredential", credentialId=credential["credentialId"])
        self.ask("addCredential", credential={**credential, **changed})


@dataclass
class Laptop:
    """A page and its authenticator. `name`: of the passkey of Ada's that is in it; "" for none."""

    page: "Page"
    authenticator: VirtualAuthenticator
    name: str = ""

    def make(self, name: str) -> None:
        """Sign in with the password and make a passkey."""
        page = self.page
        with_the_password(page)
        page.get_by_label("Name of the passkey").fill(name)
        with page.expect_navigation():
            page.get_by_role("button", name="Make a passkey").click()
        assert f"“{name}” signs in here now." in page.get_by_role("status").inner_text()
        self.name = name

    def sign_out(self) -> None:
        self.page.context.clear_cookies()
        self.page.goto("/sign-in?next=/own/passkeys")

    def use(self) -> str:
        """Sign in with the passkey; "" or why not."""
        self.page.get_by_role("button", name="Sign in with a passkey").click()
        fault = self.page.locator("form[data-passkey] [role=alert]:not([hidden])")
        fault.or_(self.page.locator("form[action='/sign-out']")).first.wait_for()
        return fault.inner_text() if fault.count() else ""


@pytest.fixture(scope="module")
def its_browser(browser: Chromium) -> Iterator[Laptop]:
    page = browser.page()
    yield Laptop(page, VirtualAuthenticator(page))
    page.context.close()


@pytest.fixture
def laptop(its_browser: Laptop) -> Iterator[Laptop]:
    """With a passkey, signed out."""
    if not its_browser.name:
        for credential in its_browser.authenticator.credentials:
            its_browser.authenticator.ask("removeCredential", credentialId=credential["credentialId"])
        its_browser.sign_out()
        its_browser.make("laptop")
    its_browser.sign_out()
    its_browser.page.faults.clear()  # type: ignore[attr-defined]
    yield its_browser
    assert not its_browser.page.faults  # type: ignore[attr-defined]


def test_a_passkey_is_made_and_signs_in(laptop: Laptop, server: Pillarbox) -> None:
    page = laptop.page
    assert len(laptop.authenticator.credentials) == 1 and laptop.authenticator.credentials[0]["rpId"] == "localhost"
    assert not violations(page)
    assert laptop.use() == "" and page.url.endswith("/own/passkeys")
    row = page.locator("tbody tr")
    assert "laptop" in row.inner_text() and "localhost" in row.inner_text() and "never" not in row.inner_text()
    page.get_by_label("Name of the passkey").fill("again")
    page.get_by_label("Your password").fill(PASSWORD)
    page.get_by_role("button", name="Make a passkey").click()
    page.get_by_text("This device has a passkey for your account already.").wait_for()
    assert not violations(page)
    page.set_viewport_size({"width": 320, "height": 640})
    assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")
    page.set_viewport_size({"width": 1280, "height": 800})
    assert "laptop  last used" in pillarbox("account", "passkeys", ADA, data=server.data).stdout


def test_a_copy_without_the_user_and_another_account_s_are_refused(laptop: Laptop) -> None:
    authenticator, (credential,) = laptop.authenticator, laptop.authenticator.credentials
    authenticator.put_back(credential, signCount=1000)
    assert laptop.use() == ""
    laptop.sign_out()
    authenticator.put_back(credential, signCount=0)
    assert "may have been copied" in laptop.use()
    authenticator.ask("setUserVerified", isUserVerified=False)
    assert "told to stop" in laptop.use(), "no finger, no passkey"
    authenticator.ask("setUserVerified", isUserVerified=True)
    authenticator.put_back(credential, signCount=2000, userHandle="bWFyeQ==")
    assert "opens nothing here" in laptop.use(), "whoever says to be somebody else"
    authenticator.put_back(credential, signCount=3000)
    assert laptop.use() == ""


def test_what_was_signed_for_another_page_or_before_is_refused(laptop: Laptop, server: Pillarbox) -> None:
    page, said = laptop.page, list[str]()

    def note(request: "Request") -> None:
        if request.url.endswith("/sign-in/passkey"):
            said.append(request.post_data or "")

    page.on("request", note)
    assert laptop.use() == ""
    page.remove_listener("request", note)
    again = {name: values[0] for name, values in parse_qs(said[0]).items()}
    laptop.sign_out()
    assert "took too long" in page.evaluate(POST, ["/sign-in/passkey", again])["detail"]
    page.evaluate(POST, ["/sign-in/passkey/begin", {}])
    assert "opens nothing here" in page.evaluate(POST, ["/sign-in/passkey", again])["detail"], "of another challenge"
    asked = page.evaluate(POST, ["/sign-in/passkey/begin", {}])
    page.goto(f"http://localhost:{server.ports['http']}/")
    elsewhere = page.evaluate(SIGN, asked)
    page.goto("/sign-in")
    assert "opens nothing here" in page.evaluate(POST, ["/sign-in/passkey", elsewhere])["detail"], "by a page of another origin"
    asked = page.evaluate(POST, ["/sign-in/passkey/begin", {}])
    assert page.evaluate(POST, ["/sign-in/passkey", page.evaluate(SIGN, asked)]) == {"place": "/"}


def test_removing_needs_the_password_and_ends_the_session(laptop: Laptop) -> None:
    page = laptop.page
    assert laptop.use() == ""
    with page.expect_navigation():
        page.get_by_role("button", name=f"Remove the passkey {laptop.name}").click()
    for password, said in (("not-the-password", "not your password"), (PASSWORD, "")):
        page.get_by_label("Your password").first.fill(password)
        with page.expect_navigation():
            page.get_by_role("button", name="Remove it").click()
        if said:
            assert said in page.get_by_role("alert").first.inner_text() and not violations(page)
    assert "/sign-in" in page.url, "the session was the passkey's"
    assert page.get_by_role("button", name="Sign in with a passkey").count() == 0, "nobody has one any more"
    laptop.name = ""


def test_one_that_was_removed_opens_nothing(laptop: Laptop, server: Pillarbox) -> None:
    pillarbox("account", "remove-passkey", ADA, laptop.name, data=server.data)
    laptop.name = ""
    assert "opens nothing here" in laptop.use()


def test_at_an_address_and_without_scripts_the_page_says_why(browser: Chromium, server: Pillarbox) -> None:
    page = browser.page()
    with_the_password(page, f"https://127.0.0.1:{server.ports['https']}")
    assert page.get_by_text("by an address in numbers").count() == 1 and not violations(page)
    page.context.close()
    page = browser.page(java_script_enabled=False)
    with_the_password(page)
    assert page.get_by_text("needs a browser that knows passkeys").is_visible()
    assert page.get_by_role("button", name="Make a passkey").count() == 0
    page.context.close()
    page = browser.page()
    page.add_init_script("delete window.PublicKeyCredential")
    with_the_password(page)
    assert page.get_by_text("needs a browser that knows passkeys").is_visible()
    assert page.get_by_role("button", name="Make a passkey").count() == 0 and not page.faults  # type: ignore[attr-defined]
    page.context.close()
