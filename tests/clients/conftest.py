"""One running server for a module of client tests, with its authority for clients that verify."""

import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from imapclient import IMAPClient

from tests.support.messages import MESSAGES
from tests.support.server import PASSWORD, Pillarbox, new_data, pillarbox
from tests.support.tmux import Tmux

ADA, BEN = "ada@home.example", "ben@home.example"


def _host() -> str:
    try:
        socket.getaddrinfo("localhost", None)
    except socket.gaierror:
        return "127.0.0.1"
    return "localhost"


HOST = _host()
"""The server's certificate is valid for both; a bare root without /etc/hosts resolves only the address."""


@dataclass(slots=True)
class Served:
    server: Pillarbox
    authority: Path
    place: Path

    def __getattr__(self, protocol: str) -> int:
        """The port of a protocol."""
        try:
            return self.server.ports[protocol]
        except KeyError:
            raise AttributeError(protocol) from None

    def messages(self, box: str = "INBOX", account: str = ADA) -> dict[int, tuple[bytes, frozenset[bytes]]]:
        """The messages on the server: {uid: (octets, flags)}. One whose flags were told and that was expunged before it could be
        fetched has no octets: it is left out."""
        with IMAPClient("127.0.0.1", self.imap, ssl=False) as imap:
            imap.login(account, PASSWORD)
            imap.select_folder(box, readonly=True)
            uids = imap.search("ALL")
            found = imap.fetch(uids, ["BODY.PEEK[]", "FLAGS"]) if uids else {}
            return {uid: (row[b"BODY[]"], frozenset(row[b"FLAGS"]) - {b"\\Recent"}) for uid, row in found.items() if b"BODY[]" in row}

    def fill(self, messages: list[bytes], box: str = "INBOX", account: str = ADA, flags: tuple[str, ...] = ()) -> list[int]:
        """APPEND messages; their UIDs."""
        with IMAPClient("127.0.0.1", self.imap, ssl=False) as imap:
            imap.login(account, PASSWORD)
            for message in messages:
                imap.append(box, message, flags)
            imap.select_folder(box, readonly=True)
            return list(imap.search("ALL"))[-len(messages) :]

    def empty(self, box: str = "INBOX", account: str = ADA) -> None:
        with IMAPClient("127.0.0.1", self.imap, ssl=False) as imap:
            imap.login(account, PASSWORD)
            imap.select_folder(box)
            if imap.search("ALL"):
                imap.delete_messages("1:*", silent=True)
                imap.expunge()


def message(number: int, text: str = "Hello.") -> bytes:
    head = f"From: Friend <friend@elsewhere.example>\r\nTo: {ADA}\r\nSubject: Message {number}\r\nDate: Mon, 6 Oct 2025 12:00:00 +0000\r\n"
    return f"{head}Message-ID: <{number}@elsewhere.example>\r\n\r\n{text}\r\n.leading dot\r\n\r\nend {number}\r\n".encode()


AWKWARD = [re.sub(rb"\r\n|\r|\n", b"\r\n", octets).replace(b"\0", b"") for _, octets in MESSAGES if octets]
"""What IMAP literals carry and clients keep: the tests' own messages with line ends of mail and without NUL."""


def own_part(octets: bytes) -> bytes:
    """A delivered message without the trace fields that the server prepended."""
    at = octets.find(b"From: ")
    assert octets.startswith(b"Return-Path: ")
    return octets[at:]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    place = tmp_path_factory.mktemp("served")
    data = new_data(place / "data", "ada", "ben")
    with Pillarbox(data) as server:
        authority = place / "authority.pem"
        pillarbox("certificate", "export", "--out", str(authority), data=data)
        yield Served(server, authority, place)


@pytest.fixture
def tmux() -> Iterator[Tmux]:
    shown = Tmux(100, 30)
    yield shown
    shown.close()
