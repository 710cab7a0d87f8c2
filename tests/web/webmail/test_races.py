"""Answers that come late, and what is done meanwhile: nothing is done twice, undone, or done to what is not shown any more.

A test holds a request back (`Held`), does what a person does who does not wait, and lets it go on.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.journeys.talk import Reader
from tests.support.server import PASSWORD, Pillarbox
from tests.support.wire import eventually
from tests.web.browser import Chromium, fitted, sign_in
from tests.web.webmail.mailing import deliver, message
from tests.web.webmail.network import routed
from tests.web.webmail.test_journeys import fetched
from tests.web.webmail.test_lists_and_focus import row
from tests.web.webmail.test_long_lists import MODULE
from tests.web.webmail.test_offline import CLOSE, drafts
from tests.web.webmail.test_writing import begin, text, throw_away

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

HIDE = """() => {
    Object.defineProperty(document, "visibilityState", { value: "hidden", configurable: true })
    document.dispatchEvent(new Event("visibilitychange"))
    delete document.visibilityState
}"""

LATE = """words => {
    const plain = fetch
    window.fetch = async (url, options) => {
        const answer = await plain(url, options)
        if (!options?.body?.includes?.(words)) return answer
        window.fetch = plain
        await new Promise(done => { window.goOn = done })
        return answer
    }
}"""
"""The answer to the next request with these words comes when `goOn` is called."""
IS_LATE = "() => new Promise(done => { const look = () => window.goOn ? done() : setTimeout(look, 20); look() })"

FRAMES = "() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"
"""What came is drawn."""


class Held:
    """Requests that were sent and are held back."""

    def __init__(self, page: "Page") -> None:
        self.routes: list[Route] = []
        self.holding = True
        self._page = page

    def wait(self, number: int = 1) -> None:
        assert eventually(lambda: self._page.wait_for_timeout(50) is None and len(self.routes) >= number, 60)

    def go_on(self) -> None:
        self.holding = False
        while self.routes:
            self.routes.pop(0).continue_()


@contextmanager
def held(page: "Page", address: str, words: str = "") -> Iterator[Held]:
    """While inside: requests to an address whose body has these words."""
    one = Held(page)

    def hold(route: "Route") -> None:
        if one.holding and words in (route.request.post_data or ""):
            one.routes.append(route)
        else:
            route.fallback()

    routed(page, address, hold)
    try:
        yield one
    finally:
        one.go_on()
        page.unroute(address, hold)


@contextmanager
def on_its_way(page: "Page", server: Pillarbox, subject: str) -> Iterator[None]:
    """A message whose sending is not answered yet; then it is sent, and no draft is left."""
    from playwright.sync_api import expect

    with held(page, "**/jmap/api", "EmailSubmission/set") as sending:
        begin(page, subject, "words")
        page.get_by_role("combobox", name="To").fill("mary@home.example")
        page.get_by_role("button", name="Send", exact=True).click()
        sending.wait()
        yield
    expect(page.locator("#said")).to_contain_text("Sent.")
    sent, left = fetched(server, "ada", subject, "Sent", "Drafts")
    assert [len(sent), len(left)] == [1, 0]


def test_a_message_on_its_way_is_no_draft_although_the_tab_goes_out_of_sight(ada: "Page", server: Pillarbox) -> None:
    from playwright.sync_api import expect

    with on_its_way(ada, server, "Sent and left"):
        ada.evaluate(HIDE)
        expect(ada.locator("#draft-state")).to_have_text("Kept in this browser")


def test_a_message_on_its_way_cannot_be_closed(ada: "Page", server: Pillarbox) -> None:
    from playwright.sync_api import expect

    with on_its_way(ada, server, "Sent and closed"):
        ada.get_by_role("button", name=CLOSE).click()
    expect(ada.locator("#composer")).to_have_count(0)


def test_what_is_typed_while_a_draft_is_closed_is_kept(ada: "Page", server: Pillarbox) -> None:
    """Or cannot be typed."""
    with held(ada, "**/jmap/api", "Email/set") as saving:
        begin(ada, "Closed and typed", "first")
        text(ada).press("Escape")
        saving.wait()
        ada.keyboard.press("End")
        ada.keyboard.type(" second")
        seen = text(ada).input_value()
    ada.locator("#composer").wait_for(state="detached")
    assert drafts(server, "Closed and typed") == [seen.encode()]


def test_writing_begun_twice_is_one_message(ada: "Page") -> None:
    from playwright.sync_api import expect

    with held(ada, "**/jmap/api", "Identity/get") as reading:
        ada.keyboard.press("c")
        ada.keyboard.press("c")
        reading.wait()
    expect(ada.locator("#composer")).to_have_count(1)
    throw_away(ada)


def test_a_star_stays_when_an_answer_from_before_comes_after_it(ada: "Page") -> None:
    from playwright.sync_api import expect

    ada.evaluate(LATE, '"bodyProperties"')  # a list that is read again asks for threads, too
    row(ada, "Number 14").click()
    ada.evaluate(IS_LATE)
    with ada.expect_response(lambda one: "Email/set" in (one.request.post_data or "")):
        ada.keyboard.press("s")
    expect(row(ada, "Number 14")).to_contain_text("starred")
    ada.evaluate("window.goOn()")
    ada.get_by_role("heading", name="Number 14").wait_for()
    ada.evaluate(FRAMES)
    expect(row(ada, "Number 14")).to_contain_text("starred")


def test_counts_are_those_after_a_change_when_an_answer_from_before_comes_after_it(ada: "Page") -> None:
    from playwright.sync_api import expect

    counts = ada.locator("#folder-list").get_by_role("link", name="Inbox").locator(".count [aria-hidden]")
    before = int(counts.inner_text())
    row(ada, "Number 13").locator(".check").click()
    ada.evaluate(LATE, "Email/changes")
    ada.evaluate(f"({MODULE})('mail.js').then(module => {{ module.look() }})")
    ada.evaluate(IS_LATE)
    ada.keyboard.press("u")
    expect(counts).to_have_text(str(before - 1))
    ada.evaluate("window.goOn()")
    ada.evaluate(FRAMES)
    expect(counts).to_have_text(str(before - 1))


def test_a_file_that_a_full_server_refuses_is_not_sent_again_and_again(ada: "Page") -> None:
    """The server is there: nobody says that there is no connection."""
    from playwright.sync_api import expect

    asked: list[Route] = []

    def full(route: "Route") -> None:
        asked.append(route)
        route.fulfill(status=507, content_type="application/problem+json", body='{"status": 507, "detail": "the storage is full"}')

    ada.route("**/jmap/upload/**", full)
    ada.keyboard.press("c")
    ada.locator("#composer input[type=file]").set_input_files([{"name": "notes.txt", "mimeType": "text/plain", "buffer": b"x"}])
    expect(ada.locator(".uploads")).to_contain_text("was refused by the server")
    expect(ada.locator("#banner")).to_be_hidden()
    assert len(asked) == 1
    ada.route("**/mail/text/**", full)
    throw_away(ada)
    row(ada, "Number 12").click()
    fitted(ada)
    ada.get_by_role("button", name="Reply", exact=True).click()
    expect(ada.locator("#said")).to_contain_text("That did not work: the storage is full")
    expect(ada.locator("#banner")).to_be_hidden()
    ada.unroute_all()
    ada.faults.clear()  # type: ignore[attr-defined]


def test_files_of_a_message_that_was_thrown_away_are_not_uploaded(ada: "Page") -> None:
    from playwright.sync_api import expect

    ada.locator("html[data-ready]").wait_for(state="attached")
    ada.keyboard.press("c")
    ada.context.set_offline(True)
    ada.locator("#composer input[type=file]").set_input_files([{"name": "notes.txt", "mimeType": "text/plain", "buffer": b"x"}])
    expect(ada.locator(".uploads")).to_contain_text("waits for a connection")
    throw_away(ada)
    asked: list[Route] = []
    ada.route("**/jmap/upload/**", lambda route: (asked.append(route), route.continue_()))
    ada.context.set_offline(False)
    expect(ada.locator("#banner")).to_be_hidden()
    ada.evaluate(FRAMES)
    ada.unroute_all()
    assert not asked
    ada.faults.clear()  # type: ignore[attr-defined]


def test_a_message_that_came_stands_once_in_its_conversation(ada: "Page", server: Pillarbox) -> None:
    """Although it was asked for twice, since more came meanwhile."""
    from playwright.sync_api import expect

    articles = ada.locator("#conversation article")
    deliver(server, message("Canoe", "Is it dry?\n", id="<c1@x>"))
    row(ada, "Canoe").click()
    ada.get_by_role("heading", name="Canoe").wait_for()
    with held(ada, "**/jmap/api", '"bodyProperties"') as reading:
        deliver(server, message("Re: Canoe", "Not yet.\n", id="<c2@x>", after="<c1@x>"))
        reading.wait(1)
        deliver(server, message("Something else", "x\n"))
        reading.wait(2)
    expect(articles).to_have_count(2)
    ada.evaluate(FRAMES)
    expect(articles).to_have_count(2)


def test_a_message_whose_row_is_forgotten_is_opened(ada: "Page") -> None:
    from playwright.sync_api import expect

    row(ada, "Dinner").click()
    expect(ada.locator("article.open")).to_have_count(2)
    expect(row(ada, "Dinner")).not_to_contain_text("Unread")
    ada.keyboard.press("Escape")
    expect(ada.locator("body.reading")).to_have_count(0)
    row(ada, "Dinner").click()
    expect(ada.locator("article.open")).to_have_count(1)
    ada.evaluate(f"({MODULE})('mail.js').then(module => module.emails.clear())")
    ada.locator("article .head").first.click()
    expect(ada.locator("article.open")).to_have_count(2)


def test_a_conversation_left_before_it_was_shown_stays_unread(browser: Chromium) -> None:
    from playwright.sync_api import expect

    page = browser.page()
    sign_in(page, "ada@home.example", PASSWORD)
    with held(page, "**/reading.js") as loading:
        page.goto("/mail/")
        row(page, "Number 11").click()
        loading.wait()
        expect(page.locator("body.reading")).to_have_count(1)
        page.locator("#list").press("Escape")
        expect(page.locator("body.reading")).to_have_count(0)
    page.locator("html[data-ready]").wait_for(state="attached")
    page.evaluate(FRAMES)
    expect(page.locator("#conversation")).to_contain_text("Choose a conversation")
    expect(row(page, "Number 11")).to_contain_text("Unread")
    page.context.close()


def test_an_answer_that_cannot_be_begun_says_so(browser: Chromium) -> None:
    from playwright.sync_api import expect

    page = browser.page()
    sign_in(page, "ada@home.example", PASSWORD)
    page.context.route("**/compose.js", lambda route: route.abort())
    page.goto("/mail/")
    page.locator("html[data-ready]").wait_for(state="attached")
    row(page, "Number 10").click()
    fitted(page)
    page.get_by_role("button", name="Reply", exact=True).click()
    expect(page.locator("#said")).to_contain_text("That did not work: there is no connection")
    page.context.unroute("**/compose.js")
    page.get_by_role("button", name="Reply", exact=True).click()
    expect(page.locator("#composer")).to_be_visible()
    page.context.close()


def test_addresses_are_not_suggested_where_nobody_writes_any_more(ada: "Page") -> None:
    from playwright.sync_api import expect

    names = '"from","to","cc"'
    with held(ada, "**/jmap/api", names) as reading:
        ada.keyboard.press("c")
        ada.get_by_role("combobox", name="To").press_sequentially("smi")
        reading.wait()
        ada.get_by_label("Subject").focus()
        with ada.expect_response(lambda one: names in (one.request.post_data or "")):
            reading.go_on()
    ada.evaluate(FRAMES)
    expect(ada.locator(".completions:visible")).to_have_count(0)
    throw_away(ada)


def test_a_draft_that_another_tab_sends_meanwhile_is_not_offered(ada: "Page") -> None:
    begun = ada.evaluate(f"""async () => {{
        localStorage.setItem("draft ada@home.example x", '{{"at": 1}}')
        const {{ kept }} = await ({MODULE})("draft.js")
        const found = kept()
        localStorage.removeItem("draft ada@home.example x")
        return (await found).length
    }}""")
    assert begun == 0


def test_who_shares_a_mailbox_is_asked_again_when_there_is_a_connection(ada: "Page", server: Pillarbox) -> None:
    from playwright.sync_api import expect

    refused: list[Route] = []
    ada.route("**/jmap/session", lambda route: (refused.append(route), route.abort()), times=1)
    with Reader(server.ports["imap"], "mary@home.example") as mary:
        mary.ok(b"CREATE Shed")
        mary.ok(b"SETACL Shed ada@home.example lr")
        shed = ada.locator("#folders").get_by_role("link", name="Shed")
        expect(shed).to_be_visible()
        assert refused
        mary.ok(b"DELETE Shed")
    expect(shed).to_have_count(0)
    ada.faults.clear()  # type: ignore[attr-defined]


def test_more_accounts_share_mailboxes_than_one_request_has_calls(ada: "Page") -> None:
    """Those that do so no more are left out."""
    left = ada.evaluate(f"""async () => {{
        const {{ look, shared }} = await ({MODULE})("mail.js")
        for (let number = 0; number < 20; number++) shared.set(`A${{900 + number}}`, {{ name: "x", state: "" }})
        await look()
        return shared.size
    }}""")
    assert left == 0


def test_a_tab_that_nobody_sees_keeps_no_listener_for_each_message(ada: "Page", server: Pillarbox) -> None:
    ada.evaluate("""() => {
        Object.defineProperty(document, "hidden", { value: true, configurable: true })
        window.listeners = 0
        const { addEventListener, removeEventListener } = document
        document.addEventListener = (...words) => { window.listeners++; addEventListener.apply(document, words) }
        document.removeEventListener = (...words) => { window.listeners--; removeEventListener.apply(document, words) }
    }""")
    deliver(server, message("Unseen", "x\n"))
    assert eventually(lambda: ada.evaluate("window.listeners") == 1, 60)
    assert eventually(lambda: ada.evaluate("window.listeners") == 0, 60)


def test_a_signature_that_changed_together_with_mail_is_read_again(ada: "Page") -> None:
    """One event of the stream tells of both."""
    ada.keyboard.press("c")
    throw_away(ada)
    ada.evaluate(f"""async () => {{
        const {{ call, request }} = await ({MODULE})("jmap.js")
        const [{{ id }}] = (await call("Identity/get", {{ ids: null }})).list
        const [email] = (await call("Email/query", {{ limit: 1 }})).ids
        const flag = (value) => ["Email/set", {{ update: {{ [email]: {{ "keywords/$flagged": value }} }} }}]
        const signed = (textSignature) => ["Identity/set", {{ update: {{ [id]: {{ textSignature }} }} }}]
        window.unsign = () => request([signed("")])
        await request([flag(true), flag(null), signed("Signed anew")])
    }}""")

    def is_signed() -> bool:
        ada.keyboard.press("c")
        found = "Signed anew" in text(ada).input_value()
        throw_away(ada)
        return found

    assert eventually(is_signed, 60)
    ada.evaluate("window.unsign()")


def test_what_is_made_in_place_of_an_open_message_is_open_although_that_goes_later(ada: "Page", server: Pillarbox) -> None:
    """As what is sent with files does."""
    from playwright.sync_api import expect

    deliver(server, message("Ferry", "When?\n", id="<f1@x>"))
    row(ada, "Ferry").click()
    ada.get_by_role("heading", name="Ferry").wait_for()
    ada.evaluate(f"""async () => {{
        const {{ call }} = await ({MODULE})("jmap.js")
        const {{ byRole }} = await ({MODULE})("mail.js")
        const make = async () => (await call("Email/set", {{ create: {{ one: {{
            mailboxIds: {{ [byRole("drafts").id]: true }}, keywords: {{ $draft: true, $seen: true }}, subject: "Re: Ferry",
            messageId: ["f2@x"], inReplyTo: ["f1@x"], references: ["f1@x"],
        }} }} }})).created.one.id
        window.make = make
        window.first = await make()
        window.remove = (id) => call("Email/set", {{ destroy: [id] }})
    }}""")
    articles, open_ones = ada.locator("#conversation article"), ada.locator("article.open")
    expect(articles).to_have_count(2)
    fitted(ada)
    articles.last.locator(".head").click()
    expect(open_ones).to_have_count(2)
    ada.evaluate("window.make().then(id => { window.second = id })")
    expect(articles).to_have_count(3)
    ada.evaluate("window.remove(window.first)")
    expect(articles).to_have_count(2)
    expect(open_ones).to_have_count(2)
    ada.evaluate("window.remove(window.second)")
