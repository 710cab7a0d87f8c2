"""Sending and reading mail as a family does, with Python's own clients."""

import imaplib
import poplib
import smtplib
import socket
import ssl
import time
from collections.abc import Callable
from contextlib import closing

from .machine import Machine

ACCOUNT, PASSWORD, DOMAIN = "ada@home.example", "four words in a row", "home.example"
PATIENCE_S = 120
SETTINGS = f"""[box]
account = "{ACCOUNT}"
password = "{PASSWORD}"

[server]
domain = "{DOMAIN}"
"""


def trusting() -> ssl.SSLContext:
    """The box makes its own certificate; what is tested here is that it has one, not who vouches for it."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def send(machine: Machine, subject: str, account: str = ACCOUNT) -> None:
    """A message from another server, over port 25; returns after the 250."""
    with smtplib.SMTP("127.0.0.1", machine.ports["smtp"], local_hostname="peer.example", timeout=PATIENCE_S) as client:
        client.sendmail(
            "friend@peer.example", [account], f"From: friend@peer.example\r\nTo: {account}\r\nSubject: {subject}\r\n\r\nHello\r\n"
        )


def subjects_by_imap(machine: Machine, account: str = ACCOUNT) -> list[str]:
    """Subjects of everything in the account's INBOX, over IMAPS."""
    client = imaplib.IMAP4_SSL("127.0.0.1", machine.ports["imaps"], ssl_context=trusting(), timeout=PATIENCE_S)
    try:
        client.login(account, PASSWORD)
        client.select("INBOX", readonly=True)
        _, found = client.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        return [part[1].decode().partition(":")[2].strip() for part in found if isinstance(part, tuple)]
    finally:
        client.logout()


def subjects_by_pop(machine: Machine) -> list[str]:
    """The same over POP3S."""
    client = poplib.POP3_SSL("127.0.0.1", machine.ports["pop3s"], context=trusting(), timeout=PATIENCE_S)
    with closing(client):
        client.user(ACCOUNT)
        client.pass_(PASSWORD)
        count, _ = client.stat()
        found = [line.decode() for number in range(1, count + 1) for line in client.top(number, 0)[1]]
        client.quit()
    return [line.partition(":")[2].strip() for line in found if line.lower().startswith("subject:")]


def certificate(machine: Machine) -> bytes:
    """The certificate the box shows on IMAPS."""
    with (
        socket.create_connection(("127.0.0.1", machine.ports["imaps"]), timeout=PATIENCE_S) as plain,
        trusting().wrap_socket(plain) as peer,
    ):
        return peer.getpeercert(binary_form=True) or b""


def eventually(look: Callable[[], bool], what: str, timeout_s: float = 600) -> None:
    """Wait until something is so; AssertionError with `what` where it never is."""
    end = time.monotonic() + timeout_s
    while not look():
        if time.monotonic() > end:
            raise AssertionError(what)
        time.sleep(1)


def wait_account(machine: Machine) -> None:
    """Until the account of the settings file has been added."""
    left = "[ -e /data/system/settings/first-account ] || echo added"
    eventually(lambda: machine.shell(left).endswith("added"), "the account of the settings file was not added")
