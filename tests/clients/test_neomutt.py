"""neomutt in a terminal: read, flag, delete and send by keystrokes, with its default TLS and authentication."""

import shutil
import time
from pathlib import Path

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
