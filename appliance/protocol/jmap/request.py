"""A JMAP request: octets to method calls, within limits (RFC 8620 §3.3, §3.6.1; I-JSON: RFC 7493).

| request                                         | refused as                                   |
|-------------------------------------------------|----------------------------------------------|
| larger than `request_octets`                    | limit maxSizeRequest                         |
| not UTF-8, not JSON, a name twice, NaN, nested  | notJSON                                      |
|   deeper than DEPTH, of more than VALUES        |                                              |
| not the shape of a request object               | notRequest                                   |
| a capability in `using` that is not here        | unknownCapability                            |
| more than `calls` method calls                  | limit maxCallsInRequest                      |

Invariant: nothing of a request is carried out before all of it has passed these.
"""

import json
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from math import isinf
from typing import Any, NoReturn

from .errors import RequestError

DEPTH = 64
"""Nested arrays and objects: a filter of any use has fewer, and reading stays within Python's own limit."""
_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_CREATION_ID = re.compile(r"[A-Za-z0-9_-]{1,255}")
VALUES = 250_000
"""Values of one request: ten megabytes of `[],` would be 240 MB of lists. 16 calls with 500 objects of 20 properties have fewer."""
_STRING = re.compile(rb'"[^"]*"')
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


@dataclass(frozen=True, slots=True)
class JmapLimits:
    """What the session object announces (RFC 8620 §2), and every request is held to."""

    upload_octets: int = 50_000_000
    uploads: int = 4
    request_octets: int = 10_000_000
    requests: int = 4
    calls: int = 16
    objects_in_get: int = 500
    objects_in_set: int = 500


@dataclass(frozen=True, slots=True)
class MethodCall:
    """`id` is the client's, returned with each response of the call."""

    name: str
    arguments: dict[str, Any]
    id: str


@dataclass(frozen=True, slots=True)
class JmapRequest:
    """`created_ids`: creation id to id, from the client's earlier requests; None when it did not send the property."""

    using: frozenset[str]
    calls: tuple[MethodCall, ...]
    created_ids: dict[str, str] | None = field(default=None)


def parse_request(octets: bytes, limits: JmapLimits, capabilities: Collection[str]) -> JmapRequest:
    """Raises RequestError."""
    if len(octets) > limits.request_octets:
        raise RequestError("limit", f"A request has at most {limits.request_octets:,} octets.", limit="maxSizeRequest", status=413)
    found = parse_json(octets)
    if not isinstance(found, dict):
        raise _not_request("the request is no object")
    using, calls, created = found.get("using"), found.get("methodCalls"), found.get("createdIds")
    if not isinstance(using, list) or not all(isinstance(word, str) for word in using):
        raise _not_request('"using" is no list of strings')
    if not isinstance(calls, list):
        raise _not_request('"methodCalls" is no list')
    if created is not None and not _is_created_ids(created):
        raise _not_request('"createdIds" does not map ids to ids')
    for word in using:
        if word not in capabilities:
            raise RequestError("unknownCapability", f"This server has no capability {word[:200]}.")
    if len(calls) > limits.calls:
        raise RequestError("limit", f"A request has at most {limits.calls} method calls.", limit="maxCallsInRequest")
    return JmapRequest(frozenset(using), tuple(map(_call, calls)), created)


def parse_json(octets: bytes) -> Any:
    """Strict JSON (RFC 7493): UTF-8, each name once, whole characters, numbers that other programs read as well.

    Raises RequestError notJSON.
    """
    try:
        _check_shape(octets)
        text = octets.decode("utf-8")
        found = json.loads(text, object_pairs_hook=_object, parse_constant=_no_constant, parse_int=_integer, parse_float=_number)
        if _SURROGATE.search(text):
            json.dumps(found, ensure_ascii=False).encode()  # raises for half of a pair (RFC 7493 §2.1)
    except (ValueError, RecursionError) as error:
        raise RequestError("notJSON", f"The request cannot be read as JSON: {str(error)[:200]}.") from None
    return found


def _call(one: Any) -> MethodCall:
    if not (isinstance(one, list) and len(one) == 3 and isinstance(one[0], str) and isinstance(one[1], dict) and isinstance(one[2], str)):
        raise _not_request("a method call is a name, an object of arguments and an id")
    return MethodCall(one[0], one[1], one[2])


def _is_created_ids(created: Any) -> bool:
    return isinstance(created, dict) and all(
        _CREATION_ID.fullmatch(key) and isinstance(value, str) and _CREATION_ID.fullmatch(value) for key, value in created.items()
    )


def _not_request(reason: str) -> RequestError:
    return RequestError("notRequest", f"This is no JMAP request: {reason}.")


def _check_shape(octets: bytes) -> None:
    """Raises ValueError for what is nested deeper than DEPTH or has more than VALUES values, before memory is spent on it.

    Strings are cut out after their escapes, in steps that hold no more than the octets themselves.
    """
    opening = octets.count(b"[") + octets.count(b"{")
    if opening <= DEPTH and len(octets) <= VALUES:
        return
    plain = octets.replace(b"\\\\", b"").replace(b'\\"', b"")
    if plain.count(b'"') > 4 * VALUES:  # each value may have a name
        raise ValueError(f"more than {VALUES:,} values")
    outside = _STRING.sub(b"", plain)
    brackets = outside.translate(None, _NO_BRACKETS)
    if outside.count(b",") + len(brackets) // 2 > VALUES:
        raise ValueError(f"more than {VALUES:,} values")
    for _ in range(DEPTH):  # the innermost pairs
        brackets = brackets.replace(b"[]", b"").replace(b"{}", b"")
    if brackets:
        raise ValueError(f"nested deeper than {DEPTH}, or brackets that do not match")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("an object has a name twice")
    return made


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number")


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= 20 else _number(digits)


def _number(digits: str) -> float:
    found = float(digits)
    if isinf(found):
        raise ValueError("a number is too large")
    return found
