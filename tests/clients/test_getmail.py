"""getmail: IMAP with its flags, copies and IDLE, and POP3, into a Maildir. It refuses to deliver as root, who runs it as nobody here."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from email import message_from_bytes
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.support.needs import program
from tests.support.server import PASSWORD

from .conftest import ADA, AWKWARD, HOST, Served, message

BOUND_S = 120
NOBODY = 65534
AS: dict[str, Any] = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}


class Getmail:
    """One account of getmail, in a directory of its own."""

    def __init__(self, served: Served, place: Path) -> None:
        self.served, self.place = served, place
        self.words = [program("getmail", "getmail6"), f"--getmaildir={place}"]
        for kind in ("cur", "new", "tmp"):
            (place / "mail" / kind).mkdir(parents=True)
        shutil.copy(served.authority, place / "authority.pem")
        if AS:
            for path in (place, *place.rglob("*")):
                os.chown(path, NOBODY, NOBODY)

    def configure(self, retriever: str, lines: str = "", options: str = "") -> None:
        protocol, own = ("pop3s", "") if "POP3" in retriever else ("imaps", "record_mailbox = false\n")
        (self.place / "getmailrc").write_text(
            f"[retriever]\ntype = {retriever}\nserver = {HOST}\nport = {getattr(self.served, protocol)}\nusername = {ADA}\n"
            f"password = {PASSWORD}\nca_certs = {self.place}/authority.pem\n{own}{lines}\n"
            f"[destination]\ntype = Maildir\npath = {self.place}/mail/\n"
            f"[options]\nreceived = false\ndelivered_to = false\n{options}\n"
        )

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "HOME": str(self.place)}

    def run(self) -> None:
        about = {"env": self.environment, "capture_output": True, "text": True, "timeout": BOUND_S, **AS}
        done = subprocess.run(self.words, check=False, **about)
        assert done.returncode == 0, done.stdout + done.stderr

    def got(self) -> list[bytes]:
        """The messages, in no order, without the Return-Path that getmail puts in front."""
        return [path.read_bytes().partition(b"\n")[2].replace(b"\n", b"\r\n") for path in (self.place / "mail/new").iterdir()]


@pytest.fixture
def getmail(served: Served) -> Iterator[Getmail]:
    served.empty()
    served.empty("Archive")
    with TemporaryDirectory(prefix="pillarbox-getmail-") as place:
        yield Getmail(served, Path(place))


def test_imap_leaves_no_trace_and_fetches_new_messages_only(getmail: Getmail) -> None:
    getmail.served.fill([message(1), message(2)], flags=("\\Flagged",))
    getmail.served.fill([message(3)], "Archive")
    before = getmail.served.messages(), getmail.served.messages("Archive")
    getmail.configure("SimpleIMAPSSLRetriever", 'mailboxes = ("INBOX", "Archive")', "read_all = false")
    getmail.run()
    assert sorted(getmail.got()) == [message(1), message(2), message(3)]
    assert (getmail.served.messages(), getmail.served.messages("Archive")) == before
    getmail.served.fill([message(4)])
    getmail.run()
    assert sorted(getmail.got()) == [message(number) for number in (1, 2, 3, 4)]


def test_awkward_bodies_arrive_as_they_are(getmail: Getmail) -> None:
    """Of header fields getmail folds long ones anew, and it completes multiparts that are cut; bodies of one part stay."""
    whole = [octets for octets in AWKWARD if b"\r\n\r\n" in octets and message_from_bytes(octets).get_content_maintype() == "text"]
    assert len(whole) >= 7
    getmail.served.fill(whole)
    getmail.configure("SimpleIMAPSSLRetriever")
    getmail.run()
    assert sorted(body(octets) for octets in getmail.got()) == sorted(body(octets) for octets in whole)


def body(octets: bytes) -> bytes:
    """Without a line end at the end, which not every message has."""
    return octets.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n")


def test_imap_marks_what_it_fetched(getmail: Getmail) -> None:
    getmail.served.fill([message(1)], flags=("\\Seen", "\\Answered"))
    getmail.served.fill([message(2)])
    getmail.configure("SimpleIMAPSSLRetriever", "imap_search = UNSEEN\nimap_on_delete = (\\Seen \\Flagged)", "delete = true")
    getmail.run()
    assert getmail.got() == [message(2)]
    assert list(getmail.served.messages().values()) == [
        (message(1), frozenset({b"\\Seen", b"\\Answered"})),
        (message(2), frozenset({b"\\Seen", b"\\Flagged"})),
    ]


def test_imap_moves_what_it_fetched(getmail: Getmail) -> None:
    getmail.served.fill([message(1), message(2)], flags=("\\Flagged",))
    getmail.configure("SimpleIMAPSSLRetriever", "move_on_delete = Archive", "delete = true")
    getmail.run()
    assert sorted(getmail.got()) == [message(1), message(2)]
    assert not getmail.served.messages()
    assert list(getmail.served.messages("Archive").values()) == [(message(n), frozenset({b"\\Flagged"})) for n in (1, 2)]


def test_pop3_fetches_and_deletes(getmail: Getmail) -> None:
    getmail.served.fill([message(1), message(2)])
    getmail.configure("SimplePOP3SSLRetriever", options="delete = true")
    getmail.run()
    assert sorted(getmail.got()) == [message(1), message(2)]
    assert not getmail.served.messages()


def test_idle_fetches_what_arrives(getmail: Getmail) -> None:
    getmail.configure("SimpleIMAPSSLRetriever", options="read_all = false\nverbose = 2")
    log = getmail.place / "log"
    with log.open("wb") as out:
        idling = subprocess.Popen([*getmail.words, "--idle=INBOX"], stdout=out, stderr=out, env=getmail.environment, **AS)
    try:
        deadline = time.monotonic() + BOUND_S
        number = 0
        while not getmail.got():  # the first may come before IDLE has begun, getmail sees only what changes afterwards
            number += 1
            getmail.served.fill([message(number)])
            time.sleep(0.5)
            assert idling.poll() is None and time.monotonic() < deadline, log.read_text()
        assert message(1) in getmail.got()
    finally:
        idling.kill()
        idling.wait(30)
