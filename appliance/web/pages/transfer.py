"""A user's mail as files: all of it, or one mailbox, to keep or to take elsewhere; and files of mail from elsewhere, to bring in.

A download is streamed as it is read, so it needs no space on the server and may be as large as the mail is.
A file is sent in one of two ways, to the same end:

| without scripts | one form; broken off it begins anew                                                                          |
| with scripts    | `begin`, then PATCH after PATCH with the octets that go on at Upload-Offset, which `GET` (and HEAD) says too;  |
|                 | what came is kept, so it goes on after a broken connection, another day, or a restart of the server           |

Then its user is told what is in it, and says go.
"""

import json
from collections.abc import AsyncIterator
from time import gmtime, strftime
from urllib.parse import quote

from appliance.accounts.directory import Account
from appliance.mail.errors import MisuseError, SetupError
from appliance.protocol.http.multipart import FormPart, MultipartReader, boundary_of
from appliance.store.file_imports import OffsetConflict
from appliance.store.received_files import ReceivedFile
from appliance.store.zip_export import Form

from .. import security
from ..language import refusal_text
from ..message import JSON, HttpRefusal, HttpRequest, HttpResponse
from ..routes import WebRoute
from ..site import SESSION_COOKIE
from .base import PageGroup

PLACE = "/own/mail"
FILE = "/own/mail/import/file/{id}"
FORMS: dict[str, Form] = {"mbox": "mbox", "maildir": "maildir"}
PATCH_OCTETS = 64 * 2**20
"""Of one PATCH; a page sends less at once."""
FILE_OCTETS = 2**42
"""Of a form with a file; the account's room is less."""
FIELD_OCTETS = 4096


class TransferPages(PageGroup):
    """Everything here is about the account of the session."""

    def routes(self) -> tuple[WebRoute, ...]:
        return (
            WebRoute("GET", PLACE, self.page),
            WebRoute("GET", "/own/mail/export/{form}", self.export),
            WebRoute("GET", "/own/mail/export-mailbox", self.export_mailbox),
            WebRoute("POST", "/own/mail/import", self.receive_form, body_octets=FILE_OCTETS, own_credentials=True),
            WebRoute("POST", "/own/mail/import/begin", self.begin, program=True),
            WebRoute("GET", FILE, self.state, program=True),
            WebRoute("PATCH", FILE, self.receive, body_octets=PATCH_OCTETS, program=True),
            WebRoute("POST", "/own/mail/import/start", self.start),
            WebRoute("POST", "/own/mail/import/discard", self.discard),
        )

    async def page(self, request: HttpRequest) -> HttpResponse:
        return await self._page(request)

    async def _page(self, request: HttpRequest, status: int = 200, fault: str = "") -> HttpResponse:
        account, transfers = self._account(request), self.context.transfers()
        mailboxes = await transfers.mailboxes(account.id)
        return self.pages.page(
            request,
            "transfer.html",
            status,
            mailboxes=mailboxes,
            messages=sum(one.messages for one in mailboxes),
            octets=sum(one.octets for one in mailboxes),
            file=transfers.imports.of(account.id),
            room=transfers.imports.room_octets(account.id),
            left=transfers.left_octets(account.id),
            fault=fault,
        )

    # --- out ---------------------------------------------------------------------------------------

    async def export(self, request: HttpRequest) -> HttpResponse:
        """All mail in a ZIP archive."""
        account, form = self._account(request), FORMS.get(request.values["form"])
        if form is None:
            raise HttpRefusal(404)
        self._expect_free(request, account)
        chunks = self.context.transfers().export_zip(account.id, form)
        return HttpResponse(200, chunks, "application/zip", [_attached(f"{self._file_name(account.address)}.{form}.zip")])

    async def export_mailbox(self, request: HttpRequest) -> HttpResponse:
        """One mailbox as an mbox file."""
        account, name = self._account(request), request.query.get("mailbox")
        if name not in [one.name for one in await self.context.transfers().mailboxes(account.id)]:
            raise HttpRefusal(404)
        self._expect_free(request, account)
        file = f"{self._file_name(name.replace('/', '-'))}.mbox"
        return HttpResponse(200, self.context.transfers().export_mbox(account.id, name), "application/mbox", [_attached(file)])

    def _file_name(self, what: str) -> str:
        """Files of several days lie beside each other."""
        clock = self.context.clock
        day = strftime("%Y-%m-%d", gmtime(clock.wall_s() + clock.utc_offset_s())) if clock.trusted() else ""
        return f"{what} {day}".strip()

    def _expect_free(self, request: HttpRequest, account: Account) -> None:
        if not self.context.transfers().may_export(account.id):
            sentence = request.language("Another download of mail is under way. Wait until it ends, or stop it in its browser.")
            raise HttpRefusal(503, sentence, (("retry-after", "60"),))

    # --- in, with scripts --------------------------------------------------------------------------

    async def begin(self, request: HttpRequest) -> HttpResponse:
        """The file to go on with, or a new one: `name`, `octets`, `stamp`."""
        account, form, octets = self._account(request), await request.form(), (await request.form()).get("octets")
        if not octets.isascii() or not octets.isdigit() or len(octets) > 15 or int(octets) == 0:
            raise HttpRefusal(422, request.language("The file is empty."))
        try:
            file = await self.context.transfers().imports.begin(account.id, form.get("name") or "mail", int(octets), form.get("stamp"))
        except SetupError as error:
            raise HttpRefusal(422, refusal_text(error, request.language)) from error
        return _state(file, 201)

    async def state(self, request: HttpRequest) -> HttpResponse:
        return _state(self._file(request))

    async def receive(self, request: HttpRequest) -> HttpResponse:
        """The octets that go on at Upload-Offset; with the last ones the file is looked at."""
        file, offset = self._file(request), request.fields.get("upload-offset")
        if not offset.isascii() or not offset.isdigit() or len(offset) > 15:
            raise HttpRefusal(400, "Upload-Offset says where the octets go on.")
        imports = self.context.transfers().imports
        try:
            await imports.append(file, int(offset), request.body)
            if file.received == file.octets:
                await imports.complete(file)
        except OffsetConflict as conflict:
            raise HttpRefusal(409, str(conflict), (("upload-offset", str(conflict.offset)),)) from conflict
        except SetupError as error:
            raise HttpRefusal(422, refusal_text(error, request.language)) from error
        return _state(file)

    def _file(self, request: HttpRequest) -> ReceivedFile:
        file = self.context.transfers().imports.of(self._account(request).id)
        if file is None or file.id != request.values["id"]:
            raise HttpRefusal(404)
        return file

    # --- in, as a form -----------------------------------------------------------------------------

    async def receive_form(self, request: HttpRequest) -> HttpResponse:
        """A form with the token, then the file: the token is looked at before any octet of the file is kept."""
        account, _ = self._account(request), request.language
        if not security.is_same_origin(request):
            raise HttpRefusal(403)
        events = _events(request)
        fields: dict[str, bytes] = {}
        name, kept = "", ""
        async for event in events:
            if isinstance(event, bytes):
                fields[kept] = (fields.get(kept, b"") + event)[:FIELD_OCTETS]
                continue
            kept, name = event.name, event.file or ""
            if event.file is not None:
                break
        if not security.is_token(request.cookie(SESSION_COOKIE), fields.get("token", b"").decode("ascii", "replace").strip()):
            raise HttpRefusal(403)
        if not name:
            return await self._page(request, 422, _("Choose a file first."))
        imports = self.context.transfers().imports
        try:
            file = await imports.begin(account.id, name, request.body.length or 0, "")
            await imports.append(file, 0, _octets(events))
            await imports.complete(file, file.received)
        except SetupError as error:
            return await self._page(request, 422, refusal_text(error, _))
        return self.done(request, _("The file is here. Look what is in it, then bring it in."), PLACE + "#import")

    # --- what becomes of it ------------------------------------------------------------------------

    async def start(self, request: HttpRequest) -> HttpResponse:
        """Bring it in: into its own mailboxes, or all into one."""
        account, form, _ = self._account(request), await request.form(), request.language
        try:
            await self.context.transfers().imports.start(account.id, form.get("mailbox") if form.get("where") == "one" else "")
        except SetupError as error:
            return await self._page(request, 422, refusal_text(error, _))
        return self.done(request, _("The mail is being brought in. You may close this page meanwhile."), PLACE + "#import")

    async def discard(self, request: HttpRequest) -> HttpResponse:
        account, _ = self._account(request), request.language
        await self.context.transfers().imports.discard(account.id)
        return self.done(request, _("The file is gone. Mail that was brought in from it stays."), PLACE + "#import")

    def _account(self, request: HttpRequest) -> Account:
        """Raises HttpRefusal when the account was removed a moment ago."""
        account = self.context.accounts.directory.account(request.session.account) if request.session else None
        if account is None:
            raise HttpRefusal(401)
        return account


def _state(file: ReceivedFile, status: int = 200) -> HttpResponse:
    """Where the file is found, how far it is, and what became of it."""
    place = FILE.replace("{id}", file.id)
    facts = {"place": place, "offset": file.received, "octets": file.octets, "state": file.state, "stored": file.stored}
    facts |= {"doubled": file.doubled, "left_out": file.left_out}
    response = HttpResponse(status, json.dumps(facts).encode(), JSON)
    response.fields += [("upload-offset", str(file.received)), ("upload-length", str(file.octets))]
    return response


async def _events(request: HttpRequest) -> AsyncIterator[FormPart | bytes]:
    """The parts of the form. Raises HttpRefusal."""
    try:
        reader = MultipartReader(boundary_of(request.fields.get("content-type")))
        async for octets in request.body:
            for event in reader.feed(octets):
                yield event
        reader.end()
    except MisuseError as error:
        raise HttpRefusal(400, str(error)) from error


async def _octets(events: AsyncIterator[FormPart | bytes]) -> AsyncIterator[bytes]:
    """Those of the file, up to the next field."""
    async for event in events:
        if isinstance(event, FormPart):
            return
        yield event


def _attached(name: str) -> tuple[str, str]:
    """Under which name a browser keeps it (Content-Disposition, RFC 8187 §3.2)."""
    return ("content-disposition", f"attachment; filename*=UTF-8''{quote(name[:200], safe='-._~', errors='replace')}")
