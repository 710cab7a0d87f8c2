"""A stored ENVELOPE is parsed into the strings it was made of."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.mail.errors import MisuseError
from appliance.protocol.imap.bodystructure import make_describe
from appliance.protocol.imap.envelope_fields import EnvelopeAddress, _read_as_json, address_text, parse_envelope, parse_list


def envelope_of(header: bytes) -> bytes:
    scanner = make_describe()
    scanner.feed(header + b"\r\n")
    return scanner.finish().envelope


def test_addresses_and_groups() -> None:
    found = parse_envelope(envelope_of(b'From: A "q" <a@b.c>\r\nTo: team: x@y.z, Z <z@y.z>;\r\nSubject: a \\ b\r\nMessage-Id: <1@2>\r\n'))
    assert found.subject == b"a \\ b" and found.message_id == b"<1@2>" and found.date is None
    assert address_text(found.addresses[0]) == b"A q <a@b.c>"
    assert address_text(found.addresses[3]) == b"team: x@y.z, Z <z@y.z>, ;"
    assert found.addresses[4] == ()


@given(st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_categories=["Cs"]), max_size=60))
def test_subjects_come_back(subject: str) -> None:
    octets = " ".join(subject.split(" ")).strip().encode()
    if octets.startswith(b"=?"):
        return
    found = parse_envelope(envelope_of(b"Subject: x " + octets + b"\r\n")).subject
    assert found is not None and found.split() == (b"x " + octets).split()


@given(st.binary(max_size=200))
def test_any_header_has_an_envelope_that_reads(octets: bytes) -> None:
    parse_envelope(envelope_of(b"From: " + octets.replace(b"\n", b"") + b"\r\nSubject: " + octets.replace(b"\n", b"") + b"\r\n"))


def in_latin_1(value: object) -> object:
    if isinstance(value, list):
        return [in_latin_1(one) for one in value]
    return value.decode("latin-1") if isinstance(value, bytes) else value


quoted = st.binary(max_size=20).map(lambda octets: b'"%b"' % octets.translate(None, b'"\\'))
strings = quoted | st.just(b"NIL") | st.sampled_from((b'") ("', b'"NIL"', b'"{3}"', b'"[1,2]"'))
addresses = st.lists(st.tuples(*[strings] * 4).map(lambda words: b"(" + b" ".join(words) + b")"), min_size=1, max_size=3)
lists = st.just(b"NIL") | addresses.map(lambda some: b"(" + b"".join(some) + b")")


@given(st.tuples(strings, strings, *[lists] * 6, strings, strings).map(lambda fields: b"(" + b" ".join(fields) + b")"))
def test_both_ways_to_read_an_envelope_agree(octets: bytes) -> None:
    assert _read_as_json(octets) == in_latin_1(parse_list(octets))


@pytest.mark.parametrize("octets", [b'("a\\"b" NIL)', b'({3}\r\na"b NIL)', b"(nil)", b"(1 2", b'("a"  NIL)', b"(" * 100_000])
def test_what_is_no_json_is_left_to_the_other_way(octets: bytes) -> None:
    assert _read_as_json(octets) is None


@pytest.mark.parametrize(
    "octets",
    [b"", b"()", b"(NIL)", b"NIL", b"(" * 5000, b")" * 50, b'(NIL "' + b"a" * 50, b"(NIL NIL ((NIL)) NIL NIL NIL NIL NIL NIL NIL)",
     b'(NIL NIL ("abcd") NIL NIL NIL NIL NIL NIL NIL)', b"(NIL NIL (NIL) NIL NIL NIL NIL NIL NIL NIL)"],
)  # fmt: skip
def test_what_is_no_envelope(octets: bytes) -> None:
    with pytest.raises(MisuseError):
        parse_envelope(octets)


def test_a_long_list_costs_little() -> None:
    started = time.process_time()
    found = parse_envelope(envelope_of(b"To: " + b", ".join(b"a%d@example.org" % n for n in range(8000)) + b"\r\n"))
    assert len(found.addresses[3]) > 1000
    assert len(address_text((EnvelopeAddress(b"n", None, b"a", b"b"),) * 50_000)) > 400_000
    assert time.process_time() - started < 10
