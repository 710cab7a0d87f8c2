"""Email/parse: attached and uploaded messages as Emails, without storing them (RFC 8621 §4.9)."""

from typing import Any

from appliance.protocol.imap.envelope_fields import envelope_list
from appliance.protocol.imap.shown_parts import has_attachment
from appliance.protocol.jmap.request import JmapLimits
from appliance.store.store import Store

from .blobs import Blobs, OpenedMessage
from .email import DEFAULT, METADATA, EmailReading, opened_properties
from .header_forms import FROM_ENVELOPE
from .mailbox import MAIL
from .method import Call, Method

PARSED = tuple(name for name in DEFAULT if name not in METADATA)
"""Properties when none are named."""

MOST = 50
"""Messages parsed by a call: each is read whole."""


class EmailParseMethods:
    """The methods of one server."""

    def __init__(self, store: Store, limits: JmapLimits) -> None:
        self._limits = limits
        self._blobs = Blobs(store)

    def methods(self) -> tuple[Method, ...]:
        return (Method("Email/parse", MAIL, self.parse),)

    async def parse(self, call: Call) -> dict[str, Any]:
        account = call.account()
        wanted = call.arguments.ids("blobIds", most=min(MOST, self._limits.objects_in_get), limit="of Email/parse") or []
        reading = EmailReading(call.arguments, PARSED)
        call.arguments.end()
        parsed: dict[str, Any] = {}
        not_parsable, not_found = [], []
        for one in wanted:
            blob = await self._blobs.find(account.scope, call.created.get(one[1:], "") if one[:1] == "#" else one)
            message = await self._blobs.message_of(blob) if blob is not None else None
            if blob is None:
                not_found.append(one)
            elif message is None:
                not_parsable.append(one)
            else:
                parsed[one] = await _parsed(message, blob.id, reading)
        return {
            "accountId": account.id, "parsed": parsed or None, "notParsable": not_parsable or None, "notFound": not_found or None,
        }  # fmt: skip


async def _parsed(message: OpenedMessage, blob: str, reading: EmailReading) -> dict[str, Any]:
    """The message as an Email. What only a stored one has is null."""
    envelope = envelope_list(message.envelope)
    found: dict[str, Any] = {}
    for name in reading.properties:
        if name == "blobId":
            found[name] = blob
        elif name == "size":
            found[name] = message.octets.octets
        elif name == "hasAttachment":
            found[name] = has_attachment(message.bodystructure)
        elif name == "preview":
            found[name] = message.preview
        elif name in METADATA:
            found[name] = None
        elif name in FROM_ENVELOPE:
            found[name] = FROM_ENVELOPE[name](envelope)
    if reading.opens_messages:
        found |= await opened_properties(message.bodystructure, blob, message.octets, reading)
    return found
