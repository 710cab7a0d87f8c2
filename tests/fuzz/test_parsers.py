"""Each parser accepts any octets: MisuseError or a result, nothing else, and in bounded time.

PILLARBOX_SEED repeats a run; inputs that once failed are in `seeds/PARSER/` and run first.
"""

import os
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.config import settings_file
from appliance.delivery.authors import looks_like_addresses
from appliance.imapd.commands.table import CORE
from appliance.imapd.extensions.table import EXTENSIONS
from appliance.imapd.registry import Registry
from appliance.mail import address, address_recovery, content, date, encoding, header, text
from appliance.mail import header_fields as read_header_fields
from appliance.mail.errors import MisuseError, PillarboxError
from appliance.mail.structure import StructureScanner
from appliance.protocol.imap import fetch, search, sequence, server
from appliance.protocol.imap.tokens import Tokens
from appliance.protocol.pop3 import grammar as pop3
from appliance.protocol.pop3 import server as pop3_server
from appliance.protocol.sasl.login import LoginMechanism
from appliance.protocol.sasl.plain import Plain
from appliance.protocol.smtp import data, grammar

from .machine import BITS, seeds

TARGET_S = 1.0
ONE_S = 2.0
"""Longest time for one input of a few thousand octets."""
HERE = Path(__file__).parent
MESSAGES = (
    b'From: "A, B" <a@b.example>, group: c@d.example;\r\nDate: Tue, 1 Jul 2025 10:00:00 +0000 (x)\r\n',
    b"Content-Type: multipart/mixed; boundary=\"b\"; name*0*=utf-8''x%20; name*1=y\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n",
    b"Content-Type: message/rfc822\r\n\r\nSubject: =?utf-8?Q?=C3=A9?= =?x?b?AAAA?=\r\n\r\n",
    b"Content-Transfer-Encoding: base64\r\n\r\nAAAA====\r\n",
    b"Content-Disposition: attachment; filename=x\r\n",
    b"=3D=\r\n=ZZ",
)
SETTINGS = (
    b"[server]\ndomain = 'x.example'\n",
    b"[limits]\nconnections = 10\n",
    b'listen.smtp = ["*:25"]\n',
    b"[[accounts]]\n",
    b"a.b = {c = 1}\n",
)

IMAP = Registry((CORE, *EXTENSIONS))


def reader(octets: bytes) -> None:
    made = server.ImapReader({b"APPEND": 1, b"REPLACE": 2})
    made.signed_in = len(octets) % 2 == 0
    made.feed(octets)
    for _ in range(len(octets) + 10):
        if made.phase is server.Phase.MESSAGE:
            if made.chunk() is None:
                return
            continue
        event = made.next()
        if isinstance(event, server.NeedMore | server.Fatal):
            return
        if isinstance(event, server.Message):
            made.accept()
    raise AssertionError("more events than octets")


def pop3_reader(octets: bytes) -> None:
    made = pop3_server.Pop3ServerState()
    made.receive(octets)
    for _ in range(len(octets) + 10):
        event = made.next_event()
        if event is None or isinstance(event, pop3_server.Endless | pop3_server.Foreign):
            return
    raise AssertionError("more events than octets")


def structure(octets: bytes) -> None:
    scanner = StructureScanner()
    for start in range(0, len(octets), 97):
        scanner.feed(octets[start : start + 97])
    scanner.finish()


def header_fields(octets: bytes) -> None:
    for field in header.fields(octets):
        header.unfold(field.raw if hasattr(field, "raw") else octets)
    read_header_fields.message_header_fields(octets)
    text.header_text(octets)


def transfer(octets: bytes) -> None:
    for kind in range(4):
        decoder = encoding.transfer_decoder(kind)
        if decoder is not None:
            decoder.feed(octets)
            decoder.finish()
    encoding.decode_words(octets)


def dates(octets: bytes) -> None:
    date.parse_zoned(octets)
    date.parse_internal_date(octets)
    date.parse_day(octets)


def types(octets: bytes) -> None:
    content.parse_content_type(octets)
    content.parse_disposition(octets)
    content.parse_encoding(octets)
    content.parse_languages(octets)


def dots(octets: bytes) -> None:
    stream = data.DotStream()
    stream.feed(octets)
    data.LineEnds().feed(octets)


def paths(octets: bytes) -> None:
    line = grammar.parse_command(octets.replace(b"\r", b"").replace(b"\n", b""))
    for parse in (grammar.parse_reverse_path, grammar.parse_forward_path, grammar.parse_greeting_name, grammar.parse_chunk):
        try:
            parse(line.argument)
        except MisuseError:
            continue


TARGETS: dict[str, tuple[Callable[[bytes], object], str]] = {
    "imap-reader": (reader, "imap"),
    "imap-tokens": (lambda octets: Tokens(octets).list_of(Tokens(octets).astring), "imap"),
    "imap-search": (
        lambda octets: search.parse_search(Tokens(octets[octets.find(b"SEARCH") + 7 :]), IMAP.search_keys, IMAP.search_returns),
        "imap",
    ),
    "imap-fetch": (lambda octets: fetch.parse_fetch(Tokens(octets[octets.find(b"FETCH") + 6 :]), IMAP.fetch_modifiers), "imap"),
    "imap-sequence": (lambda octets: sequence.normal(sequence.parse_set(octets), 2**32 - 1), "imap"),
    "smtp-grammar": (paths, "smtp"),
    "smtp-data": (dots, "smtp"),
    "pop3-grammar": (lambda octets: pop3.parse_command(octets), "pop3"),
    "pop3-reader": (pop3_reader, "pop3"),
    "structure": (structure, "message"),
    "header": (header_fields, "message"),
    "encoding": (transfer, "message"),
    "date": (dates, "message"),
    "content": (types, "message"),
    "addresses": (address_recovery.parse_address_list, "message"),
    "authors": (looks_like_addresses, "message"),
    "address": (address.parse_address, "message"),
    "sasl-plain": (lambda octets: Plain().step(octets), "message"),
    "sasl-login": (lambda octets: LoginMechanism().step(octets), "message"),
    "settings": (lambda octets: settings_file.parse(octets, "settings.toml"), "settings"),
}


def mutated(known: list[bytes], chance: random.Random) -> bytes:
    octets = bytearray(b"".join(chance.choice(known) for _ in range(chance.randint(1, 4))))
    for _ in range(chance.choice((0, 1, 2, 5, 20))):
        at = chance.randint(0, len(octets))
        match chance.randrange(4):
            case 0:
                octets[at:at] = chance.choice(BITS)
            case 1:
                del octets[at : at + chance.randint(1, 20)]
            case 2:
                octets[at:at] = chance.choice(known)
            case _:
                octets[at : at + 1] = chance.randbytes(1)
    return bytes(octets)


@pytest.mark.parametrize("name", TARGETS)
def test_any_octets(name: str) -> None:
    target, kind = TARGETS[name]
    known = list({"message": MESSAGES, "settings": SETTINGS}.get(kind) or seeds(kind))
    words = {"imap-search": b"SEARCH", "imap-fetch": b"FETCH"}.get(name, b"")
    known = [line for line in known if words in line]
    seed = int(os.environ.get("PILLARBOX_SEED", "0")) or random.randrange(2**30)
    chance = random.Random(seed)
    kept = [path.read_bytes() for path in sorted((HERE / "seeds" / name).glob("*"))]
    end = time.monotonic() + TARGET_S
    count = 0
    while kept or time.monotonic() < end or count < 50:
        octets = kept.pop() if kept else mutated(known, chance)
        count += 1
        since = time.process_time()
        try:
            target(octets)
        except PillarboxError:
            pass
        except Exception as e:
            raise AssertionError(f"PILLARBOX_SEED={seed}, input {count}: {e!r} from {octets!r}") from e
        assert time.process_time() - since < ONE_S, f"PILLARBOX_SEED={seed}: slow on {octets!r}"
