"""Blob/upload, Blob/get and Blob/lookup (RFC 9404), and Blob/copy (RFC 8620 §6.3).

| source of an upload                     | refused as                                                                    |
|-----------------------------------------|-------------------------------------------------------------------------------|
| `data:asText`, `data:asBase64`          | invalidProperties: no valid Unicode, no valid base64                          |
| `blobId` with `offset` and `length`     | blobNotFound; invalidProperties: the blob ends before the range does          |

Pieces are read and written in chunks. What Blob/get returns is bounded by DATA_OCTETS for a call; digests of any size are not.
"""

import base64
import binascii
import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from appliance.mail.encoding import DamagedOctets
from appliance.protocol.jmap.errors import MethodError, SetError, invalid_properties
from appliance.protocol.jmap.references import created_id
from appliance.protocol.jmap.request import JmapLimits
from appliance.store.store import Store

from .blob_facts import BLOB, DIGESTS, MOST_SOURCES, TYPES
from .blobs import Blob, Blobs
from .ids import encode_id
from .mailbox import MAIL
from .method import CORE, Call, JmapAccount, Method
from .new_messages import blob_not_found
from .standard import SetOutcome, attempt, read_names

DATA_OCTETS = 8_000_000
_DATA = ("data", "data:asText", "data:asBase64")
PROPERTIES = ("id", *_DATA, "size", *(f"digest:{name}" for name in DIGESTS))


@dataclass(frozen=True, slots=True)
class _Source:
    """Octets, or a range of a blob; `length` None: to its end."""

    octets: bytes = b""
    blob: Blob | None = None
    offset: int = 0
    length: int | None = None

    async def chunks(self) -> AsyncIterator[bytes]:
        """Raises SetError when the blob is too short, StoreError."""
        if self.blob is None:
            yield self.octets
            return
        left = self.length
        skipped = self.offset
        async for chunk in self.blob.chunks:
            start, skipped = min(skipped, len(chunk)), max(skipped - len(chunk), 0)
            wanted = chunk[start : None if left is None else start + left]
            yield wanted
            if left is not None:
                left -= len(wanted)
                if not left:
                    return
        if skipped or left:
            raise invalid_properties("A range goes past the end of its blob.", "data")


class BlobMethods:
    """The methods of one server."""

    def __init__(self, store: Store, limits: JmapLimits) -> None:
        self._store = store
        self._limits = limits
        self._blobs = Blobs(store)

    def methods(self) -> tuple[Method, ...]:
        return (
            Method("Blob/copy", CORE, self.copy), Method("Blob/upload", BLOB, self.upload), Method("Blob/get", BLOB, self.get),
            Method("Blob/lookup", BLOB, self.lookup),
        )  # fmt: skip

    # --- Blob/upload -------------------------------------------------------------------------------

    async def upload(self, call: Call) -> dict[str, Any]:
        account = call.account(write=True)
        wanted = call.arguments.objects("create")
        call.arguments.end()
        if len(wanted) > self._limits.objects_in_set:
            raise MethodError("requestTooLarge", f"At most {self._limits.objects_in_set} blobs are made at once (maxObjectsInSet).")
        outcome = SetOutcome()
        for name, given in wanted.items():
            await attempt(outcome, "notCreated", name, partial(self._upload, call, account, outcome, name, given))
        return {
            "accountId": account.id, "oldState": None, "newState": None, "created": outcome.created or None,
            "notCreated": outcome.refused.get("notCreated"),
        }  # fmt: skip

    async def _upload(self, call: Call, account: JmapAccount, outcome: SetOutcome, name: str, given: Mapping[str, Any]) -> None:
        kind, data = given.get("type"), given.get("data")
        if not given.keys() <= {"type", "data"} or not (kind is None or (isinstance(kind, str) and len(kind) <= 255 and kind.isascii())):
            raise invalid_properties("A blob has data and a type.", "type")
        if not isinstance(data, list) or len(data) > MOST_SOURCES:
            raise invalid_properties(f"The data is a list of at most {MOST_SOURCES} sources.", "data")
        sources = await self._sources(call, account, data)

        async def chunks() -> AsyncIterator[bytes]:
            for source in sources:
                async for chunk in source.chunks():
                    yield chunk

        try:
            kept = await self._store.uploads.keep(
                account.scope.viewer, chunks(), self._limits.upload_octets, kind or "application/octet-stream"
            )
        except DamagedOctets:
            raise invalid_properties("A blob cannot be decoded.", "data") from None
        outcome.created[name] = {
            "id": encode_id("U", kept.id),
            "blobId": encode_id("U", kept.id),
            "type": kept.media_type,
            "size": kept.octets,
        }
        call.created[name] = encode_id("U", kept.id)

    async def _sources(self, call: Call, account: JmapAccount, data: Sequence[Any]) -> list[_Source]:
        ids = [str(created_id(one["blobId"], call.created)) for one in data if isinstance(one, dict) and isinstance(one.get("blobId"), str)]
        found = await self._blobs.find_all(account.scope, list(dict.fromkeys(ids)))
        if missing := sorted({blob for blob, one in found.items() if one is None}):
            raise blob_not_found(*missing)
        return [_source(one, {asked: found[str(created_id(asked, call.created))] for asked in _asked(one)}) for one in data]

    # --- Blob/get ----------------------------------------------------------------------------------

    async def get(self, call: Call) -> dict[str, Any]:
        account = call.account()
        wanted = call.arguments.ids("ids", most=self._limits.objects_in_get)
        properties = read_names(call.arguments, "properties", PROPERTIES, ("data", "size"))
        offset, length = call.arguments.number("offset", 0) or 0, call.arguments.number("length")
        call.arguments.end()
        if wanted is None:
            raise MethodError("requestTooLarge", "Name the blobs.")
        resolved = {one: created_id(one, call.created) or one for one in wanted}
        found = await self._blobs.find_all(account.scope, list(dict.fromkeys(resolved.values())))
        shown, left = [], DATA_OCTETS
        for blob in found.values():
            if blob is not None:
                shown.append(await _shown(blob, properties, (offset, length), left))
                left -= sum(len(value) for value in shown[-1].values() if isinstance(value, str))
        return {
            "accountId": account.id, "state": "0", "list": shown,
            "notFound": [one for one, blob in resolved.items() if found[blob] is None],
        }  # fmt: skip

    # --- Blob/lookup -------------------------------------------------------------------------------

    async def lookup(self, call: Call) -> dict[str, Any]:
        account = call.account()
        types = call.arguments.strings("typeNames") or []
        wanted = call.arguments.ids("ids", most=self._limits.objects_in_get) or []
        call.arguments.end()
        for name in types:
            if name not in TYPES or MAIL not in call.using:
                raise MethodError("unknownDataType", f"No blobs of {name[:100]} are known.")
        resolved = {one: created_id(one, call.created) or one for one in wanted}
        found = await self._blobs.find_all(account.scope, list(dict.fromkeys(resolved.values())))
        listed = [
            {"id": blob.id, "matchedIds": {name: _holders(blob, name) for name in types}} for blob in found.values() if blob is not None
        ]
        missing = [one for one, blob in resolved.items() if found[blob] is None]
        return {"accountId": account.id, "list": listed, "notFound": missing}

    # --- Blob/copy ---------------------------------------------------------------------------------

    async def copy(self, call: Call) -> dict[str, Any]:
        source, account = call.account("fromAccountId"), call.account(write=True)
        wanted = call.arguments.ids("blobIds", most=self._limits.objects_in_set, limit="maxObjectsInSet") or []
        call.arguments.end()
        outcome = SetOutcome()
        for one in wanted:
            await attempt(outcome, "notCopied", one, partial(self._copy, call, (source, account), outcome, one))
        return {
            "fromAccountId": source.id, "accountId": account.id,
            "copied": {one: made["id"] for one, made in outcome.created.items()} or None, "notCopied": outcome.refused.get("notCopied"),
        }  # fmt: skip

    async def _copy(self, call: Call, between: tuple[JmapAccount, JmapAccount], outcome: SetOutcome, one: str) -> None:
        blob = await self._blobs.find(between[0].scope, created_id(one, call.created) or one)
        if blob is None:
            raise SetError("notFound", "There is no such blob.")
        try:
            kept = await self._store.uploads.keep(between[1].scope.viewer, blob.chunks, self._limits.upload_octets, blob.media_type)
        except DamagedOctets:
            raise SetError("notFound", "The blob cannot be decoded.") from None
        outcome.created[one] = {"id": encode_id("U", kept.id)}


def _asked(one: Any) -> list[str]:
    return [one["blobId"]] if isinstance(one, dict) and isinstance(one.get("blobId"), str) else []


def _source(given: Any, blobs: Mapping[str, Blob | None]) -> _Source:
    """One DataSourceObject. Raises SetError."""
    if not isinstance(given, dict):
        raise invalid_properties("A source is an object.", "data")
    kinds = [name for name in ("data:asText", "data:asBase64", "blobId") if given.get(name) is not None]
    known = {"blobId", "offset", "length"} if kinds == ["blobId"] else set(kinds)
    if len(kinds) != 1 or not {name for name, value in given.items() if value is not None} <= known or not isinstance(given[kinds[0]], str):
        raise invalid_properties("A source is a text, base64, or a range of a blob.", "data")
    value: str = given[kinds[0]]
    try:
        if kinds == ["data:asText"]:
            return _Source(value.encode("utf-8"))
        if kinds == ["data:asBase64"]:
            return _Source(base64.b64decode(value, validate=True))
    except (UnicodeEncodeError, ValueError, binascii.Error):
        raise invalid_properties("A source is no valid text or base64.", "data") from None
    offset, length = given.get("offset") or 0, given.get("length")
    if not all(one is None or (isinstance(one, int) and not isinstance(one, bool) and one >= 0) for one in (offset, length)):
        raise invalid_properties("Offset and length are whole numbers.", "data")
    return _Source(blob=blobs[value], offset=offset, length=length)


async def _shown(blob: Blob, properties: Sequence[str], selected: tuple[int, int | None], most: int) -> dict[str, Any]:
    """A blob's properties; `selected`: offset and length. Raises MethodError requestTooLarge."""
    offset, length = selected
    end = None if length is None else offset + length
    hashes = {name: hashlib.new(DIGESTS[name[7:]], usedforsecurity=False) for name in properties if name.startswith("digest:")}
    keep = any(name in _DATA for name in properties)
    held, size = bytearray(), 0
    try:
        async for chunk in blob.chunks:
            selection = chunk[max(offset - size, 0) : None if end is None else max(end - size, 0)]
            size += len(chunk)
            for one in hashes.values():
                one.update(selection)
            if keep:
                held += selection
                if len(held) > most:
                    raise MethodError("requestTooLarge", f"At most {DATA_OCTETS:,} octets are returned at once: ask for ranges.")
    except DamagedOctets:
        pass  # what can be decoded
    found: dict[str, Any] = {"id": blob.id}
    if "size" in properties:
        found["size"] = size
    if keep:
        found |= _data(bytes(held), properties)
    if offset > size or (end is not None and end > size):
        found["isTruncated"] = True
    return found | {name: base64.b64encode(one.digest()).decode() for name, one in hashes.items()}


def _data(octets: bytes, properties: Sequence[str]) -> dict[str, Any]:
    """The representations asked for (RFC 9404 §4.2)."""
    found: dict[str, Any] = {}
    text: str | None = None
    try:
        text = octets.decode("utf-8")
    except UnicodeDecodeError:
        if "data" in properties or "data:asText" in properties:
            found["isEncodingProblem"] = True
    if "data:asText" in properties or ("data" in properties and text is not None):
        found["data:asText"] = text
    if "data:asBase64" in properties or ("data" in properties and text is None):
        found["data:asBase64"] = base64.b64encode(octets).decode()
    return found


def _holders(blob: Blob, kind: str) -> list[str]:
    """Ids of the objects of a type in which the blob would be found; an upload is in none."""
    message = blob.message.stored if blob.message is not None else None
    if message is None:
        return []
    if kind == "Mailbox":
        return [encode_id("F", copy.mailbox) for copy in message.copies]
    return [encode_id("T", message.thread) if kind == "Thread" else encode_id("M", message.id)]
