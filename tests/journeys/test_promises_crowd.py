"""Many, slow and non-reading clients, and no file descriptors left: other clients are served, memory and CPU stay bounded."""

import contextlib
import os
import resource
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.figures import report_figure
from tests.support.server import Pillarbox, new_data
from tests.support.wire import Imap, Pop3, Smtp, Wire, cpu_s, eventually, memory_octets, message

MIB = 2**20
SERVED_S = 5.0
"""Promise 3."""
GROWTH_OCTETS = 48 * MIB
CONNECTIONS = 500
SLOW = 100
PORTS = ("smtp", "submission", "imap", "pop3")


@pytest.fixture(autouse=True)
def many_files() -> Iterator[None]:
    """This process has the other ends of all connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def served_s(server: Pillarbox, name: str) -> float:
    """Seconds to send a message by SMTP and read it by IMAP and POP3."""
    since = time.monotonic()
    with Smtp(server.ports["smtp"]) as smtp:
        assert smtp.deliver(message(name)).startswith(b"250")
    with Imap(server.ports["imap"], select="INBOX") as imap:
        assert any(name.encode() in line for line in imap.ok(b"FETCH * (UID ENVELOPE)"))
    with Pop3(server.ports["pop3"]) as pop3:
        assert pop3.ask(b"STAT").startswith(b"+OK")
    return time.monotonic() - since


def source(number: int) -> str:
    return f"127.0.{1 + number // 50}.{1 + number % 50}"


def test_five_hundred_connections(server: Pillarbox) -> None:
    """400 silent connections and 100 that send an octet now and then, from ten networks."""
    served_s(server, "before")
    before = memory_octets(server.pid)
    crowd = [Wire(server.ports[PORTS[number % 4]], source=source(number)) for number in range(CONNECTIONS)]
    over = threading.Event()

    def trickle() -> None:
        while not over.wait(0.2):
            for slow in crowd[:SLOW]:
                with contextlib.suppress(OSError):
                    slow.socket.send(b"E")

    trickling = threading.Thread(target=trickle)
    trickling.start()
    try:
        assert eventually(lambda: sum(1 for _ in Path(f"/proc/{server.pid}/fd").iterdir()) > CONNECTIONS), "not all of them were accepted"
        took = max(served_s(server, f"meanwhile-{number}") for number in range(3))
        growth = memory_octets(server.pid) - before
    finally:
        over.set()
        trickling.join()
        for one in crowd:
            one.close()
    report_figure("served among 500 connections, 100 of them slow, 5 s", f"{took:.2f} s")
    report_figure("memory grown by 500 connections, 48 MiB", f"{growth / MIB:.1f} MiB")
    assert took < 10 * SERVED_S
    assert growth < GROWTH_OCTETS


def test_slow_senders(server: Pillarbox) -> None:
    """50 messages that trickle in (slowloris in DATA and in a literal) delay nobody else and take little memory."""
    before = memory_octets(server.pid)
    smtp = [Smtp(server.ports["smtp"], source=source(number)) for number in range(25)]
    imap = [Imap(server.ports["imap"]) for _ in range(25)]
    try:
        for number, one in enumerate(smtp):
            assert one.begin(b"ada@home.example").startswith(b"354"), number
            one.send(message("slow"))
        for other in imap:
            other.send(b"a APPEND INBOX {90000000+}\r\n" + message("slow"))
        for _ in range(5):
            for each in (*smtp, *imap):
                each.send(b"x")
            time.sleep(0.1)
        took = served_s(server, "during-slow-messages")
        growth = memory_octets(server.pid) - before
    finally:
        for each in (*smtp, *imap):
            each.close()
    report_figure("served while 50 messages trickle in, 5 s", f"{took:.2f} s, memory +{growth / MIB:.1f} MiB")
    assert took < 10 * SERVED_S
    assert growth < GROWTH_OCTETS


def test_clients_that_never_read(server: Pillarbox) -> None:
    """Ten sessions request 40 MiB each and read none of it: the server buffers little and serves others."""
    with Imap(server.ports["imap"]) as imap:
        imap.ok(b"CREATE Large")
        line = b"x" * 70 + b"\r\n"
        for number in range(4):
            assert imap.append(message(f"large-{number}", line * 140_000), mailbox=b"Large").startswith(b"OK")
    before = memory_octets(server.pid)
    stuck = [Imap(server.ports["imap"], select="Large") for _ in range(10)]
    popping = Pop3(server.ports["pop3"], "mary@home.example")
    try:
        for one in stuck:
            one.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            one.start(b"FETCH 1:* BODY.PEEK[]")
        time.sleep(1)
        took = served_s(server, "during-deaf-clients")
        growth = memory_octets(server.pid) - before
    finally:
        for one in stuck:
            one.close()
        popping.close()
    report_figure("served while ten clients do not read 40 MiB each, 5 s", f"{took:.2f} s, memory +{growth / MIB:.1f} MiB")
    assert took < 10 * SERVED_S
    assert growth < GROWTH_OCTETS


def test_pipelining_clients_that_read_no_responses(server: Pillarbox) -> None:
    """Back-pressure: the server stops reading from a client that sends commands and reads no responses."""
    before = memory_octets(server.pid)
    pushing = [Wire(server.ports[port], source=source(number)) for number, port in enumerate(PORTS * 3)]
    words = {"imap": b"a CAPABILITY\r\n", "pop3": b"CAPA\r\n", "smtp": b"EHLO x\r\n", "submission": b"EHLO x\r\n"}

    def push(number: int) -> None:
        pushing[number].socket.settimeout(0.5)
        with contextlib.suppress(OSError):
            for _ in range(200):
                pushing[number].socket.send(words[PORTS[number % 4]] * 5000)

    try:
        with ThreadPoolExecutor(len(pushing)) as executor:
            list(executor.map(push, range(len(pushing))))
        growth = memory_octets(server.pid) - before
        took = served_s(server, "during-pushers")
    finally:
        for one in pushing:
            one.close()
    report_figure("served while twelve clients push commands and read nothing, 5 s", f"{took:.2f} s, memory +{growth / MIB:.1f} MiB")
    assert took < 10 * SERVED_S
    assert growth < GROWTH_OCTETS


def test_a_client_that_stops_reading_does_not_grow_the_wal(server: Pillarbox) -> None:
    """The write-ahead log does not grow while 20,000 messages arrive and a client has stopped reading inside FETCH 1:*."""

    def wal_octets() -> int:
        return (server.data / "pillarbox.db-wal").stat().st_size

    with Imap(server.ports["imap"]) as imap:
        imap.ok(b"CREATE Still")
        for _ in range(4):
            some = [message(f"still-{number}", b"x" * 1000 + b"\r\n") for number in range(500)]
            assert imap.append(*some, mailbox=b"Still").startswith(b"OK")
        first = wal_octets()
        with Imap(server.ports["imap"], select="Still") as still:
            still.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            still.start(b"FETCH 1:* (UID FLAGS ENVELOPE BODYSTRUCTURE BODY.PEEK[])")
            still.socket.recv(2000)
            since, most = time.monotonic(), first
            for batch in range(40):
                said = imap.append(*[message(f"arriving-{batch}-{number}") for number in range(500)], mailbox=b"Still")
                assert said.startswith(b"OK"), said
                most = max(most, wal_octets())
            took = time.monotonic() - since
            assert sum(1 for _ in still.socket.recv(1000)), "the client that stopped reading was disconnected"
    report_figure(
        "20,000 messages while a client has stopped reading in FETCH", f"{took:.1f} s, log {first / MIB:.2f} -> {most / MIB:.2f} MiB"
    )
    assert most == first


def test_out_of_file_descriptors(tmp_path: Path) -> None:
    """No descriptor is left: connected clients are served, the server does not spin, and new clients are served once some are free."""
    with Pillarbox(new_data(tmp_path / "data")) as server:
        with Imap(server.ports["imap"], select="INBOX") as inside:
            used = max(int(name) for name in os.listdir(f"/proc/{server.pid}/fd"))
            resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (used + 4, used + 4))
            waiting = [Wire(server.ports[PORTS[number % 4]], source=source(number)) for number in range(60)]
            time.sleep(0.5)
            since_s, since_cpu = time.monotonic(), cpu_s(server.pid)
            for _ in range(15):
                inside.ok(b"NOOP")
                time.sleep(0.1)
            spent = (cpu_s(server.pid) - since_cpu) / (time.monotonic() - since_s)
            for one in waiting:
                one.close()
            assert inside.append(message("kept")).startswith(b"OK")
            took = served_s(server, "afterwards")
        report_figure("processor used while out of descriptors", f"{100 * spent:.1f} % of one, then served within {took:.2f} s")
        assert spent < 0.5
        assert took < 10 * SERVED_S
