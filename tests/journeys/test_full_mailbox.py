"""A mailbox over quota on a running server: other recipients are not delayed, its owner can delete and still gets bounces."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.neighbours import Neighbours
from tests.support.server import PASSWORD, pillarbox
from tests.support.wire import Imap, Smtp

MB = 1_000_000
BODY = b"Subject: %b\r\n\r\n" + (b"y" * 70 + b"\r\n") * 100
"""Larger than what is left of the full quota."""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Neighbours]:
    """Ada has no quota, Carl has 1 MB with 2 kB left; both are in the alias family@."""
    with Neighbours(tmp_path) as world:
        pillarbox("account", "add", "carl@home.example", "--quota-mb", "1", data=world.data, password=PASSWORD)
        for who in ("ada", "carl"):
            pillarbox("alias", "add", "family@home.example", f"{who}@home.example", data=world.data)
        with world.server:
            with Imap(world.server.ports["imap"], "carl@home.example") as imap:
                octets = MB - 2000
                imap.send(b"a1 APPEND Archive {%d+}\r\nSubject: fill\r\n\r\n%b\r\n" % (octets, b"x" * (octets - 17)))
                assert b"a1 OK" in until_tagged(imap, b"a1")
            yield world


def until_tagged(imap: Imap, tag: bytes) -> bytes:
    said = b""
    while not said.startswith(tag):
        said = imap.line()
        assert said
    return said


def subjects(world: Neighbours, who: str) -> list[bytes]:
    with Imap(world.server.ports["imap"], f"{who}@home.example", select="INBOX") as imap:
        rows = imap.ok(b"UID FETCH 1:* BODY.PEEK[HEADER.FIELDS (SUBJECT DELIVERED-TO)]")
        return [line for row in rows for line in row.split(b"\r\n") if line.lower().startswith((b"subject", b"delivered-to"))]


def make_room(world: Neighbours) -> None:
    """As a client without MOVE does: COPY to Trash, STORE, EXPUNGE; then empty Trash."""
    with Imap(world.server.ports["imap"], "carl@home.example", select="Archive") as imap:
        full = imap.run(b"COPY 1 Drafts")[1]
        assert b"NO [OVERQUOTA]" in full and b"copying to Trash" in full
        imap.ok(b"COPY 1 Trash")
        imap.ok(rb"STORE 1 +FLAGS (\Deleted)")
        imap.ok(b"EXPUNGE")
        imap.ok(b"SELECT Trash")
        imap.ok(rb"STORE 1 +FLAGS (\Deleted)")
        imap.ok(b"EXPUNGE")


@pytest.mark.parametrize("to", [(b"ada@home.example", b"carl@home.example"), (b"family@home.example",)], ids=["two", "group"])
def test_delivery_to_the_full_mailbox_is_delayed_and_to_the_other_is_not(world: Neighbours, to: tuple[bytes, ...]) -> None:
    with Smtp(world.server.ports["smtp"]) as smtp:
        assert smtp.deliver(BODY % b"for both", *to).startswith(b"250")
    assert b"Subject: for both" in subjects(world, "ada") and not subjects(world, "carl")
    world.until(lambda: any("mailbox is full" in str(row) for row in world.ask("queue", "list")["messages"]))
    make_room(world)
    world.until(lambda: b"Subject: for both" in subjects(world, "carl"))
    world.until(lambda: world.ask("queue", "list")["messages"] == [])
    assert subjects(world, "ada").count(b"Subject: for both") == 1
    assert b"Delivered-To: carl@home.example" in subjects(world, "carl")


def test_over_quota_is_refused_at_rcpt_for_that_recipient_only(world: Neighbours) -> None:
    with Smtp(world.server.ports["smtp"]) as smtp:
        assert smtp.ask(b"MAIL FROM:<s@elsewhere.example> SIZE=9000").startswith(b"250")
        assert smtp.ask(b"RCPT TO:<carl@home.example>").startswith(b"452 4.2.2")
        assert smtp.ask(b"RCPT TO:<ada@home.example>").startswith(b"250")
        assert smtp.ask(b"RCPT TO:<family@home.example>").startswith(b"250"), "an alias with a member who has space"
    with Smtp(world.server.ports["smtp"]) as smtp:
        assert smtp.deliver(BODY % b"alone", b"carl@home.example").startswith(b"452 4.2.2")
    assert not subjects(world, "carl") and world.ask("queue", "list")["messages"] == []


def test_the_owner_of_a_full_mailbox_still_gets_bounces(world: Neighbours) -> None:
    world.peer("far.example", script={"RCPT": "550 5.1.1 no such user here"})
    world.send("nobody@far.example", sender="carl")
    world.until(lambda: any(b"Subject: " in line for line in subjects(world, "carl")))


def test_a_message_delayed_over_quota_arrives_complete(world: Neighbours) -> None:
    """The queue entry then has the last reference to the body: the body must outlive the entry when it is delivered."""
    with Smtp(world.server.ports["smtp"]) as smtp:
        assert smtp.deliver(BODY % b"small", b"ada@home.example", b"carl@home.example").startswith(b"250")
    with Imap(world.server.ports["imap"], "ada@home.example", select="INBOX") as imap:
        imap.ok(rb"STORE 1 +FLAGS (\Deleted)")
        imap.ok(b"EXPUNGE")
    make_room(world)
    world.until(lambda: b"Subject: small" in subjects(world, "carl"))
    with Imap(world.server.ports["imap"], "carl@home.example", select="INBOX") as imap:
        (row,) = [row for row in imap.ok(b"FETCH 1 BODY.PEEK[TEXT]") if b"BODY[TEXT]" in row]
        assert row.count(b"y" * 70) == 100
