"""Result references: the examples of RFC 8620 §3.7, and what cannot be resolved."""

from typing import Any

import pytest

from appliance.protocol.jmap.errors import MethodError
from appliance.protocol.jmap.references import Response, created_id, resolve

CHANGES: Response = ("Foo/changes", {"accountId": "A1", "oldState": "abcdef", "newState": "123456", "created": ["f1", "f4"]}, "t0")
QUERY: Response = ("Email/query", {"ids": ["msg1023", "msg223"], "position": 0, "a/b": {"m~n": 8}}, "t0")
GET: Response = ("Email/get", {"list": [{"id": "msg1023", "threadId": "trd194"}, {"id": "msg223", "threadId": "trd114"}]}, "t1")
THREADS: Response = (
    "Thread/get",
    {"list": [{"id": "trd194", "emailIds": ["msg1020", "msg1021"]}, {"id": "trd114", "emailIds": ["msg201", "msg223"]}]},
    "t2",
)


def reference(call: str, name: str, path: str) -> dict[str, Any]:
    return {"resultOf": call, "name": name, "path": path}


@pytest.mark.parametrize(
    ("of", "path", "value"),
    [
        (CHANGES, "/created", ["f1", "f4"]),
        (GET, "/list/*/threadId", ["trd194", "trd114"]),
        (THREADS, "/list/*/emailIds", ["msg1020", "msg1021", "msg201", "msg223"]),
        (QUERY, "/ids/1", "msg223"),
        (QUERY, "/a~1b/m~0n", 8),
        (QUERY, "/ids/*", ["msg1023", "msg223"]),
        (QUERY, "", QUERY[1]),
    ],
)
def test_a_path_is_resolved(of: Response, path: str, value: Any) -> None:
    found = resolve({"accountId": "A1", "#ids": reference(of[2], of[0], path)}, [("Other/get", {}, "x"), of])
    assert found == {"accountId": "A1", "ids": value}


@pytest.mark.parametrize(
    "wrong",
    [
        reference("t9", "Foo/changes", "/created"), reference("t0", "Foo/get", "/created"),
        reference("t0", "Foo/changes", "/nothing"),
        reference("t0", "Foo/changes", "created"), reference("t0", "Foo/changes", "/created/2"),
        reference("t0", "Foo/changes", "/created/01"),
        reference("t0", "Foo/changes", "/created/-"), reference("t0", "Foo/changes", "/created/x"),
        reference("t0", "Foo/changes", "/oldState/*"),
        {"resultOf": "t0", "name": "Foo/changes"}, "t0", None, {"resultOf": 0, "name": "Foo/changes", "path": "/created"},
    ],
)  # fmt: skip
def test_a_reference_that_leads_nowhere_refuses_the_call(wrong: Any) -> None:
    with pytest.raises(MethodError) as error:
        resolve({"#ids": wrong}, [CHANGES])
    assert error.value.kind == "invalidResultReference"


def test_a_value_and_a_reference_for_one_argument_are_refused() -> None:
    with pytest.raises(MethodError) as error:
        resolve({"ids": ["a"], "#ids": reference("t0", "Foo/changes", "/created")}, [CHANGES])
    assert error.value.kind == "invalidArguments"


def test_an_error_s_response_is_not_referred_to_by_the_method_s_name() -> None:
    with pytest.raises(MethodError):
        resolve({"#ids": reference("t0", "Foo/changes", "/created")}, [("error", {"type": "serverFail", "created": []}, "t0")])


def test_too_many_values_are_refused() -> None:
    wide: Response = ("A", {"list": [{"x": list(range(1000))}] * 200}, "t0")
    with pytest.raises(MethodError):
        resolve({"#ids": reference("t0", "A", "/list/*/x")}, [wide])


def test_creation_ids() -> None:
    assert created_id("#new", {"new": "M1"}) == "M1"
    assert created_id("#other", {"new": "M1"}) is None
    assert created_id("M2", {}) == "M2"
