"""The table of dsn/policy, cell by cell (RFC 3461 §4.1)."""

from dataclasses import replace
from itertools import product

import pytest

from appliance.dsn.policy import dsn_kind, kind_of, most_severe
from appliance.dsn.report import Kind, RecipientReport
from appliance.dsn.text import BY_REASON, BY_STATUS, BY_SUBJECT, About, sentence_for_one, sentences_for
from appliance.languages.catalogues import ENGLISH
from appliance.mail.address import Address
from appliance.mail.envelope import Recipient
from appliance.mail.options import RecipientOptions
from appliance.mail.outcome import DsnAction, Outcome, Reason
from appliance.mail.reply import Reply

FRED = Address("fred", "home.example")
FRIEND = Address("friend", "x.example")
ABOUT = About("friend@x.example", "x.example")
NOTIFY = (None, {"NEVER"}, {"FAILURE"}, {"DELAY"}, {"SUCCESS"}, {"FAILURE", "DELAY"}, {"SUCCESS", "FAILURE", "DELAY"})


def report(
    action: DsnAction, notify: "set[str] | None" = None, reason: Reason = Reason.REFUSED, dsn_relayed: bool = False
) -> RecipientReport:
    options = None if notify is None else frozenset(notify)
    return RecipientReport(
        Recipient(FRIEND, options=RecipientOptions(notify=options)), Outcome(action, "5.0.0", reason, ""), dsn_relayed=dsn_relayed
    )


@pytest.mark.parametrize(("action", "notify"), list(product(DsnAction, NOTIFY)))
def test_notify_decides_and_without_it_only_failures_and_delays_are_reported(action: DsnAction, notify: "set[str] | None") -> None:
    wanted = {DsnAction.FAILED: "FAILURE", DsnAction.DEFERRED: "DELAY"}.get(action, "SUCCESS")
    reported = wanted != "SUCCESS" if notify is None else wanted in notify
    assert dsn_kind(FRED, report(action, notify)) == (kind_of(action) if reported else None)


@pytest.mark.parametrize(("action", "notify", "dsn_relayed"), list(product(DsnAction, NOTIFY, (False, True))))
def test_the_null_sender_gets_no_dsn(action: DsnAction, notify: "set[str] | None", dsn_relayed: bool) -> None:
    for sender in (None, Address("MAILER-DAEMON", "x.example"), Address("mailer-daemon", "home.example")):
        assert dsn_kind(sender, report(action, notify, dsn_relayed=dsn_relayed)) is None


def test_a_next_server_with_dsn_reports_success_itself() -> None:
    assert dsn_kind(FRED, report(DsnAction.RELAYED, {"SUCCESS"}, dsn_relayed=True)) is None
    assert dsn_kind(FRED, report(DsnAction.RELAYED, {"SUCCESS"})) is Kind.SUCCESS
    assert dsn_kind(FRED, report(DsnAction.FAILED, {"FAILURE"}, dsn_relayed=True)) is Kind.FAILURE


def test_most_severe() -> None:
    assert most_severe([report(DsnAction.RELAYED), report(DsnAction.DEFERRED)]) is Kind.DELAY
    assert most_severe([report(DsnAction.DEFERRED), report(DsnAction.FAILED), report(DsnAction.EXPANDED)]) is Kind.FAILURE
    assert most_severe([report(DsnAction.DELIVERED)]) is Kind.SUCCESS


def test_every_reason_has_its_sentences() -> None:
    assert BY_REASON.keys() == set(Reason)
    for words in (*BY_REASON.values(), *BY_STATUS.values(), *BY_SUBJECT.values()):
        for text in (words.cause, words.do, words.wait):
            assert text and text.strip(".") == text and text % {"server": "x.example"}
        assert words.cause[0].islower() or words.cause.startswith("%(server)s")


@pytest.mark.parametrize("reason", Reason)
def test_the_first_sentence_says_what_happened_and_what_to_do(reason: Reason) -> None:
    said = sentence_for_one(ENGLISH, Outcome(DsnAction.FAILED, "5.0.0", reason, ""), ABOUT)
    cause, do = (text % {"server": "x.example"} for text in (BY_REASON[reason].cause, BY_REASON[reason].do))
    assert said == f"Your message did not reach friend@x.example, because {cause}; {do}."
    late = sentence_for_one(ENGLISH, Outcome(DsnAction.DEFERRED, "4.0.0", reason, ""), replace(ABOUT, until="Tuesday"))
    assert late.startswith("Your message has not reached friend@x.example yet, because ") and late.count(".example") >= 1


@pytest.mark.parametrize(
    ("status", "word"),
    [
        ("5.1.1", "spelling"), ("5.2.2", "full"), ("4.2.2", "full"), ("5.2.1", "closed"), ("5.7.1", "rule"), ("5.7.26", "rule"),
        ("5.7.30", "secure"), ("5.3.4", "smaller"), ("5.6.7", "outside ASCII"),
        ("5.1.10", "accepts no mail"), ("5.0.0", "refused it"), ("5.2.0", "refused it"), ("", "refused it"),
        ("nonsense", "refused it"),
    ],
)  # fmt: skip
def test_the_status_code_of_the_reply_chooses_the_sentence(status: str, word: str) -> None:
    outcome = Outcome(DsnAction.FAILED, status, Reason.REFUSED, "", "mx.x.example", Reply(550, status, ("no",)))
    assert word in sentence_for_one(ENGLISH, outcome, ABOUT)
    ours = Outcome(DsnAction.FAILED, status, Reason.NO_DOMAIN, "")
    assert sentences_for(ours) is BY_REASON[Reason.NO_DOMAIN]
