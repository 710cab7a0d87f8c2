"""Storage full: 452 4.3.1 and NO, reading and deleting still work, nothing acknowledged is lost, mail is accepted again once there is
space."""

import imaplib
import smtplib
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import needs
from tests.support.server import PASSWORD, Pillarbox, new_data

ACCOUNT = "ada@home.example"


@pytest.fixture
def small_storage(tmp_path: Path) -> Iterator[Path]:
    needs.root()
    place = tmp_path / "storage"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(place)], check=True)
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def send(server: Pillarbox, number: int) -> tuple[int, bytes]:
    text = "\r\n".join(f"{number} {line} {(number * 7919 + line * 104729) ** 3:x}" for line in range(900))
    with smtplib.SMTP("127.0.0.1", server.ports["smtp"], "client.example", timeout=60) as smtp:
        smtp.ehlo()
        smtp.mail("b@outside.example")
        smtp.rcpt(ACCOUNT)
        return smtp.data(f"From: b@outside.example\r\nSubject: {number}\r\n\r\n{text}\r\n".encode())


def test_storage_full(small_storage: Path) -> None:
    data = new_data(small_storage / "data")
    with Pillarbox(data, protocols=("smtp", "imap"), log=small_storage.parent / "log") as server:
        kept = 0
        while True:
            try:
                code, said = send(server, kept)
            except smtplib.SMTPResponseException as refused:
                code, said = refused.smtp_code, refused.smtp_error if isinstance(refused.smtp_error, bytes) else refused.smtp_error.encode()
            if code != 250:
                break
            kept += 1
            assert kept < 2000, "storage never filled"
        assert code == 452 and b"4.3.1" in said, (code, said)
        assert kept > 20
        imap = imaplib.IMAP4("127.0.0.1", server.ports["imap"])
        imap.login(ACCOUNT, PASSWORD)
        assert imap.select()[1] == [str(kept).encode()]
        assert imap.append("INBOX", None, None, b"Subject: x\r\n\r\n" + b"y" * 5000)[0] == "NO"  # type: ignore[arg-type]
        _, found = imap.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        subjects = [part[1].strip() for part in found if isinstance(part, tuple)]
        assert subjects == [f"Subject: {n}".encode() for n in range(kept)]
        assert imap.store("1:*", "+FLAGS.SILENT", "\\Deleted")[0] == "OK"
        assert imap.expunge()[0] == "OK"
        assert imap.select()[1] == [b"0"]
        deadline = time.monotonic() + 150
        while True:
            try:
                if send(server, 1)[0] == 250:
                    break
            except smtplib.SMTPResponseException:
                pass
            assert time.monotonic() < deadline, "there is space, and still no message is accepted"
            time.sleep(1)
        assert imap.select()[1] == [b"1"]
        imap.logout()
    with Pillarbox(data, protocols=("imap",), log=small_storage.parent / "log") as server:
        imap = imaplib.IMAP4("127.0.0.1", server.ports["imap"])
        imap.login(ACCOUNT, PASSWORD)
        assert imap.select()[1] == [b"1"]
        imap.logout()
