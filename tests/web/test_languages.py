"""Pages in another language: which one a page is in, and that every text of every page comes out of the catalogue."""

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from appliance.accounts.throttle import Throttle
from appliance.app.admin_api import AdminApi
from appliance.app.admin_request import Running
from appliance.app.jmap import JmapParts
from appliance.app.listeners import send_quota_of
from appliance.app.web import web_service
from appliance.auth.login import Login
from appliance.control.requests import AddAppPassword, ListQueue, SendServerMessage
from appliance.status import events as e
from appliance.web.template_environment import DIRECTORY
from tests.support.admin import ADA, AdminServer, admin_server
from tests.support.catalogues import is_worded, pseudo_language
from tests.web.conftest import PASSWORD, Browser, Web, text_of

SPOKEN = ("aria-label", "title", "alt", "placeholder", "data-copy", "data-copied", "data-name")
"""Attributes that people read or hear."""
AS_IT_IS = ("script", "style", "code", "pre", "option")
"""Elements whose text is data: what other servers said, lines of logs, words of the settings file."""
VALUES = {"address": ADA, "name": "home.example", "section": "smtp"}
"""Stand for the values in patterns of routes; `message` is one that waits."""


class Texts(HTMLParser):
    """Every text of a page that people read."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._within: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if name in SPOKEN and value]
        if tag in AS_IT_IS:
            self._within.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in AS_IT_IS:
            self._within.remove(tag)

    def handle_data(self, data: str) -> None:
        if not self._within and data.strip():
            self.found.append(data.strip())


def unworded(page: str) -> list[str]:
    """Texts of a page in the pseudo-language that neither came out of the catalogue nor are data."""
    parser = Texts()
    parser.feed(page)
    return [text for text in parser.found if not is_worded(text)]


@pytest.mark.parametrize("path", sorted(DIRECTORY.glob("*.html")), ids=lambda path: path.stem)
def test_templates_have_no_text_of_their_own(path: Path) -> None:
    plain = re.sub(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert unworded(plain) == []


async def the_site(one: AdminServer) -> Any:
    """The site of a server with an account, a device, a waiting message and something of everything on the board."""
    components, board = one.components, one.components.board
    facts = SimpleNamespace(names=("mail.home.example",), not_before_at=1, not_after_at=1_900_000_000, fingerprint="AB:CD")
    tls: Any = SimpleNamespace(source="own", facts=facts, file=Path("/etc/own.pem"), reload=lambda: None)
    api = AdminApi(components, one.outbound, Running(tls, stop=lambda ending: None, end_sessions=lambda: 0))
    login = Login(components.accounts, Throttle(), board, components.clock, failure_s=0.0)
    await api.ask(AddAppPassword(ADA, "GPIO"))
    await api.ask(SendServerMessage(ADA, "Test", "Test", "bob@far.example"))
    for event in (e.ListenerUp("smtp", "0.0.0.0", 25), e.ListenerDown("imaps", "::", 993, ""), e.AccountsState(1, ("home.example",))):
        board.publish(event)
    return web_service(components, tls, login, api, JmapParts(components, send_quota_of(components), one.outbound)).site


async def pages_of(site: Any) -> list[str]:
    """The patterns of all pages that can be looked at, of every section."""
    for section in list(site._routes._sections):
        await site._routes.find("GET", section.prefix.strip("/").split("/"))
    return [route.pattern for rows in site._routes._loaded.values() for route in rows if route.method == "GET" and not route.program]


async def test_every_text_of_every_page_comes_out_of_the_catalogue(tmp_path: Path) -> None:
    async with admin_server(tmp_path / "data") as one:
        site = await the_site(one)
        values = {**VALUES, "message": (await one.running.ask(ListQueue())).facts["messages"][0]["message"]}
        (tmp_path / "languages").mkdir()
        with pseudo_language(tmp_path / "languages"):
            browser, seen = Browser(site, host="localhost"), 0
            assert unworded(text_of(await browser.get("/sign-in", accept_language="de"))) == []
            browser.cookies["__Host-language"] = "de"
            assert unworded(text_of(await browser.sign_in(ADA, "wrong"))) == []
            assert (await browser.sign_in(ADA)).status == 303
            for pattern in await pages_of(site):
                path = re.sub(r"\{(\w+)\}", lambda found: values.get(found[1], "nothing"), pattern)
                response = await browser.get(path)
                if response.status == 200 and response.media_type.startswith("text/html"):
                    seen += 1
                    assert not (found := unworded(text_of(response))), (path, found)
                    assert '<html lang="de">' in text_of(response)
            assert seen > 15
            assert unworded(text_of(await browser.get("/nothing"))) == []


async def test_an_account_has_a_language_and_a_browser_before_sign_in_too(make_web: Callable[..., Web], tmp_path: Path) -> None:
    web = make_web()
    await web.family.accounts.add_account(ADA, PASSWORD)
    with pseudo_language(tmp_path):
        german = web.browser()
        assert "⟦Sign in⟧" in text_of(await german.get("/sign-in", accept_language="fr, de;q=0.5"))
        assert "⟦" not in text_of(await german.get("/sign-in", accept_language="fr"))
        assert (await german.sign_in(ADA)).status == 303
        await german.get("/nothing")  # for the token of the session
        assert (await german.post("/own/language", language="xx")).status == 422
        assert (await german.post("/own/language", language="de")).status == 303
        assert web.family.accounts.directory.find_login(ADA).language == "de"  # type: ignore[union-attr]
        another = web.browser()
        assert (await another.sign_in(ADA)).status == 303
        assert "⟦" in text_of(await another.get("/nothing"))
