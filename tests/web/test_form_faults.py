"""Forms of the administration with bad input: the words stand beside the field, what was typed is kept (no password), nothing changes."""

import re
from pathlib import Path

import pytest

from tests.support.admin import admin_server
from tests.web.conftest import Browser, text_of
from tests.web.test_languages import ADA, the_site

ACCOUNTS, DOMAIN, SETTINGS = "/admin/accounts", "/admin/domains/home.example", "/admin/settings"
RELAY = {"form": "new", "name": "post", "host": "smtp.provider.example", "port": "0", "security": "tls"}
SECRET = "relay-secret"
ROWS = (
    (ACCOUNTS, "/admin/accounts", {"address": "no address", "password": ""}, "address", "no address"),
    (ACCOUNTS, "/admin/accounts", {"address": "tim", "password": "short"}, "password", "tim"),
    (ACCOUNTS, "/admin/aliases", {"alias": "all", "target": ADA}, "alias", "all"),
    (ACCOUNTS, "/admin/aliases", {"alias": "all@home.example", "target": "nobody@home.example"}, "target", "nobody@home.example"),
    (f"{ACCOUNTS}/{ADA}", f"{ACCOUNTS}/{ADA}/quota", {"quota_mb": "many"}, "quota_mb", "many"),
    (f"{ACCOUNTS}/{ADA}", f"{ACCOUNTS}/{ADA}/rename", {"new": "x y"}, "new", "x y"),
    (DOMAIN, f"{DOMAIN}/catch-all", {"address": "nobody"}, "address", "nobody"),
    ("/admin/domains", "/admin/domains", {"name": "no domain"}, "name", "no domain"),
    (SETTINGS, f"{SETTINGS}/section/messages", {"field": "largest_mb", "value-largest_mb": "many"}, "messages-largest_mb", "many"),
    (SETTINGS, f"{SETTINGS}/section/messages", {"field": "largest_mb", "value-largest_mb": "99999"}, "messages-largest_mb", "99999"),
    (SETTINGS, f"{SETTINGS}/section/panel", {"field": "night", "value-night": "late"}, "panel-night", "late"),
    (SETTINGS, f"{SETTINGS}/section/panel", {"field": "leds", "value-leds": "rgb:1,2,3\nlamp"}, "panel-leds", "rgb:1,2,3\nlamp"),
    (SETTINGS, f"{SETTINGS}/section/server", {"field": "domain", "value-domain": "no domain"}, "server-domain", "no domain"),
    (SETTINGS, f"{SETTINGS}/relay", {**RELAY, "name": "Not a name"}, "new-name", "Not a name"),
    (SETTINGS, f"{SETTINGS}/relay", {**RELAY, "port": "many", "domains": "far.example"}, "new-port", "far.example"),
)


@pytest.mark.parametrize(("page", "action", "values", "field", "kept"), ROWS, ids=[f"{row[1]}-{row[3]}" for row in ROWS])
async def test_bad_input(page: str, action: str, values: dict[str, str], field: str, kept: str, tmp_path: Path) -> None:
    async with admin_server(tmp_path / "data") as one:
        browser = Browser(await the_site(one), host="localhost")
        assert (await browser.sign_in(ADA)).status == 303
        await browser.get(page)
        before = await one.components.database.read(lambda c: list(c.iterdump()))
        response = await browser.post(action, **values)
        text = text_of(response)
        assert response.status == 422 and faults_of(text) == [field]
        described = re.search(rf'id="{field}"[^>]*aria-describedby="{field}-fault[^"]*"[^>]*aria-invalid="true"', text)
        assert described and kept in text and "short" not in re.findall(r'value="([^"]*)"', text)
        assert await one.components.database.read(lambda c: list(c.iterdump())) == before
        assert not (tmp_path / "data" / "pillarbox.toml").exists()


async def test_a_relay_that_is_changed_keeps_its_form_and_its_password(tmp_path: Path) -> None:
    async with admin_server(tmp_path / "data") as one:
        file = tmp_path / "data" / "pillarbox.toml"
        browser = Browser(await the_site(one), host="localhost")
        await browser.sign_in(ADA)
        await browser.get(SETTINGS)
        assert (await browser.post(f"{SETTINGS}/relay", **RELAY, user="smith", password=SECRET, domains="far.example")).status == 303
        assert "any_certificate" not in file.read_text() and SECRET in file.read_text()
        await browser.get(SETTINGS)
        changed = {**RELAY, "form": "relay-1", "user": "smith", "host": "mail.example", "port": "99999"}
        text = text_of(await browser.post(f"{SETTINGS}/relay", **changed, domains="near.example", spf="include:x.example"))
        assert faults_of(text) == ["relay-1-port"] and '<details id="s-relay-1" open>' in text and SECRET not in text
        assert 'id="relay-1-host" name="host" value="mail.example"' in text and 'id="new-host" name="host" value=""' in text
        await browser.post(f"{SETTINGS}/relay", **(changed | {"port": "465"}), domains="near.example", spf="include:x.example")
        assert all(word in file.read_text() for word in ('"near.example"', "mail.example", "include:x.example", SECRET))


async def test_a_wrong_password_stands_beside_the_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.accounts.web_sessions.CONFIRMED_S", -1.0)
    async with admin_server(tmp_path / "data") as one:
        browser = Browser(await the_site(one), host="localhost")
        await browser.sign_in(ADA)
        listeners = {"field": "imap", "value-imap": "*:143"}
        for page, action, values, field in (
            (SETTINGS, f"{SETTINGS}/relay", RELAY, "new-current"),
            (SETTINGS, f"{SETTINGS}/listeners", listeners, "listen-current"),
        ):
            await browser.get(page)
            assert faults_of(text_of(await browser.post(action, **values, current="wrong"))) == [field]


def faults_of(text: str) -> list[str]:
    """The fields beside which something stands."""
    return [found.removesuffix("-fault") for found in re.findall(r'<p class="fault" id="([^"]*)"', text)]
