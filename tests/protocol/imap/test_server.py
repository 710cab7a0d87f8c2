"""Command framing: a complete table, the same commands for any division of the octets, bounded on hostile ones."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.mail.limits import IMAP_COMMAND_OCTETS, IMAP_LINE_OCTETS, LITERAL_DISCARD_OCTETS
from appliance.protocol.imap.server import (
    TRANSITIONS,
    Continue,
    Fatal,
    ImapReader,
    Message,
    NeedMore,
    Phase,
    ReceivedCommand,
    Refused,
    Rest,
    Step,
)

STREAMED = {b"APPEND": 1, b"REPLACE": 2}


def reader(signed_in: bool = True) -> ImapReader:
    made = ImapReader(STREAMED)
    made.signed_in = signed_in
    return made


def events(made: ImapReader, *chunks: bytes) -> list[object]:
    """All events of the chunks; messages are accepted, as APPEND would."""
    found: list[object] = []
    for chunk in chunks:
        made.feed(chunk)
        while True:
            if made.phase is Phase.MESSAGE:
                octets = made.chunk()
                if octets is None:
                    break
                if octets and found and isinstance(found[-1], bytes):
                    found[-1] += octets
                elif octets:
                    found.append(octets)
                continue
            event = made.next()
            if isinstance(event, NeedMore):
                break
            found.append(event)
            if isinstance(event, Message):
                made.accept()
            if isinstance(event, Fatal):
                return found
    return found


def shown(found: list[object]) -> list[object]:
    out: list[object] = []
    for event in found:
        if isinstance(event, ReceivedCommand):
            out.append((event.tag, event.name, event.tokens._text, list(event.tokens._literals)))
        elif isinstance(event, Message):
            out.append((event.tag, event.name, event.tokens._text, event.octets, event.synchronising, event.binary))
        elif isinstance(event, Rest):
            out.append(("rest", event.tokens._text))
        elif isinstance(event, Refused):
            out.append((event.tag, event.word, event.code))
        else:
            out.append(event if isinstance(event, bytes) else type(event).__name__)
    return out


def test_every_phase_and_step_is_decided() -> None:
    """A step the table does not name raises RuntimeError."""
    assert {phase for phase, _ in TRANSITIONS} == set(Phase) - {Phase.ENDED}
    assert {step for _, step in TRANSITIONS} == set(Step)
    for phase in Phase:
        for step in Step:
            made = reader()
            made.phase = phase
            if (phase, step) in TRANSITIONS:
                made._go(step)
                assert made.phase is TRANSITIONS[phase, step]
            else:
                with pytest.raises(RuntimeError):
                    made._go(step)


def test_every_phase_is_reached_and_left() -> None:
    reached, edge = {Phase.TEXT}, {Phase.TEXT}
    while edge:
        edge = {after for (before, _), after in TRANSITIONS.items() if before in edge} - reached
        reached |= edge
    assert reached == set(Phase)


def test_plain_commands_and_bare_lf() -> None:
    assert shown(events(reader(), b"a1 NOOP\r\na2 login x y\na3 UID FETCH 1 ALL\r\n")) == [
        (b"a1", b"NOOP", b"", []),
        (b"a2", b"LOGIN", b" x y", []),
        (b"a3", b"UID", b" FETCH 1 ALL", []),
    ]


def test_rfc_9051_login_with_literals() -> None:
    made = reader(signed_in=False)
    assert shown(events(made, b"A001 LOGIN {11}\r\n", b"FRED FOOBAR {7}\r\n", b"fat man\r\n")) == [
        "Continue",
        "Continue",
        (b"A001", b"LOGIN", b" {11}\r\n {7}\r\n", [b"FRED FOOBAR", b"fat man"]),
    ]
    assert made.at_rest()


def test_non_synchronising_literals_need_no_word() -> None:
    assert shown(events(reader(False), b"A1 LOGIN {4+}\r\nfred {3+}\r\nman\r\n")) == [
        (b"A1", b"LOGIN", b" {4+}\r\n {3+}\r\n", [b"fred", b"man"])
    ]


def test_a_literal_may_look_like_anything() -> None:
    assert shown(events(reader(), b"a SEARCH TEXT {9}\r\n{5}\r\na b\r\r\n")) == [
        "Continue",
        (b"a", b"SEARCH", b" TEXT {9}\r\n", [b"{5}\r\na b\r"]),
    ]


def test_an_oversize_synchronising_literal_ends_its_command() -> None:
    for signed_in, octets in ((False, 1025), (False, 4294967295), (True, IMAP_COMMAND_OCTETS + 1), (True, 10**30)):
        found = shown(events(reader(signed_in), b"a LOGIN {%d}\r\nb NOOP\r\n" % octets))
        assert found == [(b"a", b"NO", b"TOOBIG"), (b"b", b"NOOP", b"", [])]


def test_an_oversize_non_synchronising_literal_is_discarded() -> None:
    octets = LITERAL_DISCARD_OCTETS
    found = shown(events(reader(False), b"a LOGIN {%d+}\r\n" % octets, b"x" * octets, b" {1}\r\nb NOOP\r\n"))
    assert found == [(b"a", b"NO", b"TOOBIG"), (b"b", b"NOOP", b"", [])]


@pytest.mark.parametrize("octets", [LITERAL_DISCARD_OCTETS + 1, 4294967295, 10**40])
def test_beyond_that_the_session_ends(octets: int) -> None:
    found = events(reader(False), b"a LOGIN {%d+}\r\n" % octets, b"x" * 100 + b"\r\nb NOOP\r\n")
    assert shown(found) == ["Fatal"]
    assert found[0].code == b"TOOBIG"


def test_many_small_literals_are_bounded() -> None:
    made, found = reader(), []
    made.feed(b"a SEARCH")
    for _ in range(20_000):
        found = shown(events(made, b" {0+}\r\n"))
        if found:
            break
    assert found in (["Fatal"], [(b"a", b"NO", b"TOOBIG")])


def test_a_message_is_streamed_and_a_name_is_not() -> None:
    assert shown(events(reader(), b"a APPEND {5}\r\n", b"INBOX (\\Seen) {3}\r\nabc\r\nb NOOP\r\n")) == [
        "Continue",
        (b"a", b"APPEND", b" {5}\r\n (\\Seen) ", 3, True, False),
        b"abc",
        ("rest", b""),
        (b"b", b"NOOP", b"", []),
    ]


def test_several_messages() -> None:
    assert shown(events(reader(), b"a APPEND x {3+}\r\nabc (\\Seen) ~{2+}\r\nde\r\nb NOOP\r\n")) == [
        (b"a", b"APPEND", b" x ", 3, False, False),
        b"abc",
        (b"a", b"APPEND", b" (\\Seen) ", 2, False, True),
        b"de",
        ("rest", b""),
        (b"b", b"NOOP", b"", []),
    ]


def test_before_login_nothing_is_streamed() -> None:
    assert shown(events(reader(False), b"a APPEND x {5000}\r\n")) == [(b"a", b"NO", b"TOOBIG")]


def test_a_refused_message() -> None:
    made = reader()
    made.feed(b"a APPEND x {5}\r\nb NOOP\r\n")
    message = made.next()
    assert isinstance(message, Message) and made.refuse(message)
    assert shown(events(made, b"")) == [(b"b", b"NOOP", b"", [])]
    made.feed(b"a APPEND x {5+}\r\n12345 {3+}\r\nabc\r\nb NOOP\r\n")
    message = made.next()
    assert isinstance(message, Message) and not made.refuse(message)
    assert shown(events(made, b"")) == [(b"a", b"NO", b""), (b"b", b"NOOP", b"", [])]
    made.feed(b"a APPEND x {4294967295+}\r\n")
    message = made.next()
    assert isinstance(message, Message) and not made.refuse(message)
    assert shown(events(made, b"12345")) == ["Fatal"]


def test_lines_that_are_no_command() -> None:
    found = shown(events(reader(), b"\r\n* x\r\n+ x\r\nonly\r\na {3}\r\na {3+}\r\nabc\r\n(a b\r\n\xff\xfe\r\n"))
    assert all(event[1] == b"BAD" for event in found)
    assert [event[0] for event in found] == [b"*", b"*", b"*", b"only", b"a", b"a", b"*", b"*"]


def test_an_endless_line() -> None:
    made = reader()
    assert shown(events(made, b"a NOOP " + b"x" * IMAP_LINE_OCTETS + b"\r\nb NOOP\r\n")) == [
        (b"a", b"BAD", b"TOOBIG"),
        (b"b", b"NOOP", b"", []),
    ]
    assert shown(events(made, *[b"x" * 10_000] * 20)) == ["Fatal"]
    assert made.pending() == 0


def test_an_exchange_of_lines() -> None:
    made = reader(False)
    assert shown(events(made, b"a AUTHENTICATE PLAIN\r\n")) == [(b"a", b"AUTHENTICATE", b" PLAIN", [])]
    made.begin_exchange()
    made.feed(b"AGZy")
    assert made.exchange_line() is None
    made.feed(b"ZWQ=\r\n*\nb NOOP\r\n")
    assert made.exchange_line() == b"AGZyZWQ="
    assert made.exchange_line() == b"*"
    made.end_exchange()
    assert shown(events(made, b"")) == [(b"b", b"NOOP", b"", [])]


WORDS = st.sampled_from(
    [
        b"NOOP",
        b"LOGIN",
        b"APPEND",
        b"x",
        b"(",
        b")",
        b'"q {3}"',
        b"{3}\r\nabc",
        b"{3+}\r\na\r\n",
        b"~{2+}\r\n\0\n",
        b"{0}\r\n",
        b"\\Seen",
        b"*",
        b"\xff",
        b"{70000+}\r\n",
    ]
)
COMMANDS = st.lists(st.lists(WORDS, min_size=1, max_size=5).map(lambda words: b"t " + b" ".join(words) + b"\r\n"), max_size=5)


@given(COMMANDS, st.lists(st.integers(0, 10_000), max_size=30), st.booleans())
def test_events_do_not_depend_on_the_chunks(commands: list[bytes], cuts: list[int], signed_in: bool) -> None:
    data = b"".join(commands)
    places = sorted({cut % (len(data) + 1) for cut in cuts} | {0, len(data)})
    chunks = [data[start:end] for start, end in pairwise(places)]
    assert shown(events(reader(signed_in), *chunks)) == shown(events(reader(signed_in), data))


@given(st.binary(max_size=400), st.booleans())
def test_hostile_octets_give_events_only(data: bytes, signed_in: bool) -> None:
    made = reader(signed_in)
    found = events(made, data)
    assert all(isinstance(event, (ReceivedCommand, Message, Rest, Refused, Continue, Fatal, bytes)) for event in found)
    assert made.pending() <= len(data)
