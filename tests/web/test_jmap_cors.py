"""CORS of JMAP: answers to bearer tokens are readable by pages elsewhere, all others are not."""

from typing import Any

import pytest

from appliance.protocol.http.target import parse_host, parse_target
from appliance.web.jmap_cors import ALLOW_ORIGIN, readable_elsewhere
from appliance.web.message import HttpFields, HttpRefusal, HttpRequest, HttpResponse
from appliance.web.routes import Access, WebRoute


def asked(authorization: str) -> HttpRequest:
    body: Any = None
    pairs = [(b"authorization", authorization.encode()), (b"origin", b"https://other.example")]
    return HttpRequest("GET", parse_target("/jmap/x"), parse_host("mail.home.test"), HttpFields(pairs), body)


async def test_bearer_tokens_only_and_errors_too() -> None:
    async def answer(request: HttpRequest) -> HttpResponse:
        return HttpResponse()

    async def refuse(request: HttpRequest) -> HttpResponse:
        raise HttpRefusal(404)

    routes = (WebRoute("GET", "/jmap/x", answer, Access.ANYONE), WebRoute("POST", "/jmap/x", refuse, Access.ANYONE))
    good, bad, preflight = readable_elsewhere(routes)
    assert ALLOW_ORIGIN in (await good.handle(asked("Bearer x"))).fields
    for other in ("Basic x", ""):
        assert ALLOW_ORIGIN not in (await good.handle(asked(other))).fields
    for authorization, readable in (("Bearer x", True), ("Basic x", False)):
        with pytest.raises(HttpRefusal) as refusal:
            await bad.handle(asked(authorization))
        assert (ALLOW_ORIGIN in refusal.value.fields) == readable
    answered = await preflight.handle(asked(""))
    names = [name for name, _ in answered.fields]
    assert (preflight.method, preflight.access, answered.status) == ("OPTIONS", Access.ANYONE, 204)
    assert "access-control-allow-headers" in names and "access-control-allow-credentials" not in names
