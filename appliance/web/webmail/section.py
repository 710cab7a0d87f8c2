"""The routes of webmail and its page; see the package for what is where and why.

The page is small and the same for everybody but for its data: who is signed in, the mailboxes and the first list (two round trips
less before there is something to see), the token for requests that change something, the version of the modules.
"""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from appliance.languages.catalogues import script_catalogue
from appliance.mail.address import Address, parse_address
from appliance.mail.ids import AccountId

from ..context import WebContext
from ..jmap import JmapPort
from ..message import HttpRequest, HttpResponse
from ..rendering import Pages
from ..routes import Access, SiteSection, WebRoute
from ..security import POLICY
from .first_list import QUERY, READING, ROWS, first_list

if TYPE_CHECKING:
    from .image_senders import Metadata
    from .remote_images import RemoteImages

PREFIX = "/mail/"
FIRST = ("main.js", "dom.js", "jmap.js", "mail.js", "push.js", "folders.js", "list.js", "window.js", "actions.js")
"""Modules of the first view, loaded beside the page; the others when they are needed."""


@dataclass(frozen=True, slots=True)
class WebmailPorts:
    """What webmail needs beside JMAP. `remote` makes the fetcher of remote images when the first is asked for; `largest_octets` of a
    message from that sender."""

    metadata: "Metadata"
    remote: "Callable[[], RemoteImages]"
    largest_octets: Callable[[Address], Awaitable[int]]


class Webmail:
    """The page and the documents around it."""

    def __init__(self, context: WebContext, pages: Pages, jmap: JmapPort, ports: WebmailPorts) -> None:
        from .attachments import Attachments
        from .image_senders import ImageSenders
        from .image_urls import ImageUrls
        from .images import Images
        from .mail_reader import MailReader
        from .message_document import MessageDocuments
        from .modules import Modules

        self._context = context
        self._pages = pages
        self._mail = MailReader(jmap)
        self._modules = Modules()
        urls = ImageUrls(context.clock.mono_s)
        self._largest_octets = ports.largest_octets
        self._images = Images(self._mail, urls, ports.remote)
        self._attachments = Attachments(self._mail)
        self._senders = ImageSenders(ports.metadata)
        self._documents = MessageDocuments(self._mail, urls, context.names.host_name, self._senders)

    def routes(self) -> tuple[WebRoute, ...]:
        return (
            WebRoute("GET", "/mail/", self.page),
            WebRoute("GET", "/mail", self.page),
            WebRoute("GET", "/mail/version", self.version, Access.ANYONE, program=True),
            WebRoute("GET", "/mail/files/{version}/{name}", self._modules.serve, Access.ANYONE),
            WebRoute("GET", "/mail/message/{account}/{email}", self._documents.serve),
            WebRoute("GET", "/mail/text/{account}/{email}", self._documents.text, program=True),
            WebRoute("GET", "/mail/image/{token}", self._images.serve, Access.ANYONE, program=True),
            WebRoute("POST", "/mail/images-from", self._senders.change, program=True),
            WebRoute("GET", "/mail/manifest", self.manifest, Access.ANYONE),
            WebRoute("GET", "/mail/worker.js", self.worker, Access.ANYONE),
            WebRoute("GET", "/mail/preview/{account}/{blob}", self._attachments.preview),
            WebRoute("GET", "/mail/source/{account}/{blob}", self._attachments.source),
            WebRoute("GET", "/mail/zip/{account}/{email}", self._attachments.archive),
        )

    async def page(self, request: HttpRequest) -> HttpResponse:
        assert request.session is not None  # noqa: S101 - the route wants one
        boot = await self._boot(request.session.account)
        catalogue = json.loads(script_catalogue(request.language.tag)) | {"thousands": request.language.thousands}
        response = self._pages.page(request, "mail.html", boot=boot, first=FIRST, module=self._modules.address, catalogue=catalogue)
        response.fields.append(("content-security-policy", f"{POLICY}; frame-src 'self'"))
        return response

    async def _boot(self, account: AccountId) -> dict[str, Any]:
        session = await self._mail.accounts(account)
        own = next(iter(session["accounts"]))
        mailboxes = await self._mail.call(account, "Mailbox/get", accountId=own, ids=None)
        inbox = next((one["id"] for one in mailboxes["list"] if one["role"] == "inbox"), None)
        return {
            "account": own,
            "address": session["username"],
            "version": self._modules.version,
            "mailboxes": mailboxes,
            "shared": [
                {"account": one, "name": facts["name"], "mailboxes": await self._mail.call(account, "Mailbox/get", accountId=one, ids=None)}
                for one, facts in session["accounts"].items()
                if not facts["isPersonal"]
            ],
            "sessionState": session["state"],
            "largestMessage": await self._largest_octets(parse_address(session["username"])),
            "list": {"rows": ROWS, "query": QUERY, "reading": READING},
            "first": await first_list(self._mail, account, own, inbox) if inbox else None,
            "capabilities": session["capabilities"] | session["accounts"][own]["accountCapabilities"],
        }

    async def manifest(self, request: HttpRequest) -> HttpResponse:
        """What makes the page installable (W3C Web Application Manifest)."""
        icon = {"src": self._pages.static.address("icon.svg"), "sizes": "any", "type": "image/svg+xml", "purpose": "any"}
        facts = {
            "name": f"Pillarbox {self._context.names.host_name()}",
            "short_name": request.language("Mail"),
            "start_url": PREFIX,
            "scope": PREFIX,
            "display": "standalone",
            "background_color": "#fbfaf8",
            "theme_color": "#a3231c",
            "icons": [icon],
        }
        return HttpResponse(200, json.dumps(facts, ensure_ascii=False).encode(), "application/manifest+json")

    async def worker(self, request: HttpRequest) -> HttpResponse:
        """The service worker: the same file whatever the version, so that browsers find the next one; it is told the version here."""
        _ = request.language
        shell = {
            "version": self._modules.version,
            "files": self._modules.addresses(),
            "icon": self._pages.static.address("icon.svg"),
            "offline": _("No connection to the server."),
            "newMail": _("New mail"),
            "on": _("Notifications are on."),
        }
        script = f"const SHELL = {json.dumps(shell)}\n".encode() + self._modules.source("worker.js")
        return HttpResponse(200, script, "text/javascript; charset=utf-8", cached="no-cache")

    async def version(self, request: HttpRequest) -> HttpResponse:
        """What a tab compares with what it has loaded."""
        return HttpResponse(200, self._modules.version.encode(), "text/plain")


def webmail_section(context: WebContext, pages: Pages, jmap: Callable[[], JmapPort], ports: WebmailPorts) -> SiteSection:
    """The section of webmail; everything is made at its first request."""
    return SiteSection(PREFIX, lambda: Webmail(context, pages, jmap(), ports).routes())
