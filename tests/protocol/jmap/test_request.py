"""Requests: RFC 8620's own examples, and what is refused, as what."""

import json
import tracemalloc
from typing import Any

import pytest

from appliance.protocol.jmap.errors import RequestError
from appliance.protocol.jmap.request import DEPTH, VALUES, JmapLimits, MethodCall, parse_json, parse_request

CORE = "urn:ietf:params:jmap:core"
MAIL = "urn:ietf:params:jmap:mail"
KNOWN = (CORE, MAIL)
LIMITS = JmapLimits()


def refused(octets: bytes, limits: JmapLimits = LIMITS) -> RequestError:
    with pytest.raises(RequestError) as error:
        parse_request(octets, limits, KNOWN)
    return error.value


def encoded(**members: Any) -> bytes:
    return json.dumps({"using": [CORE], "methodCalls": [], **members}).encode()


def test_the_example_of_rfc_8620_section_3_3_1() -> None:
    octets = b"""{
     "using": [ "urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail" ],
     "methodCalls": [
       [ "method1", { "arg1": "arg1data", "arg2": "arg2data" }, "c1" ],
       [ "method2", { "arg1": "arg1data" }, "c2" ],
       [ "method3", {}, "c3" ]
     ]
   }"""
    found = parse_request(octets, JmapLimits(), KNOWN)
    assert found.using == {CORE, MAIL}
    assert found.calls == (
        MethodCall("method1", {"arg1": "arg1data", "arg2": "arg2data"}, "c1"),
        MethodCall("method2", {"arg1": "arg1data"}, "c2"),
        MethodCall("method3", {}, "c3"),
    )
    assert found.created_ids is None


@pytest.mark.parametrize(
    "octets",
    [
        b"", b"{", b"\xff\xfe{\x00}\x00", b'{"a": 1, "a": 2}', b'{"a": NaN}', b'{"a": -Infinity}', b'{"a": 1e999}', b"[" * 100_000,
        b"[" * (DEPTH + 1) + b"]" * (DEPTH + 1), b'{"a": "\xe4"}', b'{"a": 1} x', b"9" * 5000,
        b'{"a": "\\ud800"}', b'{"\\uDC00": 1}',
    ],
)  # fmt: skip
def test_what_is_no_i_json_is_refused(octets: bytes) -> None:
    if octets == b"9" * 5000:  # a number with no end is infinite
        octets = b'{"a": ' + octets + b"}"
    error = refused(octets)
    assert error.document["type"] == "urn:ietf:params:jmap:error:notJSON" and error.status == 400


def test_brackets_in_strings_do_not_count_as_nesting() -> None:
    assert parse_json(json.dumps("[{" * 1000 + '\\"[').encode())


@pytest.mark.parametrize(
    "octets",
    [
        b"[]", b"null", b"{}", encoded(using="x"), encoded(using=[1]), encoded(methodCalls={}), encoded(methodCalls=[["a", {}]]),
        encoded(methodCalls=[["a", [], "c"]]), encoded(methodCalls=[["a", {}, 1]]), encoded(createdIds=[]), encoded(createdIds={"a": 1}),
        encoded(createdIds={"a b": "c"}), encoded(createdIds={"a": "#c"}),
    ],
)  # fmt: skip
def test_what_is_no_request_is_refused(octets: bytes) -> None:
    assert refused(octets).document["type"].endswith(":notRequest")


def test_limits_are_named() -> None:
    error = refused(encoded(methodCalls=[["a", {}, "c"]] * 3), JmapLimits(calls=2))
    assert error.document["limit"] == "maxCallsInRequest" and error.document["type"].endswith(":limit")
    error = refused(b" " * 11, JmapLimits(request_octets=10))
    assert error.document["limit"] == "maxSizeRequest" and error.status == 413


def test_an_unknown_capability_is_refused() -> None:
    assert refused(encoded(using=[CORE, "https://example.com/apis/foobar"])).document["type"].endswith(":unknownCapability")


@pytest.mark.parametrize(
    "octets",
    [
        b'{"a": "' + b"x" * 9_000_000 + b'"}',
        b'{"a": "' + b"\\n" * 4_500_000 + b'"}',
        b'{"a": "' + b'\\"[,' * 2_000_000 + b'"}',
        b'{"a": [' + b'["x"],' * (VALUES // 2 - 1) + b'"x"]}',
    ],
)
def test_a_large_request_takes_little_more_memory_than_its_octets(octets: bytes) -> None:
    tracemalloc.start()
    try:
        parse_json(octets)
        assert tracemalloc.get_traced_memory()[1] < 5 * len(octets) + 2**26
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("piece", [b"[]", b"{}", b'"x"', b"1", b'{"x":1}', b'["\\"",1]'])
def test_a_request_of_too_many_values_is_refused_before_they_are_made(piece: bytes) -> None:
    octets = b"[" + b",".join([piece] * (9_000_000 // (len(piece) + 1))) + b"]"
    tracemalloc.start()
    try:
        error = refused(octets)
        assert tracemalloc.get_traced_memory()[1] < 2**26
    finally:
        tracemalloc.stop()
    assert error.document["type"].endswith(":notJSON") and "values" in error.document["detail"]


@pytest.mark.parametrize("text", ['["[[[["]', '["\\\\"]', '["\\\\\\""]', '{"a]": "}"}', '["' + "[" * 500 + '"]', "[" * DEPTH + "]" * DEPTH])
def test_brackets_in_strings_nest_nothing(text: str) -> None:
    parse_json((text + " " * (VALUES + 1)).encode())
    parse_json(text.encode())
