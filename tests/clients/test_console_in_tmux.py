"""The console in tmux, as a user sees it: the same texts as the tests' own terminal shows, and a real server run by its keys."""

import smtplib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.panel.test_screens import GOLDEN, SCREENS
from tests.support.console import ADMIN
from tests.support.server import PASSWORD, ROOT, Pillarbox, new_data, pillarbox
from tests.support.tmux import Tmux

pytestmark = pytest.mark.clients
FETCHED = ("Clock", "> 40", "> 00", "> ada", "Listener", "> home", "SHA", "Z session", "has run")
"""What each screen shows when all of it is there."""


@pytest.fixture
def tmux() -> Iterator[Tmux]:
    shown = Tmux()
    yield shown
    shown.close()


def start(tmux: Tmux, place: Path, *words: str) -> None:
    """The console, with what the terminal was before and after it written down."""
    command = " ".join([sys.executable, "-m", "tests.support.console_program", *words])
    tmux.start(f"cd {ROOT}; stty -a > {place}/before; {command}; echo left with $?; stty -a > {place}/after; sleep 100")


def test_every_screen_as_the_golden_texts_have_it(tmux: Tmux, tmp_path: Path) -> None:
    start(tmux, tmp_path)
    tmux.becomes((GOLDEN / "overview.txt").read_text())
    for name, keys in SCREENS:
        if ADMIN[0] in keys:
            continue  # these change something; they are for the end
        tmux.keys("esc")
        tmux.shows("Overview   ")
        tmux.keys(keys[0])
        if keys[0].isdigit():
            tmux.shows(FETCHED[int(keys[0]) - 1])
        tmux.keys(*keys[1:])
        tmux.becomes((GOLDEN / f"{name}.txt").read_text())
        tmux.keys("esc")
    tmux.keys("esc", "2")
    tmux.shows("> 40")
    tmux.keys("c")
    tmux.shows("Password of ada@home.example:")
    tmux.keys(*ADMIN, "enter")
    tmux.becomes((GOLDEN / "queue-cancel.txt").read_text())
    tmux.keys("y")
    tmux.shows("The message 40 is cancelled.")
    tmux.keys("q")
    tmux.shows("left with 0")
    before, after = ((tmp_path / name).read_text() for name in ("before", "after"))
    assert before == after


def test_a_real_server_run_by_the_keys(tmux: Tmux, tmp_path: Path) -> None:
    data = new_data(tmp_path / "data", "ada")
    with Pillarbox(data, protocols=("smtp", "submission", "imap")) as server:
        with smtplib.SMTP("127.0.0.1", server.ports["submission"]) as smtp:
            smtp.ehlo()
            smtp.login("ada@home.example", PASSWORD)
            smtp.mail("ada@home.example", ["HOLDFOR=3600"])
            smtp.rcpt("bob@far.example")
            smtp.data(b"From: ada@home.example\r\nTo: bob@far.example\r\nSubject: later\r\n\r\nLater.\r\n")
        start(tmux, tmp_path, str(data))
        tmux.shows("Queue     1 waiting, 0 held")
        tmux.keys("2")
        tmux.shows("bob@far.example")
        tmux.keys("enter")
        tmux.shows("accepted from ada@home.example for bob@far.example")
        tmux.keys("esc", "h")
        tmux.shows("Password of ada@home.example:")
        tmux.keys(*ADMIN, "enter")
        tmux.shows("is held")
        tmux.shows(" held  ")
        tmux.keys("c")
        tmux.shows("It will not be sent. (y/n)")
        tmux.keys("y")
        tmux.shows("is cancelled")
        tmux.shows("Nothing waits to leave.")
        tmux.keys("4")
        tmux.shows("> ada@home.example")
        tmux.keys("a")
        tmux.shows("Address of the new account:")
        tmux.keys("eve@home.example", "enter")
        tmux.shows("Password (empty: one is generated):")
        tmux.keys("enter")
        shown = tmux.shows("Password: ")
        assert "eve@home.example was added." in shown
        tmux.keys("esc")
        tmux.shows("2 accounts")
        assert "eve@home.example" in pillarbox("account", "list", data=data).stdout
        tmux.keys("6")
        tmux.shows("> home.example")
        tmux.keys("enter")
        tmux.shows("Records of home.example")
        tmux.keys("esc", "7")
        tmux.shows("In use:")
        # live: a message from outside shows by itself
        tmux.keys("1")
        with smtplib.SMTP("127.0.0.1", server.ports["smtp"]) as smtp:
            text = b"From: friend@far.example\r\nDate: Tue, 24 Nov 2026 10:00:00 +0000\r\n\r\nHi.\r\n"
            smtp.sendmail("friend@far.example", ["ada@home.example"], text)
        tmux.shows("friend@far.example by smtp")
        server.stop()
        tmux.shows("The server does not answer.")
        tmux.keys("q")
        tmux.shows("left with 0")
