"""Putting new messages into an account: what Email/set, Email/import and Email/copy have in common (RFC 8621 §4.6 to §4.8)."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from appliance.mail.address import ascii_domain
from appliance.mail.date import encode_date
from appliance.mail.header_encoding import encode_field
from appliance.mail.ids import MailboxId, MessageId
from appliance.protocol.jmap.errors import SetError, invalid_properties
from appliance.store.message_create import CreatedMessage, NewMessage, create_message
from appliance.store.store import Store

from .blobs import Blobs
from .email_create import read_email
from .email_properties import flags_of, mailboxes_of
from .header_forms import parse_date
from .header_setting import Fields
from .ids import encode_id
from .message_writer import write_message
from .method import Call, JmapAccount

MOST_OCTETS = 80_000_000
"""Of a new message: the attachments that are announced (`service`), encoded, and the largest text of a request."""


@dataclass(frozen=True, slots=True)
class Placing:
    """Where a new message goes, with its flags; `internal_at` None: not given. `needed`: rights on another's mailboxes."""

    mailboxes: Sequence[MailboxId]
    flags: Sequence[str]
    internal_at: int | None
    needed: str


def read_placing(given: Mapping[str, Any], created: Mapping[str, str]) -> Placing:
    """From mailboxIds, keywords and receivedAt. Raises SetError."""
    mailboxes = sorted(mailboxes_of(given.get("mailboxIds"), created))
    flags = sorted(flags_of(given.get("keywords") or {}))
    received = given.get("receivedAt")
    found = parse_date(received) if isinstance(received, str) and received.endswith("Z") else None
    if received is not None and found is None:
        raise invalid_properties("A date looks like 2014-10-30T06:12:00Z.", "receivedAt")
    needed = {"i", *("s" if flag == "\\Seen" else "w" for flag in flags)}
    return Placing(mailboxes, flags, found[0] if found is not None else None, "".join(sorted(needed)))


class NewMessages:
    """Makes messages in the accounts of one server."""

    def __init__(self, store: Store, blobs: Blobs) -> None:
        self._store = store
        self._blobs = blobs

    async def create(
        self, call: Call, account: JmapAccount, given: Mapping[str, Any], replaced: Sequence[MessageId] = ()
    ) -> CreatedMessage:
        """A message as the client describes it, in place of others. Raises SetError, StoreError."""
        placing = read_placing(given, call.created)
        email = read_email(given, call.created)
        email.use_blobs(await self._blobs.find_all(account.scope, email.blob_ids))
        async with self._store.receive(MOST_OCTETS) as incoming:
            async for chunk in write_message(email, self._missing(account)):
                await incoming.write(chunk)
            body = await incoming.finish()
            return await create_message(self._store, account.scope, body, self.placed(placing), replaced)

    def placed(self, placing: Placing, prefix: bytes = b"", internal_at: int | None = None) -> NewMessage:
        """`internal_at`: where the client gave none; now without it."""
        at = next((one for one in (placing.internal_at, internal_at) if one is not None), None)
        return NewMessage(placing.mailboxes, placing.flags, self._now() if at is None else at, prefix, placing.needed)

    def _missing(self, account: JmapAccount) -> Fields:
        """Message-ID and Date, which every message has (RFC 5322 §3.6)."""
        clock = self._store.clock
        domain = ascii_domain(account.name.rpartition("@")[2]) or "localhost"
        date = encode_date(self._now(), clock.utc_offset_s() if clock is not None else 0)
        return [
            ("date", encode_field("Date", [date.encode()])),
            ("message-id", encode_field("Message-ID", [f"<{secrets.token_hex(16)}@{domain}>".encode()])),
        ]

    def _now(self) -> int:
        return int(self._store.clock.wall_s()) if self._store.clock is not None else 0


def created_response(message: CreatedMessage) -> dict[str, Any]:
    """What the client gets of a message made (RFC 8621 §4.6)."""
    return {
        "id": encode_id("M", message.id),
        "blobId": encode_id("B", message.id),
        "threadId": encode_id("T", message.thread),
        "size": message.octets,
    }


def blob_not_found(*blobs: str) -> SetError:
    return SetError("blobNotFound", "There is no such blob.", notFound=list(blobs))
