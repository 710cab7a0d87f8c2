"""Attachments to look at, all of them in one file, and a message as it came: each streamed in constant memory.

| asked for                  | answered as                              | policy                                                          |
|----------------------------|------------------------------------------|-----------------------------------------------------------------|
| a raster image             | what its first octets say it is          | sandbox, nothing may be loaded                                  |
| a PDF (by its first octets) | application/pdf, for a frame of our page | no sandbox: browsers show no PDF in one; nothing may be loaded  |
| text, a message's source   | text/plain                               | sandbox, nothing may be loaded                                  |
| anything else              | 415, in words: it may stand in a frame   | sandbox, nothing may be loaded                                  |
"""

import re
from codecs import getincrementaldecoder
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from appliance.mail.ids import AccountId

from ..file_names import safe_file_name
from ..message import HttpRefusal, HttpRequest, HttpResponse
from .mail_reader import MailReader, undamaged
from .raster import TYPES, is_picture, raster_type

if TYPE_CHECKING:
    from zipfile import ZipFile

CLOSED = "default-src 'none'; frame-ancestors 'self'; sandbox"
PDF = "default-src 'none'; object-src 'self'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"
"""What browsers' own viewers need of the policy of the file they show."""
_CHARSET = re.compile(r"[A-Za-z0-9._:-]{1,40}")


class Attachments:
    """Handlers for the signed-in user."""

    def __init__(self, mail: MailReader) -> None:
        self._mail = mail

    async def preview(self, request: HttpRequest) -> HttpResponse:
        blob = await self._mail.blob(_account(request), request.values["account"], request.values["blob"])
        chunks = undamaged(blob.chunks)
        first = await anext(chunks, b"")
        kind = raster_type(first)
        if kind is None and first.startswith(b"%PDF-"):
            return shown(first, chunks, "application/pdf", PDF)
        if kind is None and blob.media_type.startswith("text/"):
            return shown(first, chunks, _text_type(request, first), CLOSED)
        if kind is None:
            await chunks.aclose()  # type: ignore[attr-defined]
            sentence = request.language("This file cannot be shown here.").encode()
            return HttpResponse(415, sentence, "text/plain; charset=utf-8", _fields(CLOSED))
        return shown(first, chunks, kind, CLOSED)

    async def source(self, request: HttpRequest) -> HttpResponse:
        blob = await self._mail.blob(_account(request), request.values["account"], request.values["blob"])
        if blob.media_type != "message/rfc822":
            raise HttpRefusal(404)
        return shown(b"", undamaged(blob.chunks), "text/plain; charset=utf-8", CLOSED)

    async def archive(self, request: HttpRequest) -> HttpResponse:
        account, values = _account(request), request.values
        email = await self._mail.email(
            account,
            values["account"],
            values["email"],
            ["attachments", "htmlBody"],
            bodyProperties=["blobId", "type", "name", "cid", "disposition"],
        )
        parts = {one["blobId"]: one for one in email["attachments"] if not is_picture(one)}
        parts |= {one["blobId"]: one for one in email["htmlBody"] if one["type"] not in (*TYPES, "text/plain", "text/html")}
        chunks = self._archived(account, values["account"], list(parts.values()))
        fields = [("content-disposition", 'attachment; filename="attachments.zip"'), ("content-security-policy", CLOSED)]
        return HttpResponse(200, chunks, "application/zip", fields)

    async def _archived(self, account: AccountId, jmap_account: str, parts: list[dict[str, Any]]) -> AsyncIterator[bytes]:
        """A zip file of stored members (APPNOTE 4.4.4: sizes stand behind each, since they are not known before)."""
        from zipfile import ZIP_STORED, ZipFile

        written = _Written()
        names: set[str] = set()
        with ZipFile(written, "w", ZIP_STORED) as archive:  # type: ignore[call-overload]
            for number, part in enumerate(parts, 1):
                blob = await self._mail.blob(account, jmap_account, part["blobId"])
                async with aclosing(self._member(archive, written, _unused(part["name"], number, names), blob.chunks)) as member:  # type: ignore[type-var]
                    async for chunk in member:
                        yield chunk
        yield written.take()

    async def _member(self, archive: "ZipFile", written: "_Written", name: str, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        with archive.open(name, "w", force_zip64=False) as member:
            async for chunk in undamaged(chunks):
                member.write(chunk)
                yield written.take()


class _Written:
    """What the zip writer has written and nobody has taken yet."""

    def __init__(self) -> None:
        self._octets = bytearray()
        self._place = 0

    def write(self, octets: bytes) -> int:
        self._octets += octets
        self._place += len(octets)
        return len(octets)

    def tell(self) -> int:
        return self._place

    def flush(self) -> None:
        """Nothing is held back."""

    def take(self) -> bytes:
        taken = bytes(self._octets)
        self._octets.clear()
        return taken


def shown(first: bytes, rest: AsyncIterator[bytes], media_type: str, policy: str) -> HttpResponse:
    """Octets that a browser shows and does not save."""

    async def chunks() -> AsyncIterator[bytes]:
        async with aclosing(rest):  # type: ignore[type-var]
            if first:
                yield first
            async for chunk in rest:
                if chunk:
                    yield chunk

    return HttpResponse(200, chunks(), media_type, _fields(policy))


def _fields(policy: str) -> list[tuple[str, str]]:
    return [("content-security-policy", policy), ("x-frame-options", "SAMEORIGIN"), ("content-disposition", "inline")]


def _text_type(request: HttpRequest, first: bytes) -> str:
    """As the page says. Text that does not say what it is counts as us-ascii (RFC 8621 §4.1.4): it is UTF-8 when it begins as that."""
    charset = request.query.get("charset", "utf-8")
    if not _CHARSET.fullmatch(charset) or (charset.lower() == "us-ascii" and _is_utf8(first)):
        charset = "utf-8"
    return f"text/plain; charset={charset}"


def _is_utf8(first: bytes) -> bool:
    try:
        getincrementaldecoder("utf-8")().decode(first)  # its last character may be cut
    except UnicodeDecodeError:
        return False
    return True


def _account(request: HttpRequest) -> AccountId:
    assert request.session is not None  # noqa: S101 - the route wants one
    return request.session.account


def _unused(name: str | None, number: int, names: set[str]) -> str:
    """A file name that no other member has."""
    clean = safe_file_name(name or "") or f"attachment-{number}"
    while clean.lower() in names:
        clean = f"{number}-{clean}"
    names.add(clean.lower())
    return clean
