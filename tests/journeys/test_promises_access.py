"""The running server against relaying, account enumeration and password guessing, and with an unwritable log."""

import fcntl
import os
import socket
import statistics
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.figures import report_figure
from tests.support.server import COMMAND, ROOT, Pillarbox, environment, free_ports, new_data
from tests.support.wire import Imap, Pop3, Smtp, Wire, eventually, message

KNOWN, UNKNOWN = b"ada@home.example", b"nobody@home.example"
RELAYS = (
    b"<victim@elsewhere.example>", b"<victim%elsewhere.example@home.example>", b"<@home.example:victim@elsewhere.example>",
    b'<"victim@elsewhere.example">', b'<"victim@elsewhere.example"@home.example>', b"<elsewhere.example!victim>",
    b"<elsewhere.example!victim@home.example>", b"<victim@[127.0.0.1]>", b"<victim@[192.0.2.1]>", b"<victim@elsewhere.example.>",
    b"<victim@home.example.elsewhere.example>", b"<ada@home.example@elsewhere.example>", b"<victim@elsewhere.example@home.example>",
    b"<victim@localhost>", b"<victim@>", b"<victim>",
)  # fmt: skip
PIPE_OCTETS = 4096
"""The least a pipe can hold."""


@pytest.mark.parametrize("sender", [b"", b"a@elsewhere.example", b"postmaster@[127.0.0.1]", b"x@localhost"])
def test_open_relay(server: Pillarbox, sender: bytes) -> None:
    """`tests/smtpd/test_relay.py` has all 32 forms and 6 senders; here the smtp and submission ports of the real command."""
    with Smtp(server.ports["smtp"]) as smtp:
        for number, form in enumerate(RELAYS):
            if number % 8 == 0:
                smtp.ask(b"RSET")
                assert smtp.ask(b"MAIL FROM:<%b>" % sender).startswith(b"250")
            said = smtp.ask(b"RCPT TO:" + form)
            if not said:  # disconnected for guessing
                return
            assert said[:1] == b"5" or said.startswith(b"421"), (form, said)
    with Smtp(server.ports["submission"]) as smtp:
        assert smtp.ask(b"MAIL FROM:<%b>" % sender).startswith(b"530 5.7.0")


def test_replies_do_not_reveal_accounts(server: Pillarbox) -> None:
    """Login, VRFY and EXPN: the same replies for existing and unknown addresses."""

    def words(name: bytes, number: int) -> list[bytes]:
        said = []
        with Imap(server.ports["imap"], "", source=f"127.0.7.{number}") as imap:
            said.append(imap.run(b"LOGIN " + name + b" wrong-%d" % number)[1])
        with Pop3(server.ports["pop3"], "", source=f"127.0.7.{number}") as pop3:
            said += [pop3.ask(b"USER " + name), pop3.ask(b"PASS wrong-%d" % number)]
        with Smtp(server.ports["smtp"], source=f"127.0.7.{number}") as smtp:
            said += [smtp.ask(b"VRFY " + name), smtp.ask(b"EXPN " + name)]
        assert said[3].startswith(b"252")
        return [one.replace(name, b"NAME") for one in said]

    with ThreadPoolExecutor(2) as two:
        known, unknown = two.map(words, (KNOWN, UNKNOWN), (1, 2))
    assert known == unknown


def test_login_times_do_not_reveal_accounts(server: Pillarbox) -> None:
    """Five wrong passwords for each, from different addresses."""

    def seconds(name: bytes, number: int) -> float:
        with Imap(server.ports["imap"], "", source=f"127.0.8.{number}") as imap:
            since = time.monotonic()
            assert imap.run(b"LOGIN " + name + b" wrong-%d" % number)[1].startswith(b"NO")
            return time.monotonic() - since

    with ThreadPoolExecutor(10) as ten:
        all_s = list(ten.map(seconds, 5 * (KNOWN, UNKNOWN), range(10)))
    took = {KNOWN: statistics.median(all_s[::2]), UNKNOWN: statistics.median(all_s[1::2])}
    report_figure("a wrong password for an existing and an unknown account", f"{took[KNOWN]:.3f} s, {took[UNKNOWN]:.3f} s")
    assert 0.5 < took[KNOWN] / took[UNKNOWN] < 2


def test_guessing_is_slow_and_the_owner_is_not_locked_out(server: Pillarbox) -> None:
    """One source guesses on many connections at once: about ten get a response, the owner logs in without delay."""
    with Imap(server.ports["imap"], source="127.0.0.1"):
        pass
    answered: list[bytes] = []
    wires = []
    for number in range(30):
        guess = Imap(server.ports["imap"], "", source="127.0.9.9")
        guess.start(b"LOGIN ada@home.example guess-%d" % number)
        wires.append(guess)

    def listen(one: Imap) -> None:
        one.socket.settimeout(6)
        try:
            if said := one.line():
                answered.append(said)
        except OSError:
            return

    listening = [threading.Thread(target=listen, args=(one,)) for one in wires]
    for one in listening:
        one.start()
    time.sleep(1)
    since = time.monotonic()
    with Imap(server.ports["imap"], source="127.0.0.1", select="INBOX"), Pop3(server.ports["pop3"], source="127.0.0.1"):
        took = time.monotonic() - since
    for one in listening:
        one.join()
    for each in wires:
        each.close()
    report_figure("guesses answered in 6 s of 30 from one address, 10 a minute; the owner meanwhile", f"{len(answered)}; {took:.2f} s")
    assert all(said.startswith(b"t1 NO") for said in answered)
    assert 5 <= len(answered) <= 15
    assert took < 10


def test_smtp_smuggling(server: Pillarbox) -> None:
    """Every non-standard line end before and after the dot (`tests/dialogs/smtp/smuggling.txt` has the replies), over a real socket."""
    for before in (b"\n", b"\r", b"\r\n"):
        for behind in (b"\n", b"\r", b"\r\n", b"\r\r\n", b"\0\r\n"):
            if (before, behind) == (b"\r\n", b"\r\n"):
                continue
            with Smtp(server.ports["smtp"]) as smtp:
                assert smtp.begin(KNOWN).startswith(b"354")
                second = b"MAIL FROM:<forged@home.example>\r\nRCPT TO:<ada@home.example>\r\nDATA\r\n" + message("smuggled") + b".\r\n"
                smtp.try_send(message("outer")[:-2] + before + b"." + behind + second + b"QUIT\r\n")
                said = smtp.rest()
                assert said.count(b"354") == 0 and said.count(b"250") <= 1, (before, behind, said)
    with Imap(server.ports["imap"], select="INBOX") as imap:
        subjects = b"\n".join(imap.run(b"UID FETCH 1:* (BODY.PEEK[HEADER.FIELDS (SUBJECT)])")[0])
        assert b"Subject: smuggled" not in subjects


def _serve(data: Path, stderr: int | None, *, close: bool = False) -> tuple["subprocess.Popen[bytes]", dict[str, int]]:
    ports = dict(zip(("smtp", "imap"), free_ports(2), strict=True))
    words = [*COMMAND, "serve", "--data", str(data), "--domain", "home.example", "--plaintext-login"]
    for protocol, port in ports.items():
        words += ["--listen", f"{protocol}=127.0.0.1:{port}"]
    if close:
        words = ["sh", "-c", 'exec "$@" 2>&-', "sh", *words]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=stderr, stdin=subprocess.DEVNULL, env=environment(), cwd=ROOT)

    def listens() -> bool:
        try:
            socket.create_connection(("127.0.0.1", ports["smtp"]), 1).close()
        except OSError:
            return False
        return True

    assert eventually(listens, 30), process.poll()
    return process, ports


@pytest.mark.parametrize("how", ["pipe not read", "reader gone", "closed", "storage full"])
def test_the_log_never_stops_the_server(tmp_path: Path, how: str) -> None:
    """stderr is a full pipe, a broken pipe, closed, or a file on full storage: mail is received and read as usual."""
    data = new_data(tmp_path / "data")
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, PIPE_OCTETS)
    if how == "reader gone":
        os.close(reading)
    if how == "storage full":
        os.dup2(os.open("/dev/full", os.O_WRONLY), writing)
    process, ports = _serve(data, writing, close=how == "closed")
    os.close(writing)
    try:
        with Smtp(ports["smtp"]) as smtp:
            for number in range(100):  # some 180 octets of log each: four times the capacity of the pipe
                assert smtp.deliver(message(f"n{number}")).startswith(b"250")
        for _ in range(50):
            Wire(ports["imap"]).close()
        with Imap(ports["imap"], select="INBOX") as imap:
            assert any(b"MESSAGES 100" in line for line in imap.ok(b"STATUS INBOX (MESSAGES)"))
        process.terminate()
        assert process.wait(30) == 0
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        if how != "reader gone":
            os.close(reading)
