"""What DSNs and MDNs that came back say of a submission (RFC 8621 §7; RFC 3464 §2.3, RFC 8098 §3.2).

| report                                  | of the recipient it is about  |
|-----------------------------------------|-------------------------------|
| DSN, Action: delivered                  | `delivered`: yes              |
| DSN, Action: failed                     | `delivered`: no               |
| DSN with any other action               | nothing                       |
| MDN, Disposition: ...; displayed        | `displayed`: yes              |

Anybody can send a report who knows the message: it says what it says, and changes nothing but these properties.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from appliance.mail.encoding import DamagedOctets, decode_parameter
from appliance.mail.errors import StoreError, Trouble
from appliance.mail.ids import AccountId
from appliance.protocol.imap.bodystructure_fields import BodyPart, parse_bodystructure
from appliance.queue.submissions import RecipientStatus, SubmissionRow
from appliance.store.account_messages import AccountMessage, account_messages
from appliance.store.reports import referring_messages
from appliance.store.scope import own
from appliance.store.store import Store

from .email_content import decoded, extent_of, open_message
from .ids import encode_id

MOST_REPORTS = 100
"""Of one submission."""
READ_OCTETS = 64 * 2**10
"""Of the part that a program reads."""
PARTS = frozenset(("delivery-status", "global-delivery-status", "disposition-notification", "global-disposition-notification"))
DELIVERED = {"delivered": "yes", "failed": "no"}


@dataclass(slots=True)
class Reports:
    """Blobs, oldest first; what is known of recipients, by address in lower case."""

    dsn: list[str] = field(default_factory=list)
    mdn: list[str] = field(default_factory=list)
    delivered: dict[str, str] = field(default_factory=dict)
    displayed: set[str] = field(default_factory=set)

    def status(self, address: str, known: RecipientStatus) -> dict[str, Any]:
        """A DeliveryStatus."""
        key = address.lower()
        delivered = self.delivered.get(key, known.delivered)
        return {"smtpReply": known.reply, "delivered": delivered, "displayed": "yes" if key in self.displayed else "unknown"}

    def add(self, groups: Sequence[dict[str, str]]) -> None:
        """The groups of fields of a report's part, as `parse_groups` gives them."""
        for one in groups:
            addresses = {text.rpartition(";")[2].strip().strip("<>").lower() for text in _recipients(one)}
            if (delivered := DELIVERED.get(one.get("action", "").lower())) is not None:
                self.delivered.update(dict.fromkeys(addresses, delivered))
            if one.get("disposition", "").rpartition(";")[2].partition("/")[0].strip().lower() == "displayed":
                self.displayed |= addresses


def _recipients(group: dict[str, str]) -> list[str]:
    return [group[name] for name in ("original-recipient", "final-recipient") if name in group]


def parse_groups(text: str) -> Iterator[dict[str, str]]:
    """Fields by lower-case name, a group for each recipient (RFC 3464 §2.1)."""
    for block in text.replace("\r\n", "\n").split("\n\n"):
        fields: dict[str, str] = {}
        for line in block.replace("\n ", " ").replace("\n\t", " ").split("\n"):
            name, colon, value = line.partition(":")
            if colon:
                fields.setdefault(name.strip().lower(), value.strip())
        yield fields


async def read_reports(store: Store, account: AccountId, row: SubmissionRow) -> Reports:
    """Of one submission; none once its message is gone. Raises StoreError."""

    def work(connection: Any) -> list[AccountMessage]:
        numbers = referring_messages(connection, account, row.email)
        return list(account_messages(connection, own(account), numbers).values())

    reports = Reports()
    for message in sorted(await store.database.read(work), key=lambda one: one.id):
        root = parse_bodystructure(message.bodystructure)
        if (root.type, root.subtype) != ("multipart", "report") or len(reports.dsn) + len(reports.mdn) >= MOST_REPORTS:
            continue
        kind = (decode_parameter(list(root.parameters), b"report-type") or "").lower()
        known = {"delivery-status": reports.dsn, "disposition-notification": reports.mdn}.get(kind)
        part = next((one for one in root.children if one.type == "message" and one.subtype in PARTS), None)
        if known is not None:
            known.append(encode_id("B", message.id))
            reports.add(list(parse_groups(await _text_of(store, message, part))) if part is not None else [])
    return reports


async def _text_of(store: Store, message: AccountMessage, part: BodyPart) -> str:
    octets = b""
    try:
        opened = await open_message(store, message)
        extent = extent_of(opened, part.section)
        async for chunk in decoded(opened, extent) if extent is not None else ():  # type: ignore[union-attr]
            octets += chunk
            if len(octets) > READ_OCTETS:
                break
    except DamagedOctets:
        pass  # what can be decoded
    except StoreError as error:
        if error.trouble is not Trouble.GONE:
            raise
    return octets[:READ_OCTETS].decode("utf-8", "replace")
