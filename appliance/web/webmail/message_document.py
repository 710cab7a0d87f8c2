"""A message as an HTML document for a frame of our page (see the package): cleaned, with a policy of its own, and facts for the page.

The page reads `data-facts` of the root element, which no part of a message can set: how many remote images were left out, the
invitation, what the authentication results say, whether the sender may be forged, and whether the text was cut.
"""

import json
import re
from collections.abc import Callable, Mapping
from functools import partial
from html import escape
from typing import Any, TypeVar

import trio

from appliance.languages.catalogues import Language
from appliance.mail.ids import AccountId

from ..message import TEXT, HttpRequest, HttpResponse
from .authentication import is_warned, read_authentication
from .html_cleaning import HTML_CHARACTERS, clean_html, html_text
from .image_senders import ImageSenders
from .image_urls import ImageUrls
from .invitation import CALENDAR_OCTETS, read_invitation
from .links import marked_links
from .mail_reader import PART, MailReader
from .raster import TYPES, is_picture
from .text_document import read_flow, text_html, unflowed

T = TypeVar("T")
PROPERTIES = ("subject", "from", "headers", "htmlBody", "textBody", "attachments", "bodyValues")
CONTENT_TYPE = "header:Content-Type:asRaw"
SANDBOX = "sandbox allow-same-origin allow-popups allow-popups-to-escape-sandbox"
QUOTED_OCTETS = 200_000
"""Of a text that is quoted."""
PAGE_CHARACTERS = 2 * HTML_CHARACTERS
"""Of all parts of a message together; those behind are left out, and the page says so."""
AT_ONCE = 2
"""Messages cleaned at once, each in a thread."""
SHORT_CHARACTERS = 4000
"""Text that is cleaned without a thread: 2 ms at most."""
STYLE = """
:root{color-scheme:light dark}
html{overflow-x:auto;overflow-y:hidden;-webkit-text-size-adjust:100%}
html{font:15px/1.5 system-ui,"Segoe UI",Roboto,"Noto Sans","DejaVu Sans",sans-serif}
body{margin:0;padding:2px;overflow-wrap:break-word;display:flow-root}
html.light{color-scheme:light;background:#fff;color:#1f1d1b}
html.light body{padding:12px}
html.plain{background:#fff;color:#1f1d1b}
a{color:#8c1d18}
img{max-width:100%;height:auto}
pre{white-space:pre-wrap}
table{max-width:100%}
.text{white-space:pre-wrap;overflow-wrap:anywhere;margin:0 0 1em;max-width:46em}
blockquote{margin:.5em 0 .5em 0;padding:0 0 0 .9em;border-left:3px solid #c9c2ba;color:#5c5751}
.leads{font:13px/1.5 system-ui,sans-serif!important;color:#5c5751!important;background:#fff!important}
summary{cursor:pointer;color:#5c5751;padding:.4em 0}
:focus-visible{outline:3px solid #1a5fb4;outline-offset:2px}
@media(prefers-color-scheme:dark){
html.plain{background:#211f1c;color:#eeeae5}
.plain .leads{color:#b3aca3!important;background:#211f1c!important}
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
        authentication = read_authentication(email["headers"], self._server_name())
        warned = is_warned(email["headers"])
        chosen = not warned and _has_html(email) and await self._is_chosen(account, email, authentication)
        remote = chosen or request.query.get("images") == "1"
        document = _Document(
            email,
            request.language,
            partial(self._urls.inline, account, values["account"]),
            partial(self._urls.remote, account) if remote else None,
        )
        body = await self._cleaned(email, partial(document.body, as_text))
        facts = {
            "remote": 0 if remote else document.remote,
            "chosen": chosen and document.remote > 0,
            "cut": document.cut,
            "authentication": authentication,
            "warned": warned,
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
        parts = await self._cleaned(email, lambda: [_text_of(part, value) for part, value in values])
        return HttpResponse(200, "\n".join(parts).encode("utf-8", "replace"), TEXT)

    async def _cleaned(self, email: Mapping[str, Any], work: Callable[[], T]) -> T:
        if sum(len(one["value"]) for one in email["bodyValues"].values()) <= SHORT_CHARACTERS:
            return work()
        async with self._cleaning:
            return await trio.to_thread.run_sync(work)

    async def _is_chosen(self, account: AccountId, email: Mapping[str, Any], authentication: Mapping[str, list[str]]) -> bool:
        """Are images of this sender always shown, and is this the one sender, as far as is known?"""
        senders = email["from"] or []
        if len(senders) != 1 or authentication.get("dmarc", [""])[0] == "fail":
            return False
        return await self._senders.has(account, senders[0]["email"])

    async def _invitation(self, account: AccountId, jmap_account: str, email: Mapping[str, Any]) -> dict[str, Any] | None:
        for part in email["attachments"]:
            if part["type"] in ("text/calendar", "application/ics"):
                octets = await self._mail.octets(account, jmap_account, part["blobId"], CALENDAR_OCTETS)
                return read_invitation(octets.decode("utf-8", "replace"))
        return None


def _has_html(email: Mapping[str, Any]) -> bool:
    return any(part["type"] == "text/html" for part in email["htmlBody"])


def _text_of(part: Mapping[str, Any], value: str) -> str:
    return html_text(value) if part["type"] == "text/html" else unflowed(value, read_flow(part[CONTENT_TYPE]))


class _Document:
    """One message as HTML; pictures that it has and does not show itself stand at its end. `coloured`: it has colours of its own, which
    want a white ground."""

    def __init__(
        self, email: Mapping[str, Any], language: Language, inline_url: Callable[[str], str], remote: Callable[[str], str | None] | None
    ) -> None:
        self._email = email
        self._language = language
        self._inline_url = inline_url
        self._remote = remote
        self._by_id = {part["cid"]: part for name in ("htmlBody", "attachments") for part in email[name] if part["cid"]}
        self._pictures = {part["blobId"]: part for part in email["attachments"] if is_picture(part)}
        self._shown = 0
        self.remote = 0
        self.cut = False
        self.coloured = False

    def body(self, as_text: bool) -> str:
        text = "".join([self._part(part) for part in self._email["textBody" if as_text else "htmlBody"]])
        return text + "".join(map(self._picture, self._pictures.values()))

    def _part(self, part: Mapping[str, Any]) -> str:
        if part["type"] in TYPES:
            self._pictures.pop(part["blobId"], None)
            return self._picture(part)
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
                return f"<div>{marked_links(cleaned.html)}</div>"
            return self._instead(value["value"])
        return self._text(part, value["value"])

    def _picture(self, part: Mapping[str, Any]) -> str:
        return f'<p><img src="{self._inline_url(part["blobId"])}" alt="{escape(part["name"] or "")}" loading="lazy"></p>'

    def _text(self, part: Mapping[str, Any], text: str) -> str:
        return text_html(text, self._language("Show the quoted text"), read_flow(part[CONTENT_TYPE]))

    def _instead(self, html: str) -> str:
        """The plain text beside HTML that cannot be shown, or what text can be found in it."""
        values = self._email["bodyValues"]
        plain = [part for part in self._email["textBody"] if part["type"] == "text/plain" and part["partId"] in values]
        note = self._language("This message’s HTML cannot be shown here; this is its text.")
        text = "".join(self._text(part, values[part["partId"]]["value"]) for part in plain) or text_html(html_text(html), "")
        return f"<p><em>{escape(note)}</em></p>{text}"

    def _inline(self, content_id: str) -> str | None:
        from urllib.parse import unquote

        part = self._by_id.get(unquote(content_id))
        if part is None or not part["type"].startswith("image/"):
            return None
        self._pictures.pop(part["blobId"], None)
        return self._inline_url(part["blobId"])
