"""Passkeys on the site, asked without sockets: an authenticator in software says what a browser would, right and wrong."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from trio.testing import MockClock

from appliance.accounts.passkeys import Ceremony, NewCredential, PasskeyFacts, Passkeys, checked
from appliance.control import requests as controls
from appliance.control.requests import Response
from appliance.protocol.webauthn import USER_PRESENT, decode_base64url, encode_base64url
from appliance.web.challenges import CHALLENGE_S
from appliance.web.message import HttpResponse
from tests.support.accounts import Family
from tests.support.authenticator import Authenticator
from tests.web.conftest import PASSWORD, Browser, Web, text_of

ADA, MARY, HOST = "ada@home.example", "mary@home.example", "box.local"


class Control:
    """Keeps and removes passkeys as the admin API does; nothing else is asked for here."""

    def __init__(self, family: Family) -> None:
        self.passkeys = Passkeys(family.accounts, family.clock)
        self.told: list[str] = []

    async def ask(self, request: Any) -> Response:
        if isinstance(request, controls.RemovePasskey):
            await self.passkeys.remove(request.address, request.name)
            return Response("", {})
        assert isinstance(request, controls.AddPasskey)
        octets = bytes.fromhex(request.credential), request.algorithm, bytes.fromhex(request.public_key), request.sign_count
        await self.passkeys.add(request.address, request.name, PasskeyFacts(request.host, *octets), request.by)
        return Response("", {})


@pytest.fixture
async def web(family: Family, make_web: Callable[..., Web]) -> Web:
    for address in (ADA, MARY):
        await family.accounts.add_account(address, PASSWORD)
    return make_web(Control(family))


async def a_key(web: Web, address: str, **words: Any) -> Authenticator:
    """A passkey of the account that is there already."""
    account = web.context.accounts.directory.find_login(address)
    assert account is not None
    passkeys, asked = Passkeys(web.context.accounts, web.context.clock), Ceremony(b"x" * 32, f"https://{HOST}", HOST)
    key = Authenticator(handle=passkeys.handle(account.id), **words)
    row = web.context.accounts.main_password(account.id)
    assert row is not None
    await passkeys.add(address, f"key of {address}", checked(key.make(asked), asked), row.id)
    return key


async def say(browser: Browser, path: str, token: str = "", **values: str) -> HttpResponse:
    """As the script of the page does."""
    from urllib.parse import urlencode

    words = {"content_type": "application/x-www-form-urlencoded", "x_form_token": token or browser.token, "accept": "application/json"}
    return await browser.ask("POST", path, urlencode(values).encode(), **words)


def facts_of(response: HttpResponse) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text_of(response))
    return found


async def asked_by(browser: Browser, path: str = "/sign-in/passkey", **values: str) -> Ceremony:
    """What the browser is asked to have signed."""
    facts = facts_of(await say(browser, f"{path}/begin", **values))
    return Ceremony(decode_base64url(facts["challenge"], 32), f"https://{browser.host}", facts["host"])


def fields(key: Authenticator, asked: Ceremony, **changed: Any) -> dict[str, str]:
    shown = key.sign(asked, **changed)
    names = ("credential", "client_data", "authenticator_data", "signature", "handle")
    return {name: encode_base64url(getattr(shown, name)) for name in names}


async def test_a_passkey_signs_in_and_its_session_ends_with_it(web: Web) -> None:
    key, browser = await a_key(web, ADA, sign_count=1), web.browser()
    assert "data-passkey" in text_of(await browser.get("/sign-in"))
    answer = await say(browser, "/sign-in/passkey", next="/own/", **fields(replace_count(key), await asked_by(browser)))
    assert facts_of(answer) == {"place": "/own/"}
    page = text_of(await browser.get("/own/passkeys"))
    assert f"key of {ADA}" in page and 'name="current"' in page, "the password was not typed for this session"
    assert "key of" not in text_of(await browser.post("/own/passkeys/remove", name="nothing", current="wrong")).split("<table>")[0]
    await web.context.accounts.set_password(ADA, "another password of ada")
    assert (await browser.get("/own/passkeys")).status == 200, "the passkey opened it, not the password"
    await Passkeys(web.context.accounts, web.context.clock).remove(ADA, f"key of {ADA}")
    assert (await browser.get("/own/passkeys")).status == 303


def replace_count(key: Authenticator) -> Authenticator:
    assert key.sign_count is not None
    key.sign_count += 1
    return key


async def refused(browser: Browser, **values: str) -> str:
    """Why a sign-in is refused."""
    answer = await say(browser, "/sign-in/passkey", **values)
    assert answer.status == 422 and "__Host-session" not in browser.cookies
    return str(facts_of(answer)["detail"])


async def test_what_signs_nobody_in(web: Web) -> None:
    key, hers, browser = await a_key(web, ADA), await a_key(web, MARY), web.browser()
    await browser.get("/sign-in")
    first = await asked_by(browser)
    good = fields(key, first)
    wrong = (
        lambda asked: fields(Authenticator(handle=key.handle), asked),
        lambda asked: fields(key, asked) | {"credential": encode_base64url(hers.credential)},
        lambda asked: fields(key, asked) | {"handle": encode_base64url(hers.handle)},
        lambda asked: fields(key, asked, origin="https://evil.example"),
        lambda asked: fields(key, asked, origin="https://box.local:8443"),
        lambda asked: fields(key, replace(asked, host="mail.home.example")),
        lambda asked: fields(key, first),
    )
    for made in wrong:
        assert "opens nothing here" in await refused(browser, **made(await asked_by(browser)))
    key.flags = USER_PRESENT
    assert "opens nothing here" in await refused(browser, **fields(key, await asked_by(browser))), "without PIN, finger or face"
    assert "took too long" in await refused(browser, **good), "the challenge was used"


async def test_a_challenge_is_one_browser_s_for_five_minutes_and_one_use(web: Web, mock_clock: MockClock) -> None:
    key, browser, other = await a_key(web, ADA), web.browser(), web.browser()
    for one in (browser, other):
        await one.get("/sign-in")
    asked = await asked_by(browser)
    assert "took too long" in await refused(other, **fields(key, asked))
    assert (await say(browser, "/sign-in/passkey", **fields(key, asked))).status == 200
    asked = await asked_by(other)
    mock_clock.jump(CHALLENGE_S)
    assert "took too long" in await refused(other, **fields(key, asked))


@pytest.mark.parametrize("octets", ["!", "A", "ä", "A" * 100_000])
async def test_what_is_no_base64url_is_a_problem_for_the_program(web: Web, octets: str) -> None:
    await a_key(web, ADA)
    browser = web.browser()
    await browser.get("/sign-in")
    for name in ("credential", "client_data", "authenticator_data", "signature", "handle"):
        await asked_by(browser)
        answer = await say(browser, "/sign-in/passkey", **{name: octets})
        assert answer.status in (400, 413) and facts_of(answer)["status"] == answer.status


async def test_a_forged_request_begins_nothing(web: Web) -> None:
    browser = web.browser()
    await browser.get("/sign-in")
    assert (await say(browser, "/sign-in/passkey/begin", token="x" * 43)).status == 403
    assert (await say(web.browser(), "/sign-in/passkey/begin", token=browser.token)).status == 403


async def test_without_passkeys_for_this_name_the_sign_in_page_does_not_speak_of_them(web: Web) -> None:
    await a_key(web, ADA)
    assert "data-passkey" not in text_of(await web.browser(host="mail.home.example").get("/sign-in"))


async def signed_in(web: Web, **words: Any) -> Browser:
    browser = web.browser(**words)
    await browser.sign_in(ADA)
    await browser.get("/own/passkeys")
    return browser


def made(one: NewCredential) -> dict[str, str]:
    octets = {name: encode_base64url(getattr(one, name)) for name in ("client_data", "authenticator_data", "public_key")}
    return {**octets, "algorithm": str(one.algorithm)}


async def test_a_passkey_is_made_used_and_removed(web: Web) -> None:
    browser, key = await signed_in(web), Authenticator()
    assert "Make a passkey" in text_of(await browser.get("/own/passkeys"))
    facts = facts_of(await say(browser, "/own/passkeys/begin", name="phone"))
    assert facts["host"] == HOST and facts["known"] == [] and facts["algorithms"] == [-7, -8, -257]
    key.handle, asked = decode_base64url(facts["handle"], 64), Ceremony(decode_base64url(facts["challenge"], 32), f"https://{HOST}", HOST)
    assert ADA.encode() not in key.handle
    said = made(key.make(asked))
    assert facts_of(await say(browser, "/own/passkeys", name="phone", **said)) == {"place": "/own/passkeys"}
    assert "took too long" in facts_of(await say(browser, "/own/passkeys", name="again", **said))["detail"]
    page = text_of(await browser.get("/own/passkeys"))
    assert "“phone” signs in here now." in page and "box.local" in page
    again = facts_of(await say(browser, "/own/passkeys/begin", name="tablet"))
    assert again["known"] == [encode_base64url(key.credential)] and again["handle"] == facts["handle"]
    other = web.browser()
    await other.get("/sign-in")
    assert (await say(other, "/sign-in/passkey", **fields(key, await asked_by(other)))).status == 200
    assert (await browser.post("/own/passkeys/remove", name="phone")).status == 303
    assert (await other.get("/own/")).status == 303, "its session is over"
    assert "“phone” does not sign in any more." in text_of(await browser.get("/own/passkeys"))


async def test_what_makes_no_passkey(web: Web) -> None:
    browser, key = await signed_in(web), Authenticator()
    assert "needs a name" in facts_of(await say(browser, "/own/passkeys/begin", name=" "))["detail"]
    unasked = made(key.make(Ceremony(bytes(32), f"https://{HOST}", HOST)))
    assert "took too long" in facts_of(await say(browser, "/own/passkeys", name="x", **unasked))["detail"]
    wrong = (
        lambda asked: made(key.make(replace(asked, origin="https://evil.example"))),
        lambda asked: made(key.make(replace(asked, host="localhost"))),
        lambda asked: made(Authenticator(flags=USER_PRESENT).make(asked)),
        lambda asked: made(key.make(asked)) | {"algorithm": "-8"},
        lambda asked: made(key.make(asked)) | {"algorithm": "-65535"},
        lambda asked: made(key.make(asked)) | {"public_key": ""},
        lambda asked: made(key.make(asked)) | {"authenticator_data": "A" * 5000},
    )
    for one in wrong:
        answer = await say(browser, "/own/passkeys", name="x", **one(await asked_by(browser, "/own/passkeys", name="x")))
        assert answer.status == 422 and "cannot be used here" in facts_of(answer)["detail"]
    assert not web.context.accounts.secrets.passkeys


async def test_the_password_is_needed_again_after_five_minutes(web: Web, family: Family) -> None:
    browser, key = await signed_in(web), Authenticator()
    asked = await asked_by(browser, "/own/passkeys", name="x")
    (session,) = web.context.sessions.of(family.accounts.directory.accounts()[0].id)
    session.confirmed_mono -= CHALLENGE_S + 1
    assert "took too long" in facts_of(await say(browser, "/own/passkeys", name="x", **made(key.make(asked))))["detail"]
    for typed in ({}, {"current": "wrong"}):
        assert "not your password" in facts_of(await say(browser, "/own/passkeys/begin", name="x", **typed))["detail"]
    hers = await a_key(web, ADA)
    page = await browser.post("/own/passkeys/remove", name=f"key of {ADA}")
    assert page.status == 422 and 'id="remove-current"' in text_of(page) and hers.credential in web.context.accounts.secrets.passkeys
    page = await browser.post("/own/passkeys/remove", name=f"key of {ADA}", current="wrong")
    assert page.status == 422 and "not your password" in text_of(page)
    assert (await browser.post("/own/passkeys/remove", name=f"key of {ADA}", current=PASSWORD)).status == 303
    assert not web.context.accounts.secrets.passkeys


async def test_at_an_address_in_numbers_the_page_says_where_to_go(web: Web) -> None:
    browser = await signed_in(web, host="192.168.1.2")
    page = text_of(await browser.get("/own/passkeys"))
    assert "by an address in numbers" in page and "https://mail.home.example:8443" in page and "data-passkey" not in page
    assert "need the name" in facts_of(await say(browser, "/own/passkeys/begin", name="x"))["detail"]
