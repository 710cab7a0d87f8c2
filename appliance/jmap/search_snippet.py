"""SearchSnippet/get: where the words of a search stand in a message, marked for HTML (RFC 8621 §5)."""

import re
from collections.abc import Sequence
from typing import Any

from appliance.mail.encoding import decode_words
from appliance.mail.ids import MessageId
from appliance.mail.preview import without_markup
from appliance.mail.query import BodyHas, HeaderHas, ShownHas, folded
from appliance.protocol.imap.bodystructure_fields import parse_bodystructure
from appliance.protocol.imap.envelope_fields import parse_envelope
from appliance.protocol.jmap.request import JmapLimits
from appliance.store.account_messages import AccountMessage, account_messages
from appliance.store.store import Store

from .email_content import body_value, open_message
from .email_filter import compile_filter
from .ids import parse_id
from .mailbox import MAIL
from .method import Call, Method

SNIPPET_CHARACTERS = 200
READ_OCTETS = 100_000
"""Of each text part, as far as a snippet is looked for."""


class SnippetMethods:
    """The methods of one server."""

    def __init__(self, store: Store, limits: JmapLimits) -> None:
        self._store = store
        self._limits = limits

    def methods(self) -> tuple[Method, ...]:
        return (Method("SearchSnippet/get", MAIL, self.snippets),)

    async def snippets(self, call: Call) -> dict[str, Any]:
        """Where the needles of a filter stand, marked for HTML (RFC 8621 §5)."""
        account = call.account()
        compiled = compile_filter(call.arguments.object("filter"))
        wanted = call.arguments.ids("emailIds", most=self._limits.objects_in_get) or []
        call.arguments.end()
        chosen = [number for one in wanted if (number := parse_id("M", one)) is not None]
        messages = await self._store.database.read(lambda connection: account_messages(connection, account.scope, chosen))
        needles = [leaf.needle for leaf in compiled.leaves if isinstance(leaf, ShownHas | BodyHas) and leaf.needle]
        subjects = [leaf.needle for leaf in compiled.leaves if isinstance(leaf, HeaderHas) and leaf.field == "subject" and leaf.needle]
        subjects += [leaf.needle for leaf in compiled.leaves if isinstance(leaf, ShownHas) and leaf.needle]
        found = []
        for one in wanted:
            message = messages.get(MessageId(parse_id("M", one) or 0))
            if message is not None:
                subject = decode_words(parse_envelope(message.envelope).subject or b"")
                found.append({"emailId": one, "subject": marked(subject, subjects), "preview": await self._preview(message, needles)})
        missing = [one for one in wanted if MessageId(parse_id("M", one) or 0) not in messages]
        return {"accountId": account.id, "list": found, "notFound": missing or None}

    async def _preview(self, message: AccountMessage, needles: Sequence[str]) -> str | None:
        if not needles:
            return None
        opened = await open_message(self._store, message)
        for part in parse_bodystructure(message.bodystructure).walk():
            if part.type == "text":
                text = (await body_value(opened, part, READ_OCTETS)).value
                text = without_markup(text) if part.subtype == "html" else text
                shown = marked(" ".join(text.split()), needles, most=SNIPPET_CHARACTERS)
                if shown is not None:
                    return shown
        return None


def escape(text: str) -> str:
    """As `html.escape`, whose tables of named characters take 0.3 MB."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;").replace("'", "&#x27;")


def marked(text: str, needles: Sequence[str], *, most: int = 0) -> str | None:
    """The text as HTML with <mark> around what matches, about `most` characters around the first; None when nothing does."""
    wanted = [folded(needle) for needle in needles if needle]
    if not wanted or not any(needle in folded(text) for needle in wanted):
        return None
    pattern = re.compile("|".join(re.escape(needle) for needle in sorted(needles, key=len, reverse=True) if needle), re.IGNORECASE)
    found = pattern.search(text)
    if most and len(text) > most:
        start = max((found.start() if found else 0) - most // 4, 0)
        text = ("\u2026" if start else "") + text[start : start + most] + ("\u2026" if start + most < len(text) else "")
    parts, at = [], 0
    for one in pattern.finditer(text):
        parts += [escape(text[at : one.start()]), f"<mark>{escape(one[0])}</mark>"]
        at = one.end()
    return "".join([*parts, escape(text[at:])])
