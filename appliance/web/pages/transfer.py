"""A user's mail as files: all of it, or one mailbox, to keep or to take elsewhere.

A download is streamed as it is read, so it needs no space on the server and may be as large as the mail is.
"""

from time import gmtime, strftime
from urllib.parse import quote

from appliance.accounts.directory import Account
from appliance.store.zip_export import Form

from ..message import HttpRefusal, HttpRequest, HttpResponse
from ..routes import WebRoute
from .base import PageGroup

PLACE = "/own/mail"
FORMS: dict[str, Form] = {"mbox": "mbox", "maildir": "maildir"}


class TransferPages(PageGroup):
    """Everything here is about the account of the session."""

    def routes(self) -> tuple[WebRoute, ...]:
        return (
            WebRoute("GET", PLACE, self.page),
            WebRoute("GET", "/own/mail/export/{form}", self.export),
            WebRoute("GET", "/own/mail/export-mailbox", self.export_mailbox),
        )

    async def page(self, request: HttpRequest) -> HttpResponse:
        account, transfers = self._account(request), self.context.transfers()
        mailboxes = await transfers.mailboxes(account.id)
        return self.pages.page(
            request,
            "transfer.html",
            mailboxes=mailboxes,
            messages=sum(one.messages for one in mailboxes),
            octets=sum(one.octets for one in mailboxes),
        )

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

    def _account(self, request: HttpRequest) -> Account:
        """Raises HttpRefusal when the account was removed a moment ago."""
        account = self.context.accounts.directory.account(request.session.account) if request.session else None
        if account is None:
            raise HttpRefusal(401)
        return account


def _attached(name: str) -> tuple[str, str]:
    """Under which name a browser keeps it (Content-Disposition, RFC 8187 §3.2)."""
    return ("content-disposition", f"attachment; filename*=UTF-8''{quote(name[:200], safe='-._~', errors='replace')}")
