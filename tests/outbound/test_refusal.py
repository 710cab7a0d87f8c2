"""What refusals are about, with the words of servers as they are seen in the field."""

import pytest

from appliance.mail.outcome import DsnAction, Reason
from appliance.outbound.refusal import Stage, reduced_offer, refusal, too_many
from appliance.protocol.smtp.client import Offer
from appliance.protocol.smtp.replies import parse_reply

ABOUT_US = (
    (Stage.CONNECT, "554 mx.far.example No SMTP service here"),
    (Stage.CONNECT, "550 Access denied"),
    (Stage.CONNECT, "554 5.7.1 Client blocked using zen.spamhaus.org"),
    (Stage.CONNECT, "421 4.7.0 bad reputation of your IP"),
    (Stage.MAIL, "550 Access denied"),
    (Stage.MAIL, "554 5.7.1 Rejected"),
    (Stage.MAIL, "553 5.7.1 [BL21] Connections not accepted from servers without a valid sender domain"),
    (Stage.RCPT, "550 5.7.25 no PTR"),
    (Stage.RCPT, "450 4.7.25 Client host rejected: cannot find your hostname, [192.0.2.1]"),
    (Stage.RCPT, "450 4.7.1 Client host rejected: cannot find your reverse hostname, [2001:db8::1]"),
    (Stage.RCPT, "554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using bl.spamcop.net"),
    (Stage.RCPT, "550 5.7.606 Access denied, banned sending IP [192.0.2.1]"),
    (Stage.RCPT, "550 Blocked for policy reasons"),
    (Stage.RCPT, "550 5.7.1 Message rejected due to: SPF fail - not authorized. Please see http://spf.example/why?ip=2001:db8::1"),
    (Stage.RCPT, "550 SPF: 2001:db8::1 is not allowed to send mail from home.example"),
    (Stage.RCPT, "550 5.7.1 Missing rDNS for 192.0.2.1"),
    (Stage.RCPT, "550 5.7.1 FCrDNS check failed"),
    (Stage.RCPT, "550 5.7.1 Host [192.0.2.1] has no reverse"),
    (Stage.RCPT, "550 5.7.1 We do not accept mail over IPv6"),
    (Stage.RCPT, "554 5.7.1 Sender IP must resolve"),
    (Stage.RCPT, "554 5.7.1 192.0.2.1 found on one or more DNSBLs"),
    (Stage.RCPT, "550 Your server IP is listed"),
    (Stage.RCPT, "550 Rejected: Host lookup failed"),
    (Stage.MESSAGE, "550-5.7.1 [192.0.2.1] The IP you're using to send mail is not authorized to send email directly to our servers"),
    (Stage.MESSAGE, "550-5.7.25 [2001:db8::1] The IP address sending this message does not have a PTR record"),
    (Stage.MESSAGE, "550 5.7.23 SPF validation failed"),
    (Stage.MESSAGE, "550 5.7.1 messages from [192.0.2.1] weren't sent. Part of their network is on our block list (S3150)."),
)
ABOUT_THE_MESSAGE = (
    (Stage.CONNECT, "554 5.3.2 not today"),
    (Stage.CONNECT, "504 5.5.2 need a fully-qualified name"),
    (Stage.MAIL, "550 5.1.8 domain of sender address does not exist"),
    (Stage.MAIL, "553 sender address rejected"),
    (Stage.MAIL, "550 5.7.1 sender rejected"),
    (Stage.MAIL, "530 5.7.0 must issue STARTTLS first"),
    (Stage.MAIL, "552 5.3.4 too large"),
    (Stage.MAIL, "451 try again"),
    (Stage.RCPT, "550 5.1.1 no such user"),
    (Stage.RCPT, "550 5.2.1 mailbox blocked, spam"),
    (Stage.RCPT, "550 5.1.1 no such user, your reputation suffers"),
    (Stage.RCPT, "554 5.7.1 relaying denied"),
    (Stage.RCPT, "550 5.7.1 recipient does not want this"),
    (Stage.RCPT, "451 4.7.1 Greylisting in action for your IP address, please come back later"),
    (Stage.MESSAGE, "550 5.7.1 message content rejected"),
    (Stage.MESSAGE, "554 5.7.1 this looks like spam"),
    (Stage.MESSAGE, "550 5.6.0 bad header"),
)


def parsed(said: str):  # type: ignore[no-untyped-def]
    return parse_reply([said.replace("-", " ", 1).encode() if said[3] == "-" else said.encode()])


@pytest.mark.parametrize(("stage", "said"), ABOUT_US)
def test_a_refusal_of_our_address(stage: Stage, said: str) -> None:
    outcome = refusal(parsed(said), stage, "mx.far.example")
    assert outcome.reason is Reason.REPUTATION and outcome.action is (DsnAction.FAILED if said[0] == "5" else DsnAction.DEFERRED)


@pytest.mark.parametrize(("stage", "said"), ABOUT_THE_MESSAGE)
def test_a_refusal_of_anything_else(stage: Stage, said: str) -> None:
    assert refusal(parsed(said), stage, "mx.far.example").reason is not Reason.REPUTATION


@pytest.mark.parametrize(
    ("stage", "said", "status", "reason"),
    [
        (Stage.RCPT, "552 5.2.2 mailbox full", "5.2.2", Reason.REFUSED),
        (Stage.RCPT, "552 The mailbox of bob is full", "5.2.2", Reason.REFUSED),
        (Stage.RCPT, "452 over quota", "4.2.2", Reason.NOT_NOW),
        (Stage.MESSAGE, "552 5.2.2 over quota", "5.2.2", Reason.REFUSED),
        (Stage.MESSAGE, "552 quota exceeded", "5.2.2", Reason.REFUSED),
        (Stage.MESSAGE, "552 5.3.4 message too big", "5.3.4", Reason.TOO_BIG),
        (Stage.MESSAGE, "550 5.2.3 longer than this mailbox takes", "5.2.3", Reason.TOO_BIG),
        (Stage.MESSAGE, "552 message size exceeds the fixed limit", "5.0.0", Reason.TOO_BIG),
        (Stage.MAIL, "552 no", "5.0.0", Reason.TOO_BIG),
        (Stage.MESSAGE, "552 5.7.0 this content presents a security issue", "5.7.0", Reason.REFUSED),
        (Stage.RCPT, "552 no more", "5.0.0", Reason.REFUSED),
        (Stage.RCPT, "552 Requested mail action aborted: exceeded storage allocation", "5.2.2", Reason.REFUSED),
        (Stage.MESSAGE, "552 Requested mail action aborted: exceeded storage allocation", "5.2.2", Reason.REFUSED),
    ],
)
def test_full_and_too_big_are_distinct(stage: Stage, said: str, status: str, reason: Reason) -> None:
    outcome = refusal(parsed(said), stage, "mx.far.example")
    assert (outcome.status, outcome.reason) == (status, reason)
    assert ("mailbox is full" in outcome.text) == (status[2:] == "2.2") and ("larger" in outcome.text) == (reason is Reason.TOO_BIG)


@pytest.mark.parametrize(
    ("said", "many"),
    [
        ("452 4.5.3 too many recipients", True), ("552 too many recipients", True), ("552 no more", True), ("452 enough", True),
        ("550 5.5.3 too many recipients", True), ("450 too many recipients this time", True), ("451 4.5.3 enough", True),
        ("552 5.2.2 mailbox full", False), ("452 4.2.2 over quota", False), ("452 mailbox full", False), ("452 4.3.1 disk full", False),
        ("550 5.1.1 no such user", False), ("451 4.7.1 greylisted", False), ("552 5.3.4 too big", False),
    ],
)  # fmt: skip
def test_too_many_recipients(said: str, many: bool) -> None:
    assert too_many(parsed(said)) is many


@pytest.mark.parametrize(
    ("said", "action"),
    [
        ("552 too many recipients", DsnAction.DEFERRED), ("552 5.5.3 enough", DsnAction.DEFERRED), ("452 4.5.3 too many recipients",
        DsnAction.DEFERRED),
        ("550 5.5.3 too many recipients", DsnAction.FAILED), ("552 5.2.2 mailbox full", DsnAction.FAILED), ("552 no more",
        DsnAction.FAILED),
    ],
)  # fmt: skip
def test_552_for_too_many_recipients_defers(said: str, action: DsnAction) -> None:
    """RFC 5321 §4.5.3.1.10: old servers say 552 where 452 is meant."""
    outcome = refusal(parsed(said), Stage.RCPT, "mx.far.example")
    assert outcome.action is action and outcome.status[0] == ("4" if action is DsnAction.DEFERRED else "5")


@pytest.mark.parametrize(
    ("said", "eight", "utf8", "left"),
    [
        ("554 5.6.1 8-bit data not accepted", True, False, (False, False)),
        ("550 5.6.3 conversion required", True, False, (False, False)),
        ("554 8bit characters are not allowed here", True, False, (False, False)),
        ("555 5.5.4 unsupported option BODY=8BITMIME", True, False, (False, False)),
        ("450 4.6.1 not in this form", True, False, (False, False)),
        ("554 5.6.1 no such media", False, False, None),
        ("550 5.7.1 content rejected", True, False, None),
        ("553 5.6.7 no UTF-8 addresses", True, True, (True, False)),
        ("555 unsupported option: SMTPUTF8", True, True, (True, False)),
    ],
)
def test_a_form_that_was_announced_and_is_refused(said: str, eight: bool, utf8: bool, left: tuple[bool, bool] | None) -> None:
    offer = reduced_offer(Offer(eightbitmime=True, smtputf8=True), refusal(parsed(said), Stage.MESSAGE, "mx"), eight=eight, utf8=utf8)
    assert (offer and (offer.eightbitmime, offer.smtputf8)) == left
