"""SIGTERM: idle sessions and delayed logins do not delay the shutdown; a delayed login ends with its client."""

import json
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.mail.limits import LOOK_S
from tests.support.figures import report_figure
from tests.support.server import PASSWORD, Pillarbox, new_data, pillarbox

STOP_S = 0.5


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Pillarbox]:
    with Pillarbox(new_data(tmp_path / "data")) as server:
        yield server


def opened(server: Pillarbox, protocol: str, *words: bytes) -> socket.socket:
    """A client that sent these lines and got a reply to each; it never disconnects."""
    client = socket.create_connection(("127.0.0.1", server.ports[protocol]), timeout=10)
    client.recv(4096)
    for word in words:
        client.sendall(word)
        client.recv(4096)
    return client


def sessions(server: Pillarbox) -> int:
    """How many connections the server has open."""
    shown = json.loads(pillarbox("status", "--json", data=server.data).stdout)
    return sum(row["open"] for row in shown["sessions"])


def stop(server: Pillarbox) -> float:
    assert server.process
    began = time.monotonic()
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(30) == 0
    return time.monotonic() - began


def test_idle_sessions_get_a_last_reply(server: Pillarbox) -> None:
    clients = {
        "smtp": opened(server, "smtp", b"EHLO a.example\r\n"),
        "imap": opened(server, "imap", b"a LOGIN ada@home.example %b\r\n" % PASSWORD.encode(), b"b SELECT INBOX\r\n", b"c IDLE\r\n"),
        "pop3": opened(server, "pop3", b"CAPA\r\n"),
    }
    took_s = stop(server)
    report_figure("SIGTERM with idle sessions", f"{took_s:.2f} s of {STOP_S} s")
    assert took_s < 10 * STOP_S
    assert b"421 " in clients["smtp"].recv(4096) and b"* BYE" in clients["imap"].recv(4096)


def guessing(server: Pillarbox) -> list[socket.socket]:
    """Clients with wrong passwords, of which some were refused and the others are delayed."""
    guessers = []
    for number in range(14):
        guesser = socket.create_connection(("127.0.0.1", server.ports["imap"]), timeout=10)
        guesser.sendall(b"a LOGIN ada@home.example wrong-%d\r\n" % number)
        guessers.append(guesser)
    first = guessers[0]
    said = b""
    while b"a NO" not in said:
        more = first.recv(4096)
        assert more, said
        said += more
    return guessers


def test_a_delayed_login_ends_with_its_client(server: Pillarbox) -> None:
    guessers = guessing(server)
    assert sessions(server) > 1, "some are delayed"
    for guesser in guessers:
        guesser.close()
    began = time.monotonic()
    while sessions(server):
        assert time.monotonic() - began < 10 * LOOK_S
    report_figure("delayed logins of disconnected clients end within", f"{time.monotonic() - began:.1f} s of {LOOK_S} s")
    stop(server)


def test_a_delayed_login_ends_with_the_server(server: Pillarbox) -> None:
    guessers = guessing(server)
    took_s = stop(server)
    report_figure("SIGTERM with delayed logins", f"{took_s:.2f} s of {STOP_S} s")
    assert took_s < 10 * STOP_S
    assert guessers
