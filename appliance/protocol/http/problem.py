"""Problem documents: how an error travels to a program (RFC 9457)."""

import json
from typing import Any

MEDIA_TYPE = "application/problem+json"
PHRASES = {
    100: "Continue", 101: "Switching Protocols",
    200: "OK", 201: "Created", 202: "Accepted", 204: "No Content", 206: "Partial Content",
    301: "Moved Permanently", 302: "Found", 303: "See Other", 304: "Not Modified", 307: "Temporary Redirect", 308: "Permanent Redirect",
    400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 406: "Not Acceptable",
    408: "Request Timeout", 409: "Conflict", 410: "Gone", 411: "Length Required", 412: "Precondition Failed", 413: "Content Too Large",
    414: "URI Too Long", 415: "Unsupported Media Type", 416: "Range Not Satisfiable", 421: "Misdirected Request",
    422: "Unprocessable Content", 426: "Upgrade Required", 428: "Precondition Required", 429: "Too Many Requests",
    431: "Request Header Fields Too Large", 500: "Internal Server Error", 501: "Not Implemented", 503: "Service Unavailable",
    505: "HTTP Version Not Supported", 507: "Insufficient Storage",
}  # fmt: skip
"""RFC 9110 §15 and the registry of status codes; the module `http` costs 0.2 MB."""


def encode_problem(status: int, detail: str = "", **members: Any) -> bytes:
    """`detail` is a sentence for people; `members` are further facts, such as the remedy or a JMAP error's type."""
    document = {"type": "about:blank", "title": phrase(status), "status": status, **({"detail": detail} if detail else {}), **members}
    return json.dumps(document, ensure_ascii=False).encode()


def phrase(status: int) -> str:
    """The registered words for a status code."""
    return PHRASES.get(status, "Error")
