"""The text of a DSN for its reader: for every reason what happened, and what they can do.

Each sentence is made from a row of these tables: the `cause` (a clause), what to `do` when it failed, and what to do
meanwhile (`wait`) when it is only delayed. The other server's enhanced status code chooses the row where it says more than the
reason does (RFC 3463 §3). No text here comes from outside; addresses and the other server's replies are inserted by `compose`. Pure.
Each function says it in the language it is given.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from appliance.languages.catalogues import Language
from appliance.mail.outcome import DsnAction, Outcome, Reason
from appliance.mail.sentence import Sentence

NOTHING_TO_DO = Sentence("you need not do anything, this server keeps trying")


@dataclass(frozen=True, slots=True)
class Sentences:
    """Keys of the catalogues; `%(server)s` is the other server's domain. `so_far`: the cause while it is only delayed, where it differs."""

    cause: str
    do: str
    wait: str = NOTHING_TO_DO
    so_far: str = ""


BY_REASON: dict[Reason, Sentences] = {
    Reason.ACCEPTED: Sentences("%(server)s accepted the message", "nothing needs to be done"),
    Reason.REFUSED: Sentences(
        "%(server)s refused it",
        "read below what its server replied, and contact the recipient in another way if you cannot correct it",
    ),
    Reason.NOT_NOW: Sentences(
        "%(server)s asked to try again later and never accepted it",
        "send it again later, or contact the recipient in another way",
        NOTHING_TO_DO,
        "%(server)s asked to try again later",
    ),
    Reason.REPUTATION: Sentences(
        "%(server)s does not accept messages from this server's internet address",
        "set up a relay to send through, or write from another account",
        "it may help to set up a relay; meanwhile this server keeps trying",
    ),
    Reason.UNREACHABLE: Sentences(
        "no connection to the mail server of %(server)s could be made",
        "check the spelling of the part after the @, or contact the recipient in another way",
    ),
    Reason.LOST: Sentences(
        "the connection to %(server)s broke off each time", "send it again later, or contact the recipient in another way"
    ),
    Reason.NO_ANSWER: Sentences(
        "the mail server of %(server)s did not answer in time", "send it again later, or contact the recipient in another way"
    ),
    Reason.UNSURE: Sentences(
        "the connection to %(server)s broke off at the very last moment, so it is not known whether it arrived",
        "ask the recipient whether they have it before you send it again",
        "this server tries again, and the message may arrive twice",
    ),
    Reason.DNS: Sentences(
        "the name service gave no answer about %(server)s",
        "check the spelling of the part after the @ and this server's internet connection, then send it again",
    ),
    Reason.NO_DOMAIN: Sentences("there is no domain %(server)s", "check the spelling of the part after the @ and send it again"),
    Reason.NO_MAIL: Sentences("%(server)s accepts no mail at all", "ask the recipient for another address"),
    Reason.LOOP: Sentences(
        "the mail route for %(server)s leads back to this server, where this address does not exist",
        "check the spelling; if %(server)s is yours, its mail records (MX) or the list of this server's domains are wrong",
    ),
    Reason.TLS: Sentences(
        "no secure connection to %(server)s could be made",
        "ask the administrator of %(server)s to correct its certificate; without a secure connection this message is not sent",
        "the other server has to correct its certificate; meanwhile this server keeps trying",
    ),
    Reason.SIGN_IN: Sentences(
        "the relay this server sends through did not accept the user name and password set for it",
        "correct the relay's password in the settings, then send it again",
        "correct the relay's password in the settings; the message is then sent by itself",
    ),
    Reason.CONVERSION: Sentences(
        "%(server)s cannot accept a message of this form, and it cannot be converted without damage",
        "send it again without what is unusual in it: an address with characters outside ASCII, a signed or binary part",
    ),
    Reason.TOO_BIG: Sentences(
        "the message is larger than %(server)s accepts", "send it again with smaller attachments, or share them in another way"
    ),
    Reason.NO_ROUTE: Sentences(
        "this server is not set up to send messages out",
        "set up a relay or direct sending in the settings, then send it again",
        "set up a relay or direct sending in the settings; the message is then sent by itself",
    ),
    Reason.EXPIRED: Sentences(
        "it could not be delivered in the time set for retries", "send it again, or contact the recipient in another way"
    ),
}

_SPELLING = Sentences(
    "this address does not exist at %(server)s", "check its spelling, or ask the recipient for their address, and send it again"
)
_CLOSED = Sentences("the mailbox is closed", "ask the recipient for another address")
_FULL = Sentences("the mailbox is full", "contact the recipient in another way, or send it again when they have made room")
_RULES = Sentences(
    "%(server)s has a rule against it",
    "read below what its server replied, and ask the recipient to allow messages from your address",
)

BY_STATUS: dict[str, Sentences] = {
    "1.0": _SPELLING, "1.1": _SPELLING, "1.3": _SPELLING, "1.6": _SPELLING, "1.2": BY_REASON[Reason.NO_DOMAIN],
    "1.10": BY_REASON[Reason.NO_MAIL], "2.1": _CLOSED, "2.2": _FULL,
    "2.3": BY_REASON[Reason.TOO_BIG], "3.4": BY_REASON[Reason.TOO_BIG], "4.6": BY_REASON[Reason.LOOP],
    "6.1": BY_REASON[Reason.CONVERSION], "6.3": BY_REASON[Reason.CONVERSION], "6.7": BY_REASON[Reason.CONVERSION],
    "7.30": BY_REASON[Reason.TLS],
}  # fmt: skip
"""By subject and detail of an enhanced status code; by subject alone in BY_SUBJECT."""
BY_SUBJECT: dict[str, Sentences] = {"7": _RULES}
_REPLY_DECIDES = frozenset({Reason.REFUSED, Reason.NOT_NOW, Reason.EXPIRED})
"""Reasons that say less than the other server's status code."""


def sentences_for(outcome: Outcome) -> Sentences:
    """The row for an outcome."""
    if outcome.reason in _REPLY_DECIDES and outcome.reply is not None:
        _, _, detail = outcome.status.partition(".")
        found = BY_STATUS.get(detail) or BY_SUBJECT.get(detail.partition(".")[0])
        if found is not None and outcome.action in (DsnAction.FAILED, DsnAction.DEFERRED):
            return found
    return BY_REASON[outcome.reason]


@dataclass(frozen=True, slots=True)
class About:
    """What sentences name: the recipient, its server's domain, and until when it is tried ("" where that is not known)."""

    who: str
    server: str
    until: str = ""


def sentence_for_one(_: Language, outcome: Outcome, about: About) -> str:
    """The sentence about a message with one reported recipient: what happened, and what the sender can do."""
    if arrived := _arrived(_, outcome.action, about):
        return _("Your message %(arrived)s; you need not do anything.", arrived=arrived)
    row = sentences_for(outcome)
    if outcome.action is DsnAction.FAILED:
        cause, do = _(row.cause, server=about.server), _(row.do, server=about.server)
        return _("Your message did not reach %(who)s, because %(cause)s; %(do)s.", who=about.who, cause=cause, do=do)
    cause, wait = _so_far(_, row, about), _waiting(_, row, about)
    return _("Your message has not reached %(who)s yet, because %(cause)s; %(wait)s.", who=about.who, cause=cause, wait=wait)


def sentence_for_many(_: Language, actions: Sequence[DsnAction]) -> str:
    """The first sentence when several recipients are reported."""
    failed, late = actions.count(DsnAction.FAILED), actions.count(DsnAction.DEFERRED)
    many = _.counted("one of its recipients", "%(number)s of its recipients", failed or late or len(actions))
    if failed:
        return _("Your message did not reach %(many)s; read below why for each of them, and what you can do.", many=many)
    if late:
        return _("Your message has not reached %(many)s yet; you need not do anything, read below about each of them.", many=many)
    return _("Your message reached %(many)s; you need not do anything.", many=many)


def paragraph(_: Language, outcome: Outcome, about: About) -> str:
    """The paragraph about one of several recipients."""
    if arrived := _arrived(_, outcome.action, about):
        return _("The message %(arrived)s.", arrived=arrived)
    row = sentences_for(outcome)
    if outcome.action is DsnAction.FAILED:
        return f"{_capital(_(row.cause, server=about.server))}. {_capital(_(row.do, server=about.server))}."
    return _("Not yet: %(cause)s; %(wait)s.", cause=_so_far(_, row, about), wait=_waiting(_, row, about))


def _arrived(_: Language, action: DsnAction, about: About) -> str:
    """The end of a sentence about a message that reached somebody; "" for one that did not."""
    if action is DsnAction.DELIVERED:
        return _("was delivered to the mailbox of %(who)s", who=about.who)
    if action is DsnAction.RELAYED:
        return _(
            "was passed to the mail server of %(server)s, which does not report whether it reached %(who)s",
            server=about.server,
            who=about.who,
        )
    if action is DsnAction.EXPANDED:
        return _("reached %(who)s and was forwarded to every recipient of this address", who=about.who)
    return ""


def _waiting(_: Language, row: Sentences, about: About) -> str:
    wait = _(row.wait, server=about.server)
    return _("%(wait)s until %(until)s", wait=wait, until=about.until) if about.until and row.wait.endswith("keeps trying") else wait


def _so_far(_: Language, row: Sentences, about: About) -> str:
    return _(row.so_far or row.cause, server=about.server)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
