"""What of a message leaves the server, as groups that travel alike: one for each envelope sender and each set of added lines.

| who sent it     | recipient                  | sender on the way       | lines in front                | signed for    |
|-----------------|----------------------------|-------------------------|-------------------------------|---------------|
| one of ours     | outside                    | as in the envelope      | trace                         | their domain  |
| one of ours     | an alias that leads out    | as in the envelope      | Delivered-To: alias, trace    | their domain  |
| a stranger      | an alias that leads out    | rewritten (SRS)         | Delivered-To: alias, trace    | nobody        |
| null sender     | as above                   | stays null              | as above                      | as above      |

Delivered-To is what ends loops: a message that comes back to the same alias names it and is refused (`smtpd/transaction`).
What the sender asked to be told goes along (RFC 3461 §5.2.7): an alias with one target passes everything on, and names
itself as the original recipient where the sender did not; an alias with several answers SUCCESS itself with "expanded" and
passes on the rest. `arrived` are those answers, with "delivered" for mailboxes of the server. Pure.
"""

from collections.abc import Callable
from dataclasses import dataclass

from appliance.dsn.report import RecipientReport
from appliance.mail.address import Address, encode_address
from appliance.mail.envelope import Envelope, Recipient, written
from appliance.mail.outcome import DeliveryStatus, Outcome, Reason

NEVER = frozenset({"NEVER"})
SUCCESS = frozenset({"SUCCESS"})

Rewrite = Callable[[Address, str], Address]
"""`rewrite(sender, domain)`: an address at our `domain` that stands for the sender's bounces."""


@dataclass(frozen=True, slots=True)
class OutboundGroup:
    """Recipients that leave with the same sender and the same lines in front. Each recipient's address is outside the server
    and `outside` holds it alone. `author` is the domain of ours the message is signed for, or ""."""

    sender: Address | None
    recipients: tuple[Recipient, ...]
    prefix: bytes
    author: str = ""


def groups(
    envelope: Envelope, *, trace: bytes, author: str, is_local: Callable[[str], bool], rewrite: Rewrite
) -> tuple[OutboundGroup, ...]:
    """What leaves, in the order of the recipients; each address once. `author` is the domain of the person who signed in to
    send the message, "" for a stranger's."""
    found: dict[tuple[Address | None, bytes], list[Recipient]] = {}
    met: set[Address] = set()
    for recipient in envelope.recipients:
        sender, prefix = envelope.sender, trace
        if recipient.forwarded:
            prefix = b"Delivered-To: " + written(recipient) + b"\r\n" + trace
            if sender is not None and not is_local(sender.domain) and recipient.address is not None and not author:
                sender = rewrite(sender, recipient.address.domain)
        for address in recipient.outside:
            if address not in met:
                met.add(address)
                found.setdefault((sender, prefix), []).append(_in_transit(recipient, address))
    signed = author if envelope.sender is None else envelope.sender.domain if author and is_local(envelope.sender.domain) else ""
    return tuple(OutboundGroup(sender, tuple(recipients), prefix, signed) for (sender, prefix), recipients in found.items())


def _in_transit(recipient: Recipient, address: Address) -> Recipient:
    """The recipient as the next server is told of it."""
    notify, orcpt = recipient.notify, recipient.orcpt
    if recipient.forwarded:
        if not orcpt and recipient.address is not None:
            orcpt = original_recipient(recipient.address)
        if notify is not None and several(recipient) and "SUCCESS" in notify:
            notify = notify - SUCCESS or NEVER
    return Recipient(address, outside=(address,), forwarded=recipient.forwarded, notify=notify, orcpt=orcpt)


def original_recipient(address: Address) -> str:
    """An address as ORCPT names it, decoded (RFC 3461 §4.2, RFC 6533 §3)."""
    return ("rfc822;" if address.ascii_local else "utf-8;") + encode_address(address).decode()


def several(recipient: Recipient) -> bool:
    """Does this recipient stand for more than one?"""
    return len(recipient.accounts) + len(recipient.outside) > 1


def arrived(envelope: Envelope) -> tuple[RecipientReport, ...]:
    """What is known of each recipient as soon as the message is kept: delivered here, or passed on to several."""
    told = []
    for recipient in envelope.recipients:
        if several(recipient):
            told.append(RecipientReport(recipient, EXPANDED))
        elif recipient.accounts:
            told.append(RecipientReport(recipient, DELIVERED))
    return tuple(told)


DELIVERED = Outcome(DeliveryStatus.DELIVERED, "2.1.5", Reason.TAKEN, "It was put into the mailbox.")
EXPANDED = Outcome(DeliveryStatus.EXPANDED, "2.1.5", Reason.TAKEN, "It was passed on to everybody behind this address.")
