"""DSNs and MDNs that come back for a submission: their blobs, and what they say of recipients (RFC 8621 §7)."""

from pathlib import Path
from typing import Any

import pytest

from appliance.jmap.submission_reports import parse_groups
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
