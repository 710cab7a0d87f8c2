"""The octets of a DSN: read by Python's `email` and by our own MIME reader, in the form of real bounces, whatever the other server
replied."""

import email
import re
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from email import policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.dsn.compose import (
    EXCERPT_OCTETS,
    LINE_OCTETS,
    WHOLE_OCTETS,
    DsnIdentity,
    ReportingServer,
    compose,
    parse_original,
    read_original,
)
from appliance.dsn.policy import most_severe
from appliance.dsn.report import Kind, RecipientReport, Subject
from appliance.languages.catalogues import catalogue
from appliance.mail.address import Address, parse_address
from appliance.mail.envelope import Recipient
from appliance.mail.options import EnvelopeOptions, RecipientOptions
from appliance.mail.outcome import DsnAction, Outcome, Reason
from appliance.mail.outgoing import Chunks
from appliance.mail.reply import Reply
from appliance.protocol.imap.bodystructure import make_describe
from tests.support.catalogues import is_worded, pseudo_language
from tests.support.corpus import need_corpus

FROM = ReportingServer("mail.home.example", "home.example")
IDENTITY = DsnIdentity("0123456789abcdef", 1_790_000_200, 3600)
MESSAGE = (
    b"From: fred@home.example\r\nTo: friend@x.example\r\nSubject: =?utf-8?q?Sommergr=C3=BC=C3=9Fe?=\r\n"
    b"Message-ID: <one@home.example>\r\nReferences: <a@x.example>\r\n <b@x.example>\r\n"
    b"Date: Tue, 24 Nov 2026 08:00:00 +0000\r\n\r\nDear friend,\r\n.\r\n"
)


def chunks_of(original: bytes, size: int = 1000) -> Chunks:
    @asynccontextmanager
    async def chunks() -> AsyncIterator[AsyncIterator[bytes]]:
        async def each() -> AsyncIterator[bytes]:
            for at in range(0, len(original), size):
                yield original[at : at + size]

        yield each()

    return chunks


def about(original: bytes = MESSAGE, **changes: Any) -> Subject:
    known = {"message": "abc123", "sender": parse_address("fred@home.example"), "arrived_at": 1_790_000_000, **changes}
    options = EnvelopeOptions(**{key: known.pop(key) for key in ("body", "smtputf8", "ret", "envid", "require_tls") if key in known})
    return Subject(octets=len(original), chunks=chunks_of(original), options=options, **known)


def report(
    address: str = "friend@x.example",
    action: DsnAction = DsnAction.FAILED,
    reason: Reason = Reason.REFUSED,
    **changes: Any,
) -> RecipientReport:
    outcome = {"status": "5.1.1", "text": "It was refused.", "host": "mx.x.example", "reply": Reply(550, "5.1.1", ("Nobody", "here"))}
    outcome |= {key: changes.pop(key) for key in tuple(changes) if key in outcome}
    options = RecipientOptions(orcpt=changes.pop("orcpt", ""))
    recipient = Recipient(parse_address(address), forwarded=changes.pop("forwarded", False), options=options)
    return RecipientReport(recipient, Outcome(action, reason=reason, **outcome), **changes)


def made(subject: Subject, *reports: RecipientReport, kind: Kind | None = None) -> bytes:
    async def make() -> bytes:
        original = await read_original(subject, kind or most_severe(reports))
        return b"".join([chunk async for chunk in compose(FROM, IDENTITY, subject, reports, original)])

    return run(make())


def run(work: Coroutine[Any, Any, bytes]) -> bytes:
    """Run a coroutine that never waits to its end."""
    try:
        work.send(None)
    except StopIteration as done:
        return bytes(done.value)
    raise AssertionError("it waited")


def parsed(octets: bytes) -> EmailMessage:
    message = email.message_from_bytes(octets, policy=policy.default)
    assert not message.defects and not any(part.defects for part in message.walk())
    assert isinstance(message, EmailMessage)
    return message


def blocks(message: EmailMessage) -> Sequence[Any]:
    """Per-message fields, then one block for each recipient."""
    report = message.get_payload(1)
    payload = report.get_payload()  # type: ignore[union-attr]
    if isinstance(payload, list):
        return payload
    return [email.message_from_string(block) for block in payload.strip().split("\n\n")]


def text_of(message: EmailMessage) -> str:
    return message.get_payload(0).get_content()  # type: ignore[union-attr]


def check_lines(octets: bytes) -> None:
    lines = octets.split(b"\r\n")
    assert lines.pop() == b""
    for line in lines:
        assert len(line) <= LINE_OCTETS and b"\r" not in line and b"\n" not in line and b"\0" not in line


def test_the_fields_of_a_failure() -> None:
    octets = made(about(envid="QQ314159"), report(orcpt="rfc822;Friend@x.example", attempted_at=1_790_000_100))
    check_lines(octets)
    message = parsed(octets)
    assert message["From"] == '"Mail delivery of home.example" <MAILER-DAEMON@home.example>'
    assert message["To"] == "fred@home.example" or message["To"] == "<fred@home.example>"
    assert message["Auto-Submitted"] == "auto-replied" and message["In-Reply-To"] == "<one@home.example>"
    assert message["References"].split() == ["<a@x.example>", "<b@x.example>", "<one@home.example>"]
    assert message["Message-ID"] == "<0123456789abcdef@mail.home.example>"
    assert message.get_content_type() == "multipart/report" and message.get_param("report-type") == "delivery-status"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "message/delivery-status", "message/rfc822"]
    original, one = blocks(message)
    assert dict(original) == {
        "Original-Envelope-Id": "QQ314159", "Reporting-MTA": "dns; mail.home.example", "X-Pillarbox-Message": "abc123",
        "Arrival-Date": "Mon, 21 Sep 2026 15:13:20 +0100",
    }  # fmt: skip
    assert dict(one) == {
        "Original-Recipient": "rfc822;Friend@x.example", "Final-Recipient": "rfc822;friend@x.example", "Action": "failed",
        "Status": "5.1.1", "Remote-MTA": "dns; mx.x.example", "Diagnostic-Code": "smtp; 550 5.1.1 Nobody here",
        "Last-Attempt-Date": "Mon, 21 Sep 2026 15:15:00 +0100",
    }  # fmt: skip
    text = text_of(message)
    assert text.startswith("Your message did not reach friend@x.example, because ")
    assert "550 5.1.1 Nobody here" in text and "Subject: Sommergrüße" in text
    assert octets.index(b"Your message did not") < octets.index(b"Final-Recipient")
    assert MESSAGE in octets


def test_our_own_reader_sees_the_same_parts() -> None:
    scanner = make_describe()
    scanner.feed(made(about(), report()))
    structure = scanner.finish().bodystructure.lower()
    order = [structure.index(word) for word in (b'"text" "plain"', b'"message" "delivery-status"', b'"message" "rfc822"', b'"report"')]
    assert order == sorted(order) and b'("report-type" "delivery-status"' in structure


def test_a_delay_says_until_when_and_sends_no_message_back() -> None:
    late = report(action=DsnAction.DEFERRED, reason=Reason.UNREACHABLE, status="4.4.1", host="", reply=None, gives_up_at=1_790_400_000)
    message = parsed(made(about(ret="FULL"), late))
    (one,) = blocks(message)[1:]
    assert (one["Action"], one["Status"], one["Will-Retry-Until"]) == ("delayed", "4.4.1", "Sat, 26 Sep 2026 06:20:00 +0100")
    assert one["Diagnostic-Code"].startswith("x-pillarbox; ") and "Remote-MTA" not in one
    assert "you need not do anything" in " ".join(text_of(message).split())
    assert message.get_payload(2).get_content_type() == "text/rfc822-headers"  # type: ignore[union-attr]


def test_success_has_three_actions() -> None:
    reports = [
        report("a@x.example", DsnAction.RELAYED, Reason.ACCEPTED, status="2.0.0", reply=Reply(250, "2.0.0", ("ok",))),
        report("b@home.example", DsnAction.DELIVERED, Reason.ACCEPTED, status="2.1.5", host="", reply=None),
        report("c@home.example", DsnAction.EXPANDED, Reason.ACCEPTED, status="2.1.5", host="", reply=None),
    ]
    message = parsed(made(about(), *reports))
    assert [one["Action"] for one in blocks(message)[1:]] == ["relayed", "delivered", "expanded"]
    assert message["Subject"] == "Your message has arrived" and "250 2.0.0 ok" not in text_of(message)
    assert "does not report whether it reached a@x.example" in " ".join(text_of(message).split())


def test_several_recipients_with_the_most_severe_kind() -> None:
    reports = [report("a@x.example", DsnAction.DEFERRED, Reason.DNS, status="4.4.3"), report("b@y.example"), report("c@z.example")]
    message = parsed(made(about(), *reports))
    text = text_of(message)
    assert text.startswith("Your message did not reach 2 of its recipients")
    assert text.index("a@x.example:") < text.index("b@y.example:") < text.index("c@z.example:")
    assert message["Subject"] == "Your message could not be delivered"


def test_an_alias_is_named_with_the_address_the_sender_wrote_to() -> None:
    message = parsed(made(about(), report("cousin@x.example", forwarded=True, orcpt="rfc822;family@home.example")))
    assert "cousin@x.example (you wrote to family@home.example)" in " ".join(text_of(message).split())


@pytest.mark.parametrize(
    ("original", "changes", "wanted"),
    [
        (MESSAGE, {}, "message/rfc822"),
        (MESSAGE, {"ret": "FULL"}, "message/rfc822"),
        (MESSAGE, {"ret": "HDRS"}, "text/rfc822-headers"),
        (MESSAGE, {"body": "BINARYMIME"}, "text/rfc822-headers"),
        (MESSAGE + b"x" * WHOLE_OCTETS, {"ret": "FULL"}, "text/rfc822-headers"),
        (MESSAGE + b"x" * 999 + b"\r\n", {}, "text/rfc822-headers"),
        (MESSAGE + b"a\nb\r\n", {}, "text/rfc822-headers"),
        (MESSAGE + b"a\rb\r\n", {}, "text/rfc822-headers"),
        (MESSAGE + b"\0\r\n", {}, "text/rfc822-headers"),
        (MESSAGE, {"smtputf8": True}, "message/global"),
        (MESSAGE, {"smtputf8": True, "ret": "HDRS"}, "message/global-headers"),
        (b"", {}, "message/rfc822"),
        (b"no header at all", {}, "message/rfc822"),
    ],
)
def test_what_is_returned(original: bytes, changes: dict[str, Any], wanted: str) -> None:
    octets = made(about(original, **changes), report())
    check_lines(octets)
    message = email.message_from_bytes(octets, policy=policy.default)
    assert message.get_payload(2).get_content_type() == wanted  # type: ignore[union-attr]
    if wanted.endswith("headers"):
        assert b"Dear friend" not in octets and b"References: <a@x.example>\r\n <b@x.example>" in octets


def test_broken_header_fields_are_not_returned() -> None:
    header = b"Good: 1\r\nLong: " + b"x" * 2000 + b"\r\nNul: \0\r\nBare: a\rb\r\nno colon\r\nLF: a\n b\nGood: 2\r\n\r\n"
    returned = parse_original(header, whole=False)
    assert returned.octets == b"Good: 1\r\nLF: a\r\n b\r\nGood: 2\r\n"


def test_a_huge_header_is_cut_between_fields() -> None:
    original = b"".join(b"X-%05d: %b\r\n" % (n, b"y" * 80) for n in range(5000)) + b"\r\nbody\r\n"
    octets = made(about(original), report())
    check_lines(octets)
    assert EXCERPT_OCTETS * 0.9 < len(octets) < EXCERPT_OCTETS + 8192


def test_addresses_outside_ascii() -> None:
    """RFC 6533 §4: in UTF-8 where the message was; in ASCII otherwise."""
    grete = report("grète@bücher.example", orcpt="utf-8;grète@bücher.example", reply=Reply(553, "5.6.7", ("ungültig",)), status="5.6.7")
    octets = made(about(smtputf8=True, sender=parse_address("jürgen@home.example")), grete)
    check_lines(octets)
    assert b"Final-Recipient: utf-8;gr\xc3\xa8te@b\xc3\xbccher.example\r\n" in octets
    assert b"To: <j\xc3\xbcrgen@home.example>" in octets and b"message/global-delivery-status" in octets
    octets = made(about(), grete)
    status = octets[octets.index(b"message/delivery-status") : octets.index(b"Content-Description: Your message")]
    assert status.isascii() and b"Final-Recipient: utf-8;gr\\x{E8}te@xn--bcher-kva.example\r\n" in status
    assert b"Diagnostic-Code: smtp; 553 5.6.7 ung?ltig" in status
    assert "ungültig" in text_of(parsed(octets))


@pytest.mark.parametrize("reason", Reason)
@pytest.mark.parametrize("action", DsnAction)
def test_every_reason_makes_a_whole_dsn(reason: Reason, action: DsnAction) -> None:
    message = parsed(made(about(), report(action=action, reason=reason, gives_up_at=1_790_400_000)))
    first = re.split(r"(?<=\.)\s", " ".join(text_of(message).split()))[0]
    assert first.startswith("Your message ") and "{" not in first


REMOTE = st.text(max_size=300) | st.text(st.sampled_from("\r\n\0 .-=:ab\u2028\x85é😀"), max_size=1500)
WORDS = st.text(st.characters(exclude_categories=("Cs",)), max_size=40)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(DsnAction), st.sampled_from(Reason), WORDS | st.sampled_from(["5.1.1", "4.2.2", "5.7.999"]), REMOTE, REMOTE,
            st.none() | st.tuples(st.integers(200, 599), WORDS, st.lists(REMOTE, min_size=1, max_size=3)), WORDS, st.booleans(),
        ),
        min_size=1, max_size=4,
    ),
    st.binary(max_size=600) | st.binary(max_size=200).map(lambda octets: b"Subject: " + octets + b"\r\n\r\n"), st.booleans(), WORDS,
)  # fmt: skip
def test_no_remote_text_breaks_the_dsn(
    rows: list[tuple[DsnAction, Reason, str, str, str, "tuple[int, str, list[str]] | None", str, bool]],
    original: bytes,
    utf8: bool,
    envid: str,
) -> None:
    reports = [
        RecipientReport(
            Recipient(Address("fr", "x.example"), options=RecipientOptions(orcpt=f"rfc822;{orcpt}" if orcpt else ""), forwarded=forwarded),
            Outcome(action, status, reason, text, host, None if reply is None else Reply(reply[0], reply[1], tuple(reply[2]))),
            1_790_000_000, 1_790_000_300,
        )
        for action, reason, status, text, host, reply, orcpt, forwarded in rows
    ]  # fmt: skip
    octets = made(about(original, smtputf8=utf8, envid=envid), *reports)
    check_lines(octets)
    message = email.message_from_bytes(octets, policy=policy.default)
    assert message.keys() == [
        "From", "To", "Subject", "Date", "Message-ID", *(("In-Reply-To", "References") if "In-Reply-To" in message else ()),
        "Auto-Submitted", "MIME-Version", "Content-Transfer-Encoding", "Content-Type",
    ]  # fmt: skip
    boundary = b"\r\n--" + message.get_boundary().encode()  # type: ignore[union-attr]
    assert octets.count(boundary) == 4
    report = octets.split(boundary)[2].partition(b"\r\n\r\n")[2]
    found = report.removesuffix(b"\r\n").split(b"\r\n\r\n")
    assert len(found) == 1 + len(reports)
    known = {
        b"Original-Envelope-Id", b"Reporting-MTA", b"X-Pillarbox-Message", b"Arrival-Date", b"Original-Recipient", b"Final-Recipient",
        b"Action", b"Status", b"Remote-MTA", b"Diagnostic-Code", b"Last-Attempt-Date", b"Will-Retry-Until",
    }  # fmt: skip
    for block, one in zip(found[1:], reports, strict=True):
        names = []
        for line in block.strip(b"\r\n").split(b"\r\n"):
            if not line.startswith(b" "):
                name, colon, _ = line.partition(b":")
                assert colon and name in known, line
                names.append(name)
            assert line.strip(), "no line of blanks, which ends a block for some readers"
        assert len(set(names)) == len(names) and {b"Final-Recipient", b"Action", b"Status"} <= set(names)
        assert re.search(rb"\r\nStatus: [245]\.[0-9]{1,3}\.[0-9]{1,3}\r\n", block + b"\r\n")
        assert b"Action: " + one.outcome.action.value.encode() in block
    assert utf8 or report.isascii()


def test_the_fields_are_those_of_real_bounces() -> None:
    """All our fields but X-Pillarbox-Message occur in real bounces, and the fields RFC 3464 requires are there."""
    per_message: set[str] = set()
    per_recipient: set[str] = set()
    bounces = 0
    for path in sorted((need_corpus() / "bounces/sisimai").rglob("*.eml")):
        message = email.message_from_bytes(path.read_bytes())
        for part in message.walk():
            payload = part.get_payload() if part.get_content_type() == "message/delivery-status" else None
            if isinstance(payload, list) and len(payload) > 1:
                bounces += 1
                per_message |= {key.lower() for key in payload[0].keys()}  # noqa: SIM118 - a header, not a dict
                per_recipient |= {key.lower() for block in payload[1:] for key in block.keys()}  # noqa: SIM118
    assert bounces > 300
    both = (
        report(orcpt="rfc822;friend@x.example", attempted_at=1, gives_up_at=2),
        report(action=DsnAction.DEFERRED, gives_up_at=2),
    )
    original, *recipients = blocks(parsed(made(about(envid="x"), *both)))
    assert {key.lower() for key in original} - per_message <= {"x-pillarbox-message"}
    assert {key.lower() for one in recipients for key in one} <= per_recipient
    assert {"reporting-mta", "arrival-date"} <= {key.lower() for key in original}
    wanted = {"original-recipient", "final-recipient", "action", "status", "remote-mta", "diagnostic-code", "last-attempt-date"}
    assert wanted <= {key.lower() for key in recipients[0]}


def test_the_sender_is_never_longer_than_a_line() -> None:
    long = Address("l" * 250, "d" * 60 + ".example")
    check_lines(made(replace(about(), sender=long), report()))


def german_text(*reports: RecipientReport, place: Path) -> EmailMessage:
    """The DSN in the pseudo-language."""
    with pseudo_language(place):
        server = replace(FROM, language=catalogue("de"))

        async def make() -> bytes:
            original = await read_original(about(), most_severe(reports))
            return b"".join([chunk async for chunk in compose(server, IDENTITY, about(), reports, original)])

        octets = run(make())
    check_lines(octets)
    return parsed(octets)


@pytest.mark.parametrize("reason", Reason)
def test_all_that_people_read_is_in_the_language_of_who_is_told(reason: Reason, tmp_path: Path) -> None:
    told = [
        report("a@x.example", action, reason, gives_up_at=1_790_400_000, forwarded=True, orcpt="rfc822;all@home.example", reply=reply)
        for action in DsnAction
        for reply in (None, Reply(550, "5.1.1", ("1",)))
    ]
    for reports in (*((one,) for one in told), tuple(told)):
        message = german_text(*reports, place=tmp_path)
        text = " ".join(text_of(message).split()).replace("Tue, 24 Nov", "").replace("Sommergrüße", "").replace("abc123", "")
        assert is_worded(text.replace("UTC", "")), text
        assert is_worded(message["Subject"]) and "⟦" in message["From"] and message.get_payload(0)["Content-Language"] == "de"  # type: ignore[index]
        assert [one["Action"] for one in blocks(message)[1:]] == [one.outcome.action.value for one in reports]
        assert blocks(message)[0]["Arrival-Date"].startswith("Mon, 21 Sep 2026")
