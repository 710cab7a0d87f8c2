"""Blobs: octets of an account under an id, wherever they are kept (RFC 8620 §6).

| blob       | octets                                                               | there as long as      |
|------------|----------------------------------------------------------------------|-----------------------|
| `B7`       | message 7 as stored                                                  | the message           |
| `B7-1_2`   | the decoded body of its part 1.2                                     | the message           |
| `B7-2-1`   | part 1 of the message that part 2 is, and so on                      | the message           |
| `U7`       | upload 7                                                             | a day (store/uploads) |
| `U7-1_2`   | part 1.2 of the message that was uploaded                            | a day                 |

A blob is found by whoever may read the message (`store/scope`); an upload by who sent it, in every account open to them. Nothing of it is
held in memory beyond a chunk, a message inside an encoded part excepted: up to ENCODED_OCTETS.
"""

import re
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from appliance.mail.description import Description
from appliance.mail.encoding import DamagedOctets
from appliance.mail.errors import StoreError, Trouble
from appliance.mail.ids import BodyId
from appliance.mail.partmap import BASE64, IDENTITY, QUOTED_PRINTABLE, Part
from appliance.protocol.imap.bodystructure_fields import parse_bodystructure
from appliance.protocol.imap.shown_parts import media_type, name_of
from appliance.store.account_messages import AccountMessage, account_messages
from appliance.store.body_readers import Body, StoredMessage, WholeBody
from appliance.store.scope import Scope
from appliance.store.store import Store
from appliance.store.uploads import Upload, uploads_of

from .email_content import CHUNK_OCTETS, decoded, extent_of, octets_of
from .ids import parse_id

MESSAGE = "message/rfc822"
ENCODED_OCTETS = 4 * 2**20
"""Of a message inside a part in base64 or quoted-printable, which no standard allows and some programs send."""
DEPTH = 4
"""Messages inside messages."""
LINE_OCTETS = 998
_FIELD = re.compile(rb"[!-9;-~]+[ \t]*:")
"""What a message begins with (RFC 5322 §2.2)."""
_SECTION = re.compile(r"[1-9][0-9]{0,3}(?:_[1-9][0-9]{0,3}){0,40}")


@dataclass(slots=True)
class Blob:
    """`length` is None where it is only known at the end. `kept`: the stored body and the prefix before it, where the blob is
    precisely these. `name`: of the part it is, if it has one."""

    id: str
    media_type: str
    length: int | None
    open_chunks: Callable[[], AsyncIterator[bytes]]
    kept: tuple[BodyId, bytes] | None = None
    message: "OpenedMessage | None" = None
    """What is known of the message that this blob is a part of, or itself is."""
    part: Part | None = None
    name: str | None = None

    @property
    def chunks(self) -> AsyncIterator[bytes]:
        """The octets from the beginning. Raises StoreError, DamagedOctets."""
        return self.open_chunks()


@dataclass(slots=True)
class OpenedMessage:
    """A message whose octets are at hand, and its structure. `stored`: its rows, when it is a message of the account."""

    octets: StoredMessage
    envelope: bytes
    bodystructure: bytes
    preview: str
    stored: AccountMessage | None = None


class _RangeBody(Body):
    """Some octets of a message, as a body of their own."""

    __slots__ = ("_message", "_start")

    def __init__(self, message: StoredMessage, start: int, octets: int) -> None:
        super().__init__(octets)
        self._message = message
        self._start = start

    async def read(self, offset: int, octets: int) -> bytes:
        return await self._message.read(self._start + offset, max(0, min(octets, self.octets - offset)))


class Blobs:
    """All blobs of one server."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def find(self, scope: Scope, blob: str) -> Blob | None:
        """None when the account has no such blob. Raises StoreError."""
        return (await self.find_all(scope, [blob]))[blob]

    async def find_all(self, scope: Scope, blobs: Sequence[str]) -> dict[str, Blob | None]:
        """In the order of the ids; one reading for the rows of all."""
        bases = {blob: blob.split("-")[0] for blob in blobs}
        messages = [number for base in bases.values() if (number := parse_id("B", base)) is not None]
        uploads = [number for base in bases.values() if (number := parse_id("U", base)) is not None]

        def work(connection: Any) -> tuple[Any, Any]:
            return (
                account_messages(connection, scope, messages) if messages else {},
                uploads_of(connection, scope.viewer, uploads) if uploads else {},
            )

        found_messages, found_uploads = await self._store.database.read(work)
        found: dict[str, Blob | None] = {}
        for blob, base in bases.items():
            whole = await self._whole(base, found_messages.get(parse_id("B", base)), found_uploads.get(parse_id("U", base)))
            found[blob] = await self._inside(whole, blob.split("-")[1:]) if whole is not None else None
        return found

    async def _whole(self, base: str, message: AccountMessage | None, upload: Upload | None) -> Blob | None:
        """Raises StoreError, but not for what is gone meanwhile."""
        body = message.body if message is not None else upload.body if upload is not None else None
        if body is None:
            return None
        reader = await self._store.bodies.open_body(body)
        try:
            await reader.open()
        except StoreError as error:
            if error.trouble is Trouble.GONE:
                return None
            raise
        prefix = message.prefix if message is not None else b""
        octets = StoredMessage(prefix, message.parts if message is not None else b"", reader)
        opened = OpenedMessage(octets, message.envelope, message.bodystructure, message.preview, message) if message is not None else None
        kind = MESSAGE if upload is None else upload.media_type
        return Blob(base, kind, octets.octets, lambda: octets_of(octets, 0, octets.octets), (body, prefix), opened)

    async def _inside(self, blob: Blob, sections: Sequence[str]) -> Blob | None:
        """The blob itself, or its part, or the part of that."""
        if len(sections) > DEPTH:
            return None
        found: Blob | None = blob
        for section in sections:
            message = await self.message_of(found) if found is not None and _SECTION.fullmatch(section) else None
            found = self.part_of(message, f"{found.id}-{section}") if message is not None and found is not None else None
        return found

    def part_of(self, message: OpenedMessage, blob: str) -> Blob | None:
        """The part that the last section of the id names."""
        section = tuple(map(int, blob.rpartition("-")[2].split("_")))
        structure = next((one for one in parse_bodystructure(message.bodystructure).walk() if one.section == section), None)
        extent = extent_of(message.octets, section)
        if structure is None or structure.is_multipart or extent is None:
            return None
        length = extent.end - extent.body_start if extent.transfer == IDENTITY else None
        made = Blob(blob, media_type(structure), length, lambda: decoded(message.octets, extent), None, message, extent)
        made.name = name_of(structure)
        return made

    async def message_of(self, blob: Blob) -> OpenedMessage | None:
        """The message that a blob is, described; None when it cannot be one. Raises StoreError."""
        if blob.part is None and blob.message is not None:
            return blob.message
        if blob.part is not None and blob.message is not None:
            body = await _body_of(blob.message.octets, blob)
        else:
            body = await self._store.bodies.open_body(blob.kept[0]) if blob.kept is not None else None
        if body is None or not begins_message(await body.read(0, LINE_OCTETS)):
            return None
        described = await describe(self._store, body)
        return OpenedMessage(StoredMessage(b"", described.parts, body), described.envelope, described.bodystructure, described.preview)


def begins_message(octets: bytes) -> bool:
    """May these be the first octets of a message: is there a field?"""
    return _FIELD.match(octets) is not None


async def _body_of(message: StoredMessage, blob: Blob) -> Body | None:
    """A part as a body to read anywhere."""
    part = blob.part
    assert part is not None  # noqa: S101 - the caller looked
    if part.transfer not in (BASE64, QUOTED_PRINTABLE):
        return _RangeBody(message, part.body_start + len(message.prefix), part.end - part.body_start)
    held: list[bytes] = []
    octets = 0
    try:
        async for chunk in blob.chunks:
            held.append(chunk)
            octets += len(chunk)
            if octets > ENCODED_OCTETS:
                return None
    except DamagedOctets:
        return None
    return WholeBody(b"".join(held))


async def describe(store: Store, body: Body) -> Description:
    """What the scanner finds in these octets; the first chunk on the event loop, larger ones in a thread. Raises StoreError."""
    scanner = store.describe()
    at = 0
    while chunk := await body.read(at, CHUNK_OCTETS):
        if at:
            await store.bodies.hop(scanner.feed, chunk)
        else:
            scanner.feed(chunk)
        at += len(chunk)
    return scanner.finish()
