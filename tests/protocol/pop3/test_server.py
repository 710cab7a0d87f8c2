"""The state table: every state with every verb, lines of any length, any octets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.mail.errors import MisuseError, Trouble
from appliance.mail.limits import AUTH_LINE_OCTETS, POP3_LINE_OCTETS
from appliance.pop3d.session import _HANDLERS, ERRORS
from appliance.protocol.pop3.grammar import Pop3Command, err, ok, parse_command, parse_number
from appliance.protocol.pop3.server import DISCARDED_OCTETS, VERBS, Endless, Foreign, Misuse, Pop3ServerState, Pop3State, SaslResponse


def events(protocol: Pop3ServerState) -> list[object]:
    out = []
    while (event := protocol.next_event()) is not None:
        out.append(event)
        if isinstance(event, Endless | Foreign):  # the session ends here
            break
    return out


@pytest.mark.parametrize("state", list(Pop3State))
@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name.decode())
def test_every_state_and_verb(state: Pop3State, verb: object) -> None:
    protocol = Pop3ServerState()
    protocol.state = state
    line = b" ".join([verb.name.lower(), *[b"1"] * verb.least])
    protocol.receive(line + b"\r\n")
    (event,) = events(protocol)
    if state is Pop3State.EXCHANGE:
        assert event == SaslResponse(line)
    elif verb.states & state:
        assert event == Pop3Command(verb.name, (b"1",) * verb.least)
    else:
        assert isinstance(event, Misuse)


def test_the_tables_are_complete() -> None:
    assert set(_HANDLERS) == {verb.name for verb in VERBS}
    assert set(ERRORS) == set(Trouble)


def test_arguments() -> None:
    assert parse_command(b"top 1 2 ") == Pop3Command(b"TOP", (b"1", b"2"))
    assert parse_command(b"PASS  two  spaces ") == Pop3Command(b"PASS", (b" two  spaces ",))
    assert parse_command(b"PASS ") == Pop3Command(b"PASS")
    assert "secret" not in repr(parse_command(b"PASS secret"))
    for wrong in (b"", b" ", b"TOP  1", b"TOP 1  2", b"T\xc3\x96P", b"A" * 17, b"TOP\t1", b"NOOP \0"):
        with pytest.raises(MisuseError):
            parse_command(wrong)
    for wrong in (b"", b"-1", b"+1", b"1.0", b" 1", b"\xb2", b"1" * 11):
        with pytest.raises(MisuseError):
            parse_number(wrong)


def test_answers() -> None:
    assert (ok(), ok("so"), err("no"), err("no", "AUTH")) == (b"+OK\r\n", b"+OK so\r\n", b"-ERR no\r\n", b"-ERR [AUTH] no\r\n")


def test_long_lines_are_discarded_once() -> None:
    protocol = Pop3ServerState()
    protocol.state = Pop3State.TRANSACTION
    protocol.receive(b"NOOP " + b"x" * POP3_LINE_OCTETS)
    assert events(protocol) == []
    protocol.receive(b"y" * 1000 + b"\r\nNOOP\r\n")
    assert events(protocol) == [Misuse("The line is too long."), Pop3Command(b"NOOP")]
    protocol.receive(b"NOOP " + b"x" * POP3_LINE_OCTETS + b"\r\nNOOP\r\n")
    assert events(protocol) == [Misuse("The line is too long."), Pop3Command(b"NOOP")]


def test_endless_lines_are_endless() -> None:
    protocol = Pop3ServerState()
    for _ in range(DISCARDED_OCTETS // 4096 + 1):
        protocol.receive(b"x" * 4096)
        found = events(protocol)
        assert len(protocol._buffer) <= AUTH_LINE_OCTETS + 4096
    assert found == [Endless()]


def test_what_came_before_tls_is_forgotten() -> None:
    protocol = Pop3ServerState()
    protocol.receive(b"STLS\r\nUSER mallory\r\nPA")
    assert protocol.next_event() == Pop3Command(b"STLS")
    protocol.discard_buffer()
    protocol.receive(b"CAPA\r\n")
    assert events(protocol) == [Pop3Command(b"CAPA")]


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=5), st.sampled_from(list(Pop3State)))
def test_chunks_make_no_difference(octets: bytes, places: list[int], state: Pop3State) -> None:
    whole, chunks = Pop3ServerState(), Pop3ServerState()
    whole.state = chunks.state = state
    whole.receive(octets)
    expected = events(whole)
    found = []
    ends = sorted(place % (len(octets) + 1) for place in places)
    for start, end in zip([0, *ends], [*ends, len(octets)], strict=True):
        chunks.receive(octets[start:end])
        found += events(chunks)
        if found and isinstance(found[-1], Foreign):
            break
    assert found == expected
    assert len(expected) == octets.count(b"\n") or isinstance(expected[-1], Foreign)
