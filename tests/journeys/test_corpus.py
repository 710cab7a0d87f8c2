"""Every message through every way in and out arrives with the same octets: the project's own messages, and the shared corpus.

In: DATA, BDAT, APPEND, and `import` of an mbox file and of a Maildir. Out: BODY[], RETR and `export`. The server is the
real command, one for all tests. What SMTP must refuse is given by predicates on the octets, each with its reply.
"""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest
import trio

from appliance.app.server import offline
from appliance.control.requests import AddAccount
from appliance.mail.limits import HEADER_OCTETS, HOPS, TEXT_LINE_OCTETS
from tests.support.corpus import messages, need_corpus
from tests.support.messages import MESSAGES
from tests.support.server import PASSWORD, Pillarbox, pillarbox
from tests.support.smtp import stuff

from .talk import Reader, Sender, fetched, queue_id_of, send_all

DOMAIN = "octets.example"
ROUTES_IN = ("data", "bdat", "append", "mbox", "maildir")
FORMS: dict[str, tuple[str, ...]] = {
    "corpus-data": ("mbox",),
    "corpus-bdat": ("maildir",),
    "corpus-mbox": (),
    "corpus-maildir": ("mbox",),
}
"""The archive formats that export writes; both by default. Each real message is exported in both, but not by every test."""
APPENDED_TOGETHER = 200
PREFIX = re.compile(
    rb"Return-Path: <>\r\nDelivered-To: (\S+)\r\n"
    rb"Received: from client\.example\.net \(\[127\.0\.0\.1\]\)\r\n by \S+ with ESMTP\r\n id ([0-9a-f]+)\r\n for <\S+>;\r\n [^\r\n]+\r\n"
    rb"(?:X-Pillarbox-First-Line:\r\n(?=[ \t]))?"
)
"""Trace fields that the server prepends to an incoming message."""
BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n")
RECEIVED = re.compile(rb"(?im)^received[ \t]*:")
CORPUS_LEAST = 4448

OWN_EXTREMES = (
    b"From: a@example.org\r\n" + b"Received: by hop.example; Tue, 2 Jan 2024 10:11:13 +0100\r\n" * (HOPS + 1) + b"\r\nround and round\r\n",
    b"From: a@example.org\r\nX-Large: " + b"x" * HEADER_OCTETS + b"\r\n\r\nsmall\r\n",
    b"From: a@example.org\r\n\r\n" + b"x" * (TEXT_LINE_OCTETS + 1) + b"\r\n",
    b"From: a@example.org\r\nSubject: dots\r\n\r\n.\r\n..\r\n.x\r\n\r\n.\r\n",
    b"From: a@example.org\r\n\r\n\r\nFrom here on\r\n>From there\r\n\r\nFrom me Tue Jan  2 10:11:13 2024\r\nSubject: no\r\n\r\n",
    b" a first line that is folded\r\nFrom: a@example.org\r\n\r\ntext\r\n",
    b"From: a@example.org\r\nSubject: returns\r\n\r\none\rtwo\r\r\nthree\r",
    b"From: a@example.org\r\nSubject: smuggled\r\n\r\none\n.\nMAIL FROM:<>\r\nRSET\r\n",
    b".\r\n.\r\n",
)


def header_of(message: bytes) -> bytes:
    return message.partition(b"\r\n\r\n")[0]


class Refusal(NamedTuple):
    """Over SMTP messages with this property are refused with this reply code and status."""

    applies: Callable[[bytes], bool]
    reply: bytes


REFUSALS = (
    Refusal(
        lambda message: BARE.search(message) is not None,
        b"550 5.6.0 ",
    ),
    Refusal(lambda message: len(header_of(message)) > HEADER_OCTETS, b"552 5.3.4 "),
    Refusal(
        lambda message: len(RECEIVED.findall(header_of(message))) > HOPS,
        b"554 5.4.6 ",
    ),
    Refusal(lambda message: max(map(len, message.split(b"\r\n"))) > TEXT_LINE_OCTETS, b"554 5.6.0 "),
)


def refusal_of(message: bytes) -> Refusal | None:
    return next((refusal for refusal in REFUSALS if refusal.applies(message)), None)


def ended(message: bytes) -> bytes:
    """DATA cannot express that the last line has no line end."""
    return message if message.endswith(b"\r\n") or not message else message + b"\r\n"


def with_crlf(message: bytes) -> bytes:
    """In an archive an LF is a line end, and a CR before it belongs to it."""
    return re.sub(rb"(?<!\r)\n", b"\r\n", message)


# --- the server and its messages -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pillarbox]:
    data = tmp_path_factory.mktemp("server") / "data"
    trio.run(accounts, data)
    with Pillarbox(data, protocols=("smtp", "imap", "pop3"), domain=DOMAIN) as server:
        yield server


async def accounts(data: Path) -> None:
    """One account for each kind and way in, so that messages do not mix."""
    async with offline(data) as admin_api:
        for kind in KINDS:
            for route in ROUTES_IN:
                await admin_api.ask(AddAccount(f"{kind}-{route}@{DOMAIN}", PASSWORD))


def own_messages() -> list[bytes]:
    return [octets for _, octets in MESSAGES] + list(OWN_EXTREMES)


def corpus_messages() -> list[bytes]:
    need_corpus()
    found = [message.octets for message in messages()]
    assert len(found) >= CORPUS_LEAST
    return found


KINDS = {"own": own_messages, "corpus": corpus_messages}


@pytest.fixture(scope="module", params=["own", pytest.param("corpus", marks=pytest.mark.corpus)])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def originals(kind: str) -> list[bytes]:
    return KINDS[kind]()


@pytest.fixture
def reported(capsys: pytest.CaptureFixture[str], kind: str, originals: list[bytes]) -> Iterator[None]:
    """Print the figures of a corpus run."""
    start = time.monotonic()
    yield
    if kind == "corpus":
        with capsys.disabled():
            print(f" [{len(originals)} messages, {time.monotonic() - start:.1f} s]", end="")


# --- every way out ------------------------------------------------------------------------------------------------


def read_back(server: Pillarbox, account: str, place: Path) -> dict[str, list[bytes]]:
    """The messages of the account's INBOX by BODY[], RETR and export, in the order of their UIDs."""
    address = f"{account}@{DOMAIN}"
    with Reader(server.ports["imap"], address) as reader:
        by_uid = reader.bodies("INBOX")
    assert list(by_uid) == sorted(by_uid)
    out = {"BODY[]": list(by_uid.values()), "RETR": fetched(server.ports["pop3"], address)}
    for form in FORMS.get(account, ("maildir", "mbox")):
        pillarbox("export", address, str(place / form), "--mailbox", "INBOX", "--format", form, data=server.data)
        out[form] = exported(place / form)
    return out


def exported(path: Path) -> list[bytes]:
    if path.is_file():
        return split_mbox(path.read_bytes())
    files = sorted((path / "cur").iterdir(), key=lambda file: int(file.name.split(".")[1]))
    return [with_crlf(file.read_bytes()) for file in files]


def compare_all(out: dict[str, list[bytes]], wanted: Sequence[bytes]) -> None:
    """`wanted` in the order of the UIDs. POP3 transfers lines, so a bare LF becomes CRLF; archives have LF for CRLF."""
    same(out["BODY[]"], [in_literal(message) for message in wanted])
    same(out["RETR"], [ended(with_crlf(message)) for message in wanted])
    if "maildir" in out:
        same(out["maildir"], [with_crlf(message) for message in wanted])
    if "mbox" in out:
        same(out["mbox"], [with_crlf(ended_lf(message)) for message in wanted])


def in_literal(message: bytes) -> bytes:
    """A plain IMAP literal cannot contain NUL: 0x80 replaces it (RFC 9051 §4.3.1); every other way out has the octet itself."""
    return message.replace(b"\0", b"\x80")


def ended_lf(message: bytes) -> bytes:
    """An mbox file cannot express it either; a CR at the end of the message then belongs to the line end."""
    return message if message.endswith(b"\n") or not message else message + b"\n"


def split_mbox(octets: bytes) -> list[bytes]:
    """The messages of an mboxrd file whose separators are the server's own (any other "From " line is quoted in it)."""
    parts = re.split(rb"(?m)^From mboxrd\+flags@pillarbox [^\n]*\nStatus: [^\n]*\nX-Status: [^\n]*\nX-Keywords: [^\n]*\n", octets)
    assert parts.pop(0) == b""
    assert all(part.endswith(b"\n") for part in parts)
    return [with_crlf(re.sub(rb"(?m)^>(>*From )", rb"\1", part[:-1])) for part in parts]


def same(got: Sequence[bytes], wanted: Sequence[bytes]) -> None:
    assert len(got) == len(wanted)
    for number, (one, other) in enumerate(zip(got, wanted, strict=True)):
        if one != other:
            at = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
            part = slice(max(0, at - 40), at + 40)
            raise AssertionError(f"message {number} differs at {at}: {one[part]!r}, not {other[part]!r}")


# --- every way in -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("route", ["data", "bdat"])
def test_smtp(server: Pillarbox, kind: str, originals: list[bytes], route: str, tmp_path: Path, reported: None) -> None:
    account = f"{kind}-{route}"
    replies = send_all(server.ports["smtp"], f"{account}@{DOMAIN}", originals, Sender.data if route == "data" else Sender.bdat)
    names: dict[bytes, bytes] = {}
    refused = 0
    for message, reply in zip(originals, replies, strict=True):
        refusal = refusal_of(ended(message) if route == "data" else message)
        if refusal is None:
            name = queue_id_of(reply)
            assert name, (reply, message[:200])
            names[name] = ended(message) if route == "data" else message
        else:
            refused += 1
            assert reply.startswith(refusal.reply), (refusal.reply, reply)
    assert refused and len(names) == len(originals) - refused
    out = read_back(server, account, tmp_path)
    wanted = []
    for whole in out["BODY[]"]:
        prefix = PREFIX.match(whole)
        assert prefix, whole[:500]
        assert prefix[1].decode() == f"{account}@{DOMAIN}"
        wanted.append(prefix[0] + names.pop(prefix[2]))
    assert not names, "accepted and not in the mailbox"
    compare_all(out, wanted)


def test_append(server: Pillarbox, kind: str, originals: list[bytes], tmp_path: Path, reported: None) -> None:
    account = f"{kind}-append"
    originals = [message for message in originals if message]  # an empty message cancels APPEND (RFC 3502 §6.3.11)
    with Reader(server.ports["imap"], f"{account}@{DOMAIN}") as reader:
        uids: list[int] = []
        for first in range(0, len(originals), APPENDED_TOGETHER):
            uids += reader.append("INBOX", originals[first : first + APPENDED_TOGETHER])
        assert uids == sorted(set(uids))
        assert list(reader.bodies("INBOX")) == uids
    compare_all(read_back(server, account, tmp_path), originals)


def test_import_mbox(server: Pillarbox, kind: str, originals: list[bytes], tmp_path: Path, reported: None) -> None:
    """As other programs write it: mboxrd with LF. Header lines are unquoted only after the server's own separators."""
    account = f"{kind}-mbox"
    with (tmp_path / "old.mbox").open("wb") as file:
        for message in originals:
            text = re.sub(rb"(?<!\r)\r\n", b"\n", ended_lf(message))
            file.write(b"From someone@example.org Tue Jan  2 10:11:13 2024\n" + re.sub(rb"(?m)^(>*From )", rb">\1", text) + b"\n")
    imported(server, account, tmp_path / "old.mbox", len(originals))
    compare_all(read_back(server, account, tmp_path), [with_quoted_header(with_crlf(ended_lf(message))) for message in originals])


def with_quoted_header(message: bytes) -> bytes:
    blank = re.search(rb"(?m)^\r\n", message)
    body = blank.end() if blank else len(message)
    return re.sub(rb"(?m)^(>*From )", rb">\1", message[:body]) + message[body:]


def test_import_maildir(server: Pillarbox, kind: str, originals: list[bytes], tmp_path: Path, reported: None) -> None:
    account = f"{kind}-maildir"
    for part in ("cur", "new", "tmp"):
        (tmp_path / "old" / part).mkdir(parents=True)
    for number, message in enumerate(originals):
        (tmp_path / "old" / "cur" / f"{1700000000 + number}.M{number:06d}.old:2,S").write_bytes(message)
    imported(server, account, tmp_path / "old", len(originals))
    compare_all(read_back(server, account, tmp_path), [with_crlf(message) for message in originals])
    imported(server, account, tmp_path / "mbox", len(originals), "Back")
    with Reader(server.ports["imap"], f"{account}@{DOMAIN}") as reader:
        same(list(reader.bodies("Back").values()), [in_literal(with_crlf(ended_lf(message))) for message in originals])


def imported(server: Pillarbox, account: str, source: Path, count: int, mailbox: str = "INBOX") -> None:
    words = ("import", f"{account}@{DOMAIN}", str(source), "--mailbox", mailbox)
    assert f"{count:,}".replace(",", "") in pillarbox(*words, data=server.data).stdout.replace(",", "")
    again = pillarbox(*words, data=server.data).stdout
    assert "earlier import" in again, "a repeated import duplicates nothing"


def test_binarymime_may_have_bare_line_ends(server: Pillarbox) -> None:
    """Only with BODY=BINARYMIME and BDAT are CR and LF octets like any other over SMTP (RFC 3030 §3)."""
    message = b"From: a@example.org\nSubject: unix\r\n\r\none\ntwo\rthree\0\n.\n"
    with Sender(server.ports["smtp"]) as sender:
        assert queue_id_of(sender.bdat(f"own-maildir@{DOMAIN}", message, b"BINARYMIME"))
    with Reader(server.ports["imap"], f"own-maildir@{DOMAIN}") as reader:
        assert list(reader.bodies("INBOX").values())[-1].endswith(in_literal(message))


def test_dot_stuffing_of_the_test_client() -> None:
    """Checked by examples of RFC 5321 §4.5.2, independently of the server."""
    assert stuff(b".\r\na\r\n..b\r\n") == b"..\r\na\r\n...b\r\n.\r\n"
    assert stuff(b"no end") == b"no end\r\n.\r\n"
    assert stuff(b"") == b".\r\n"
