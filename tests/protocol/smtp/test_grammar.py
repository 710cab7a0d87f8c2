"""Command lines, paths and parameters: what is taken, what is refused, and never anything but MisuseError."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.mail.address import Address
from appliance.mail.errors import MisuseError
from appliance.protocol.smtp.grammar import (
    CommandLine,
    decode_xtext,
    encode_xtext,
    parse_chunk,
    parse_command,
    parse_forward_path,
    parse_greeting_name,
    parse_parameters,
    parse_reverse_path,
)
from tests.support.corpus import need_corpus


@pytest.mark.parametrize(
    ("line", "verb", "argument"),
    [
        (b"QUIT", b"QUIT", b""),
        (b"quit ", b"QUIT", b""),
        (b"mail FROM:<a@b>", b"MAIL", b"FROM:<a@b>"),
        (b"NOOP  one two \t", b"NOOP", b"one two"),
        (b"STARTTLS", b"STARTTLS", b""),
    ],
)
def test_commands(line: bytes, verb: bytes, argument: bytes) -> None:
    assert parse_command(line) == CommandLine(verb, argument)


@pytest.mark.parametrize(
    "line", [b"", b" ", b" QUIT", b"\0", b"MAIL\0", b"NOOP a\0b", b"123", b"A" * 17, "MÄIL".encode(), b"GET/ HTTP/1.1"]
)
def test_what_is_no_command(line: bytes) -> None:
    with pytest.raises(MisuseError):
        parse_command(line)


@pytest.mark.parametrize(
    ("argument", "address", "parameters"),
    [
        (b"FROM:<a@b.example>", "a@b.example", {}),
        (b"from:<>", None, {}),
        (b"FROM: <a@b>", "a@b", {}),
        (b"FROM:a@b", "a@b", {}),
        (b"FROM:a@b SIZE=7", "a@b", {b"SIZE": b"7"}),
        (b"FROM:<> BODY=8BITMIME SMTPUTF8", None, {b"BODY": b"8BITMIME", b"SMTPUTF8": None}),
        (b'FROM:<"a>b"@c>', "a>b@c", {}),
        (rb'FROM:<"a\"> b"@c> size=1', 'a"> b@c', {b"SIZE": b"1"}),
    ],
)
def test_senders(argument: bytes, address: str | None, parameters: dict[bytes, bytes | None]) -> None:
    path = parse_reverse_path(argument)
    assert (path.address and str(path.address), path.parameters) == (address, parameters)


@pytest.mark.parametrize(
    "argument",
    [
        b"", b"FROM", b"FROM <a@b>", b"TO:<a@b>", b"FROM:", b"FROM:\x0b", b"FROM:<a@b", b"FROM:<a@b>x", b"FROM:<a@b>SIZE=1",
        b"FROM:<@x>", b"FROM:<@x:>", b"FROM:<@x,y:a@b>",
        b"FROM:< a@b>", b"FROM:<a@b> SIZE=", b"FROM:<a@b> =1", b"FROM:<a@b> SIZE=1 size=2", b"FROM:<a@b> -X=1", b"FROM:<a@b> X=1=2",
        b"FROM:<a@b> X=\x0b",
        b'FROM:<"a@b>', b"FROM:<a@b.>", b"FROM:<pepe>", b"FROM:<a@xn--->", b"FROM:<<a@b>>",
        b"FROM:<a@b> " + b" ".join(b"P%d" % n for n in range(20)),
    ],
)  # fmt: skip
def test_what_is_no_sender(argument: bytes) -> None:
    with pytest.raises(MisuseError):
        parse_reverse_path(argument)


def test_recipients() -> None:
    assert parse_forward_path(b"TO:<ada@home.example>").address == Address("ada", "home.example")
    for argument in (b"TO:<postmaster>", b"to:<PostMaster>", b"TO: Postmaster"):
        path = parse_forward_path(argument)
        assert path.postmaster and path.address is None
    for argument in (b"TO:<>", b"FROM:<a@b>", b"TO:<@a.example>", b"TO:<@a.example:>", b"TO:<@a..b:a@b.example>",
                     b"TO:<@:a@b.example>", b"TO:<@a.example,b.example:a@b.example>", b"TO:<@a.example a@b.example>", b"TO:"):  # fmt: skip
        with pytest.raises(MisuseError):
            parse_forward_path(argument)


@pytest.mark.parametrize("route", [b"@a", b"@a.example", b"@a.example,@b.example", b"@[192.0.2.1]", b"@[IPv6:2001:db8::1],@b.example"])
@pytest.mark.parametrize(
    ("mailbox", "local"), [(b"ada@home.example", "ada"), (b'"a>d:a"@home.example', "a>d:a"), (b'"@x:ada"@home.example', "@x:ada")]
)
def test_source_routes_are_ignored(route: bytes, mailbox: bytes, local: str) -> None:
    """RFC 5321 §4.1.2, A-d-l: must be accepted, should be ignored."""
    wanted = Address(local, "home.example")
    assert parse_forward_path(b"TO:<" + route + b":" + mailbox + b"> NOTIFY=NEVER").address == wanted
    assert parse_reverse_path(b"FROM:<" + route + b":" + mailbox + b">").address == wanted


@pytest.mark.parametrize(
    ("argument", "chunk"), [(b"0", (0, False)), (b"0 LAST", (0, True)), (b"12 last", (12, True)), (b"9" * 20, (10**20 - 1, False))]
)
def test_chunks(argument: bytes, chunk: tuple[int, bool]) -> None:
    assert parse_chunk(argument) == chunk


@pytest.mark.parametrize("argument", [b"", b"x", b"-1", b"+1", b"1 FIRST", b"1.5", b"9" * 21, b" 1", b"1LAST", b"\xd9\xa1"])
def test_what_is_no_chunk(argument: bytes) -> None:
    with pytest.raises(MisuseError):
        parse_chunk(argument)


def test_greeting_names_are_taken_as_they_come() -> None:
    assert parse_greeting_name(b"[192.0.2.1]") == "[192.0.2.1]"
    assert parse_greeting_name(b"my_pc with a name") == "my_pc"
    assert parse_greeting_name("bücher".encode()) == "bücher"
    for nothing in (b"", b"\x01", b"x" * 256):
        with pytest.raises(MisuseError):
            parse_greeting_name(nothing)


@given(st.binary(max_size=80))
def test_xtext_is_decoded_again(octets: bytes) -> None:
    assert decode_xtext(encode_xtext(octets)) == octets


@given(st.binary(max_size=400))
def test_any_octets_are_read_or_misuse(octets: bytes) -> None:
    for parse in (parse_command, parse_reverse_path, parse_forward_path, parse_parameters, parse_chunk, parse_greeting_name, decode_xtext):
        for tried in (octets, b"FROM:<" + octets, b"TO:<" + octets):
            try:
                parse(tried)
            except MisuseError as problem:
                assert not re.search(r"[\x00-\x1f]", str(problem))


@pytest.mark.corpus
def test_flanker_addresses() -> None:
    """Valid ones are taken and invalid ones refused, apart from what only a header has: names, comments, folding."""
    folder = need_corpus() / "addresses" / "flanker"

    def rows(name: str) -> list[str]:
        lines = (folder / name).read_text(encoding="utf-8").splitlines()
        return [row for line in lines if (row := re.split(r"\s{4,}#", line)[0].rstrip()) and not row.startswith("#")]

    of_headers = re.compile(r"[(<]|^[^\"]*\s")
    taken = [row for row in rows("mailbox_valid.txt") if not of_headers.search(re.sub(r'^"(?:[^"\\]|\\.)*"', "", row))]
    assert len(taken) > 120
    for row in taken:
        assert parse_forward_path(b"TO:<" + row.encode() + b">").address, row
    for row in rows("mailbox_invalid.txt"):
        with pytest.raises(MisuseError):
            parse_forward_path(b"TO:<" + row.encode() + b">")
            pytest.fail(row)
