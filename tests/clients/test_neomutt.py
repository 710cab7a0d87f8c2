"""neomutt in a terminal: read, flag, delete and send by keystrokes, with its default TLS and authentication."""

import re
import shutil
import time
from pathlib import Path

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


def test_a_header_cache_comes_up_to_date_by_qresync(served: Served, tmux: Tmux, tmp_path: Path) -> None:
    """What another program changed and deleted between two runs is right in the second."""
    neomutt = program("neomutt")
    served.empty()
    uids = served.fill([message(number) for number in (1, 2, 3)])
    (tmp_path / "cache").mkdir()
    rc = tmp_path / "rc"
    rc.write_text(
        f'set folder="imap://localhost:{served.imap}/"\nset spool_file="+INBOX"\nset imap_user="{ADA}"\nset imap_pass="{PASSWORD}"\n'
        f'set certificate_file="{served.authority}"\nset header_cache="{tmp_path}/cache"\nset quit=yes\nset sort=mailbox-order\n'
        "set imap_condstore=yes\nset imap_qresync=yes\nset wait_key=no\n"
    )
    shutil.copy(rc, tmp_path / ".neomuttrc")
    run = f"env HOME={tmp_path} TERM=screen {neomutt} -F {rc} -d 3 -l {tmp_path}"
    tmux.start(f"{run}/first")
    tmux.shows("Message 3")
    tmux.keys("q")
    ended(tmp_path / "first")
    with IMAPClient("127.0.0.1", served.imap, ssl=False) as imap:
        imap.login(ADA, PASSWORD)
        imap.select_folder("INBOX")
        imap.delete_messages([uids[1]], silent=True)
        imap.expunge()
        imap.add_flags([uids[2]], [b"\\Flagged"])
    served.fill([message(4)])
    second = Tmux(100, 30)
    try:
        second.start(f"{run}/second")
        second.shows("Message 4")
        lines = {number: line for line in second.screen().split("\n") for number in "1234" if f"Message {number}" in line}
        assert list(lines) == ["1", "3", "4"]
        assert "!" in lines["3"] and "!" not in lines["1"]
        second.keys("q")
        log = ended(tmp_path / "second")
    finally:
        second.close()
    assert "ENABLE QRESYNC" in log and "Handling VANISHED" in log
    assert re.search(rf"UID FETCH 1:{uids[2]} \(FLAGS\) \(CHANGEDSINCE [0-9]+ VANISHED\)", log)


def ended(log: Path) -> str:
    """The debug log of a neomutt that has ended."""
    deadline = time.monotonic() + BOUND_S
    while not (found := sorted(log.parent.glob(f"{log.name}*"))) or "Closing log" not in found[0].read_text(errors="replace"):
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
    return found[0].read_text(errors="replace")
