"""The one codec of the control socket: every frozen value that crosses it to a JSON object and back.

An object is {"type": class name, ...fields}; fields and their types are read from the class, so a new request or field needs no
code here. Decoding is strict: a process of another version must not do half of what was asked.
"""

from dataclasses import dataclass
from typing import Any

from appliance.mail.archive import ImportedMessage
from appliance.mail.errors import MisuseError, SetupError
from appliance.status.plain import decode_plain, encode_plain

from .requests import REQUESTS, Request, RequestRefused, Response


@dataclass(frozen=True, slots=True)
class ImportBegun:
    """Server: the import may be sent from `position` on."""

    position: str


@dataclass(frozen=True, slots=True)
class MakeMailboxes:
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MailboxesMade:
    pass


@dataclass(frozen=True, slots=True)
class MessageTaken:
    """Server: the message was stored, or skipped."""

    taken: bool


@dataclass(frozen=True, slots=True)
class ImportEnded:
    """Client: there are no more messages."""


Value = Request | Response | RequestRefused | ImportedMessage | ImportBegun | MakeMailboxes | MailboxesMade | MessageTaken | ImportEnded


def encode_value(value: Value) -> dict[str, Any]:
    """As a JSON object."""
    return {"type": type(value).__name__, **encode_plain(value)}


def decode_value(fields: dict[str, Any], *kinds: type) -> Any:
    """A value of one of `kinds`; raises MisuseError for anything else."""
    name = fields.get("type")
    kind = next((one for one in kinds if one.__name__ == name), None)
    if kind is None:
        raise MisuseError(f"unexpected on the local socket: {name!r}")
    try:
        return decode_plain(kind, {key: value for key, value in fields.items() if key != "type"}, strict=True)
    except TypeError as error:
        raise MisuseError(f"a wrong {kind.__name__} on the local socket: {error}") from error


def decode_request(fields: dict[str, Any]) -> Request:
    """Raises SetupError for a request that this version does not know or not so."""
    try:
        request: Request = decode_value(fields, *REQUESTS)
    except MisuseError as error:
        raise SetupError("The running server does not know this command.", "It may be of another version: restart it.") from error
    return request
