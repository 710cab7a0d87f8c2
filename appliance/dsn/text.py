"""The text of a DSN for its reader: for every reason what happened, and what they can do.

Each sentence is made from a row of these tables: the `cause` (a clause), what to `do` when it failed, and what to do
meanwhile (`wait`) when it is only delayed. The other server's enhanced status code chooses the row where it says more than the
reason does (RFC 3463 §3). No text here comes from outside; addresses and the other server's replies are inserted by `compose`. Pure.
"""

from dataclasses import dataclass

from appliance.mail.outcome import DsnAction, Outcome, Reason

NOTHING_TO_DO = "you need not do anything, this server keeps trying"


@dataclass(frozen=True, slots=True)
class Sentences:
    """Templates; `{server}` is the other server's domain."""

    cause: str
    do: str
    wait: str = NOTHING_TO_DO


BY_REASON: dict[Reason, Sentences] = {
    Reason.ACCEPTED: Sentences("{server} accepted the message", "nothing needs to be done"),
    Reason.REFUSED: Sentences(
        "{server} refused it",
        "read below what its server replied, and contact the recipient in another way if you cannot correct it",
    ),
    Reason.NOT_NOW: Sentences(
        "{server} asked to try again later and never accepted it", "send it again later, or contact the recipient in another way"
    ),
    Reason.REPUTATION: Sentences(
        "{server} does not accept messages from this server's internet address",
        "set up a relay to send through, or write from another account",
        "it may help to set up a relay; meanwhile this server keeps trying",
    ),
    Reason.UNREACHABLE: Sentences(
        "no connection to the mail server of {server} could be made",
        "check the spelling of the part after the @, or contact the recipient in another way",
    ),
    Reason.LOST: Sentences(
        "the connection to {server} broke off each time", "send it again later, or contact the recipient in another way"
    ),
    Reason.NO_ANSWER: Sentences(
        "the mail server of {server} did not answer in time", "send it again later, or contact the recipient in another way"
    ),
    Reason.UNSURE: Sentences(
        "the connection to {server} broke off at the very last moment, so it is not known whether it arrived",
        "ask the recipient whether they have it before you send it again",
        "this server tries again, and the message may arrive twice",
    ),
    Reason.DNS: Sentences(
        "the name service gave no answer about {server}",
        "check the spelling of the part after the @ and this server's internet connection, then send it again",
    ),
    Reason.NO_DOMAIN: Sentences("there is no domain {server}", "check the spelling of the part after the @ and send it again"),
    Reason.NO_MAIL: Sentences("{server} accepts no mail at all", "ask the recipient for another address"),
    Reason.LOOP: Sentences(
        "the mail route for {server} leads back to this server, where this address does not exist",
        "check the spelling; if {server} is yours, its mail records (MX) or the list of this server's domains are wrong",
    ),
    Reason.TLS: Sentences(
        "no secure connection to {server} could be made",
        "ask the administrator of {server} to correct its certificate; without a secure connection this message is not sent",
        "the other server has to correct its certificate; meanwhile this server keeps trying",
    ),
    Reason.SIGN_IN: Sentences(
        "the relay this server sends through did not accept the user name and password set for it",
        "correct the relay's password in the settings, then send it again",
        "correct the relay's password in the settings; the message is then sent by itself",
    ),
    Reason.CONVERSION: Sentences(
        "{server} cannot accept a message of this form, and it cannot be converted without damage",
        "send it again without what is unusual in it: an address with characters outside ASCII, a signed or binary part",
    ),
    Reason.TOO_BIG: Sentences(
        "the message is larger than {server} accepts", "send it again with smaller attachments, or share them in another way"
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
    "this address does not exist at {server}", "check its spelling, or ask the recipient for their address, and send it again"
)
_CLOSED = Sentences("the mailbox is closed", "ask the recipient for another address")
_FULL = Sentences("the mailbox is full", "contact the recipient in another way, or send it again when they have made room")
_RULES = Sentences(
    "{server} has a rule against it",
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

_ARRIVED: dict[DsnAction, str] = {
    DsnAction.DELIVERED: "was delivered to the mailbox of {who}",
    DsnAction.RELAYED: "was passed to the mail server of {server}, which does not report whether it reached {who}",
    DsnAction.EXPANDED: "reached {who} and was forwarded to every recipient of this address",
}


def sentences_for(outcome: Outcome) -> Sentences:
    """The row for an outcome."""
    if outcome.reason in _REPLY_DECIDES and outcome.reply is not None:
        _, _, detail = outcome.status.partition(".")
        found = BY_STATUS.get(detail) or BY_SUBJECT.get(detail.partition(".")[0])
        if found is not None and outcome.action in (DsnAction.FAILED, DsnAction.DEFERRED):
            return found
    return BY_REASON[outcome.reason]


def sentence_for_one(outcome: Outcome, who: str, server: str, until: str) -> str:
    """The sentence about a message with one reported recipient: what happened, and what the sender can do."""
    if outcome.action in _ARRIVED:
        return f"Your message {_ARRIVED[outcome.action].format(who=who, server=server)}; you need not do anything."
    sentences = sentences_for(outcome)
    cause = sentences.cause.format(server=server)
    if outcome.action is DsnAction.FAILED:
        return f"Your message did not reach {who}, because {cause}; {sentences.do.format(server=server)}."
    return f"Your message has not reached {who} yet, because {_so_far(cause)}; {_waiting(sentences, until)}."


def sentence_for_many(actions: list[DsnAction]) -> str:
    """The first sentence when several recipients are reported."""
    failed, late = actions.count(DsnAction.FAILED), actions.count(DsnAction.DEFERRED)
    if failed:
        return f"Your message did not reach {_number(failed)}; read below why for each of them, and what you can do."
    if late:
        return f"Your message has not reached {_number(late)} yet; you need not do anything, read below about each of them."
    return f"Your message reached {_number(len(actions))}; you need not do anything."


def paragraph(outcome: Outcome, who: str, server: str, until: str) -> str:
    """The paragraph about one of several recipients."""
    if outcome.action in _ARRIVED:
        return f"The message {_ARRIVED[outcome.action].format(who=who, server=server)}."
    sentences = sentences_for(outcome)
    cause = sentences.cause.format(server=server)
    if outcome.action is DsnAction.FAILED:
        return f"{_sentence(cause)} {_sentence(sentences.do.format(server=server))}"
    return f"Not yet: {_so_far(cause)}; {_waiting(sentences, until)}."


def _waiting(sentences: Sentences, until: str) -> str:
    return f"{sentences.wait} until {until}" if until and sentences.wait.endswith("keeps trying") else sentences.wait


def _so_far(cause: str) -> str:
    return cause.replace(" and never accepted it", "")


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."


def _number(count: int) -> str:
    return "one of its recipients" if count == 1 else f"{count} of its recipients"
