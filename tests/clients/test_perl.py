"""Mail::IMAPClient of Perl: octets and flags, SORT, THREAD, MOVE, QUOTA, ACL, and IDLE over COMPRESS=DEFLATE."""

import subprocess
from pathlib import Path

from tests.support.needs import missing, program
from tests.support.server import PASSWORD

from .conftest import ADA, AWKWARD, HOST, Served

JOURNEY = Path(__file__).with_name("mail_imapclient.pl")


def test_mail_imapclient(served: Served, tmp_path: Path) -> None:
    perl = program("perl")
    for module, package in (("Mail::IMAPClient", "libmail-imapclient-perl"), ("IO::Socket::SSL", "libio-socket-ssl-perl")):
        if subprocess.run([perl, f"-M{module}", "-e1"], capture_output=True, check=False).returncode:
            missing(module, f"apt install {package}")
    for box in ("Archive", "Trash"):
        served.empty(box)
    for number, octets in enumerate(AWKWARD):
        (tmp_path / f"{number}.eml").write_bytes(octets)
    words = [perl, str(JOURNEY), HOST, str(served.imap), str(served.authority), ADA, PASSWORD, str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    as_stored = frozenset({b"\\Flagged", b"$Work"})
    first, *others, last = served.messages("Perl renamed").values()
    assert first == (AWKWARD[0], frozenset({b"\\Answered", b"$Work"}))
    assert others == [(octets, as_stored) for octets in AWKWARD[3:]]
    assert last == (AWKWARD[0], frozenset())
    assert list(served.messages("Archive").values()) == [first]
    assert list(served.messages("Trash").values()) == [(AWKWARD[1], as_stored | {b"\\Seen"})]
