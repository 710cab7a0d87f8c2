"""neomutt in a terminal: read, flag, delete and send, as a person at the keys would."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.conftest import ADA, BEN, Served, letter
from tests.support.house import PASSWORD
from tests.support.needs import program

BOUND_S = 30


class Terminal:
    def __init__(self, place: Path) -> None:
        self.tmux = [program("tmux"), "-L", f"pillarbox-{os.getpid()}", "-f", "/dev/null"]
        self.place = place

    def run(self, *words: str) -> str:
        return subprocess.run([*self.tmux, *words], capture_output=True, text=True, timeout=20, check=False).stdout

    def start(self, command: str) -> None:
        self.run("new-session", "-d", "-x", "100", "-y", "30", command)

    def keys(self, *keys: str) -> None:
        self.run("send-keys", *keys)

    def shows(self, text: str) -> str:
        """Wait until the screen holds a text."""
        deadline = time.monotonic() + BOUND_S
        while text not in (screen := self.run("capture-pane", "-p")):
            assert time.monotonic() < deadline, f"{text!r} never came:\n{screen}"
            time.sleep(0.05)
        return screen


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    shown = Terminal(tmp_path)
    yield shown
    shown.run("kill-server")


def test_read_flag_delete_and_send(served: Served, terminal: Terminal, tmp_path: Path) -> None:
    neomutt = program("neomutt")
    served.empty()
    served.empty(person=BEN)
    served.fill([letter(1), letter(2), letter(3)])
    rc = tmp_path / "rc"
    rc.write_text(
        f'set folder="imap://127.0.0.1:{served.imap}/"\nset spool_file="+INBOX"\nset imap_user="{ADA}"\nset imap_pass="{PASSWORD}"\n'
        "set ssl_starttls=no\nset ssl_force_tls=no\n"
        f'set smtp_url="smtp://{ADA.replace("@", "%40")}:{PASSWORD}@127.0.0.1:{served.submission}/"\n'
        f'set from="{ADA}"\nset realname="Ada"\nset use_from=yes\nset delete=yes\nset quit=yes\nset mail_check=1\n'
        'set editor="true"\nset abort_unmodified=no\nset record=""\nset sort=mailbox-order\nset wait_key=no\nset header_cache=""\n'
        'set confirm_append=no\nset smtp_authenticators="plain"\n'
    )
    shutil.copy(rc, tmp_path / ".neomuttrc")
    terminal.start(f"env HOME={tmp_path} TERM=screen {neomutt} -F {rc}")
    terminal.shows("Letter 3")
    terminal.keys("1", "Enter", "Enter")
    terminal.shows("end 1")
    terminal.keys("i")
    terminal.shows("Letter 3")
    terminal.keys("2", "Enter", "F")
    terminal.keys("3", "Enter", "d")
    terminal.keys("$")
    deadline = time.monotonic() + BOUND_S
    while len(there := served.letters()) != 2 or not any(b"\\Flagged" in marks for _, marks in there.values()):
        assert time.monotonic() < deadline, there
        time.sleep(0.1)
    flags = dict(there.values())
    assert b"\\Seen" in flags[letter(1)]
    assert b"\\Flagged" in flags[letter(2)]
    terminal.keys("m")
    terminal.shows("To:")
    terminal.keys(BEN, "Enter")
    terminal.shows("Subject:")
    terminal.keys("From the keys", "Enter")
    terminal.shows("y:Send")
    terminal.keys("y")
    deadline = time.monotonic() + BOUND_S
    while not (sent := served.letters(person=BEN)):
        assert time.monotonic() < deadline, terminal.run("capture-pane", "-p")
        time.sleep(0.1)
    assert b"Subject: From the keys" in next(iter(sent.values()))[0]
    terminal.keys("q")
