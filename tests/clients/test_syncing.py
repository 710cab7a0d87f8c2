"""Two-way synchronization: mbsync and offlineimap."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from imapclient import IMAPClient

from tests.support.needs import program
from tests.support.server import PASSWORD

from .conftest import ADA, Served, message


@pytest.fixture(autouse=True)
def fresh(served: Served) -> None:
    served.empty()


def copies(folder: Path) -> dict[bytes, str]:
    """{octets with CRLF, without the client's own fields: Maildir flags} of a Maildir folder."""
    out = {}
    for kind in ("cur", "new"):
        for path in (folder / kind).iterdir():
            octets = b"\n".join(line for line in path.read_bytes().split(b"\n") if not line.startswith((b"X-TUID:", b"X-OfflineIMAP:")))
            out[octets.replace(b"\n", b"\r\n")] = path.name.rpartition(":2,")[2] if ":2," in path.name else ""
    return out


def change_there(served: Served, uids: list[int]) -> None:
    with IMAPClient("127.0.0.1", served.imap, ssl=False) as imap:
        imap.login(ADA, PASSWORD)
        imap.select_folder("INBOX")
        imap.add_flags(uids[0], [b"\\Seen", b"\\Flagged"])
        imap.add_flags(uids[1], [b"\\Deleted"])
        imap.expunge()
        imap.append("INBOX", message(9))


def test_mbsync_both_directions(served: Served, tmp_path: Path) -> None:
    mbsync = program("mbsync", "isync")
    uids = served.fill([message(n) for n in range(1, 6)])
    near = tmp_path / "near"
    near.mkdir()
    rc = tmp_path / "rc"
    rc.write_text(
        f"IMAPAccount a\nHost localhost\nPort {served.imaps}\nUser {ADA}\nPass {PASSWORD}\nSSLType IMAPS\n"
        f"CertificateFile {served.authority}\n\n"
        f"IMAPStore far\nAccount a\n\nMaildirStore near\nPath {near}/\nInbox {near}/INBOX\nSubFolders Verbatim\n\n"
        "Channel c\nFar :far:\nNear :near:\nPatterns *\nCreate Both\nRemove Both\nExpunge Both\nSync All\nSyncState *\n"
    )

    def run() -> None:
        done = subprocess.run([mbsync, "-c", str(rc), "c"], capture_output=True, text=True, timeout=90, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    run()
    assert set(copies(near / "INBOX")) == {message(n) for n in range(1, 6)}
    change_there(served, uids)
    mine, gone = (
        next(path for kind in ("cur", "new") for path in (near / "INBOX" / kind).iterdir() if text in path.read_bytes())
        for text in (b"end 3", b"end 4")
    )
    mine.rename(near / "INBOX" / "cur" / (mine.name.partition(":2,")[0] + ":2,RS"))
    gone.unlink()
    for kind in ("cur", "new", "tmp"):
        (near / "Projects" / kind).mkdir(parents=True)
    (near / "Projects" / "new" / "1.x.y").write_bytes(message(7).replace(b"\r\n", b"\n"))
    run()
    there = served.messages()
    assert {octets for octets, _ in there.values()} == {message(n) for n in (1, 3, 5, 9)} == set(copies(near / "INBOX"))
    flags = dict(there.values())
    assert flags[message(1)] == {b"\\Seen", b"\\Flagged"}
    assert flags[message(3)] == {b"\\Answered", b"\\Seen"}
    assert sorted(copies(near / "INBOX")[message(1)]) == ["F", "S"]
    assert [octets.replace(b"\r\n", b"\n").split(b"X-TUID")[0][:5] for octets, _ in served.messages("Projects").values()] == [b"From:"]
    before = (served.messages(), copies(near / "INBOX"))
    run()
    assert (served.messages(), copies(near / "INBOX")) == before


def test_offlineimap_both_directions(served: Served, tmp_path: Path) -> None:
    offlineimap = program("offlineimap", "offlineimap3")
    uids = served.fill([message(n) for n in range(1, 5)])
    rc = tmp_path / "rc"
    rc.write_text(
        f"[general]\naccounts = a\nmetadata = {tmp_path}/meta\nui = quiet\n\n[Account a]\nlocalrepository = l\nremoterepository = r\n\n"
        f"[Repository l]\ntype = Maildir\nlocalfolders = {tmp_path}/mail\n\n[Repository r]\ntype = IMAP\nremotehost = localhost\n"
        f"remoteport = {served.imaps}\nssl = yes\nsslcacertfile = {served.authority}\nremoteuser = {ADA}\nremotepass = {PASSWORD}\n"
        "folderfilter = lambda name: name == 'INBOX'\n"
    )

    def run() -> None:
        words = [offlineimap, "-c", str(rc), "-o"]
        done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False, env={**os.environ, "HOME": str(tmp_path)})
        assert done.returncode == 0, done.stdout + done.stderr

    run()
    box = tmp_path / "mail" / "INBOX"
    assert set(copies(box)) == {message(n) for n in range(1, 5)}
    change_there(served, uids)
    mine = next(path for kind in ("cur", "new") for path in (box / kind).iterdir() if b"end 3" in path.read_bytes())
    target = box / "cur" / (mine.name.partition(":2,")[0] + ":2,RS")
    shutil.move(mine, target)
    run()
    there = dict(served.messages().values())
    assert set(there) == {message(n) for n in (1, 3, 4, 9)} == set(copies(box))
    assert there[message(1)] == {b"\\Seen", b"\\Flagged"}
    assert there[message(3)] == {b"\\Answered", b"\\Seen"}
    before = served.messages()
    run()
    assert served.messages() == before
