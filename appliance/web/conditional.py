"""Conditional and range requests: a response becomes 304, 206 or 416 where the client asked for it (RFC 9110 §13.2, §14.2)."""

from appliance.protocol.http.negotiation import UNSATISFIABLE, matches_tag, parse_range

from .message import HttpRequest, HttpResponse

KEPT = {"cache-control", "content-location", "date", "etag", "expires", "vary"}
"""Fields that a 304 repeats (RFC 9110 §15.4.5)."""


def apply_conditions(request: HttpRequest, response: HttpResponse) -> None:
    """Changes a 200 to GET or HEAD in place; every other response stays as it is."""
    if response.status != 200 or request.method not in ("GET", "HEAD"):
        return
    if response.tag:
        response.fields.append(("etag", response.tag))
        asked = request.fields.get("if-none-match")
        if asked and matches_tag(asked, response.tag):
            response.status, response.body = 304, b""
            response.fields[:] = [pair for pair in response.fields if pair[0] in KEPT]
            return
    if response.ranges and isinstance(response.body, bytes):
        response.fields.append(("accept-ranges", "bytes"))
        if_range = request.fields.get("if-range")
        if request.method == "GET" and (not if_range or if_range == response.tag):
            _apply_range(request.fields.get("range"), response, response.body)


def _apply_range(field: str, response: HttpResponse, octets: bytes) -> None:
    wanted = parse_range(field, len(octets)) if field else None
    if wanted is UNSATISFIABLE:
        response.status, response.body = 416, b""
        response.fields.append(("content-range", f"bytes */{len(octets)}"))
    elif wanted is not None:
        response.status, response.body = 206, octets[wanted.start : wanted.stop]
        response.fields.append(("content-range", wanted.content_range))
