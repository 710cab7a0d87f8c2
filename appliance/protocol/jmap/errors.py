"""Errors of JMAP at its three levels (RFC 8620 §3.6, §5.3).

| level   | raised as    | what the client gets                                                     | what was done         |
|---------|--------------|--------------------------------------------------------------------------|-----------------------|
| request | RequestError | an HTTP error with a problem document                                    | nothing               |
| method  | MethodError  | `["error", {"type": ...}, id]` in place of the method's response         | nothing by this call  |
| object  | SetError     | an entry in `notCreated`, `notUpdated`, `notDestroyed` or `notImported`  | nothing to this object|
"""

from typing import Any

from appliance.mail.errors import PillarboxError

_URN = "urn:ietf:params:jmap:error:"


class RequestError(PillarboxError):
    """The whole request is refused. `status` is HTTP's; `document` the members of the problem document (RFC 9457)."""

    def __init__(self, kind: str, detail: str, *, limit: str = "", status: int = 400) -> None:
        super().__init__(detail)
        self.status = status
        self.document: dict[str, Any] = {"type": _URN + kind, "status": status, "detail": detail}
        if limit:
            self.document["limit"] = limit


class _TypedError(PillarboxError):
    """`kind` is the error's type for the client, `facts` are further members of it."""

    def __init__(self, kind: str, description: str = "", **facts: Any) -> None:
        super().__init__(description or kind)
        self.kind = kind
        self.response: dict[str, Any] = {"type": kind, **({"description": description} if description else {}), **facts}


class MethodError(_TypedError):
    """One method call is refused."""


class SetError(_TypedError):
    """One object of a /set, /copy or /import is refused."""


def invalid(description: str) -> MethodError:
    """An argument has the wrong type or value (RFC 8620 §3.6.2)."""
    return MethodError("invalidArguments", description)


def invalid_properties(description: str, *names: str) -> SetError:
    """Properties of one object are wrong (RFC 8620 §5.3)."""
    return SetError("invalidProperties", description, properties=list(names))
