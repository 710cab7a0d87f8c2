"""Which DSN a sender gets about a recipient (RFC 3461 §4.1, §5.2; RFC 5321 §4.5.5; RFC 3834 §2). Pure.

    | outcome               | no NOTIFY | NOTIFY=NEVER | other NOTIFY                                              |
    |-----------------------|-----------|--------------|-----------------------------------------------------------|
    | failed                | DSN       | none         | DSN with FAILURE                                          |
    | delayed               | DSN       | none         | DSN with DELAY                                            |
    | delivered, expanded   | none      | none         | DSN with SUCCESS                                          |
    | relayed               | none      | none         | DSN with SUCCESS, unless the next server announced DSN    |
    | any, null sender      | none      | none         | none: never a DSN about a DSN                             |

Senders that are programs (`SILENT`) count as null.
"""

from collections.abc import Sequence

from appliance.mail.address import Address
from appliance.mail.outcome import DsnAction

from .report import Kind, RecipientReport, Subject

SILENT = frozenset({"mailer-daemon", "mail-daemon"})
"""Local parts of programs that answer programs, whatever their envelope says."""

_KINDS = {DsnAction.FAILED: Kind.FAILURE, DsnAction.DEFERRED: Kind.DELAY, DsnAction.RELAYED: Kind.SUCCESS,
    DsnAction.DELIVERED: Kind.SUCCESS,
          DsnAction.EXPANDED: Kind.SUCCESS}  # fmt: skip
_NOTIFY = {Kind.FAILURE: "FAILURE", Kind.DELAY: "DELAY", Kind.SUCCESS: "SUCCESS"}


def kind_of(action: DsnAction) -> Kind:
    return _KINDS[action]


def dsn_kind(sender: Address | None, report: RecipientReport) -> Kind | None:
    """The DSN the sender gets about this recipient; None for none."""
    if sender is None or sender.local.lower() in SILENT:
        return None
    kind, notify = _KINDS[report.outcome.action], report.recipient.options.notify
    if notify is None:
        return None if kind is Kind.SUCCESS else kind
    if _NOTIFY[kind] not in notify or (report.dsn_relayed and report.outcome.action is DsnAction.RELAYED):
        return None
    return kind


def most_severe(reports: Sequence[RecipientReport]) -> Kind:
    """The kind of one DSN about all of these."""
    kinds = {_KINDS[report.outcome.action] for report in reports}
    return next(kind for kind in Kind if kind in kinds)


def returns_message(subject: Subject, kind: Kind, most_octets: int) -> bool:
    """Does the DSN return the whole message, or its header only? Whole only where it failed, RET does not say HDRS and it is small enough
    (RFC 3461 §4.3, §6.2); never one in binary (RFC 3030 §3), nor one with REQUIRETLS, whatever RET says (RFC 8689 §5)."""
    if subject.options.ret == "HDRS" or subject.options.require_tls or subject.options.body == "BINARYMIME":
        return False
    return kind is Kind.FAILURE and subject.octets <= most_octets
