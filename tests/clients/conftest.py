"""One running house for a module of client tests, with its authority for clients that verify."""

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from imapclient import IMAPClient

from tests.support.house import PASSWORD, House, new_data, pillarbox
from tests.support.tmux import Tmux

ADA, BEN = "ada@home.example", "ben@home.example"


def _host() -> str:
    try:
        socket.getaddrinfo("localhost", None)
    except socket.gaierror:
        return "127.0.0.1"
    return "localhost"


HOST = _host()
"""The server's certificate vouches for both; a bare root without /etc/hosts knows only the address."""


@dataclass(slots=True)
class Served:
    house: House
    authority: Path
    place: Path

    def __getattr__(self, protocol: str) -> int:
        """The port of a protocol."""
        try:
            return self.house.ports[protocol]
        except KeyError:
            raise AttributeError(protocol) from None

    def letters(self, box: str = "INBOX", person: str = ADA) -> dict[int, tuple[bytes, frozenset[bytes]]]:
        """What the house holds: {uid: (octets, flags)}."""
        with IMAPClient("127.0.0.1", self.imap, ssl=False) as imap:
            imap.login(person, PASSWORD)
            imap.select_folder(box, readonly=True)
            uids = imap.search("ALL")
            found = imap.fetch(uids, ["BODY.PEEK[]", "FLAGS"]) if uids else {}
            return {uid: (row[b"BODY[]"], frozenset(row[b"FLAGS"]) - {b"\\Recent"}) for uid, row in found.items()}

    def fill(self, letters: list[bytes], box: str = "INBOX", person: str = ADA, flags: tuple[str, ...] = ()) -> list[int]:
        """Put letters there by APPEND; their UIDs."""
        with IMAPClient("127.0.0.1", self.imap, ssl=False) as imap:
            imap.login(person, PASSWORD)
            for letter in letters:
                imap.append(box, letter, flags)
            imap.select_folder(box, readonly=True)
            return list(imap.search("ALL"))[-len(letters) :]

    def empty(self, box: str = "INBOX", person: str = ADA) -> None:
        with IMAPClient("127.0.0.1", self.imap, ssl=False) as imap:
            imap.login(person, PASSWORD)
            imap.select_folder(box)
            if imap.search("ALL"):
                imap.delete_messages("1:*", silent=True)
                imap.expunge()


def letter(number: int, text: str = "Hello.") -> bytes:
    head = f"From: Friend <friend@elsewhere.example>\r\nTo: {ADA}\r\nSubject: Letter {number}\r\nDate: Mon, 6 Oct 2025 12:00:00 +0000\r\n"
    return f"{head}Message-ID: <{number}@elsewhere.example>\r\n\r\n{text}\r\n.leading dot\r\n\r\nend {number}\r\n".encode()


def own_part(octets: bytes) -> bytes:
    """A delivered letter without the lines the house put in front."""
    at = octets.find(b"From: ")
    assert octets.startswith(b"Return-Path: ")
    return octets[at:]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    place = tmp_path_factory.mktemp("served")
    data = new_data(place / "data", "ada", "ben")
    with House(data) as house:
        authority = place / "authority.pem"
        pillarbox("certificate", "export", "--out", str(authority), data=data)
        yield Served(house, authority, place)


@pytest.fixture
def tmux() -> Iterator[Tmux]:
    shown = Tmux(100, 30)
    yield shown
    shown.close()
