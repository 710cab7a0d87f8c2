"""A site over accounts on a real database, asked without sockets."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from appliance.accounts.push_subscriptions import PushSubscriptions
from appliance.accounts.second_factor import SecondFactors
from appliance.accounts.setup_progress import SetupProgress
from appliance.accounts.web_sessions import WebSessions
from appliance.auth.login import Login
from appliance.protocol.http.target import parse_host, parse_target
from appliance.status.board import Board
from appliance.web.access import Names
from appliance.web.context import WebContext, WebOptions
from appliance.web.message import HttpFields, HttpRequest, HttpResponse
from appliance.web.service import WebService
from tests.support.accounts import Family, a_family

PASSWORD = "Correct-Horse-7"


class GivenBody:
    """A request body that is there already."""

    def __init__(self, octets: bytes) -> None:
        self.octets, self.length, self.most_octets = octets, len(octets), 0

    def __aiter__(self) -> Any:
        return self._chunks()

    async def _chunks(self) -> Any:
        yield self.octets

    async def read(self) -> bytes:
        return self.octets


@dataclass
class Browser:
    """Keeps cookies; `get` and `post` give the response. `token` is that of the last page."""

    site: Any
    peer: str = "192.168.1.20"
    host: str = "box.local"
    secure: bool = True
    cookies: dict[str, str] = field(default_factory=dict)
    token: str = ""

    async def ask(self, method: str, path: str, body: bytes = b"", **fields: str) -> HttpResponse:
        given = {name.replace("_", "-"): value for name, value in fields.items()}
        if self.cookies:
            given["cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        pairs = [(name.encode(), value.encode()) for name, value in given.items()]
        request = HttpRequest(
            method, parse_target(path), parse_host(self.host), HttpFields(pairs), GivenBody(body), peer=self.peer, local="192.168.1.2",
            secure=self.secure,
        )  # fmt: skip
        response: HttpResponse = await self.site.respond(request)
        for name, value in response.fields:
            if name == "set-cookie":
                cookie, _, rest = value.partition("=")
                self.cookies[cookie] = rest.partition(";")[0]
        text = response.body.decode("utf-8", "replace") if isinstance(response.body, bytes) else ""
        if 'name="token" value="' in text:
            self.token = text.split('name="token" value="')[1].split('"')[0]
        return response

    async def get(self, path: str, **fields: str) -> HttpResponse:
        return await self.ask("GET", path, accept="text/html", **fields)

    async def post(self, path: str, **values: str) -> HttpResponse:
        from urllib.parse import urlencode

        body = urlencode({"token": self.token, **values}).encode()
        return await self.ask("POST", path, body, content_type="application/x-www-form-urlencoded", accept="text/html")

    async def sign_in(self, name: str, password: str = PASSWORD) -> HttpResponse:
        await self.get("/sign-in")
        return await self.post("/sign-in", name=name, password=password)


def text_of(response: HttpResponse) -> str:
    assert isinstance(response.body, bytes)
    return response.body.decode()


def field_of(response: HttpResponse, name: str) -> str:
    return next((value for key, value in response.fields if key == name), "")


@dataclass
class Web:
    family: Family
    context: WebContext
    service: WebService

    def browser(self, **words: Any) -> Browser:
        return Browser(self.service.site, **words)


@pytest.fixture
def family(tmp_path: Path) -> Iterator[Family]:
    with a_family(tmp_path) as family:
        yield family


def no_transfers() -> Any:
    raise AssertionError("this page moves no mail")


@pytest.fixture
def make_web(family: Family) -> Callable[..., Web]:
    """A site; `control` answers the admin requests of its pages."""

    def make(control: Any = None, **options: Any) -> Web:
        board = Board(family.clock)
        sessions = WebSessions(family.writer, family.clock, family.accounts.is_current)
        context = WebContext(
            control=control,
            board=board,
            accounts=family.accounts,
            login=Login(family.accounts, family.throttle, board, family.clock, failure_s=0.0),
            second_factors=SecondFactors(family.accounts, family.clock),
            sessions=sessions,
            push_subscriptions=PushSubscriptions(family.writer, family.clock, lambda account, credentials: True),
            progress=SetupProgress(family.writer),
            clock=family.clock,
            names=Names(lambda: "mail.home.example", lambda: "box", lambda: ("lan",), lambda: ("home.example",)),
            https_port=lambda: 8443,
            mail_services=lambda: (("submissions", 465), ("imaps", 993), ("smtp", 25), ("imap", 143)),
            authority=lambda: ("PEM", "AB:CD"),
            challenge=lambda token: "token1.key" if token == "token1" else "",
            public_days=lambda: 0.0,
            is_admin=family.accounts.directory.is_admin,
            say=lambda text: None,
            transfers=no_transfers,
            options=WebOptions(**options),
        )
        return Web(family, context, WebService(context))

    return make
