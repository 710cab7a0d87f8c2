"""Problem documents: how an error travels to a program (RFC 9457)."""

import json
from http import HTTPStatus
from typing import Any

MEDIA_TYPE = "application/problem+json"


def encode_problem(status: int, detail: str = "", **members: Any) -> bytes:
    """`detail` is a sentence for people; `members` are further facts, such as the remedy or a JMAP error's type."""
    document = {"type": "about:blank", "title": phrase(status), "status": status, **({"detail": detail} if detail else {}), **members}
    return json.dumps(document, ensure_ascii=False).encode()


def phrase(status: int) -> str:
    """The registered words for a status code (RFC 9110 §15)."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"
