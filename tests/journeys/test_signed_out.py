"""Changing or removing a password ends the sessions that used it, on all servers, and the command reports how many."""

import json
import re
from pathlib import Path

import pytest

from tests.support.server import PASSWORD, Pillarbox, new_data, on_terminal, pillarbox
from tests.support.wire import Imap, Pop3, Smtp

ADA, MARY = "ada@home.example", "mary@home.example"


@pytest.fixture
def server(tmp_path: Path) -> Pillarbox:
    return Pillarbox(new_data(tmp_path / "data", "ada", "mary"))


def app_password(server: Pillarbox, label: str) -> str:
    found = re.search(r"Password: (\S+)", on_terminal("app-password", "add", ADA, label, data=server.data))
    assert found
    return found[1]


def imap_with(server: Pillarbox, password: str) -> Imap:
    imap = Imap(server.ports["imap"], "")
    imap.ok(b"LOGIN %b %b" % (ADA.encode(), password.encode()))
    imap.ok(b"SELECT INBOX")
    return imap


def pop3_with(server: Pillarbox, password: str) -> Pop3:
    pop3 = Pop3(server.ports["pop3"], "")
    assert pop3.ask(b"USER " + ADA.encode()).startswith(b"+OK")
    assert pop3.ask(b"PASS " + password.encode()).startswith(b"+OK")
    return pop3


def signed_in(server: Pillarbox, password: str) -> Smtp:
    smtp = Smtp(server.ports["submission"])
    smtp.sign_in(ADA, password)
    return smtp


def test_removing_an_app_password_ends_its_sessions(server: Pillarbox) -> None:
    """Idle sessions, in IDLE, during DATA and with deletions pending; sessions of other passwords and accounts stay."""
    with server:
        phone = app_password(server, "phone")
        assert "never used" in pillarbox("app-password", "list", ADA, data=server.data).stdout
        with (
            imap_with(server, phone) as resting, imap_with(server, phone) as idling, signed_in(server, phone) as sending,
            signed_in(server, phone) as waiting, pop3_with(server, phone) as pop3,
            imap_with(server, PASSWORD) as own, Imap(server.ports["imap"], MARY) as other, signed_in(server, PASSWORD) as own_smtp,
        ):  # fmt: skip
            assert resting.append(b"Subject: a\r\n\r\nb\r\n").startswith(b"OK")
            idling.start(b"IDLE")
            assert idling.line().startswith((b"+ ", b"* "))
            assert sending.begin(MARY.encode(), sender=ADA.encode()).startswith(b"354")
            sending.send(b"Subject: never ends\r\n")
            listed = pillarbox("app-password", "list", ADA, data=server.data).stdout
            assert "phone  last used 2" in listed and " from 127.0.0.1 by POP3" in listed
            said = pillarbox("app-password", "remove", ADA, "phone", data=server.data).stdout
            assert "5 open sessions were signed out." in said
            for imap in (resting, idling):
                assert b"* BYE [EXPIRED] " in imap.rest()
            for smtp in (sending, waiting):
                assert smtp.rest().startswith(b"421 4.7.0 The password")
            assert pop3.rest().startswith(b"-ERR [AUTH] ")
            for stays in (own, other):
                stays.ok(b"NOOP")
            assert own_smtp.ask(b"NOOP").startswith(b"250")
            own.ok(b"SELECT INBOX")
        with Imap(server.ports["imap"], "") as again:
            assert again.run(b"LOGIN %b %b" % (ADA.encode(), phone.encode()))[1].startswith(b"NO")
        with Imap(server.ports["imap"], MARY) as mary:
            assert b"* 0 EXISTS" in mary.ok(b"SELECT INBOX")


def test_a_new_password_ends_the_sessions_of_the_old_one(server: Pillarbox) -> None:
    with server:
        phone = app_password(server, "phone")
        with imap_with(server, PASSWORD) as own, imap_with(server, phone) as by_phone, signed_in(server, PASSWORD) as smtp:
            done = pillarbox("account", "password", ADA, "--json", data=server.data, password="Another-Horse-8\n")
            assert json.loads(done.stdout)["sessions_ended"] == 2
            assert b"* BYE [EXPIRED] " in own.rest() and smtp.rest().startswith(b"421 ")
            by_phone.ok(b"NOOP")


def test_pipelined_commands_are_not_executed_after_sign_out(server: Pillarbox) -> None:
    """Pipelined commands after a long response: the session ends within a second, and the remaining ones are dropped."""
    with server:
        phone = app_password(server, "phone")
        with imap_with(server, phone) as imap, Imap(server.ports["imap"]) as own:
            own.append(b"Subject: a\r\n\r\n" + b"x" * 70 + b"\r\n" * 2_000_000)
            imap.ok(b"NOOP")
            imap.send(b"".join(b"a%d FETCH 1 BODY.PEEK[]\r\n" % number for number in range(60)) + b"z STORE 1 +FLAGS (\\Deleted)\r\n")
            assert imap.more()  # and reads no further for now
            said = pillarbox("app-password", "remove", ADA, "phone", data=server.data).stdout
            assert "1 open session was signed out." in said
            assert b"\r\nz OK" not in imap.rest()
            own.ok(b"SELECT INBOX")
            assert own.ok(b"FETCH 1 FLAGS") and not own.ok(b"SEARCH DELETED")[0].split()[2:]
