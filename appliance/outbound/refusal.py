"""Classify a negative reply: is it about our address, the message, one mailbox, or the number of recipients?

| reply to                     | counts as being about our address (Reason.REPUTATION)                                         |
|------------------------------|------------------------------------------------------------------------------------------------|
| greeting, EHLO               | every 5xx but those about the server itself or the protocol (x.3, x.5): nothing else is known |
| MAIL                         | 5xx without a status, x.0 and x.7, unless the words are about the sender or a parameter       |
| RCPT                         | the codes in ORIGIN; words in _ORIGIN; in a 5xx also those in _BLOCKED, unless about the user |
| DATA, the final dot          | the codes in ORIGIN; words in _ORIGIN                                                         |

A refusal about our address says nothing about the message: `smtp_transport` tries the other address family, then `routing` decides
about the relay. Greylisting is a deferral whatever else the reply says.

| refusal                                        | outcome                                                                      |
|------------------------------------------------|------------------------------------------------------------------------------|
| x.2.2, or 452/552 with words about a quota     | the mailbox is full (REFUSED or NOT_NOW, status x.2.2)                       |
| 5.3.4, 5.2.3, 552 to MAIL or the message       | the message is too large                                                     |
| x.5.3, 452/552 to RCPT without a status        | too many recipients: the rest goes in the next transaction (`too_many`);     |
|                                                | a 552 that says so is a deferral (RFC 5321 §4.5.3.1.10)                      |
| x.6.1 to x.6.5, words about 8 bits             | this form is not accepted: tried in 7 bits where the server announced 8      |

Codes: RFC 5321 §4.2 and §4.5.3.1.10, RFC 3463 §3, RFC 7372 §3. Pure.
"""

import re
from dataclasses import replace
from enum import Enum

from appliance.mail.outcome import DsnAction, Outcome, Reason
from appliance.mail.reply import Reply
from appliance.mail.sentence import Sentence
from appliance.protocol.smtp.client import Offer, tidied


class Stage(Enum):
    """The stage of an SMTP session a reply belongs to."""

    CONNECT = "greeting or EHLO"
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    MESSAGE = "the final dot"


ORIGIN = frozenset(
    # SPF and reverse DNS of our address (RFC 7372 §3.2 and §3.3, multiple checks §3.3); Microsoft's codes for banned addresses
    {"7.23", "7.24", "7.25", "7.26", "7.511", "7.708", *(f"7.{number}" for number in range(606, 650))}
)
_ORIGIN = re.compile(
    r"block[ -]?list|black[ -]?list|deny[ -]?list|spamhaus|spamcop|barracuda|uceprotect|abuseat|\bsorbs\b|\bdns[bw]ls?\b|\brbls?\b"
    r"|\breputation\b|\bdynamic\b|\bresidential\b|\bdial-?up\b|\breverse[ -]?(?:dns|host|name|look|map)|\bno reverse\b"
    r"|\b(?:fc)?rdns\b|\bdns (?:entry|record|ptr)|\bptr\b|\bhost lookup|\bgeneric (?:ptr|host)|\byour (?:reverse )?host ?name"
    r"|\byour (?:server )?(?:ip|network|isp|provider)\b|\b(?:the|this|sender|remote|server) ip\b|\bover ipv[46]\b|\bspf\b"
    r"|\b(?:client|sending|source|connecting|originating) (?:host|ip|server|mta|network)|\b(?:ip|client) address|\bip[ =]\[?[0-9]"
    r"|\b(?:helo|ehlo) (?:command|name)|\bconnections? (?:is |are )?(?:not accepted|rejected|refused|denied)",
    re.IGNORECASE,
)
_BLOCKED = re.compile(r"\bblocked\b|\bbanned\b|\bspam\b|\bpolicy reasons\b|\bunsolicited\b", re.IGNORECASE)
_OF_USER = re.compile(r"\brecipient|\brelay|\buser|\bmailbox|\bcontent", re.IGNORECASE)
_OF_SENDER = re.compile(r"\bsender|\bparameter|\bfrom address|\bsize\b|\b8-?bit|\bstarttls|\btls\b|\bauth", re.IGNORECASE)
_GREYLIST = re.compile(r"gr[ea]y-?list", re.IGNORECASE)
_FULL = re.compile(
    r"\bquota|\bover ?quota|\bmailbox\b.*\bfull\b|\bfull mailbox|\bover (?:its |the )?(?:storage )?limit|\bexceeded storage", re.IGNORECASE
)
_LARGE = re.compile(r"\bsize|\blarge|\bbig\b|\blength", re.IGNORECASE)
_MANY = re.compile(r"\btoo many (?:recipients|rcpt|addresses)|\brecipients? limit|\bmaximum (?:number of )?recipients", re.IGNORECASE)
_EIGHT = re.compile(r"\b8[ -]?bit|\beight[ -]?bit|\bnon-?ascii|\b7[ -]?bit", re.IGNORECASE)
_FORMS = frozenset({"6.1", "6.2", "6.3", "6.4", "6.5"})
_ADDRESSES = frozenset({"6.7", "6.8", "6.9"})


def refusal(reply: Reply, stage: Stage, host: str) -> Outcome:
    """The outcome of a reply that is not positive: 5xx is final, everything else deferred (RFC 5321 §4.2.1)."""
    final = reply.permanent and not (reply.code == 552 and stage is Stage.RCPT and _is_recipient_limit(reply))  # RFC 5321 §4.5.3.1.10
    status = reply.status if reply.status[:1] == ("5" if final else "4") else "5.0.0" if final else "4.0.0"
    reply_text, detail = " ".join(reply.lines), status[2:]
    if is_origin(reply, detail, reply_text, stage):
        reason, text = Reason.REPUTATION, Sentence("%(host)s does not accept mail from this server's internet address.", host=host)
    elif detail == "2.2" or (detail == "0.0" and reply.code in (452, 552) and _FULL.search(reply_text)):
        status = f"{status[0]}.2.2"
        reason, text = (Reason.REFUSED if final else Reason.NOT_NOW), Sentence("%(host)s says that the mailbox is full.", host=host)
    elif final and _is_large(reply, detail, reply_text, stage):
        reason, text = Reason.TOO_BIG, Sentence("The message is larger than %(host)s accepts.", host=host)
    elif final:
        reason, text = Reason.REFUSED, Sentence("%(host)s refused it.", host=host)
    else:
        reason, text = Reason.NOT_NOW, Sentence("%(host)s asked to try again later.", host=host)
    return Outcome(DsnAction.FAILED if final else DsnAction.DEFERRED, status, reason, text, host, tidied(reply))


def is_origin(reply: Reply, detail: str, reply_text: str, stage: Stage) -> bool:
    """Is the refusal about our address? `detail` is the status without its class, `reply_text` the text of the reply."""
    if _GREYLIST.search(reply_text):
        return False
    subject = detail.partition(".")[0]
    if detail in ORIGIN or (_ORIGIN.search(reply_text) and (subject not in ("1", "2") or stage is Stage.CONNECT)):
        return True
    if not reply.permanent:
        return False
    if stage is Stage.CONNECT:
        return subject not in ("3", "5") and reply.code not in (500, 501, 502, 503, 504)
    if stage is Stage.MAIL:
        return (
            reply.code in (550, 551, 553, 554)
            and subject in ("0", "7")
            and not _OF_SENDER.search(reply_text)
            and not _FULL.search(reply_text)
        )
    return stage is Stage.RCPT and bool(_BLOCKED.search(reply_text)) and not _OF_USER.search(reply_text)


def is_final_origin(outcome: Outcome) -> bool:
    """Does a final refusal at the greeting name our address as the reason? A bare 554 does not: it may be gone tomorrow (RFC 5321 §3.1)."""
    reply_text = " ".join(outcome.reply.lines) if outcome.reply is not None else ""
    return outcome.reason is Reason.REPUTATION and (
        outcome.status[2:4] == "7." or bool(_ORIGIN.search(reply_text) or _BLOCKED.search(reply_text))
    )


def _is_large(reply: Reply, detail: str, reply_text: str, stage: Stage) -> bool:
    if detail in ("3.4", "2.3"):
        return True
    return reply.code == 552 and detail in ("0.0", "2.0", "3.0") and (stage is not Stage.RCPT or bool(_LARGE.search(reply_text)))


def too_many(reply: Reply) -> bool:
    """Does a refusal of RCPT mean that the transaction has too many recipients? (RFC 5321 §4.5.3.1.10: 452, from old servers 552)"""
    if _is_recipient_limit(reply):
        return True
    reply_text = " ".join(reply.lines)
    return reply.code in (452, 552) and reply.status[2:] in ("", "0.0") and not _FULL.search(reply_text) and not _LARGE.search(reply_text)


def _is_recipient_limit(reply: Reply) -> bool:
    return reply.status[1:] == ".5.3" or bool(_MANY.search(" ".join(reply.lines)))


def reduced_offer(offer: Offer, outcome: Outcome, *, eight: bool, utf8: bool) -> Offer | None:
    """The offer without the extension whose use the server refused although it announced it; None when the refusal is about something
    else. `eight`, `utf8`: the message was sent with 8-bit octets, with SMTPUTF8."""
    if outcome.reply is None or outcome.action not in (DsnAction.FAILED, DsnAction.DEFERRED):
        return None
    detail, reply_text = outcome.status[2:], " ".join(outcome.reply.lines)
    if utf8 and offer.smtputf8 and (detail in _ADDRESSES or "SMTPUTF8" in reply_text.upper()):
        return replace(offer, smtputf8=False)
    if eight and offer.eightbitmime and (detail in _FORMS or _EIGHT.search(reply_text)):
        return replace(offer, eightbitmime=False, smtputf8=False)
    return None
