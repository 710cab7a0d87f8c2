"""Commands as typed by an administrator: with and without a running server, right and wrong, on a terminal and in a pipe."""

import json
import os
import pty
import re
import select
import signal
import smtplib
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.support import needs
from tests.support.server import COMMAND, PASSWORD, ROOT, Pillarbox, environment, free_ports, new_data, pillarbox


def test_accounts_aliases_and_domains_asleep_and_running(tmp_path: Path) -> None:
    data = new_data(tmp_path / "data", "ada")

    def walk(name: str) -> None:
        pillarbox("account", "add", f"{name}@home.example", data=data, password=PASSWORD)
        accounts = json.loads(pillarbox("account", "list", "--json", data=data).stdout)["accounts"]
        assert f"{name}@home.example" in [account["address"] for account in accounts]
        pillarbox("alias", "add", f"{name}.two@home.example", f"{name}@home.example", data=data)
        assert f"{name}.two@home.example -> {name}@home.example" in pillarbox("alias", "list", data=data).stdout
        pillarbox("domain", "add", f"{name}.example", data=data)
        pillarbox("domain", "catch-all", f"{name}.example", f"{name}@home.example", data=data)
        assert f"unknown names go to {name}@home.example" in pillarbox("domain", "list", data=data).stdout
        pillarbox("account", "password", f"{name}@home.example", data=data, password="another-Long-1")
        assert "INBOX" in pillarbox("mailbox", "list", f"{name}@home.example", data=data).stdout

    walk("asleep")
    with Pillarbox(data) as server:
        walk("awake")
        with smtplib.SMTP("127.0.0.1", server.ports["submission"], "client.example") as smtp:
            smtp.login("awake@home.example", "another-Long-1")
        pillarbox("account", "remove", "awake@home.example", "--yes", data=data)
        with smtplib.SMTP("127.0.0.1", server.ports["smtp"], "client.example") as smtp, pytest.raises(smtplib.SMTPRecipientsRefused):
            smtp.sendmail("b@outside.example", ["awake@home.example"], "x")
        status = json.loads(pillarbox("status", "--json", data=data).stdout)
        assert status["running"] and status["phase"] == "ready"
        assert "refused" in pillarbox("status", data=data).stdout
    asleep = pillarbox("status", data=data, check=False)
    assert asleep.returncode == 3 and "not running" in asleep.stdout
    assert "All is well" in pillarbox("check", data=data).stdout


def test_one_server_a_directory(tmp_path: Path) -> None:
    data = new_data(tmp_path / "data")
    with Pillarbox(data):
        second = pillarbox("serve", "--listen", f"imap=127.0.0.1:{free_ports(1)[0]}", data=data, check=False)
        assert second.returncode == 2
        assert "Another Pillarbox process uses" in second.stderr


@pytest.fixture(scope="module")
def a_server(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A data directory with one account, and its accounts as listed."""
    data = new_data(tmp_path_factory.mktemp("server") / "data")
    return data, pillarbox("account", "list", "--json", data=data).stdout


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("account", "add", "no-address", "--password-file", "/dev/null"), "password is empty"),
        (("account", "remove", "nobody@home.example"), "nobody@home.example"),
        (("account", "frobnicate"), 'no action "frobnicate". Choose from add, list'),
        (("alias", "add", "x"), "TARGET is missing."),
        (("alias", "add"), "ADDRESS and TARGET are missing."),
        (("domain", "remove", "home.example"), "home.example"),
        (("import", "ada@home.example", "/no/such/file"), "does not exist"),
        (("import", "nobody@home.example", "/etc/passwd"), "nobody@home.example"),
        (("serve", "--listen", "imap=nowhere"), "no host and port"),
        (("serve", "--certificate", "/x"), "belong together"),
        (("serve", "--settings", "/no/such/file"), "cannot be read"),
        (("import", "ada@home.example", "tests/dialogs/imap"), "no mbox file is in it"),
        (("export", "ada@home.example", "/tmp/no/such/folder", "--mailbox", "Nope"), "There is no mailbox “Nope”."),
        (("account", "add", "x@home.example", "--quota-mb", "much"), '--quota-mb is a whole number, not "much".'),
        (("app-password", "remove", "ada@home.example", "phone"), "pillarbox app-password list ada@home.example"),
        (("stauts",), 'Did you mean "status"?'),
        (("frobnicate",), 'no command "frobnicate". Choose from'),
    ],
)
def test_a_wrong_command_is_a_sentence_and_changes_nothing(a_server: tuple[Path, str], words: tuple[str, ...], part: str) -> None:
    data, before = a_server
    where = {} if words in (("account", "frobnicate"), ("frobnicate",), ("stauts",)) else {"data": data}
    done = pillarbox(*words, check=False, **where)
    assert done.returncode == 2, done
    assert part in done.stderr and "Traceback" not in done.stderr
    assert pillarbox("account", "list", "--json", data=data).stdout == before


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("--listen", "smtp=127.0.0.1:{taken}"), "smtp cannot listen at 127.0.0.1 port {taken}: Address already in use."),
        (("--listen", "smtp=no-such-host.invalid:25"), "no such address"),
        (("--listen", "imaps=127.0.0.1:0", "--domain", "no!domain"), "is not a domain name"),
    ],
)
def test_a_start_that_cannot_be_is_a_sentence(a_server: tuple[Path, str], words: tuple[str, ...], part: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = str(holder.getsockname()[1])
        done = pillarbox("serve", *(word.replace("{taken}", port) for word in words), data=a_server[0], check=False)
    assert done.returncode == 2
    (sentence,) = [line for line in done.stderr.splitlines() if line.startswith("pillarbox: ")]
    assert part.replace("{taken}", port) in sentence and "Traceback" not in done.stderr


def test_a_command_makes_no_server_by_mistake(tmp_path: Path) -> None:
    done = pillarbox("account", "list", data=tmp_path / "none", check=False)
    assert done.returncode == 2 and "There is no server" in done.stderr
    assert not (tmp_path / "none").exists()


def test_a_generated_password_is_never_written_to_a_pipe(tmp_path: Path) -> None:
    data = new_data(tmp_path / "data")
    done = pillarbox("app-password", "add", "ada@home.example", "phone", data=data, check=False)
    assert done.returncode == 2 and "terminal only" in done.stderr


def listen() -> list[str]:
    words = []
    for protocol, port in zip(("smtp", "imaps", "submissions", "pop3s"), free_ports(4), strict=True):
        words += ["--listen", f"{protocol}=127.0.0.1:{port}"]
    return words


def test_the_first_run_on_a_terminal(tmp_path: Path) -> None:
    """Address and password once, what to type, a line to try, and Ctrl-C ends it."""
    needs.program("curl")
    main, side = pty.openpty()
    words = [*COMMAND, "run", "--data", str(tmp_path / "data"), *listen()]
    server = subprocess.Popen(words, stdin=side, stdout=side, stderr=subprocess.DEVNULL, env=environment(), cwd=ROOT)
    os.close(side)
    try:
        said = ""
        deadline = time.monotonic() + 60
        while not re.search(r"^ready", said, re.M):
            readable, _, _ = select.select([main], [], [], max(0, deadline - time.monotonic()))
            assert readable, said
            said += os.read(main, 65536).decode()
        address = re.search(r"address +(\S+@home\.arpa)", said)
        password = re.search(r"password +(\S+) +\(shown this once", said)
        assert address and password and "imaps" not in said and "SSL/TLS" in said
        line = re.search(r"printf .* \| curl .*", said)
        assert line
        subprocess.run(["sh", "-c", line[0].strip()], check=True, timeout=30, capture_output=True)
        asking = re.search(r"The state of the server: ([^\r\n]+)", said)
        assert asking
        status = subprocess.run(["sh", "-c", asking[1]], check=True, timeout=30, capture_output=True, text=True, cwd=ROOT).stdout
        assert re.search(r"messages +1 accepted", status)
        server.send_signal(signal.SIGINT)
        assert server.wait(30) == 0
    finally:
        server.kill()
        server.wait()
        os.close(main)


def test_the_first_run_in_a_pipe_prints_no_password(tmp_path: Path) -> None:
    words = [*COMMAND, "run", "--data", str(tmp_path / "data"), *listen()]
    server = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(), cwd=ROOT, text=True)
    assert server.stdout
    said = ""
    while "ready" not in said:
        said += server.stdout.readline()
    server.terminate()
    rest, log = server.communicate(timeout=30)
    assert "shown this once" not in said + rest + log
    assert "There is no account yet" in said + rest and "pillarbox account add" in said + rest
    assert json.loads(pillarbox("account", "list", "--json", data=tmp_path / "data").stdout)["accounts"] == []
