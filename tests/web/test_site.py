"""web/site: the order of checks, sessions, forged requests and refusals."""

import json
from collections.abc import Callable

import pytest
import trio
from trio.testing import MockClock

from appliance.accounts.web_sessions import ABSOLUTE_S, IDLE_S
from tests.web.conftest import PASSWORD, Browser, Web, field_of, text_of

MakeWeb = Callable[..., Web]


@pytest.fixture
async def web(make_web: MakeWeb, autojump_clock: MockClock) -> Web:
    made = make_web()
    for name in ("ada", "mary"):
        await made.family.accounts.add_account(f"{name}@home.example", PASSWORD)
    return made


@pytest.mark.parametrize(
    "host", ["evil.example", "box.local.evil.example", "192.168.1.99", "home.example.evil", "notbox.local", "box-x.local"]
)
async def test_another_host_is_misdirected(make_web: MakeWeb, host: str) -> None:
    response = await make_web().browser(host=host).get("/sign-in")
    assert response.status == 421 and field_of(response, "set-cookie") == "" and len(text_of(response)) < 40


@pytest.mark.parametrize(
    "host",
    ["box.local", "BOX.local:8443", "box-2.local", "box", "box.lan", "mail.home.example", "home.example", "autoconfig.home.example",
        "mta-sts.home.example", "localhost:1", "192.168.1.2", "127.0.0.1:8443", "[::1]:8443"],
)  # fmt: skip
async def test_hosts_of_this_server(make_web: MakeWeb, host: str) -> None:
    assert (await make_web().browser(host=host).get("/sign-in")).status == 200


async def test_every_response_has_the_security_fields(web: Web) -> None:
    for path in ("/sign-in", "/nothing", "/", "/static/none.css", "/health"):
        response = await web.browser().get(path)
        policy = field_of(response, "content-security-policy")
        assert policy.startswith("default-src 'none'") and "unsafe" not in policy and "require-trusted-types-for 'script'" in policy
        assert field_of(response, "x-content-type-options") == "nosniff" and field_of(response, "referrer-policy") == "no-referrer"
        assert field_of(response, "cache-control") == "no-store" and field_of(response, "strict-transport-security") == ""


async def test_plain_http_has_no_session_and_no_form(web: Web) -> None:
    browser = web.browser(secure=False)
    moved = await browser.get("/sign-in?next=/a%20b")
    assert moved.status == 308 and field_of(moved, "location") == "https://box.local:8443/sign-in?next=/a%20b"
    assert (await browser.ask("POST", "/sign-in", b"password=x")).status == 403
    trust = await browser.get("/")
    assert "AB:CD" in text_of(trust) and "<form" not in text_of(trust) and not browser.cookies
    assert "unsafe" not in field_of(trust, "content-security-policy")
    assert text_of(await browser.get("/trust/pillarbox.crt")) == "PEM"
    assert text_of(await browser.get("/.well-known/acme-challenge/token1")) == "token1.key"
    assert (await browser.get("/.well-known/acme-challenge/token2")).status == 404
    settings = text_of(await browser.get("/mail/config-v1.1.xml?emailaddress=ada@home.example"))
    assert settings.index("993") < settings.index("143") and "<hostname>mail.home.example</hostname>" in settings and ">25<" not in settings


async def test_signing_in_and_out(web: Web) -> None:
    browser = web.browser()
    assert field_of(await browser.get("/own/"), "location") == "/sign-in?next=/own/"
    wrong = await browser.sign_in("ada@home.example", "wrong-wrong-wrong")
    assert wrong.status == 403 and "__Host-session" not in browser.cookies
    assert 'value="ada@home.example"' in text_of(wrong) and "wrong-wrong-wrong" not in text_of(wrong), "what was typed stays, not passwords"
    right = await browser.sign_in("ada@home.example")
    assert right.status == 303 and field_of(right, "location") == "/"
    assert field_of(await browser.get("/"), "location") == "/admin/"
    cookie = next(value for name, value in right.fields if name == "set-cookie")
    assert all(word in cookie for word in ("__Host-session=", "Secure", "HttpOnly", "SameSite=Strict", "Path=/")) and "Domain" not in cookie
    before = dict(browser.cookies)
    await browser.get("/trust")
    assert (await browser.post("/sign-out")).status == 303
    again = Browser(web.service.site, cookies=before)
    assert field_of(await again.get("/own/"), "location").startswith("/sign-in"), "the cookie is worth nothing any more"


async def test_a_setup_that_was_interrupted_goes_on_for_the_administrator(web: Web) -> None:
    ada, mary = web.browser(), web.browser()
    await ada.sign_in("ada@home.example")
    await mary.sign_in("mary@home.example")
    await web.context.progress.keep(stage="sending")
    assert field_of(await ada.get("/"), "location") == "/setup/sending" and field_of(await mary.get("/"), "location") == "/mail/"
    await web.context.progress.end()
    assert field_of(await ada.get("/"), "location") == "/admin/"


async def test_an_app_password_opens_no_session(web: Web) -> None:
    password = await web.family.accounts.add_app_password("ada@home.example", "phone")
    assert (await web.browser().sign_in("ada@home.example", password)).status == 403


async def test_sessions_end_with_time_and_with_their_password(web: Web) -> None:
    browser, clock = web.browser(), web.family.clock
    await browser.sign_in("ada@home.example")
    clock.wall_from_s += IDLE_S - 100
    assert (await browser.get("/")).status == 303 and field_of(await browser.get("/"), "location") == "/admin/"
    clock.wall_from_s += IDLE_S + 100
    assert field_of(await browser.get("/"), "location") == "/sign-in"
    await browser.sign_in("ada@home.example")
    for _ in range(int(ABSOLUTE_S / IDLE_S) + 1):
        assert field_of(await browser.get("/"), "location") == "/admin/"
        clock.wall_from_s += IDLE_S - 100
    assert field_of(await browser.get("/"), "location") == "/sign-in"
    await browser.sign_in("ada@home.example")
    await web.family.accounts.set_password("ada@home.example", "Another-Horse-8")
    assert field_of(await browser.get("/"), "location") == "/sign-in"


async def test_the_secret_of_a_session_is_not_stored(web: Web) -> None:
    browser = web.browser()
    await browser.sign_in("ada@home.example")
    rows = web.family.writer.read_now(lambda connection: connection.execute("SELECT * FROM web_session").fetchall())
    assert len(rows) == 1 and browser.cookies["__Host-session"] not in repr(rows)


@pytest.mark.parametrize(
    "fields",
    [{"origin": "https://evil.example"}, {"origin": "null", "sec_fetch_site": "cross-site"}, {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"}, {"sec_fetch_site": "none"}, {"origin": "http://box.local"}],
)  # fmt: skip
async def test_a_form_from_elsewhere_is_refused(web: Web, fields: dict[str, str]) -> None:
    browser = web.browser()
    await browser.sign_in("ada@home.example")
    await browser.get("/trust")
    body = f"token={browser.token}".encode()
    kind = "application/x-www-form-urlencoded"
    assert (await browser.ask("POST", "/sign-out", body, content_type=kind, **fields)).status == 403
    good = {"origin": "null", "sec_fetch_site": "same-origin"}  # what Chromium sends under no-referrer
    assert (await browser.ask("POST", "/sign-out", body, content_type=kind, **good)).status == 303


async def test_a_token_is_needed_and_bound_to_the_session(web: Web) -> None:
    ada, mary = web.browser(), web.browser()
    await ada.sign_in("ada@home.example")
    await mary.sign_in("mary@home.example")
    await mary.get("/trust")
    for token in ("", "x", mary.token, ada.token[:-1], "\u00e4" * 43):
        ada.token = token
        assert (await ada.post("/sign-out")).status == 403
    stranger = web.browser()
    assert (await stranger.post("/sign-in", name="ada@home.example", password=PASSWORD)).status == 403, "no form was opened"


async def test_administration_is_for_administrators_nearby(web: Web) -> None:
    ada, mary = web.browser(), web.browser()
    await ada.sign_in("ada@home.example")
    await mary.sign_in("mary@home.example")
    assert (await ada.get("/admin/")).status == 200
    assert (await mary.get("/admin/")).status == 403
    ada.peer = "8.8.8.8"
    assert (await ada.get("/admin/")).status == 403 and (await ada.get("/own/password")).status == 200
    ada.peer = "127.0.0.1"
    assert (await ada.get("/admin/", x_forwarded_for="8.8.8.8")).status == 403, "whoever comes through a proxy is not near"
    assert (await ada.get("/health")).status == 200
    assert (await web.browser(peer="8.8.8.8").get("/health")).status == 403


async def test_refusals_are_pages_for_people_and_problems_for_programs(web: Web) -> None:
    browser = web.browser()
    assert "<h1>" in text_of(await browser.get("/nothing"))
    problem = await browser.ask("GET", "/nothing", accept="application/json")
    assert problem.status == 404 and problem.media_type == "application/problem+json" and json.loads(text_of(problem))["status"] == 404
    method = await browser.ask("DELETE", "/sign-in")
    assert method.status == 405 and field_of(method, "allow") == "GET, HEAD, POST"
    assert (await browser.ask("POST", "/sign-in", b"{}", content_type="application/json")).status == 415


async def test_a_flood_waits_its_turn(make_web: MakeWeb, autojump_clock: MockClock) -> None:
    web = make_web(requests_per_s=10.0, burst=5)
    browser = web.browser()
    begun = trio.current_time()
    for _ in range(25):
        await browser.get("/robots.txt")
    assert 1.9 < trio.current_time() - begun < 6
    other, begun = web.browser(peer="192.168.1.21"), trio.current_time()
    await other.get("/robots.txt")
    assert trio.current_time() - begun < 0.2


async def test_static_files_are_kept_for_ever_and_revalidated(web: Web) -> None:
    browser = web.browser()
    page = text_of(await browser.get("/sign-in"))
    place = page.split('rel="stylesheet" href="')[1].split('"')[0]
    packed = await browser.get(place, accept_encoding="gzip")
    assert field_of(packed, "content-encoding") == "gzip" and "immutable" in field_of(packed, "cache-control")
    plain = await browser.get(place)
    assert b"--accent" in plain.body and field_of(plain, "etag")  # type: ignore[operator]
    again = await browser.get(place, if_none_match=field_of(plain, "etag"))
    assert (again.status, again.body) == (304, b"")
    part = await browser.get(place, range="bytes=0-9")
    assert part.status == 206 and part.body == plain.body[:10] and field_of(part, "content-range").startswith("bytes 0-9/")  # type: ignore[index]
    assert (await browser.get(place, range="bytes=9999999-")).status == 416
    assert (await browser.get("/static/pillarbox.000000000000.css")).status == 404


async def test_the_access_log_has_no_secrets(web: Web) -> None:
    browser = web.browser()
    await browser.sign_in("ada@home.example")
    await browser.get("/nothing/secret-path?secret=1")
    assert "secret" not in repr(web.service.site.log.entries).replace(browser.cookies["__Host-session"], "secret")
    shown = [(one.method, one.pattern, one.status) for one in web.service.site.log.entries]
    assert shown[-2:] == [("POST", "/sign-in", 303), ("GET", "-", 404)]
