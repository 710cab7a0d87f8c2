"""Email: get, changes and parse of stored messages (RFC 8621 §4.2, §4.3).

| properties asked for                                    | what is read                                             |
|---------------------------------------------------------|----------------------------------------------------------|
| metadata, addresses, subject, preview, hasAttachment    | rows only: 50 of a list take one reading                 |
| other header fields                                     | the header                                               |
| body values, sizes of parts                             | the parts                                                |

A message in several mailboxes is one Email. Its keywords are those any copy has; setting them sets them in every copy.
Messages are opened one after the other, and no more is held of them than a header and VALUE_OCTETS of text; of all RESPONSE_OCTETS.
"""

from collections.abc import Callable, Sequence
from typing import Any

import trio

from appliance.mail.errors import StoreError, Trouble
from appliance.mail.ids import BodyId, ModSeq
from appliance.mail.limits import HEADER_OCTETS
from appliance.protocol.imap.bodystructure_fields import BodyPart, parse_bodystructure
from appliance.protocol.imap.envelope_fields import envelope_list
from appliance.protocol.imap.shown_parts import has_attachment, shown_parts
from appliance.protocol.jmap.arguments import Arguments
from appliance.protocol.jmap.errors import MethodError
from appliance.protocol.jmap.request import JmapLimits
from appliance.store.account_changes import CREATED, DESTROYED, UPDATED, WHOLE, Position, message_changes
from appliance.store.account_messages import AccountMessage, account_messages
from appliance.store.body_readers import Body, StoredMessage
from appliance.store.scope import Scope, scope_modseq
from appliance.store.store import Store

from . import body_parts
from .body_parts import PartFacts, part_id
from .email_content import VALUE_OCTETS, body_value, decoded_size, extent_of, header_block
from .header_forms import CONVENIENT, FROM_ENVELOPE, encode_date, encode_headers, header_list, header_value, parse_header_property
from .ids import encode_id, encode_state, parse_id, parse_state
from .mailbox import MAIL
from .method import Call, JmapAccount, Method
from .standard import get_response, read_most_changes, read_names, split

METADATA = ("id", "blobId", "threadId", "mailboxIds", "keywords", "size", "receivedAt")
BODY = ("bodyStructure", "bodyValues", "textBody", "htmlBody", "attachments", "hasAttachment", "preview")
PROPERTIES = (*METADATA, *CONVENIENT, "headers", *BODY)
DEFAULT = (*METADATA, *CONVENIENT, "hasAttachment", "preview", "bodyValues", "textBody", "htmlBody", "attachments")
RESPONSE_OCTETS = 8 * VALUE_OCTETS
"""Of all body values of a call: a larger text is cut, and says so."""
AT_ONCE = 50
"""Messages of a call, or parts of one, between two looks at what others want of the event loop: 2 ms."""
SYSTEM_KEYWORDS = {"\\Seen": "$seen", "\\Flagged": "$flagged", "\\Answered": "$answered", "\\Draft": "$draft"}
"""Other system flags are of IMAP alone (RFC 8621 §4.1.1)."""


def keywords_of(message: AccountMessage) -> dict[str, bool]:
    names = {name for copy in message.copies for name in copy.flags}
    return {SYSTEM_KEYWORDS.get(name, name).lower(): True for name in sorted(names) if not name.startswith("\\") or name in SYSTEM_KEYWORDS}


class EmailReading:
    """Email/get's arguments about what to give of each message."""

    def __init__(self, arguments: Arguments, default: Sequence[str] = DEFAULT) -> None:
        """Takes properties, bodyProperties, the fetch flags and maxBodyValueBytes. Raises MethodError."""
        self.properties = read_names(arguments, "properties", PROPERTIES, default, extra="header:")
        self.headers = {name: parse_header_property(name) for name in self.properties if name.startswith("header:")}
        self.body_properties = read_names(arguments, "bodyProperties", body_parts.PROPERTIES, body_parts.DEFAULT, extra="header:")
        self.part_headers = {name: parse_header_property(name) for name in self.body_properties if name.startswith("header:")}
        self.text = arguments.flag("fetchTextBodyValues")
        self.html = arguments.flag("fetchHTMLBodyValues")
        self.all = arguments.flag("fetchAllBodyValues")
        self.most_octets = arguments.number("maxBodyValueBytes", 0) or VALUE_OCTETS
        self.left_octets = RESPONSE_OCTETS
        self.opens_messages = not set(self.properties) <= IN_ROWS


class EmailMethods:
    """The methods of one server."""

    def __init__(self, store: Store, limits: JmapLimits) -> None:
        self._store = store
        self._limits = limits

    def methods(self) -> tuple[Method, ...]:
        return (Method("Email/get", MAIL, self.get), Method("Email/changes", MAIL, self.changes))

    async def get(self, call: Call) -> dict[str, Any]:
        account = call.account()
        wanted = call.arguments.ids("ids", most=self._limits.objects_in_get)
        reading = EmailReading(call.arguments)
        reading.properties = list(dict.fromkeys(("id", *reading.properties)))
        call.arguments.end()
        if wanted is None:
            raise MethodError("requestTooLarge", "There may be too many messages for one response: name them.")
        chosen = split(wanted, call.created)
        numbers = [number for one in chosen if (number := parse_id("M", one)) is not None]
        state, messages, bodies = await self._store.database.read(
            lambda connection: self._read(connection, account.scope, numbers, bodies=reading.opens_messages)
        )
        found = {}
        for number, message in enumerate(messages, 1):
            if not number % AT_ONCE:
                await trio.lowlevel.checkpoint()
            try:
                found[encode_id("M", message.id)] = await self._email(message, bodies.pop(message.body, None), reading)
            except StoreError as error:
                if error.trouble is not Trouble.GONE:
                    raise
        return get_response(
            account.id, encode_state(state), [call.created.get(one[1:], one) if one[:1] == "#" else one for one in wanted], found
        )

    def _read(
        self, connection: Any, scope: Scope, numbers: list[int], *, bodies: bool
    ) -> tuple[ModSeq, list[AccountMessage], dict[BodyId, Body]]:
        """The account's MODSEQ, the messages, and the bodies of those that will be opened, small ones in memory."""
        messages = list(account_messages(connection, scope, numbers).values())
        opened = self._store.bodies.load(connection, [message.body for message in messages]) if bodies else {}
        return scope_modseq(connection, scope), messages, opened

    async def _email(self, message: AccountMessage, body: Body | None, reading: EmailReading) -> dict[str, Any]:
        """`body` None: of an earlier message too."""
        if not reading.opens_messages:
            return row_properties(message, reading.properties)
        opened = StoredMessage(message.prefix, message.parts, body or await self._store.bodies.open_body(message.body))
        await opened.open()
        found = row_properties(message, [name for name in reading.properties if name in IN_ROWS])
        return found | await opened_properties(message.bodystructure, encode_id("B", message.id), opened, reading)

    async def changes(self, call: Call) -> dict[str, Any]:
        account = call.account()
        since = parse_state(call.arguments.text("sinceState"))
        most = read_most_changes(call.arguments)
        call.arguments.end()
        found = await self._store.database.read(lambda connection: message_changes(connection, account.scope, since))
        if found is None or since.modseq > found[0]:
            raise MethodError("cannotCalculateChanges", "That state is too old or was never one.")
        return changes_response(account, since, found, most)


def changes_response(account: JmapAccount, since: Position, found: Any, most: int) -> dict[str, Any]:
    """Email/changes: as many changes as are wanted, and the state to go on from."""
    modseq, changes = found
    told = changes[:most]
    more = len(changes) > most
    kinds: dict[str, list[str]] = {CREATED: [], UPDATED: [], DESTROYED: []}
    for change in told:
        kinds[change.kind(since)].append(encode_id("M", change.message))
    state = told[-1].place(since) if more else Position(modseq, WHOLE)
    return {"accountId": account.id, "oldState": encode_state(since), "newState": encode_state(state), "hasMoreChanges": more, **kinds}


def row_properties(message: AccountMessage, properties: Sequence[str]) -> dict[str, Any]:
    """Properties that the rows hold, of IN_ROWS."""
    envelope: list[object] | None = None
    found: dict[str, Any] = {}
    for name in properties:
        encode = FROM_ENVELOPE.get(name)
        if encode is None:
            found[name] = _METADATA[name](message)
            continue
        if envelope is None:
            envelope = envelope_list(message.envelope)
        found[name] = encode(envelope)
    return found


_METADATA: dict[str, Callable[[AccountMessage], Any]] = {
    "id": lambda message: encode_id("M", message.id),
    "blobId": lambda message: encode_id("B", message.id),
    "threadId": lambda message: encode_id("T", message.thread),
    "mailboxIds": lambda message: {encode_id("F", copy.mailbox): True for copy in message.copies},
    "keywords": keywords_of,
    "size": lambda message: message.octets,
    "receivedAt": lambda message: encode_date(message.internal_at),
    "hasAttachment": lambda message: has_attachment(message.bodystructure),
    "preview": lambda message: message.preview,
}
IN_ROWS = _METADATA.keys() | FROM_ENVELOPE.keys()
"""What the rows hold."""


async def opened_properties(bodystructure: bytes, blob: str, opened: StoredMessage, reading: EmailReading) -> dict[str, Any]:
    """Properties for which the message is read; `blob` is what it is called. Raises StoreError."""
    root, opened = parse_bodystructure(bodystructure), opened.read_along()
    headers = header_list(await header_block(opened, None, HEADER_OCTETS))
    shown = shown_parts(root)
    parts = {"bodyStructure": [root], "textBody": shown.text, "htmlBody": shown.html, "attachments": shown.attachments}
    listed = [part for name in parts if name in reading.properties for one in parts[name] for part in one.walk()]
    facts = await _part_facts(blob, opened, listed, reading)
    found: dict[str, Any] = {}
    for name in reading.properties:
        if name in IN_ROWS:
            continue
        if name in reading.headers:
            field, form, every = reading.headers[name]
            found[name] = header_value(headers, field, form, every=every)
        elif name in CONVENIENT:
            found[name] = header_value(headers, *CONVENIENT[name])
        elif name == "headers":
            found[name] = encode_headers(headers)
        elif name == "bodyStructure":
            found[name] = facts.encode(root)
        elif name == "bodyValues":
            found[name] = await _body_values(opened, root, reading)
        else:
            found[name] = [facts.encode(part) for part in parts[name]]
    return found


async def _part_facts(blob: str, opened: StoredMessage, parts: Sequence[BodyPart], reading: EmailReading) -> PartFacts:
    """Sizes and headers of these parts, read beforehand where they are wanted."""
    sizes: dict[tuple[int, ...], int] = {}
    headers: dict[tuple[int, ...], list[tuple[str, bytes]]] = {}
    for number, part in enumerate(parts, 1):
        if not number % AT_ONCE:
            await trio.lowlevel.checkpoint()
        extent = extent_of(opened, part.section)
        if extent is None:
            continue
        if "size" in reading.body_properties and not part.is_multipart and part.section not in sizes:
            sizes[part.section] = await decoded_size(opened, extent)
        if ("headers" in reading.body_properties or reading.part_headers) and part.section not in headers:
            is_root = extent.header_start == 0  # whose header is the message's
            headers[part.section] = header_list(await header_block(opened, None if is_root else extent, HEADER_OCTETS))

    def header(part: BodyPart, name: str) -> Any:
        known = headers.get(part.section, [])
        if name == "headers":
            return encode_headers(known)
        field, form, every = reading.part_headers[name]
        return header_value(known, field, form, every=every)

    return PartFacts(blob, reading.body_properties, lambda part: sizes.get(part.section, 0), header)


async def _body_values(opened: StoredMessage, root: BodyPart, reading: EmailReading) -> dict[str, Any]:
    shown = shown_parts(root)
    chosen = [*(shown.text if reading.text else ()), *(shown.html if reading.html else ()), *(root.walk() if reading.all else ())]
    values: dict[str, Any] = {}
    left = VALUE_OCTETS
    for part in chosen:
        if part.type == "text" and part_id(part) not in values:
            value = await body_value(opened, part, max(min(reading.most_octets, left, reading.left_octets), 0))
            left -= len(value.value)
            reading.left_octets -= len(value.value)
            values[part_id(part)] = value.encode()
    return values
