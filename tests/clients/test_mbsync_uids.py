"""mbsync's state file: every pair of UIDs is the same message with the same flags on both sides, and stays so."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.support.needs import program
from tests.support.server import PASSWORD

from .conftest import ADA, Served, message

FLAGS = {"D": b"\\Draft", "F": b"\\Flagged", "R": b"\\Answered", "S": b"\\Seen", "T": b"\\Deleted"}


@pytest.fixture(autouse=True)
def fresh(served: Served) -> None:
    served.empty()


def near_by_uid(folder: Path) -> dict[int, tuple[bytes, frozenset[bytes]]]:
    found = {}
    for path in [*(folder / "cur").iterdir(), *(folder / "new").iterdir()]:
        uid = re.search(r",U=(\d+)", path.name)
        assert uid, path.name
        flags = frozenset(FLAGS[flag] for flag in path.name.partition(":2,")[2])
        found[int(uid[1])] = (path.read_bytes().replace(b"\n", b"\r\n"), flags)
    return found


def pairs(folder: Path) -> dict[int, int]:
    """Server UID to local UID, from mbsync's state file."""
    _, _, rows = (folder / ".mbsyncstate").read_text().partition("\n\n")
    return {int(row.split()[0]): int(row.split()[1]) for row in rows.splitlines()}


def test_pairs_of_uids_are_the_same_messages(served: Served, tmp_path: Path) -> None:
    mbsync = program("mbsync", "isync")
    seen = served.fill([message(1), message(2)], flags=("\\Seen",))
    plain = served.fill([message(3)])
    near = tmp_path / "INBOX"
    rc = tmp_path / "rc"
    rc.write_text(
        f"IMAPAccount a\nHost localhost\nPort {served.imap}\nUser {ADA}\nPass {PASSWORD}\nSSLType STARTTLS\n"
        f"CertificateFile {served.authority}\n\nIMAPStore far\nAccount a\n\nMaildirStore near\nPath {tmp_path}/\nInbox {near}\n\n"
        "Channel c\nFar :far:\nNear :near:\nCreate Both\nExpunge Both\nSync All\nSyncState *\n"
    )

    def run() -> None:
        done = subprocess.run([mbsync, "-c", str(rc), "c"], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    def agree(count: int) -> dict[int, int]:
        there, here, noted = served.messages(), near_by_uid(near), pairs(near)
        assert len(noted) == len(there) == len(here) == count
        assert set(noted) == set(there) and set(noted.values()) == set(here)
        for far_uid, near_uid in noted.items():
            assert there[far_uid][1] == here[near_uid][1]
            assert without_tuid(there[far_uid][0]) == without_tuid(here[near_uid][0])
        return noted

    run()
    first = agree(3)
    assert set(first) == {*seen, *plain}
    (near / "cur" / "1.mine.here:2,FS").write_bytes(message(4).replace(b"\r\n", b"\n"))
    (gone,) = [path for path in near.glob("*/*") if path.is_file() and f",U={first[seen[0]]}:" in path.name]
    gone.unlink()
    run()
    second = agree(3)
    assert second.keys() - first.keys() == {max(plain) + 1}, "the local message got the next UID on the server"
    assert first.keys() - second.keys() == {seen[0]}
    assert served.messages()[max(plain) + 1][1] == {b"\\Flagged", b"\\Seen"}
    run()
    assert agree(3) == second


def without_tuid(octets: bytes) -> bytes:
    """mbsync adds a field of its own to the messages it appends."""
    return re.sub(rb"(?m)^X-TUID: [^\r\n]*\r\n", b"", octets)
