"""Who is told of what (RFC 3461 §4.1, §5.2; RFC 5321 §4.5.5; RFC 3834 §2).

    | what became of it       | NOTIFY not said | NOTIFY=NEVER | NOTIFY=...                                          |
    |-------------------------|-----------------|--------------|-----------------------------------------------------|
    | failed                  | told            | not told     | told with FAILURE                                   |
    | failed: called back     | not told        | not told     | not told: it was the sender's own doing             |
    | delayed                 | told            | not told     | told with DELAY                                     |
    | delivered, expanded     | not told        | not told     | told with SUCCESS                                   |
    | relayed                 | not told        | not told     | told with SUCCESS, unless the next server speaks DSN |
    | anything, null sender   | nobody to tell  |              | never: no notice about a notice                     |

Addresses nobody reads are as good as null. Pure.
"""

from collections.abc import Sequence

from appliance.mail.address import Address
from appliance.mail.outcome import DeliveryStatus, Reason

from .report import Kind, RecipientReport, Subject

SILENT = frozenset({"mailer-daemon", "mail-daemon"})
"""Senders that are programs answering programs, whatever their envelope says."""

_KINDS = {DeliveryStatus.FAILED: Kind.FAILURE, DeliveryStatus.DEFERRED: Kind.DELAY, DeliveryStatus.RELAYED: Kind.SUCCESS, DeliveryStatus.DELIVERED: Kind.SUCCESS,
          DeliveryStatus.EXPANDED: Kind.SUCCESS}  # fmt: skip
_ASKED = {Kind.FAILURE: "FAILURE", Kind.DELAY: "DELAY", Kind.SUCCESS: "SUCCESS"}


def kind_of(delivery_status: DeliveryStatus) -> Kind:
    return _KINDS[delivery_status]


def which(sender: Address | None, entry: RecipientReport) -> Kind | None:
    """What the sender is told about this recipient; None for nothing."""
    if sender is None or sender.local.lower() in SILENT:
        return None
    kind, notify = _KINDS[entry.outcome.delivery_status], entry.recipient.notify
    if entry.outcome.reason is Reason.CANCELLED:
        return None
    if notify is None:
        return None if kind is Kind.SUCCESS else kind
    if _ASKED[kind] not in notify or (entry.passed_on and entry.outcome.delivery_status is DeliveryStatus.RELAYED):
        return None
    return kind


def gravest(entries: Sequence[RecipientReport]) -> Kind:
    """What a notice about all of these is called after."""
    kinds = {_KINDS[entry.outcome.delivery_status] for entry in entries}
    return next(kind for kind in Kind if kind in kinds)


def returns_message(subject: Subject, kind: Kind, most_octets: int) -> bool:
    """The whole message, or its header only? Whole only where it failed, the sender did not ask for less and it is small enough
    (RFC 3461 §4.3, §6.2); never one in binary (RFC 3030 §3), nor one with REQUIRETLS, whatever RET says (RFC 8689 §5)."""
    if subject.ret == "HDRS" or subject.require_tls or subject.body == "BINARYMIME":
        return False
    return kind is Kind.FAILURE and subject.octets <= most_octets
