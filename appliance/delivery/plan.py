"""The delivery plan: who gets what of a message. Pure; `executor` carries it out in one commit.

A plan has three parts: copies for local mailboxes, groups of recipients for the queue, and the reports a success DSN is due for once
the message is stored. It is made from the envelope and, for each account, from the actions of its filters (`mail.actions`).

| the message            | copies                                      | groups                                              |
|------------------------|---------------------------------------------|-----------------------------------------------------|
| is delivered now       | one for each account and action             | remote recipients                                   |
| is held (RFC 4865)     | none                                        | remote recipients; local ones until the release time |
| meets a full mailbox   | the copy becomes a group at the commit (`waiting_group`): it is retried from the queue            |

Every copy begins with Return-Path, the envelope sender, and Delivered-To, the envelope recipient that led to this account: with
aliases, +tags and catch-alls nothing else says which address was written to. A copy names only its own recipient, so that no Bcc
is disclosed. Return-Path fields inside the message stay below ours (RFC 5321 §4.4 lets the final server remove them; the body is
stored exactly as received). Each account gets one copy however many recipients led to it.

Groups have the same envelope sender and the same added header fields:

| submitted by    | recipient                  | envelope sender         | fields added                  | DKIM-signed for  |
|-----------------|----------------------------|-------------------------|-------------------------------|------------------|
| an account      | remote                     | unchanged               | trace                         | sender's domain  |
| an account      | an alias with remote targets | unchanged             | Delivered-To: alias, trace    | sender's domain  |
| a remote sender | an alias with remote targets | rewritten (SRS)       | Delivered-To: alias, trace    | nobody           |
| null sender     | as above                   | stays null              | as above                      | as above         |

Delivered-To ends loops: a message that returns to the same alias names it and is refused (`smtpd/transaction`).
NOTIFY and ORCPT are relayed (RFC 3461 §5.2.7): an alias with one target relays all of NOTIFY, and becomes the original recipient
where the sender named none; an alias with several targets reports SUCCESS itself as "expanded" and relays the rest.
`success_reports` are those reports, and "delivered" for local mailboxes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from appliance.dsn.report import RecipientReport
from appliance.mail.actions import KEEP, Action
from appliance.mail.address import Address, encode_address
from appliance.mail.envelope import Envelope, Recipient, encode_recipient
from appliance.mail.ids import AccountId
from appliance.mail.outcome import DsnAction, Outcome, Reason

from .arrival import Arrival

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


@dataclass(frozen=True, slots=True)
class PlannedCopy:
    """One copy in a mailbox of `account`. `waiting` is the recipient it is queued as when the mailbox is full."""

    account: AccountId
    recipient: Recipient
    waiting: Recipient
    prefix: bytes
    mailbox: str
    flags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DeliveryPlan:
    """See above. `sender` and `trace` are those of the arrival; `held`: nothing is delivered before the release time.
    `beyond`: octets by which the copies may exceed a quota."""

    sender: Address | None
    trace: bytes
    copies: tuple[PlannedCopy, ...] = ()
    groups: tuple[OutboundGroup, ...] = ()
    reports: tuple[RecipientReport, ...] = ()
    held: bool = False
    beyond: int = 0


@dataclass(frozen=True, slots=True)
class PlanRules:
    """What a plan needs to know of this server. `address_of(account)`: the account's own address, delivered to no other account.
    `actions_of(account)`: what its filters decided."""

    is_local: Callable[[str], bool] = lambda domain: False
    rewrite: Rewrite = lambda sender, domain: sender
    address_of: Callable[[AccountId], Address | None] = lambda account: None
    actions_of: Callable[[AccountId], tuple[Action, ...]] = lambda account: KEEP


def plan(arrival: Arrival, rules: PlanRules, *, held: bool = False) -> DeliveryPlan:
    """The plan for a message; `held`: it has a release time that has not come."""
    envelope, trace = arrival.envelope, arrival.trace
    relayed = groups(envelope, trace=trace, author=arrival.author, is_local=rules.is_local, rewrite=rules.rewrite)
    if held:
        local = tuple(one for one in envelope.recipients if one.accounts)
        relayed += (OutboundGroup(envelope.sender, local, trace),) if local else ()
        return DeliveryPlan(envelope.sender, trace, groups=relayed, held=True)
    return DeliveryPlan(envelope.sender, trace, _copies(arrival, rules), relayed, success_reports(envelope), beyond=arrival.beyond)


def _copies(arrival: Arrival, rules: PlanRules) -> tuple[PlannedCopy, ...]:
    sender = arrival.envelope.sender
    return_path = b"Return-Path: <" + (encode_address(sender) if sender else b"") + b">\r\n"
    copies = []
    for account, recipient in arrival.envelope.accounts().items():
        prefix = b"".join((return_path, b"Delivered-To: ", encode_recipient(recipient), b"\r\n", arrival.trace))
        waiting = _member(account, recipient, rules) if several(recipient) else recipient
        copies += [PlannedCopy(account, recipient, waiting, prefix, action.mailbox, action.flags) for action in rules.actions_of(account)]
    return tuple(copies)


def _member(account: AccountId, recipient: Recipient, rules: PlanRules) -> Recipient:
    """One of several accounts of a recipient, by its own address: the others have their copies. "expanded" is reported at once."""
    notify = None if recipient.options.notify is None else recipient.options.notify - SUCCESS or NEVER
    orcpt = recipient.options.orcpt or (original_recipient(recipient.address) if recipient.address else "")
    options = replace(recipient.options, notify=notify, orcpt=orcpt)
    return Recipient(rules.address_of(account), (account,), forwarded=True, options=options)


def waiting_group(delivery_plan: DeliveryPlan, full: Sequence[PlannedCopy]) -> tuple[OutboundGroup, ...]:
    """The group of copies whose mailboxes are full; none without any."""
    recipients = tuple(copy.waiting for copy in full)
    return (OutboundGroup(delivery_plan.sender, recipients, delivery_plan.trace),) if recipients else ()


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
    return Recipient(
        address, outside=(address,), forwarded=recipient.forwarded, options=replace(recipient.options, notify=notify, orcpt=orcpt)
    )


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
