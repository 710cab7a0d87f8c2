"""neomutt in a terminal: read, flag, delete and send by keystrokes, with its default TLS and authentication. QRESYNC and
COMPRESS=DEFLATE of neomutt and mutt."""

import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from imapclient import IMAPClient

from tests.support.needs import program
from tests.support.server import PASSWORD
from tests.support.tmux import Tmux

from .conftest import ADA, BEN, Served, message

BOUND_S = 30


def test_read_flag_delete_and_send(served: Served, tmux: Tmux, tmp_path: Path) -> None:
    neomutt = program("neomutt")
    served.empty()
    served.empty(account=BEN)
    served.fill([message(1), message(2), message(3)])
    rc = tmp_path / "rc"
    rc.write_text(
        f'set folder="imap://localhost:{served.imap}/"\nset spool_file="+INBOX"\nset imap_user="{ADA}"\nset imap_pass="{PASSWORD}"\n'
        f'set certificate_file="{served.authority}"\n'
        f'set smtp_url="smtp://{ADA.replace("@", "%40")}@localhost:{served.submission}/"\nset smtp_pass="{PASSWORD}"\n'
        f'set from="{ADA}"\nset realname="Ada"\nset use_from=yes\nset delete=yes\nset quit=yes\nset mail_check=1\n'
        'set editor="true"\nset abort_unmodified=no\nset record=""\nset sort=mailbox-order\nset wait_key=no\nset header_cache=""\n'
        "set confirm_append=no\n"
    )
    shutil.copy(rc, tmp_path / ".neomuttrc")
    tmux.start(f"env HOME={tmp_path} TERM=screen {neomutt} -F {rc}")
    tmux.shows("Message 3")
    tmux.keys("1", "enter", "enter")
    tmux.shows("end 1")
    tmux.keys("i")
    tmux.shows("Message 3")
    tmux.keys("2", "enter", "F")
    tmux.keys("3", "enter", "d")
    tmux.keys("$")
    deadline = time.monotonic() + BOUND_S
    while len(there := served.messages()) != 2 or not any(b"\\Flagged" in flags for _, flags in there.values()):
        assert time.monotonic() < deadline, there
        time.sleep(0.1)
    flags = dict(there.values())
    assert b"\\Seen" in flags[message(1)]
    assert b"\\Flagged" in flags[message(2)]
    tmux.keys("m")
    tmux.shows("To:")
    tmux.keys(BEN, "enter")
    tmux.shows("Subject:")
    tmux.keys("From the keys", "enter")
    tmux.shows("y:Send")
    tmux.keys("y")
    deadline = time.monotonic() + BOUND_S
    while not (sent := served.messages(account=BEN)):
        assert time.monotonic() < deadline, tmux.screen()
        time.sleep(0.1)
    assert b"Subject: From the keys" in next(iter(sent.values()))[0]
    tmux.keys("q")


@pytest.mark.parametrize(("name", "ends"), [("neomutt", "Closing log"), ("mutt", "LOGOUT")])
def test_a_header_cache_comes_up_to_date_by_qresync(served: Served, tmux: Tmux, tmp_path: Path, name: str, ends: str) -> None:
    """What another program changed and deleted between two runs is right in the second. The connection is compressed where the
    program can: mutt, and neomutt where it is built with zlib (Debian 12 builds it without)."""
    mutt = program(name)
    deflates = "imap_deflate" in subprocess.run([mutt, "-D"], capture_output=True, text=True, timeout=60, check=True).stdout
    assert deflates or name == "neomutt"
    served.empty()
    uids = served.fill([message(number) for number in (1, 2, 3)])
    rc = tmp_path / "rc"
    rc.write_text(
        f'set folder="imap://localhost:{served.imap}/"\nset {"spool_file" if name == "neomutt" else "spoolfile"}="+INBOX"\n'
        f'set imap_user="{ADA}"\nset imap_pass="{PASSWORD}"\nset quit=yes\nset sort=mailbox-order\nset wait_key=no\n'
        f'set certificate_file="{served.authority}"\nset header_cache="{tmp_path}/cache"\nset imap_condstore=yes\nset imap_qresync=yes\n'
        + ("set imap_deflate=yes\n" if deflates else "")
    )
    for directory in ("cache", "first", "second"):
        (tmp_path / directory).mkdir()

    def command(run: str) -> str:
        home = tmp_path / run
        return f"env HOME={home} TERM=screen {mutt} -n -F {rc} -d 3" + f" -l {home}/log" * (name == "neomutt")

    tmux.start(command("first"))
    tmux.shows("Message 3")
    tmux.keys("q")
    ended(tmp_path / "first", ends)
    with IMAPClient("127.0.0.1", served.imap, ssl=False) as imap:
        imap.login(ADA, PASSWORD)
        imap.select_folder("INBOX")
        imap.delete_messages([uids[1]], silent=True)
        imap.expunge()
        imap.add_flags([uids[2]], [b"\\Flagged"])
    served.fill([message(4)])
    second = Tmux(100, 30)
    try:
        second.start(command("second"))
        second.shows("Message 4")
        lines = {number: line for line in second.screen().split("\n") for number in "1234" if f"Message {number}" in line}
        assert list(lines) == ["1", "3", "4"]
        assert "!" in lines["3"] and "!" not in lines["1"]
        second.keys("q")
        log = ended(tmp_path / "second", ends)
    finally:
        second.close()
    assert "ENABLE QRESYNC" in log and "Handling VANISHED" in log
    assert re.search(rf"UID FETCH 1:{uids[2]} \(FLAGS\) \(CHANGEDSINCE [0-9]+ VANISHED\)", log)
    assert ("COMPRESS DEFLATE" in log) == deflates


def ended(home: Path, ends: str) -> str:
    """The debug log of a program that has ended, or is about to: .muttdebug0, or log0 and up."""
    deadline = time.monotonic() + BOUND_S
    while not (found := sorted(home.glob("*[0-9]"))) or ends not in found[0].read_text(errors="replace"):
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
    return found[0].read_text(errors="replace")
