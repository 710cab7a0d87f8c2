"""Who is told of what: the table of dsn/policy, row by row and cell by cell (RFC 3461 §4.1)."""

from itertools import product

import pytest

from appliance.dsn.policy import gravest, kind_of, which
from appliance.dsn.report import Kind, RecipientReport
from appliance.dsn.text import BY_REASON, BY_STATUS, BY_SUBJECT, said_of_one, words_of
from appliance.mail.address import Address
from appliance.mail.envelope import Recipient
from appliance.mail.outcome import DeliveryStatus, Outcome, Reason
from appliance.mail.reply import Reply

FRED = Address("fred", "home.example")
FRIEND = Address("friend", "x.example")
ASKED = (None, {"NEVER"}, {"FAILURE"}, {"DELAY"}, {"SUCCESS"}, {"FAILURE", "DELAY"}, {"SUCCESS", "FAILURE", "DELAY"})


def entry(
    delivery_status: DeliveryStatus, notify: "set[str] | None" = None, reason: Reason = Reason.REFUSED, passed_on: bool = False
) -> RecipientReport:
    asked = None if notify is None else frozenset(notify)
    return RecipientReport(Recipient(FRIEND, notify=asked), Outcome(delivery_status, "5.0.0", reason, ""), passed_on=passed_on)


@pytest.mark.parametrize(("delivery_status", "notify"), list(product(DeliveryStatus, ASKED)))
def test_told_when_asked_and_by_default_of_trouble_only(delivery_status: DeliveryStatus, notify: "set[str] | None") -> None:
    wanted = {DeliveryStatus.FAILED: "FAILURE", DeliveryStatus.DEFERRED: "DELAY"}.get(delivery_status, "SUCCESS")
    told = wanted != "SUCCESS" if notify is None else wanted in notify
    assert which(FRED, entry(delivery_status, notify)) == (kind_of(delivery_status) if told else None)


@pytest.mark.parametrize(("delivery_status", "notify", "passed_on"), list(product(DeliveryStatus, ASKED, (False, True))))
def test_nobody_is_told_about_a_notice(delivery_status: DeliveryStatus, notify: "set[str] | None", passed_on: bool) -> None:
    for sender in (None, Address("MAILER-DAEMON", "x.example"), Address("mailer-daemon", "home.example")):
        assert which(sender, entry(delivery_status, notify, passed_on=passed_on)) is None


def test_the_next_server_tells_itself() -> None:
    assert which(FRED, entry(DeliveryStatus.RELAYED, {"SUCCESS"}, passed_on=True)) is None
    assert which(FRED, entry(DeliveryStatus.RELAYED, {"SUCCESS"})) is Kind.SUCCESS
    assert which(FRED, entry(DeliveryStatus.FAILED, {"FAILURE"}, passed_on=True)) is Kind.FAILURE


@pytest.mark.parametrize("notify", ASKED)
def test_calling_back_is_no_news(notify: "set[str] | None") -> None:
    assert which(FRED, entry(DeliveryStatus.FAILED, notify, Reason.CANCELLED)) is None


def test_the_gravest() -> None:
    assert gravest([entry(DeliveryStatus.RELAYED), entry(DeliveryStatus.DEFERRED)]) is Kind.DELAY
    assert gravest([entry(DeliveryStatus.DEFERRED), entry(DeliveryStatus.FAILED), entry(DeliveryStatus.EXPANDED)]) is Kind.FAILURE
    assert gravest([entry(DeliveryStatus.DELIVERED)]) is Kind.SUCCESS


def test_every_reason_has_words() -> None:
    assert BY_REASON.keys() == set(Reason)
    for words in (*BY_REASON.values(), *BY_STATUS.values(), *BY_SUBJECT.values()):
        for text in (words.what, words.do, words.wait):
            assert text and text.strip(".") == text and text.format(server="x.example")
        assert words.what[0].islower() or words.what.startswith("{house}")


@pytest.mark.parametrize("reason", Reason)
def test_the_first_sentence_says_what_happened_and_what_to_do(reason: Reason) -> None:
    said = said_of_one(Outcome(DeliveryStatus.FAILED, "5.0.0", reason, ""), "friend@x.example", "x.example", "")
    assert said == f"Your message did not reach friend@x.example, because {BY_REASON[reason].what.format(server='x.example')}; " + (
        BY_REASON[reason].do.format(server="x.example") + "."
    )
    late = said_of_one(Outcome(DeliveryStatus.DEFERRED, "4.0.0", reason, ""), "friend@x.example", "x.example", "Tuesday")
    assert late.startswith("Your message has not reached friend@x.example yet, because ") and late.count(".example") >= 1


@pytest.mark.parametrize(
    ("status", "word"),
    [
        ("5.1.1", "spelling"), ("5.2.2", "full"), ("4.2.2", "full"), ("5.2.1", "closed"), ("5.7.1", "rule"), ("5.7.26", "rule"),
        ("5.7.30", "safe"), ("5.3.4", "smaller"), ("5.6.7", "outside ASCII"),
        ("5.1.10", "takes no mail"), ("5.0.0", "refused it"), ("", "refused it"),
        ("nonsense", "refused it"),
    ],
)  # fmt: skip
def test_their_code_chooses_the_words(status: str, word: str) -> None:
    outcome = Outcome(DeliveryStatus.FAILED, status, Reason.REFUSED, "", "mx.x.example", Reply(550, status, ("no",)))
    assert word in said_of_one(outcome, "friend@x.example", "x.example", "")
    ours = Outcome(DeliveryStatus.FAILED, status, Reason.NO_DOMAIN, "")
    assert words_of(ours) is BY_REASON[Reason.NO_DOMAIN]
