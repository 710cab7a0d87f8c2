"""What a notice says to a person: for every reason what happened, and what they can do.

Each sentence is put together from a row of these tables: `what` happened (a clause), what to `do` when it failed, and what
to do meanwhile (`wait`) when it is only late. The other server's own enhanced code chooses the row where it says more than
the reason does (RFC 3463 §3). No word here comes from outside; addresses and the other server's words are put in by
`notice_form`. Pure.
"""

from dataclasses import dataclass

from appliance.mail.outcome import DeliveryStatus, Outcome, Reason

NOTHING_TO_DO = "you need not do anything, this server keeps trying"


@dataclass(frozen=True, slots=True)
class Sentences:
    """`{server}` is the other server's domain."""

    what: str
    do: str
    wait: str = NOTHING_TO_DO


BY_REASON: dict[Reason, Sentences] = {
    Reason.TAKEN: Sentences("{server} took the message", "nothing needs to be done"),
    Reason.REFUSED: Sentences(
        "{server} refused it",
        "read below what its server said, and reach the person in another way if you cannot put it right",
    ),
    Reason.NOT_NOW: Sentences(
        "{server} asked to come back later and never took it", "send it again later, or reach the person in another way"
    ),
    Reason.REPUTATION: Sentences(
        "{server} does not take messages from this server's internet line",
        "set up a relay to send through, or write from another account",
        "it may help to set up a relay; meanwhile this server keeps trying",
    ),
    Reason.UNREACHABLE: Sentences(
        "no connection to the mail server of {server} could be made",
        "check the spelling of what stands behind the @, or reach the person in another way",
    ),
    Reason.LOST: Sentences("the connection to {server} broke off each time", "send it again later, or reach the person in another way"),
    Reason.NO_ANSWER: Sentences(
        "the mail server of {server} did not answer in time", "send it again later, or reach the person in another way"
    ),
    Reason.UNSURE: Sentences(
        "the connection to {server} broke off at the very last moment, so nobody knows whether it arrived",
        "ask the person whether they have it before you send it again",
        "this server tries again, and the message may arrive twice",
    ),
    Reason.DNS: Sentences(
        "the name service gave no answer about {server}",
        "check the spelling of what stands behind the @ and this server's internet connection, then send it again",
    ),
    Reason.NO_DOMAIN: Sentences("there is no domain {server}", "check the spelling of what stands behind the @ and send it again"),
    Reason.NO_MAIL: Sentences("{server} takes no mail at all", "ask the person for another address"),
    Reason.LOOP: Sentences(
        "the way to {server} leads back to this server, where nobody has this address",
        "check the spelling; if {server} is yours, its mail records (MX) or the list of this server's domains are wrong",
    ),
    Reason.TLS: Sentences(
        "no safe connection to {server} could be made",
        "ask the other server to put its certificate in order; without safety this message is not sent",
        "the other server has to put its certificate in order; meanwhile this server keeps trying",
    ),
    Reason.SIGN_IN: Sentences(
        "the relay this server sends through did not accept the name and password set for it",
        "correct the relay's password in the settings, then send it again",
        "correct the relay's password in the settings; the message then leaves by itself",
    ),
    Reason.CONVERSION: Sentences(
        "{server} cannot take a message of this form, and it cannot be changed without spoiling it",
        "send it again without what is unusual in it: an address outside ASCII, a signed or binary part",
    ),
    Reason.TOO_BIG: Sentences(
        "the message is larger than {server} takes", "send it again with smaller attachments, or share them in another way"
    ),
    Reason.NO_ROUTE: Sentences(
        "this server has no way to send messages out",
        "set up a relay or direct sending in the settings, then send it again",
        "set up a relay or direct sending in the settings; the message then leaves by itself",
    ),
    Reason.EXPIRED: Sentences(
        "it could not be delivered in the time that was set for trying", "send it again, or reach the person in another way"
    ),
    Reason.CANCELLED: Sentences("it was called back", "send it again if it was called back by mistake"),
}

_SPELLING = Sentences("nobody at {server} has this address", "check its spelling, or ask the person for their address, and send it again")
_CLOSED = Sentences("the mailbox is closed", "ask the person for another address")
_FULL = Sentences("the mailbox is full", "reach the person in another way, or send it again when they have made room")
_RULES = Sentences(
    "{server} has a rule against it",
    "read below what its server said, and ask the person there to let messages from your address in",
)

BY_STATUS: dict[str, Sentences] = {
    "1.0": _SPELLING, "1.1": _SPELLING, "1.3": _SPELLING, "1.6": _SPELLING, "1.2": BY_REASON[Reason.NO_DOMAIN],
    "1.10": BY_REASON[Reason.NO_MAIL], "2.0": _CLOSED, "2.1": _CLOSED, "2.2": _FULL,
    "2.3": BY_REASON[Reason.TOO_BIG], "3.4": BY_REASON[Reason.TOO_BIG], "4.6": BY_REASON[Reason.LOOP],
    "6.1": BY_REASON[Reason.CONVERSION], "6.3": BY_REASON[Reason.CONVERSION], "6.7": BY_REASON[Reason.CONVERSION],
    "7.30": BY_REASON[Reason.TLS],
}  # fmt: skip
"""By the subject and detail of an enhanced code; a whole subject below."""
BY_SUBJECT: dict[str, Sentences] = {"7": _RULES}
_THEIR_WORD = frozenset({Reason.REFUSED, Reason.NOT_NOW, Reason.EXPIRED})
"""Reasons that say less than the other server's code."""

_ARRIVED: dict[DeliveryStatus, str] = {
    DeliveryStatus.DELIVERED: "was put into the mailbox of {who}",
    DeliveryStatus.RELAYED: "was handed to the mail server of {server}, which does not tell whether it reached {who}",
    DeliveryStatus.EXPANDED: "reached {who}, which passed it on to everybody behind this address",
}


def words_of(outcome: Outcome) -> Sentences:
    """The row for an outcome."""
    if outcome.reason in _THEIR_WORD and outcome.reply is not None:
        _, _, detail = outcome.status.partition(".")
        found = BY_STATUS.get(detail) or BY_SUBJECT.get(detail.partition(".")[0])
        if found is not None and outcome.delivery_status in (DeliveryStatus.FAILED, DeliveryStatus.DEFERRED):
            return found
    return BY_REASON[outcome.reason]


def said_of_one(outcome: Outcome, who: str, server: str, until: str) -> str:
    """The whole sentence about a message with one recipient to speak of: what happened, and what the person can do."""
    if outcome.delivery_status in _ARRIVED:
        return f"Your message {_ARRIVED[outcome.delivery_status].format(who=who, server=server)}; you need not do anything."
    words = words_of(outcome)
    what = words.what.format(server=server)
    if outcome.delivery_status is DeliveryStatus.FAILED:
        return f"Your message did not reach {who}, because {what}; {words.do.format(server=server)}."
    return f"Your message has not reached {who} yet, because {_so_far(what)}; {_waiting(words, until)}."


def said_of_many(delivery_statuses: "list[DeliveryStatus]") -> str:
    """The first sentence when there are several to speak of."""
    failed, late = delivery_statuses.count(DeliveryStatus.FAILED), delivery_statuses.count(DeliveryStatus.DEFERRED)
    if failed:
        return f"Your message did not reach {_number(failed)}; read below why for each of them, and what you can do."
    if late:
        return f"Your message has not reached {_number(late)} yet; you need not do anything, read below how it stands with each of them."
    return f"Your message reached {_number(len(delivery_statuses))}; you need not do anything."


def paragraph(outcome: Outcome, who: str, server: str, until: str) -> str:
    """About one of several recipients."""
    if outcome.delivery_status in _ARRIVED:
        return f"The message {_ARRIVED[outcome.delivery_status].format(who=who, server=server)}."
    words = words_of(outcome)
    what = words.what.format(server=server)
    if outcome.delivery_status is DeliveryStatus.FAILED:
        return f"{_sentence(what)} {_sentence(words.do.format(server=server))}"
    return f"Not yet: {_so_far(what)}; {_waiting(words, until)}."


def _waiting(words: Sentences, until: str) -> str:
    return f"{words.wait} until {until}" if until and words.wait.endswith("keeps trying") else words.wait


def _so_far(what: str) -> str:
    return what.replace(" and never took it", "")


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."


def _number(count: int) -> str:
    return "one of its recipients" if count == 1 else f"{count} of its recipients"
