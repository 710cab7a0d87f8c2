"""DSNs and MDNs that come back for a submission: their blobs, and what they say of recipients (RFC 8621 §7)."""

from array import array
from pathlib import Path
from typing import Any

import pytest

from appliance.jmap.submission_reports import parse_groups
from appliance.store.columns import read_threads
from appliance.store.values import Placement

from .sending import ANN, SendingServer, a_sending_server

DRAFT = b"From: Ann <ann@home.test>\r\nTo: bob@far.example\r\nSubject: hello\r\nMessage-ID: <one@home.test>\r\n\r\nwords\r\n"
ENVELOPE = {"mailFrom": {"email": "ann@home.test"}, "rcptTo": [{"email": "bob@far.example"}, {"email": "Eve@far.example"}]}


def report(kind: str, about: str, *fields: str, subject: str = "Report") -> bytes:
    lines = (
        f"Subject: {subject}", "Message-ID: <r1@far.example>", f"References: {about}", "MIME-Version: 1.0",
        f'Content-Type: multipart/report; report-type={kind}; boundary="b"', "",
        "--b", "", "See below.", "", "--b",
        f"Content-Type: message/{kind}", "", *fields, "", "--b--", "",
    )  # fmt: skip
    return "\r\n".join(lines).encode()


def dsn(action: str, recipient: str, about: str = "<one@home.test>", **more: Any) -> bytes:
    fields = ("Reporting-MTA: dns; far.example", "", f"Final-Recipient: rfc822; {recipient}", f"Action: {action}", "Status: 5.1.1")
    return report("delivery-status", about, *fields, **more)


async def came(server: SendingServer, octets: bytes) -> str:
    async with server.store.receive(2**20) as incoming:
        await incoming.write(octets)
        (placed,) = await server.store.file(await incoming.finish(), [Placement(await server.store.inbox_of(ANN), b"")])
    return f"B{placed.message}"


async def state_of(server: SendingServer) -> str:
    return str((await server.call("EmailSubmission/get", ids=[]))["state"])


async def test_reports_are_listed_and_say_what_became_of_recipients(tmp_path: Path) -> None:
    async with a_sending_server(tmp_path) as server:
        one = (await server.send(await server.draft(DRAFT), envelope=ENVELOPE))["created"]["s"]["id"]
        before = await state_of(server)
        relayed = await came(server, dsn("relayed", "bob@far.example"))
        assert (await server.call("EmailSubmission/changes", sinceState=before))["updated"] == [one]
        found = await server.submission(one)
        assert found["dsnBlobIds"] == [relayed] and found["deliveryStatus"]["bob@far.example"]["delivered"] == "queued"
        failed = await came(server, dsn("failed", "eve@far.example"))
        arrived = await came(server, dsn("delivered", "bob@far.example", subject="Delivered"))
        read = await came(server, report(
            "disposition-notification", "<one@home.test>", "Original-Recipient: rfc822;bob@far.example",
            "Final-Recipient: rfc822;robert@far.example", "Disposition: manual-action/MDN-sent-manually; displayed",
        ))  # fmt: skip
        found = await server.submission(one)
        assert (found["dsnBlobIds"], found["mdnBlobIds"]) == ([relayed, failed, arrived], [read])
        status = found["deliveryStatus"]
        assert status["bob@far.example"]["delivered"] == status["bob@far.example"]["displayed"] == "yes"
        assert status["Eve@far.example"]["delivered"] == "no"
        assert status["Eve@far.example"]["displayed"] == "unknown"


def bounce(returned: str, header: str, number: int) -> bytes:
    """As Postfix makes it (`src/bounce/bounce_notify_util.c`): no field of its header names the message."""
    lines = (
        "Return-Path: <>", "Date: Sun, 29 Nov 2026 06:00:00 +0000 (UTC)", "From: MAILER-DAEMON@far.example (Mail Delivery System)",
        "Subject: Undelivered Mail Returned to Sender", "To: ann@home.test", "Auto-Submitted: auto-replied", "MIME-Version: 1.0",
        'Content-Type: multipart/report; report-type=delivery-status;', '\tboundary="4F1C.1/far.example"',
        f"Message-Id: <20261129060000.4F1C{number}@far.example>", "", "This is a MIME-encapsulated message.", "",
        "--4F1C.1/far.example", "Content-Description: Notification", "Content-Type: text/plain; charset=us-ascii", "", "I'm sorry.", "",
        "--4F1C.1/far.example", "Content-Description: Delivery report", "Content-Type: message/delivery-status", "",
        "Reporting-MTA: dns; far.example", "X-Postfix-Queue-ID: 4F1C", "X-Postfix-Sender: rfc822; ann@home.test", "",
        "Final-Recipient: rfc822; eve@far.example", "Original-Recipient: rfc822;Eve@far.example", "Action: failed", "Status: 5.1.1", "",
        "--4F1C.1/far.example", "Content-Description: Undelivered Message", f"Content-Type: {returned}", "", header, "",
        "--4F1C.1/far.example--", "",
    )  # fmt: skip
    return "\r\n".join(lines).encode()


@pytest.mark.parametrize("returned", ["message/rfc822", "text/rfc822-headers", "Text/RFC822-Headers; charset=us-ascii"])
async def test_a_report_that_only_returns_the_message_is_its_report_too(returned: str, tmp_path: Path) -> None:
    received = "".join(f"Received: from hop{number} by far.example; Sun, 29 Nov 2026 06:00:00 +0000\r\n" for number in range(9))
    async with a_sending_server(tmp_path) as server:
        one = (await server.send(await server.draft(DRAFT), envelope=ENVELOPE))["created"]["s"]["id"]
        before = await state_of(server)
        await came(server, bounce(returned, received + "Message-ID: <other@home.test>\r\nSubject: hello\r\n", 1))
        assert await state_of(server) == before
        header = received + "Subject: hello\r\nMessage-ID: <one@home.test>\r\n"
        failed, again = [await came(server, bounce(returned, header, number)) for number in (2, 3)]
        assert (await server.call("EmailSubmission/changes", sinceState=before))["updated"] == [one]
        found = await server.submission(one)
        assert found["dsnBlobIds"] == [failed, again]
        assert {name: status["delivered"] for name, status in found["deliveryStatus"].items()} == {
            "bob@far.example": "queued", "Eve@far.example": "no",
        }  # fmt: skip


async def test_thread_by_references_knows_nothing_of_a_returned_message(tmp_path: Path) -> None:
    """RFC 5256 §3 has References and In-Reply-To."""
    async with a_sending_server(tmp_path) as server:
        inbox = await server.store.inbox_of(ANN)
        async with server.store.receive(2**20) as incoming:
            await incoming.write(bounce("message/rfc822", "Message-ID: <one@home.test>\r\n", 1))
            (placed,) = await server.store.file(await incoming.finish(), [Placement(inbox, b"")])
        assert (await read_threads(server.store, inbox, array("q", [placed.uid]))).references == [()]


async def test_other_mail_is_no_report(tmp_path: Path) -> None:
    async with a_sending_server(tmp_path) as server:
        one = (await server.send(await server.draft(DRAFT), envelope=ENVELOPE))["created"]["s"]["id"]
        before = await state_of(server)
        await came(server, dsn("failed", "bob@far.example", "<other@home.test>"))
        await came(server, b"Subject: Re: hello\r\nIn-Reply-To: <one@home.test>\r\n\r\nthanks\r\n")
        assert await state_of(server) == before
        found = await server.submission(one)
        assert found["dsnBlobIds"] == found["mdnBlobIds"] == [] and found["deliveryStatus"]["bob@far.example"]["delivered"] == "queued"


@pytest.mark.parametrize(
    ("text", "groups"),
    [
        ("A: 1\r\n\r\nB: 2\r\n three\r\nb: 4\r\n", [{"a": "1"}, {"b": "2 three"}]),
        ("", [{}]),
        ("no field\n\n: x", [{}, {"": "x"}]),
    ],
)
def test_groups_of_fields(text: str, groups: list[dict[str, str]]) -> None:
    assert list(parse_groups(text)) == groups
