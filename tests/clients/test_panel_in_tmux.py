"""LEDs and button without hardware, in tmux: beside a running server, and in `pillarbox run`."""

import smtplib
import sys
from pathlib import Path

import pytest

from tests.support.server import ROOT, Pillarbox, free_ports, new_data, pillarbox
from tests.support.tmux import Tmux

pytestmark = pytest.mark.clients
COMMAND = f"cd {ROOT}; {sys.executable} -m appliance"
MESSAGE = b"From: friend@far.example\r\nSubject: hello\r\n\r\nHi.\r\n"


def deliver(port: int) -> None:
    with smtplib.SMTP("127.0.0.1", port) as smtp:
        smtp.sendmail("friend@far.example", ["ada@home.example"], MESSAGE)


def test_beside_a_running_server(tmux: Tmux, tmp_path: Path) -> None:
    with Pillarbox(new_data(tmp_path / "data"), protocols=("smtp",)) as server:
        stty = f"stty -a > {tmp_path}"
        tmux.start(f"trap : INT; {stty}/before; {COMMAND} panel --simulate --data {server.data}; {stty}/after; echo left; sleep 100")
        row = tmux.shows("mail: ready").splitlines()[29]
        assert row.endswith("trouble: dark  (@) mail: ready  b press, h hold"), row
        deliver(server.ports["smtp"])
        tmux.shows("mail: arrived")
        tmux.shows("message accepted protocol=smtp")  # the log scrolls above
        assert "mail: " in tmux.screen().splitlines()[29]
        tmux.shows("mail: ready")
        tmux.keys("b")  # tries the queue, and shows the state once more
        tmux.keys("h")
        tmux.shows("stop the server? y/n")
        tmux.keys("n")
        tmux.shows("b press, h hold")
        tmux.keys("h")
        tmux.shows("stop the server? y/n")
        tmux.keys("y")  # three seconds: the server closes
        assert "mail: dark" in tmux.shows("trouble: broken")  # the server that was watched is gone
        assert server.process and server.process.wait(20) == 0
        server.start()
        tmux.shows("mail: ready")
        tmux.keys("C-c")
        tmux.shows("left")
    assert (tmp_path / "before").read_text().split() == (tmp_path / "after").read_text().split()  # lines are as wide as the terminal


def test_in_a_server_that_is_tried_out(tmux: Tmux, tmp_path: Path) -> None:
    data, port = tmp_path / "data", free_ports(1)[0]
    tmux.start(f"{COMMAND} run --data {data} --domain home.example --listen smtp=127.0.0.1:{port}; echo ended with $?; sleep 100")
    tmux.shows("(shown this once; write it down)")
    tmux.shows("mail: ready")
    pillarbox("account", "add", "ada@home.example", data=data, password="correct horse battery")
    deliver(port)
    tmux.shows("mail: arrived")
    tmux.keys("h")
    tmux.shows("The server has stopped. The plug may be pulled.")
    tmux.shows("ended with 0")


def test_a_server_that_is_tried_out_ends_with_its_terminal(tmux: Tmux, tmp_path: Path) -> None:
    data = tmp_path / "data"
    tmux.start(f"{COMMAND} run --data {data} --listen smtp=127.0.0.1:{free_ports(1)[0]}")
    tmux.shows("mail: ready")
    assert "state        ready" in pillarbox("status", data=data).stdout
    tmux.close()
    for _ in range(100):
        if "is not running" in pillarbox("status", data=data, check=False).stdout:
            return
    pytest.fail("the server still runs")
