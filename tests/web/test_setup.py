"""Setup in a real browser: from a fresh start to a message that was sent."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.neighbours import Neighbours
from tests.support.server import PASSWORD as OTHER_PASSWORD
from tests.support.server import Pillarbox, pillarbox
from tests.support.wire import eventually
from tests.web.browser import PROTOCOLS, Chromium, chromium, sign_in, violations
from tests.web.test_journeys import loads, press

if TYPE_CHECKING:
    from playwright.sync_api import Page

PASSWORD = "paper tiger river"


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[tuple[Neighbours, Pillarbox, Chromium]]:
    """A server without accounts, with another mail server to send to."""
    with Neighbours(tmp_path) as world:
        data = tmp_path / "fresh"
        world.server = server = Pillarbox(data, "--settings", str(world.settings), protocols=PROTOCOLS, domain="")
        with server, chromium(server) as browser:
            yield world, server, browser


def code_of(server: Pillarbox) -> str:
    found = re.search(r"Setup code: (\S+)", pillarbox("setup-code", data=server.data).stdout)
    assert found
    return found[1]


def begin(page: "Page", code: str) -> None:
    page.goto("/")
    assert page.url.endswith("/setup") and not violations(page)
    page.get_by_label("Setup code").fill(code)
    press(page, "Begin")


def test_from_a_fresh_start_to_a_sent_message(fresh: tuple[Neighbours, Pillarbox, Chromium]) -> None:
    world, server, browser = fresh
    far = world.peer("far.example")
    page, code = browser.page(), code_of(server)
    begin(page, "aaaa-bbbb-cccc")
    assert "not the setup code" in page.get_by_role("alert").inner_text()
    begin(page, code.upper())
    assert not violations(page)
    press(page, "Next")
    page.get_by_label("Your name").fill("Ada Smith")
    page.get_by_label("Your address").fill("ada b")
    page.get_by_label("Your domain").fill("smith.example")
    press(page, "Next")
    assert page.get_by_role("alert").count() == 1 and page.get_by_label("Your name").input_value() == "Ada Smith"
    page.get_by_label("Your address").fill("ada")
    press(page, "Next")
    # Interrupted: another browser goes on where this one stopped.
    page.context.close()
    page = browser.page()
    begin(page, code)
    assert "ada@smith.example" in page.get_by_role("heading", level=1).inner_text() and not violations(page)
    page.get_by_label("Password", exact=True).fill("password1")
    page.get_by_label("Password, once more").fill("password1")
    press(page, "Next")
    assert "tried first" in page.get_by_role("alert").inner_text()
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Password, once more").fill(PASSWORD)
    press(page, "Next")
    assert page.url.endswith("/setup/sending") and not violations(page)
    page.get_by_label("Try it").fill("bob@far.example")
    press(page, "Send a test message")
    (taken,) = world.arrived(far)
    assert taken.sender == "ada@smith.example" and taken.recipients == ["bob@far.example"]
    world.until(lambda: page.reload() is not None and page.get_by_text("It works").count() == 1)
    assert not violations(page)
    press(page, "Done")
    assert "The server is set up" in page.get_by_role("status").inner_text() and page.get_by_role("navigation").count() == 1
    assert not page.faults  # type: ignore[attr-defined]
    read_first_message(server)
    again = browser.page()
    again.goto("/setup")
    assert "/sign-in" in again.url, "setup is over"


def test_the_relay_of_a_provider_is_asked_for_and_tried(fresh: tuple[Neighbours, Pillarbox, Chromium]) -> None:
    world, server, browser = fresh
    relay = world.peer("relay.example")
    page = browser.page()
    begin(page, code_of(server))
    press(page, "Next")
    page.get_by_label("Your address").fill("ada")
    page.get_by_label("Your domain").fill("smith.example")
    press(page, "Next")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Password, once more").fill(PASSWORD)
    press(page, "Next")
    page.get_by_label("through my provider's mail server").check()
    page.get_by_text("The provider's mail server").click()
    page.get_by_label("Port; 0 for the usual one").fill(str(world.port))
    press(page, "Let messages leave so")
    assert "host name" in page.get_by_role("alert").inner_text() and not violations(page)
    assert page.get_by_label("Port; 0 for the usual one").input_value() == str(world.port)
    page.get_by_label("Server of the provider").fill(relay.host)
    page.get_by_label("Security").select_option("none")
    press(page, "Let messages leave so")
    assert "restarts" in page.get_by_role("heading", level=1).inner_text() and not violations(page)
    host = page.get_by_label("Server of the provider")
    assert eventually(lambda: loads(page, "/setup/sending") and host.count() == 1 and host.input_value() == relay.host, 60)
    assert page.get_by_label("through my provider's mail server").is_checked()
    page.get_by_label("Try it").fill("bob@far.example")
    press(page, "Send a test message")
    (taken,) = world.arrived(relay)
    assert taken.recipients == ["bob@far.example"]
    page.context.close()


def read_first_message(server: Pillarbox) -> None:
    from base64 import b64decode
    from imaplib import IMAP4_SSL

    with IMAP4_SSL("localhost", server.ports["imaps"]) as imap:
        imap.login("ada@smith.example", PASSWORD)
        imap.select("INBOX")
        found = imap.fetch("1", "(BODY.PEEK[])")[1][0]
        assert isinstance(found, tuple)
        head, _, body = found[1].partition(b"\r\n\r\n")
        assert b"Subject: Welcome to your mail server" in head and "Hello Ada Smith," in b64decode(body).decode()


def test_a_home_without_a_domain_and_without_scripts(fresh: tuple[Neighbours, Pillarbox, Chromium]) -> None:
    _world, server, browser = fresh
    page = browser.page(java_script_enabled=False)
    page.goto("/")
    page.get_by_label("Setup code").fill(code_of(server))
    press(page, "Begin")
    press(page, "Next")
    page.get_by_label("Your address").fill("oma")
    press(page, "Next")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Password, once more").fill(PASSWORD)
    press(page, "Next")
    assert page.get_by_text("Without a domain of your own").count() == 1
    press(page, "Done")
    assert page.url.endswith("/admin/")


def test_the_queue_and_its_timelines(tmp_path: Path) -> None:
    """A message that left, and one that waits."""
    with Neighbours(tmp_path, first=3600, most=3600) as world:
        words = {"protocols": (*PROTOCOLS, "submission"), "domain": "home.example"}
        world.server = Pillarbox(world.data, "--settings", str(world.settings), **words)  # type: ignore[arg-type]
        far = world.peer("far.example")
        with world.server, chromium(world.server) as browser:
            world.send("bob@far.example")
            world.arrived(far)
            page = browser.page()
            sign_in(page, "ada@home.example", OTHER_PASSWORD)
            look_after(world, page)


def look_after(world: Neighbours, page: "Page") -> None:
    out = page.get_by_role("row").filter(has_text="bob@far.example").filter(has_text="sent")
    world.until(lambda: page.goto("/admin/messages") is not None and out.count() == 1)
    with page.expect_navigation():
        out.get_by_role("link", name="Timeline").click()
    assert page.get_by_text("sent", exact=True).count() == 1 and not violations(page)
    world.peer("slow.example", script={"MAIL": "451 4.3.0 not now"})
    name = world.send("eve@slow.example")
    world.until(lambda: world.track(name)[-1] == "deferred")
    page.goto("/admin/queue")
    assert page.get_by_role("heading", name="eve@slow.example").count() == 1 and not violations(page)
    press(page, "Hold")
    press(page, "Release")
    press(page, "Try now")
    press(page, "Cancel it")
    assert "Nothing is waiting" in page.get_by_role("main").inner_text()
