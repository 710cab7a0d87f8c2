"""The delivery plan: copies, groups and reports, by the tables of delivery/plan (RFC 3461 §5.2.7, RFC 4865)."""

import pytest

from appliance.delivery.arrival import Arrival
from appliance.delivery.plan import DELIVERED, EXPANDED, DeliveryPlan, PlanRules, groups, plan, success_reports, waiting_group
from appliance.mail.actions import KEEP, Action, FileInto
from appliance.mail.address import Address, parse_address
from appliance.mail.envelope import Envelope, Recipient
from appliance.mail.ids import AccountId
from appliance.mail.options import RecipientOptions

OURS, FRED, STRANGER = "home.example", parse_address("fred@home.example"), parse_address("smith@far.example")
ANNA, BOB, LIST = parse_address("anna@x.example"), parse_address("bob@y.example"), parse_address("list@home.example")
TRACE = b"Received: from somewhere\r\n"


def rewrite(sender: Address, domain: str) -> Address:
    return Address(f"SRS0=x={sender.domain}={sender.local}", domain)


def leave(envelope: Envelope, author: str = "") -> list[tuple[str, list[str], bytes, str]]:
    found = groups(envelope, trace=TRACE, author=author, is_local=lambda domain: domain == OURS, rewrite=rewrite)
    return [(str(one.sender or ""), [str(r) for r in one.recipients], one.prefix, one.author) for one in found]


def direct(address: Address, **asked: object) -> Recipient:
    return Recipient(address, outside=(address,), options=RecipientOptions(**asked))  # type: ignore[arg-type]


def test_an_account_writes_to_remote_recipients() -> None:
    envelope = Envelope(FRED, [direct(ANNA), Recipient(FRED, (AccountId(1),)), direct(BOB), direct(ANNA)])
    assert leave(envelope, OURS) == [("fred@home.example", ["anna@x.example", "bob@y.example"], TRACE, OURS)]


def test_nothing_is_relayed_for_local_recipients() -> None:
    assert leave(Envelope(STRANGER, [Recipient(FRED, (AccountId(1),))])) == []


def test_a_remote_sender_is_rewritten_when_forwarded() -> None:
    envelope = Envelope(STRANGER, [Recipient(LIST, (AccountId(1),), (ANNA, BOB), forwarded=True)])
    wanted = "SRS0=x=far.example=smith@home.example"
    assert leave(envelope) == [(wanted, ["anna@x.example", "bob@y.example"], b"Delivered-To: list@home.example\r\n" + TRACE, "")]


def test_an_account_is_forwarded_without_rewriting() -> None:
    envelope = Envelope(FRED, [direct(BOB), Recipient(LIST, (), (ANNA,), forwarded=True)])
    assert leave(envelope, OURS) == [
        ("fred@home.example", ["bob@y.example"], TRACE, OURS),
        ("fred@home.example", ["anna@x.example"], b"Delivered-To: list@home.example\r\n" + TRACE, OURS),
    ]


def test_the_null_sender_stays_null() -> None:
    envelope = Envelope(None, [Recipient(LIST, (), (ANNA,), forwarded=True)])
    assert leave(envelope)[0][0] == "" and leave(envelope)[0][3] == ""
    assert leave(envelope, OURS)[0][3] == OURS


def test_a_remote_sender_domain_is_not_signed() -> None:
    assert leave(Envelope(STRANGER, [direct(ANNA)]), OURS)[0][3] == ""


def sent_on(recipient: Recipient) -> list[tuple[str, "frozenset[str] | None", str]]:
    envelope = Envelope(FRED, [recipient])
    (group,) = groups(envelope, trace=b"", author=OURS, is_local=lambda domain: domain == OURS, rewrite=rewrite)
    return [(str(one), one.options.notify, one.options.orcpt) for one in group.recipients]


ALL = frozenset({"SUCCESS", "FAILURE", "DELAY"})


@pytest.mark.parametrize("notify", [None, frozenset({"NEVER"}), ALL, frozenset({"SUCCESS"}), frozenset({"FAILURE"})])
def test_notify_and_orcpt_are_relayed(notify: "frozenset[str] | None") -> None:
    """RFC 3461 §5.2.7.2, §5.2.7.3."""
    assert sent_on(direct(ANNA, notify=notify)) == [("anna@x.example", notify, "")]
    assert sent_on(direct(ANNA, notify=notify, orcpt="rfc822;a@b")) == [("anna@x.example", notify, "rfc822;a@b")]
    one = Recipient(LIST, (), (ANNA,), forwarded=True, options=RecipientOptions(notify=notify))
    assert sent_on(one) == [("anna@x.example", notify, "rfc822;list@home.example")]
    rest = notify if notify is None or "SUCCESS" not in notify else notify - {"SUCCESS"} or {"NEVER"}
    for many in (
        Recipient(LIST, (), (ANNA, BOB), forwarded=True, options=RecipientOptions(notify=notify)),
        Recipient(LIST, (AccountId(1),), (ANNA,), True, RecipientOptions(notify)),
    ):
        assert all((asked, orcpt) == (rest, "rfc822;list@home.example") for _, asked, orcpt in sent_on(many))


def test_success_reports() -> None:
    here, both, out = Recipient(FRED, (AccountId(1),)), Recipient(LIST, (AccountId(1),), (ANNA,), True), direct(BOB)
    group, forward = Recipient(LIST, (AccountId(1), AccountId(2))), Recipient(LIST, (), (ANNA,), True)
    reports = success_reports(Envelope(FRED, [here, both, out, group, forward]))
    assert [(report.recipient, report.outcome) for report in reports] == [(here, DELIVERED), (both, EXPANDED), (group, EXPANDED)]


def test_an_alias_outside_ascii_is_named_as_utf8() -> None:
    alias = Recipient(parse_address("großeltern@home.example"), (), (ANNA,), forwarded=True)
    assert sent_on(alias) == [("anna@x.example", None, "utf-8;großeltern@home.example")]


# --- the whole plan --------------------------------------------------------------------------------------------


ONE, TWO = AccountId(1), AccountId(2)
HERE, GROUP, FORWARD = Recipient(FRED, (ONE,)), Recipient(LIST, (ONE, TWO)), Recipient(LIST, (TWO,), (ANNA,), True)


def planned(*recipients: Recipient, held: bool = False, actions: "dict[AccountId, tuple[Action, ...]] | None" = None) -> DeliveryPlan:
    rules = PlanRules(
        lambda domain: domain == OURS,
        rewrite,
        lambda account: parse_address(f"account{account}@home.example"),
        lambda account: (actions or {}).get(account, KEEP),
    )
    return plan(Arrival("abc", Envelope(STRANGER, list(recipients)), TRACE), rules, held=held)


def test_each_account_gets_one_copy_named_after_its_first_recipient() -> None:
    found = planned(HERE, GROUP)
    assert [(one.account, one.mailbox, one.flags) for one in found.copies] == [(ONE, "INBOX", ()), (TWO, "INBOX", ())]
    assert found.copies[0].prefix == b"Return-Path: <smith@far.example>\r\nDelivered-To: fred@home.example\r\n" + TRACE
    assert b"Delivered-To: list@home.example" in found.copies[1].prefix and not found.groups


def test_copies_and_groups_of_one_alias() -> None:
    found = planned(FORWARD)
    assert [one.account for one in found.copies] == [TWO] and [str(one) for one in found.groups[0].recipients] == ["anna@x.example"]
    assert [report.outcome for report in found.reports] == [EXPANDED]


def test_a_held_message_is_queued_whole_and_reports_nothing() -> None:
    found = planned(HERE, direct(ANNA), held=True)
    assert found.held and not found.copies and not found.reports
    assert [[str(one) for one in group.recipients] for group in found.groups] == [["anna@x.example"], ["fred@home.example"]]


def test_a_full_mailbox_waits_by_the_accounts_own_address_where_others_share_the_recipient() -> None:
    found = planned(HERE, GROUP)
    (group,) = waiting_group(found, found.copies)
    assert [str(one) for one in group.recipients] == ["fred@home.example", "account2@home.example"]
    assert group.prefix == TRACE and group.sender == STRANGER and waiting_group(found, ()) == ()


def test_filters_decide_mailbox_and_flags_of_each_account() -> None:
    actions: dict[AccountId, tuple[Action, ...]] = {ONE: (FileInto("Junk", ("\\Seen",)), FileInto("Archive")), TWO: ()}
    found = planned(HERE, GROUP, direct(ANNA), actions=actions)
    assert [(one.account, one.mailbox, one.flags) for one in found.copies] == [(ONE, "Junk", ("\\Seen",)), (ONE, "Archive", ())]
    assert len(found.groups) == 1, "what is relayed is not filtered"
