"""`import` and `export`, with and without a running server."""

import imaplib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from tests.support.server import PASSWORD, Pillarbox, new_data, pillarbox

MESSAGE = b"Subject: %d\n\n" + (b"x" * 70 + b"\n") * 400
"""Some 28 kB: 35 fit into a megabyte."""


@pytest.fixture(params=["stopped", "running"])
def data(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A server with ada, and ben who has a megabyte."""
    made = new_data(tmp_path / "data", "ada")
    pillarbox("account", "add", "ben@home.example", "--quota-mb", "1", data=made, password=PASSWORD)
    with Pillarbox(made, protocols=("imap",)) if request.param == "running" else nullcontext():
        yield made


def a_maildir(root: Path, count: int) -> Path:
    for part in ("cur", "new", "tmp", ".Empty/cur"):
        (root / part).mkdir(parents=True)
    for number in range(count):
        (root / "cur" / f"{number:04d}.x:2,S").write_bytes(MESSAGE % number)
    return root


def messages(data: Path, address: str) -> dict[str, int]:
    listed = json.loads(pillarbox("mailbox", "list", address, "--json", data=data).stdout)["mailboxes"]
    return {row["name"]: row["messages"] for row in listed}


def test_a_full_mailbox_says_how_many_were_taken_in_and_goes_on_later(data: Path, tmp_path: Path) -> None:
    source = a_maildir(tmp_path / "Maildir", 60)
    done = pillarbox("import", "ben@home.example", str(source), data=data, check=False)
    stored = messages(data, "ben@home.example")["INBOX"]
    assert done.returncode == 1 and 30 <= stored <= 40, done
    assert f"The mailbox of ben@home.example is full: {stored} messages were imported" in done.stderr
    assert "continues where it stopped" in done.stderr and "Traceback" not in done.stderr
    again = pillarbox("import", "ben@home.example", str(source), data=data, check=False)
    assert again.returncode == 1 and "0 messages were imported" in again.stderr
    assert messages(data, "ben@home.example")["INBOX"] == stored


def test_what_cannot_be_read_is_counted(data: Path, tmp_path: Path) -> None:
    source = a_maildir(tmp_path / "Maildir", 3)
    secret = tmp_path / "secret"
    secret.write_bytes(b"From: root\n\nsecret\n")
    (source / "cur" / "0001.link:2,S").symlink_to(secret)
    os.mkfifo(source / "new" / "5.pipe")
    done = pillarbox("import", "ada@home.example", str(source), "--json", data=data)
    facts = json.loads(done.stdout)
    assert (facts["imported"], facts["left_out"], facts["skipped"]) == (3, 0, 2)
    assert facts["first_skipped"] == f"{source}/cur/0001.link:2,S: it is a symbolic link"
    assert messages(data, "ada@home.example")["INBOX"] == 3
    words = pillarbox("import", "ada@home.example", str(source), "--again", data=data).stdout
    assert "3 messages were imported." in words and "2 skipped" in words
    link = tmp_path / "link"
    link.symlink_to(source)
    refused = pillarbox("import", "ada@home.example", str(link), data=data, check=False)
    assert refused.returncode == 2 and "is a symbolic link" in refused.stderr and str(source) in refused.stderr


def test_everybody_is_exported_and_comes_back(data: Path, tmp_path: Path) -> None:
    long, other = "n" * 284, "N" * 284
    for name, count in (("INBOX", 1), (long, 2), (other, 1), ("a/b", 1)):
        source = a_maildir(tmp_path / "from", count)
        pillarbox("import", "ada@home.example", str(source), "--mailbox", name, "--again", data=data)
        shutil.rmtree(source)
    for form in ("mbox", "maildir"):
        done = pillarbox("export", "--all", str(tmp_path / form), "--format", form, "--json", data=data)
        assert json.loads(done.stdout) == {"exported": 5, "addresses": ["ada@home.example", "ben@home.example"]}
        assert sorted(path.name for path in (tmp_path / form).iterdir()) == ["ada@home.example", "ben@home.example"]
    for form in ("mbox", "maildir"):
        pillarbox("import", "ada@home.example", str(tmp_path / form / "ada@home.example"), "--mailbox", f"Back-{form}", data=data)
        assert messages(data, "ada@home.example")[f"Back-{form}"] == 5
    names = [path.name.casefold() for path in (tmp_path / "mbox" / "ada@home.example").iterdir()]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("export",), "ADDRESS and TARGET are missing."),
        (("export", "ada@home.example"), "TARGET is missing."),
        (("export", "--all"), "TARGET is missing."),
        (("export", "--all", "ada@home.example", "there"), "give no address"),
        (("export", "--all", "there", "--mailbox", "INBOX"), "--mailbox only one"),
        (("export", "--all", "tests"), "exists already"),
        (("import", "ada@home.example", "README.md/x"), "does not exist"),
    ],
)
def test_a_wrong_command_is_a_sentence(tmp_path_factory: pytest.TempPathFactory, words: tuple[str, ...], part: str) -> None:
    data = tmp_path_factory.getbasetemp() / "words"
    if not data.exists():
        new_data(data, "ada")
    done = pillarbox(*words, data=data, check=False)
    assert done.returncode == 2 and part in done.stderr and "Traceback" not in done.stderr


def test_names_that_are_no_utf8(data: Path, tmp_path: Path) -> None:
    """Files may have any; accounts, mailboxes and queue IDs have none."""
    source = tmp_path / os.fsdecode(b"alt-\xfc.mbox")
    source.write_bytes(b"From x Tue Jan  2 10:11:13 2024\nSubject: x\n\nx\n" * 2)
    assert "2 messages were imported" in pillarbox("import", "ada@home.example", str(source), data=data).stdout
    assert "It continued" in pillarbox("import", "ada@home.example", str(source), data=data).stdout
    assert messages(data, "ada@home.example")["alt-\\xfc"] == 2
    wrong = os.fsdecode(b"\xff")
    export = ("export", "ada@home.example", str(tmp_path / "x"), "--mailbox", wrong)
    for words in (("queue", "show", wrong), ("message", "track", wrong), export):
        done = pillarbox(*words, data=data, check=False)
        assert done.returncode == 2 and "“\\xff” is not UTF-8 text" in done.stderr, done


def test_what_is_no_archive_leaves_no_mailbox(data: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no mail")
    (tmp_path / "empty").mkdir()
    for source in ("notes.txt", "empty"):
        done = pillarbox("import", "ada@home.example", str(tmp_path / source), "--mailbox", "New", data=data, check=False)
        assert done.returncode == 2 and "New" not in messages(data, "ada@home.example"), done
    done = pillarbox("import", "ada@home.example", "", data=data, check=False)  # the current directory is named "."
    assert done.returncode == 2 and "SOURCE is missing" in done.stderr


def test_imported_mailboxes_are_subscribed_and_empty_ones_made(tmp_path: Path) -> None:
    data = new_data(tmp_path / "data", "ada")
    source = a_maildir(tmp_path / "Maildir", 1)
    (source / ".Old.Notes" / "new").mkdir(parents=True)
    (source / ".Old.Notes" / "new" / "1.x").write_bytes(b"A: 1\n\n")
    with Pillarbox(data, protocols=("imap",)) as server:
        pillarbox("import", "ada@home.example", str(source), data=data)
        with imaplib.IMAP4("127.0.0.1", server.ports["imap"]) as imap:
            imap.login("ada@home.example", PASSWORD)
            _, lines = imap.lsub()
            names = {bytes(line).rpartition(b' "/" ')[2].strip(b'"') for line in lines if isinstance(line, bytes)}
            assert {b"INBOX", b"Empty", b"Old/Notes"} <= names
            assert imap.select("Empty")[0] == "OK"
