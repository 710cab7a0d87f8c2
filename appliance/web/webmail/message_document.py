"""A message as an HTML document for a frame of our page (see the package): cleaned, with a policy of its own, and facts for the page.

The page reads `data-facts` of the root element, which no part of a message can set: how many remote images were left out, the
invitation, what the authentication results say, and whether the text was cut.
"""

import json
import re
from collections.abc import Callable, Mapping
from functools import partial
from html import escape
from typing import Any

import trio

from appliance.languages.catalogues import Language
from appliance.mail.ids import AccountId

from ..message import TEXT, HttpRequest, HttpResponse
from .authentication import read_authentication
from .html_cleaning import HTML_CHARACTERS, clean_html, html_text
from .image_senders import ImageSenders
from .image_urls import ImageUrls
from .invitation import CALENDAR_OCTETS, read_invitation
from .mail_reader import PART, MailReader
from .text_document import read_flow, text_html, unflowed

PROPERTIES = ("subject", "from", "headers", "htmlBody", "textBody", "attachments", "bodyValues")
CONTENT_TYPE = "header:Content-Type:asRaw"
RASTER = ("image/png", "image/jpeg", "image/jpg", "image/pjpeg", "image/gif", "image/webp", "image/avif", "image/bmp")
SANDBOX = "sandbox allow-same-origin allow-popups allow-popups-to-escape-sandbox"
QUOTED_OCTETS = 200_000
"""Of a text that is quoted."""
PAGE_CHARACTERS = 2 * HTML_CHARACTERS
"""Of all parts of a message together; those behind are left out, and the page says so."""
AT_ONCE = 2
"""Messages cleaned at once, each in a thread."""
STYLE = """
:root{color-scheme:light dark}
html{overflow-x:auto;overflow-y:hidden;-webkit-text-size-adjust:100%}
html{font:15px/1.5 system-ui,"Segoe UI",Roboto,"Noto Sans","DejaVu Sans",sans-serif}
body{margin:0;padding:2px;overflow-wrap:break-word}
html.light{color-scheme:light;background:#fff;color:#1f1d1b}
html.light body{padding:12px}
html.plain{background:#fff;color:#1f1d1b}
a{color:#8c1d18}
img{max-width:100%;height:auto}
pre{white-space:pre-wrap}
table{max-width:100%}
.text{white-space:pre-wrap;overflow-wrap:anywhere;margin:0 0 1em;max-width:46em}
blockquote{margin:.5em 0 .5em 0;padding:0 0 0 .9em;border-left:3px solid #c9c2ba;color:#5c5751}
summary{cursor:pointer;color:#5c5751;padding:.4em 0}
:focus-visible{outline:3px solid #1a5fb4;outline-offset:2px}
@media(prefers-color-scheme:dark){
html.plain{background:#211f1c;color:#eeeae5}
.plain a{color:#f3b0a9}.plain blockquote{border-color:#4b453f;color:#b3aca3}.plain summary{color:#b3aca3}
.plain :focus-visible{outline-color:#8fbcff}}
@media print{html,html.plain{background:#fff;color:#000;overflow:visible}details>*{display:block}}
"""
_COLOURED = re.compile(r"(?:background|bgcolor|[^-]color)", re.IGNORECASE)


def policy(origin: str) -> str:
    """The Content-Security-Policy of a message's document; `origin` of this server as the browser addressed it."""
    return (
        f"default-src 'none'; style-src 'unsafe-inline'; img-src {origin}/mail/image/; form-action 'none'; base-uri 'none'; "
        f"frame-ancestors 'self'; {SANDBOX}"
    )


class MessageDocuments:
    """`senders`: whose remote images are fetched without asking."""

    def __init__(self, mail: MailReader, urls: ImageUrls, server_name: Callable[[], str], senders: ImageSenders) -> None:
        self._mail = mail
        self._urls = urls
        self._server_name = server_name
        self._senders = senders
        self._cleaning = trio.CapacityLimiter(AT_ONCE)

    async def serve(self, request: HttpRequest) -> HttpResponse:
        assert request.session is not None  # noqa: S101 - the route wants one
        account, values = request.session.account, request.values
        as_text = request.query.get("text") == "1"
        email = await self._mail.email(
            account,
            values["account"],
            values["email"],
            PROPERTIES,
            bodyProperties=[*PART, CONTENT_TYPE],
            fetchHTMLBodyValues=not as_text,
            fetchTextBodyValues=True,
            maxBodyValueBytes=HTML_CHARACTERS,
        )
        sender = next((one["email"] for one in email["from"] or []), "")
        chosen = await self._senders.has(account, sender)
        remote = chosen or request.query.get("images") == "1"
        document = _Document(email, request.language, partial(self._urls.inline, account), self._urls.remote if remote else None)
        async with self._cleaning:
            body = await trio.to_thread.run_sync(document.body, as_text)
        facts = {
            "remote": 0 if remote else document.remote,
            "chosen": chosen and document.remote > 0,
            "cut": document.cut,
            "authentication": read_authentication(email["headers"], self._server_name()),
            "invitation": await self._invitation(account, values["account"], email),
        }
        look = "light" if document.coloured else "plain"
        page = (
            f'<!DOCTYPE html><html lang="" class="{look}" data-facts="{escape(json.dumps(facts))}"><head><meta charset="utf-8">'
            f'<meta name="viewport" content="width=device-width"><title>{escape(email["subject"] or "")}</title>'
            f"<style>{STYLE}</style></head><body>{body}</body></html>"
        )
        fields = [("content-security-policy", policy(request.origin)), ("x-frame-options", "SAMEORIGIN")]
        return HttpResponse(200, page.encode("utf-8", "replace"), fields=fields)

    async def text(self, request: HttpRequest) -> HttpResponse:
        """The text of a message, as a reply quotes it."""
        assert request.session is not None  # noqa: S101 - the route wants one
        email = await self._mail.email(
            request.session.account,
            request.values["account"],
            request.values["email"],
            ("textBody", "bodyValues"),
            bodyProperties=["partId", "type", CONTENT_TYPE],
            fetchTextBodyValues=True,
            maxBodyValueBytes=QUOTED_OCTETS,
        )
        values = [(part, email["bodyValues"].get(part["partId"], {}).get("value", "")) for part in email["textBody"]]
        async with self._cleaning:
            parts = await trio.to_thread.run_sync(lambda: [_text_of(part, value) for part, value in values])
        return HttpResponse(200, "\n".join(parts).encode("utf-8", "replace"), TEXT)

    async def _invitation(self, account: AccountId, jmap_account: str, email: Mapping[str, Any]) -> dict[str, Any] | None:
        for part in email["attachments"]:
            if part["type"] in ("text/calendar", "application/ics"):
                octets = await self._mail.octets(account, jmap_account, part["blobId"], CALENDAR_OCTETS)
                return read_invitation(octets.decode("utf-8", "replace"))
        return None


def _text_of(part: Mapping[str, Any], value: str) -> str:
    return html_text(value) if part["type"] == "text/html" else unflowed(value, read_flow(part[CONTENT_TYPE]))


class _Document:
    """One message as HTML. `coloured`: it has colours of its own, which want a white ground."""

    def __init__(
        self, email: Mapping[str, Any], language: Language, inline_url: Callable[[str], str], remote: Callable[[str], str | None] | None
    ) -> None:
        self._email = email
        self._language = language
        self._inline_url = inline_url
        self._remote = remote
        self._by_id = {part["cid"]: part for name in ("htmlBody", "attachments") for part in email[name] if part["cid"]}
        self._shown = 0
        self.remote = 0
        self.cut = False
        self.coloured = False

    def body(self, as_text: bool) -> str:
        return "".join(self._part(part) for part in self._email["textBody" if as_text else "htmlBody"])

    def _part(self, part: Mapping[str, Any]) -> str:
        if part["type"] in RASTER:
            return f'<p><img src="{self._inline_url(part["blobId"])}" alt="{escape(part["name"] or "")}"></p>'
        value = self._email["bodyValues"].get(part["partId"])
        if value is None:
            return ""
        if self._shown >= PAGE_CHARACTERS:
            self.cut = True
            return ""
        self._shown += len(value["value"])
        self.cut = self.cut or value["isTruncated"]
        if part["type"] == "text/html":
            cleaned = clean_html(value["value"], self._inline, self._remote)
            self.remote += cleaned.remote
            if cleaned.html is not None:
                self.coloured = self.coloured or _COLOURED.search(cleaned.html) is not None
                return f"<div>{cleaned.html}</div>"
            return self._instead()
        return self._text(part, value["value"])

    def _text(self, part: Mapping[str, Any], text: str) -> str:
        return text_html(text, self._language("Show the quoted text"), read_flow(part[CONTENT_TYPE]))

    def _instead(self) -> str:
        """The plain text beside HTML that cannot be shown."""
        values = self._email["bodyValues"]
        plain = [part for part in self._email["textBody"] if part["type"] == "text/plain" and part["partId"] in values]
        note = self._language("This message’s HTML cannot be shown here; this is its text.")
        return f"<p><em>{escape(note)}</em></p>" + "".join(self._text(part, values[part["partId"]]["value"]) for part in plain)

    def _inline(self, content_id: str) -> str | None:
        from urllib.parse import unquote

        part = self._by_id.get(unquote(content_id))
        return self._inline_url(part["blobId"]) if part is not None and part["type"].startswith("image/") else None
