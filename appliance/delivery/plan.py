"""What of a message is relayed, in groups with the same envelope sender and the same added header fields.

| submitted by    | recipient                  | envelope sender         | fields added                  | DKIM-signed for  |
|-----------------|----------------------------|-------------------------|-------------------------------|------------------|
| an account      | remote                     | unchanged               | trace                         | sender's domain  |
| an account      | an alias with remote targets | unchanged             | Delivered-To: alias, trace    | sender's domain  |
| a remote sender | an alias with remote targets | rewritten (SRS)       | Delivered-To: alias, trace    | nobody           |
| null sender     | as above                   | stays null              | as above                      | as above         |

Delivered-To ends loops: a message that returns to the same alias names it and is refused (`smtpd/transaction`).
NOTIFY and ORCPT are relayed (RFC 3461 §5.2.7): an alias with one target relays all of NOTIFY, and becomes the original recipient
where the sender named none; an alias with several targets reports SUCCESS itself as "expanded" and relays the rest.
`success_reports` are those reports, and "delivered" for local mailboxes. Pure.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from appliance.dsn.report import RecipientReport
from appliance.mail.address import Address, encode_address
from appliance.mail.envelope import Envelope, Recipient, encode_recipient
from appliance.mail.outcome import DsnAction, Outcome, Reason

NEVER = frozenset({"NEVER"})
SUCCESS = frozenset({"SUCCESS"})

Rewrite = Callable[[Address, str], Address]
"""`rewrite(sender, domain)`: an address at our `domain` whose bounces are forwarded to the sender."""


@dataclass(frozen=True, slots=True)
class OutboundGroup:
    """Recipients that are relayed with the same sender and the same prefix. `author` is the local domain the message is signed for,
    or ""."""

    sender: Address | None
    recipients: tuple[Recipient, ...]
    prefix: bytes
    author: str = ""


def groups(
    envelope: Envelope, *, trace: bytes, author: str, is_local: Callable[[str], bool], rewrite: Rewrite
) -> tuple[OutboundGroup, ...]:
    """The groups, in the order of the recipients; each address once. `author` is the domain of the account that submitted the
    message, "" for one from outside."""
    found: dict[tuple[Address | None, bytes], list[Recipient]] = {}
    seen: set[Address] = set()
    for recipient in envelope.recipients:
        sender, prefix = envelope.sender, trace
        if recipient.forwarded:
            prefix = b"Delivered-To: " + encode_recipient(recipient) + b"\r\n" + trace
            if sender is not None and not is_local(sender.domain) and recipient.address is not None and not author:
                sender = rewrite(sender, recipient.address.domain)
        for address in recipient.outside:
            if address not in seen:
                seen.add(address)
                found.setdefault((sender, prefix), []).append(_in_transit(recipient, address))
    signed = author if envelope.sender is None else envelope.sender.domain if author and is_local(envelope.sender.domain) else ""
    return tuple(OutboundGroup(sender, tuple(recipients), prefix, signed) for (sender, prefix), recipients in found.items())


def _in_transit(recipient: Recipient, address: Address) -> Recipient:
    """The recipient as it is relayed to the next server."""
    notify, orcpt = recipient.options.notify, recipient.options.orcpt
    if recipient.forwarded:
        if not orcpt and recipient.address is not None:
            orcpt = original_recipient(recipient.address)
        if notify is not None and several(recipient) and "SUCCESS" in notify:
            notify = notify - SUCCESS or NEVER
    return Recipient(address, outside=(address,), forwarded=recipient.forwarded, options=replace(recipient.options, notify=notify, orcpt=orcpt))


def original_recipient(address: Address) -> str:
    """An address as an ORCPT value before xtext encoding (RFC 3461 §4.2, RFC 6533 §3)."""
    return ("rfc822;" if address.ascii_local else "utf-8;") + encode_address(address).decode()


def several(recipient: Recipient) -> bool:
    """Does this recipient expand to more than one?"""
    return len(recipient.accounts) + len(recipient.outside) > 1


def success_reports(envelope: Envelope) -> tuple[RecipientReport, ...]:
    """The reports that are due as soon as the message is stored: delivered locally, or expanded to several."""
    reports = []
    for recipient in envelope.recipients:
        if several(recipient):
            reports.append(RecipientReport(recipient, EXPANDED))
        elif recipient.accounts:
            reports.append(RecipientReport(recipient, DELIVERED))
    return tuple(reports)


DELIVERED = Outcome(DsnAction.DELIVERED, "2.1.5", Reason.ACCEPTED, "It was delivered to the mailbox.")
EXPANDED = Outcome(DsnAction.EXPANDED, "2.1.5", Reason.ACCEPTED, "It was forwarded to every recipient of this address.")
