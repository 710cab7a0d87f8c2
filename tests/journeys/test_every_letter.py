"""Every letter, broken ones too, goes in by APPEND and by import of a Maildir and comes out with the same octets.

Out: IMAP BODY[], POP3 RETR, export to mbox and Maildir. The other ways in: `test_corpus.py`.
"""

import re
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import corpus
from tests.support.house import PASSWORD, House, new_data, pillarbox
from tests.support.letters import LETTERS

PERSON = "ada@home.example"


def own_letters() -> list[bytes]:
    """The project's own, so that a lone clone walks every path."""
    return [corpus.crlf(octets) for _, octets in LETTERS]


def all_letters() -> list[bytes]:
    return [message.octets for message in corpus.messages()]


@pytest.fixture(scope="module", params=["own", pytest.param("corpus", marks=pytest.mark.corpus)])
def letters(request: pytest.FixtureRequest) -> list[bytes]:
    if request.param == "corpus":
        corpus.need_corpus()
        return all_letters()
    return own_letters()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with House(new_data(tmp_path / "data"), protocols=("imap", "pop3")) as running:
        yield running


class Wire:
    """A socket with lines."""

    def __init__(self, port: int, context: ssl.SSLContext | None = None) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=120)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.file = self.sock.makefile("rb")

    def say(self, octets: bytes) -> None:
        self.sock.sendall(octets)

    def close(self) -> None:
        self.file.close()
        self.sock.close()


def imap(house: House) -> Wire:
    wire = Wire(house.ports["imap"])
    wire.file.readline()
    wire.say(f"L LOGIN {PERSON} {PASSWORD}\r\n".encode())
    until(wire, b"L ")
    return wire


def until(wire: Wire, tag: bytes) -> list[bytes]:
    lines = []
    while not (line := wire.file.readline()).startswith(tag):
        lines.append(line)
    assert line.startswith(tag + b"OK"), line
    return lines


def append(house: House, box: str, letters: list[bytes]) -> None:
    wire = imap(house)
    for at in range(0, len(letters), 50):
        some = [octets for octets in letters[at : at + 50] if octets]
        wire.say(b"A APPEND %b%b\r\n" % (box.encode(), b"".join(b" {%d+}\r\n%b" % (len(octets), octets) for octets in some)))
        until(wire, b"A ")
    wire.close()


def fetched(house: House, box: str = "INBOX") -> list[bytes]:
    """BODY[] of every letter of a mailbox, in order."""
    wire = imap(house)
    wire.say(f"S SELECT {box}\r\n".encode())
    until(wire, b"S ")
    wire.say(b"F UID FETCH 1:* BODY.PEEK[]\r\n")
    out = []
    while not (line := wire.file.readline()).startswith(b"F "):
        size = re.search(rb"BODY\[\] (?:\{(\d+)\}|\"\")", line)
        if size:
            out.append(wire.file.read(int(size[1])) if size[1] else b"")
            wire.file.readline()
    assert line.startswith(b"F OK"), line
    wire.close()
    return out


def retrieved(house: House) -> list[bytes]:
    """Every letter of the Inbox over POP3, dots taken out."""
    wire = Wire(house.ports["pop3"])
    wire.file.readline()
    wire.say(f"USER {PERSON}\r\nPASS {PASSWORD}\r\nSTAT\r\n".encode())
    wire.file.readline()
    wire.file.readline()
    count = int(wire.file.readline().split()[1])
    out = []
    for at in range(1, count + 1):
        wire.say(b"RETR %d\r\n" % at)
        assert wire.file.readline().startswith(b"+OK")
        lines = []
        while (line := wire.file.readline()) != b".\r\n":
            lines.append(line[1:] if line.startswith(b".") else line)
        out.append(b"".join(lines))
    wire.close()
    return out


def test_append_and_out_over_imap_pop3_and_export(house: House, letters: list[bytes], tmp_path: Path) -> None:
    kept = [octets for octets in letters if octets]
    append(house, "INBOX", kept)
    assert fetched(house) == kept
    for was, now in zip(kept, retrieved(house), strict=True):
        # POP3 speaks in lines: a bare LF leaves as CRLF, a last line without its end gets one
        whole = was if was.endswith(b"\n") else was + b"\r\n"
        assert now == whole or now == re.sub(rb"(?<!\r)\n", b"\r\n", whole)
    out = tmp_path / "out"
    pillarbox("export", PERSON, str(out), data=house.data)
    files = sorted(path for kind in ("cur", "new") for path in (out / kind).iterdir()) if (out / "cur").exists() else []
    assert sorted(path.read_bytes().replace(b"\r\n", b"\n") for path in files) == sorted(o.replace(b"\r\n", b"\n") for o in kept)


def test_import_keeps_every_octet(house: House, letters: list[bytes], tmp_path: Path) -> None:
    kept = [octets for octets in letters if octets]
    box = tmp_path / "old"
    for kind in ("cur", "new", "tmp"):
        (box / kind).mkdir(parents=True)
    for number, octets in enumerate(kept):
        (box / "cur" / f"{1_700_000_000 + number}.{number:06d}.x:2,S").write_bytes(octets)
    pillarbox("import", PERSON, str(box), "--mailbox", "Old", data=house.data)
    assert list(fetched(house, "Old")) == kept
    again = pillarbox("import", PERSON, str(box), "--mailbox", "Old", data=house.data)
    assert "0 letters" in again.stdout
    mbox = tmp_path / "all.mbox"
    pillarbox("export", PERSON, str(mbox), "--mailbox", "Old", "--form", "mbox", data=house.data)
    pillarbox("import", PERSON, str(mbox), "--mailbox", "Back", data=house.data)
    back = fetched(house, "Back")
    for was, now in zip(kept, back, strict=True):
        # an mbox speaks in lines too, and parts letters by a blank one
        assert now.rstrip(b"\r\n") == re.sub(rb"(?<!\r)\n", b"\r\n", was).rstrip(b"\r\n")
