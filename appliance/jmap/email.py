"""Email: get, changes and parse of stored messages (RFC 8621 §4.2, §4.3).

| properties asked for                                    | what is read                                             |
|---------------------------------------------------------|----------------------------------------------------------|
| metadata, addresses, subject, preview, hasAttachment    | rows only: 50 of a list take one reading                 |
| other header fields                                     | the header                                               |
| body values, sizes of parts                             | the parts                                                |

A message in several mailboxes is one Email. Its keywords are those any copy has; setting them sets them in every copy.
Messages are opened one after the other, and no more is held of them than a header and VALUE_OCTETS of text; of all RESPONSE_OCTETS.
"""

from collections.abc import Sequence
from typing import Any

from appliance.mail.errors import StoreError, Trouble
from appliance.mail.limits import HEADER_OCTETS
from appliance.protocol.imap.bodystructure_fields import BodyPart, parse_bodystructure
from appliance.protocol.imap.envelope_fields import parse_envelope
from appliance.protocol.imap.shown_parts import has_attachment, shown_parts
from appliance.protocol.jmap.arguments import Arguments
from appliance.protocol.jmap.errors import MethodError, invalid
from appliance.protocol.jmap.request import JmapLimits
from appliance.store.account_changes import CREATED, DESTROYED, UPDATED, WHOLE, Position, message_changes
from appliance.store.account_messages import AccountMessage, account_messages
from appliance.store.body_readers import StoredMessage
from appliance.store.scope import scope_modseq
from appliance.store.store import Store

from . import body_parts
from .body_parts import PartFacts, part_id
from .email_content import VALUE_OCTETS, body_value, decoded_size, extent_of, header_block, open_message
from .header_forms import CONVENIENT, encode_date, encode_headers, from_envelope, header_list, header_value, parse_header_property
from .ids import encode_id, encode_state, parse_id, parse_state
from .mailbox import MAIL
from .method import Call, JmapAccount, Method
from .standard import get_response, read_most_changes, read_names, split

METADATA = ("id", "blobId", "threadId", "mailboxIds", "keywords", "size", "receivedAt")
BODY = ("bodyStructure", "bodyValues", "textBody", "htmlBody", "attachments", "hasAttachment", "preview")
PROPERTIES = (*METADATA, *CONVENIENT, "headers", *BODY)
DEFAULT = (*METADATA, *CONVENIENT, "hasAttachment", "preview", "bodyValues", "textBody", "htmlBody", "attachments")
IN_ROWS = frozenset((*METADATA, "from", "to", "cc", "bcc", "subject", "sentAt", "messageId", "hasAttachment", "preview"))
"""What the rows hold."""
RESPONSE_OCTETS = 8 * VALUE_OCTETS
"""Of all body values of a call: a larger text is cut, and says so."""
SINGLE_TEXT = (b'("TEXT" "PLAIN"', b'("TEXT" "HTML"', b'("text" "plain"', b'("text" "html"')
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

    @property
    def opens_messages(self) -> bool:
        return not IN_ROWS.issuperset(self.properties)


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
        state, messages = await self._store.database.read(
            lambda connection: (scope_modseq(connection, account.scope), account_messages(connection, account.scope, numbers))
        )
        found = {}
        for message in messages.values():
            try:
                found[encode_id("M", message.id)] = await self._email(message, reading)
            except StoreError as error:
                if error.trouble is not Trouble.GONE:
                    raise
        return get_response(
            account.id, encode_state(state), [call.created.get(one[1:], one) if one[:1] == "#" else one for one in wanted], found
        )

    async def _email(self, message: AccountMessage, reading: EmailReading) -> dict[str, Any]:
        if not reading.opens_messages:
            return row_properties(message, reading.properties)
        opened = await open_message(self._store, message)
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
    """Properties that the rows hold."""
    envelope = None
    found: dict[str, Any] = {}
    for name in properties:
        if name in CONVENIENT:
            envelope = envelope or parse_envelope(message.envelope)
            found[name] = from_envelope(envelope, name)
        else:
            found[name] = _metadata(message, name)
    return found


def _metadata(message: AccountMessage, name: str) -> Any:
    match name:
        case "id":
            return encode_id("M", message.id)
        case "blobId":
            return encode_id("B", message.id)
        case "threadId":
            return encode_id("T", message.thread)
        case "mailboxIds":
            return {encode_id("F", copy.mailbox): True for copy in message.copies}
        case "keywords":
            return keywords_of(message)
        case "size":
            return message.octets
        case "receivedAt":
            return encode_date(message.internal_at)
        case "hasAttachment":
            # a text alone, as most messages are, is none: 20 us less than to parse it
            structure = message.bodystructure
            return not (structure.startswith(SINGLE_TEXT) and b"ATTACHMENT" not in structure.upper()) and has_attachment(
                parse_bodystructure(structure)
            )
        case "preview":
            return message.preview
    raise invalid(f'There is no property "{name}".')


async def opened_properties(bodystructure: bytes, blob: str, opened: StoredMessage, reading: EmailReading) -> dict[str, Any]:
    """Properties for which the message is read; `blob` is what it is called. Raises StoreError."""
    root = parse_bodystructure(bodystructure)
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
    for part in parts:
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
