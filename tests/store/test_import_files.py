"""Files of users as messages: kinds, mailboxes of archives, and what is passed over."""

import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from appliance.mail.archive import ImportedMessage
from appliance.mail.errors import SetupError
from appliance.store.archive_files import PassedOver
from appliance.store.import_files import FileFacts, examine, steps_of

MESSAGE = b"Subject: a\n\nbody\n"
MBOX = b"From x@x.example Sun Sep  9 01:46:40 2001\nSubject: 1\n\none\n\nFrom x@x.example Sun Sep  9 01:46:41 2001\nSubject: 2\n\ntwo\n\n"


def a_zip(**entries: bytes) -> BytesIO:
    return zip_of(entries)


def zip_of(entries: dict[str, bytes]) -> BytesIO:
    out = BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, octets in entries.items():
            archive.writestr(name, octets)
    return out


def read(
    file: BytesIO, place: Path, position: str = "", mailbox: str = "", passed: PassedOver | None = None
) -> list[tuple[ImportedMessage, bytes]]:
    steps = steps_of(file, "Work.mbox", place, position, mailbox, passed or PassedOver())
    return [(step[0], b"".join(step[1])) for step in steps if step is not None]


def test_a_single_message_goes_into_the_inbox(tmp_path: Path) -> None:
    found = read(BytesIO(MESSAGE), tmp_path)
    assert [(one.mailbox, octets) for one, octets in found] == [("INBOX", b"Subject: a\r\n\r\nbody\r\n")]
    assert read(BytesIO(MESSAGE), tmp_path, found[0][0].position) == []


def test_an_mbox_file_is_a_mailbox_of_its_name(tmp_path: Path) -> None:
    found = read(BytesIO(MBOX), tmp_path)
    assert [(one.mailbox, one.internal_at) for one, _ in found] == [("Work", 1_000_000_000), ("Work", 1_000_000_001)]
    assert read(BytesIO(MBOX), tmp_path, found[0][0].position) == found[1:]


def test_a_maildir_in_any_folder_has_its_mailboxes_flags_and_keywords(tmp_path: Path) -> None:
    file = zip_of({
        "backup/Maildir/cur/1.a:2,S": MESSAGE, "backup/Maildir/.Sent.2024/new/2.b": MESSAGE, "backup/Maildir/tmp/3": MESSAGE,
        "backup/Maildir/.Sent.2024/cur/4.c;2,Fa": MESSAGE, "backup/Maildir/.Sent.2024/dovecot-keywords": b"0 $Work\n",
        "backup/Maildir/dovecot-uidlist": b"x",
    })  # fmt: skip
    found = read(file, tmp_path)
    assert [(one.mailbox, one.flags) for one, _ in found] == [
        ("INBOX", ("\\Seen",)), ("Sent/2024", ()), ("Sent/2024", ("\\Flagged", "$Work")),
    ]  # fmt: skip
    assert read(file, tmp_path, found[1][0].position) == found[2:]
    assert list(examine(file))[-1] == FileFacts("zip", 3, 3 * len(MESSAGE))


def test_mbox_files_in_an_archive_go_on_inside(tmp_path: Path) -> None:
    file = zip_of({"a/b.mbox": MBOX, "Inbox.msf": b"junk", "c.eml": MESSAGE, "notes": b"no mail", "__MACOSX/x": b"y"})
    passed = PassedOver()
    found = read(file, tmp_path, passed=passed)
    assert [one.mailbox for one, _ in found] == ["a/b", "a/b", "INBOX"]
    assert passed.count == 1 and passed.first == "notes: it is no mbox file"
    for number, (message, _) in enumerate(found, 1):
        assert read(file, tmp_path, message.position) == found[number:]
    assert {one.mailbox for one, _ in read(file, tmp_path, mailbox="Old")} == {"Old"}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["../../etc/cur/passwd:2,S", "/etc/cur/x", "..\\..\\cur\\x", "C:/cur/x"])
def test_no_name_leads_out(tmp_path: Path, name: str) -> None:
    assert len(read(zip_of({name: MESSAGE}), tmp_path)) == 1 and list(tmp_path.iterdir()) == []


def test_other_files_are_refused(tmp_path: Path) -> None:
    for octets in (b"", b"\x89PNG\r\n", b"PK\x03\x04 cut off", b"hello\nthere"):
        with pytest.raises((SetupError, OSError)):
            list(examine(BytesIO(octets)))
