"""web/compression: pages and JSON are compressed for who takes it, and nothing else."""

import zlib

import pytest

from appliance.protocol.http.target import parse_host, parse_target
from appliance.web.compression import GZIP, LEAST_OCTETS, MOST_OCTETS, compress
from appliance.web.message import HTML, JSON, HttpFields, HttpRequest, HttpResponse
from tests.web.conftest import GivenBody


def request_with(coding: str) -> HttpRequest:
    fields = HttpFields([(b"accept-encoding", coding.encode())] if coding else [])
    return HttpRequest("GET", parse_target("/"), parse_host("box.local"), fields, GivenBody(b""))


TEXT = b"<p>seven words of a page</p>" * 100


@pytest.mark.parametrize("media_type", [HTML, JSON])
def test_who_takes_gzip_gets_it(media_type: str) -> None:
    response = HttpResponse(200, TEXT, media_type)
    compress(request_with("br, gzip"), response)
    assert isinstance(response.body, bytes) and len(response.body) < 200 and zlib.decompress(response.body, GZIP) == TEXT
    assert dict(response.fields) == {"content-encoding": "gzip", "vary": "accept-encoding"}


@pytest.mark.parametrize(
    ("coding", "response"),
    [
        ("identity", HttpResponse(200, TEXT)), ("gzip;q=0", HttpResponse(200, TEXT)), ("", HttpResponse(200, TEXT)),
        ("gzip", HttpResponse(200, b"x" * (LEAST_OCTETS - 1))), ("gzip", HttpResponse(200, b"x" * (MOST_OCTETS + 1))),
        ("gzip", HttpResponse(200, TEXT, "application/octet-stream")), ("gzip", HttpResponse(404, TEXT)),
        ("gzip", HttpResponse(200, TEXT, tag='"1"')),
    ],
)  # fmt: skip
def test_everything_else_stays_as_it_is(coding: str, response: HttpResponse) -> None:
    before = response.body
    compress(request_with(coding), response)
    assert response.body is before and not response.fields
