"""FETCH against a plain slicer, in chunks, with others changing things meanwhile, and within bounds."""

import re
import tempfile
import time
import tracemalloc
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.protocol.imap.fields import Fields
from tests.support.services import Components, some_components

from .client import Client, signed_in
from .picture import ok

_NEXT = re.compile(rb" ?((?:BODY|BINARY)[A-Z.]*\[[^]]*\](?:<[0-9]+>)?|[A-Z0-9.]+) (?:~?\{([0-9]+)\}\r\n|(NIL|[0-9]+|\([^)]*\)))")
Sections = dict[bytes, bytes | None]


def items_of(response: bytes) -> Sections:
    """The items of one FETCH response by label."""
    at = response.index(b"(") + 1
    found: Sections = {}
    while response[at : at + 1] != b")":
        item = _NEXT.match(response, at)
        assert item, response[at : at + 80]
        at = item.end()
        if item[2]:
            found[item[1]] = response[at : at + int(item[2])]
            at += int(item[2])
        else:
            found[item[1]] = None if item[3] == b"NIL" else item[3]
    assert at == len(response) - 1
    return found


# --- a message and its sections, made together ------------------------------------------------


@dataclass
class Made:
    header: bytes
    body: bytes
    sections: dict[tuple[int, ...], bytes] = field(default_factory=dict)
    """BODY[n.m] by number, for parts inside."""
    texts: dict[bytes, bytes] = field(default_factory=dict)
    """The sections with words, without brackets."""
    is_message: bool = False


WORDS = st.lists(st.sampled_from([b"words\r\n", b"\r\n", b"--not\r\n", b"caf\xc3\xa9\r\n", b"." * 300 + b"\r\n"]), max_size=5).map(b"".join)
LEAVES = st.builds(
    lambda words, kind: Made(b"Content-Type: %b\r\nX-Leaf: a\r\n b\r\n\r\n" % kind, words),
    WORDS,
    st.sampled_from([b"text/plain", b"image/png"]),
)


def multipart(parts: list[Made], depth: int) -> Made:
    boundary = b"b%d" % depth
    body = b"preamble\r\n"
    made = Made(b"Content-Type: multipart/mixed; boundary=%b\r\n\r\n" % boundary, b"")
    for number, part in enumerate(parts, 1):
        body += b"\r\n--%b\r\n" % boundary + part.header + part.body
        made.sections[number,] = part.body
        made.texts[b"%d.MIME" % number] = part.header
        made.sections |= {(number, *inner): octets for inner, octets in part.sections.items()}
        made.texts |= {b"%d.%b" % (number, name): octets for name, octets in part.texts.items()}
    made.body = body + b"\r\n--%b--\r\n" % boundary
    return made


def enclosed(inner: Made) -> Made:
    """A message/rfc822 part: its sections are those of the message inside."""
    made = Made(b"Content-Type: message/rfc822\r\n\r\n", b"Subject: inner\r\n" + inner.header + inner.body, is_message=True)
    made.texts = {b"HEADER": b"Subject: inner\r\n" + inner.header, b"TEXT": inner.body}
    if inner.sections:
        made.sections = dict(inner.sections)
        made.texts |= inner.texts
    else:
        made.sections = {(1,): inner.body}
    return made


def grown(depth: int) -> "st.SearchStrategy[Made]":
    if depth == 0:
        return LEAVES
    inner = grown(depth - 1)
    several = st.lists(inner, min_size=1, max_size=3).map(lambda parts: multipart(parts, depth))
    return st.one_of(LEAVES, several, st.one_of(LEAVES, several).map(enclosed))


MESSAGES = st.lists(grown(2), min_size=1, max_size=3).map(lambda parts: multipart(parts, 9))
PARTIALS = st.tuples(st.integers(0, 900), st.integers(1, 900))
FIELDS = st.sampled_from([b"content-type", b"X-LEAF", b"Subject x-none"])


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(MESSAGES, min_size=1, max_size=5), PARTIALS, FIELDS)
def test_sections_are_those_of_a_plain_slicer(messages: list[Made], partial: tuple[int, int], names: bytes) -> None:
    trio.run(compare, messages, partial, names)


async def compare(messages: list[Made], partial: tuple[int, int], names: bytes) -> None:
    with tempfile.TemporaryDirectory() as place:
        async with some_components(Path(place)) as components:
            client = await signed_in(components, b"INBOX")
            for number, made in enumerate(messages, 1):
                await components.deliver(b"From: a@example.org\r\n" + made.header + made.body)
                await ok(client, b"NOOP")
                await compare_one(client, number, made, partial, names)


async def compare_one(client: Client, number: int, made: Made, partial: tuple[int, int], names: bytes) -> None:
    header = b"From: a@example.org\r\n" + made.header
    wanted: dict[bytes, bytes | None] = {b"": header + made.body, b"HEADER": header, b"TEXT": made.body, b"77": None, b"1.1.1.1.1.1": None}
    wanted |= made.texts
    wanted |= {b".".join(b"%d" % part for part in parts): octets for parts, octets in made.sections.items()}
    first, count = partial
    sections = list(wanted)
    for start in range(0, len(sections), 40):
        some = sections[start : start + 40]
        asked = b" ".join(b"BODY.PEEK[%b] BODY.PEEK[%b]<%d.%d>" % (name, name, first, count) for name in some)
        sent = items_of((await ok(client, b"FETCH %d (%b)" % (number, asked)))[0])
        for name in some:
            whole = wanted[name]
            assert sent[b"BODY[%b]" % name] == whole, name
            assert sent[b"BODY[%b]<%d>" % (name, first)] == (None if whole is None else whole[first : first + count])
    fields = Fields(names.split())
    sent = items_of((await ok(client, b"FETCH %d BODY.PEEK[HEADER.FIELDS (%b)]" % (number, names)))[0])
    assert sent[b"BODY[HEADER.FIELDS (%b)]" % names] == fields.feed(header) + fields.finish()


# --- large messages ---------------------------------------------------------------------------

LARGE_OCTETS = 24 * 2**20


async def large(components: Components) -> bytes:
    info = await components.store.find(components.account(), "INBOX")
    line = b"0123456789abcdef" * 4 + b"\r\n"
    head = b"Subject: large\r\n\r\n"
    from appliance.store.values import Placement

    async with components.store.receive(2**27) as incoming:
        await incoming.write(head)
        for _ in range(LARGE_OCTETS // (len(line) * 1000)):
            await incoming.write(line * 1000)
        await components.store.file(await incoming.finish(), [Placement(info.id, b"", (), 0)])
    return line


async def drained(client: Client, command: bytes) -> int:
    """Octets of the response, read and discarded."""
    await client.send(b"big %b\r\n" % command)
    total, tail = 0, b""
    while b"big OK" not in tail:
        chunk = bytes(await client.stream.receive_some(2**18))
        assert chunk
        total += len(chunk)
        tail = (tail + chunk)[-200:]
    return total


async def test_a_large_message_streams_in_constant_memory(tmp_path: Path) -> None:
    async with some_components(tmp_path) as components:
        await large(components)
        client = await signed_in(components, b"INBOX")
        await drained(client, b"FETCH 1 BODY.PEEK[]<0.100>")
        tracemalloc.start()
        try:
            for command in (b"FETCH 1 BODY.PEEK[]", b"FETCH 1 BINARY.PEEK[1]", b"FETCH 1 BODY.PEEK[TEXT]<1000.20000000>"):
                tracemalloc.reset_peak()
                before = tracemalloc.get_traced_memory()[0]
                assert await drained(client, command) > 19_000_000
                assert tracemalloc.get_traced_memory()[1] - before < 4 * 2**20, command
        finally:
            tracemalloc.stop()


async def test_chunks_of_a_large_message_join_to_the_whole(tmp_path: Path) -> None:
    """At most at twice the CPU of the whole, asserted at five times: here the client and its commands count as well."""
    async with some_components(tmp_path) as components:
        line = await large(components)
        client = await signed_in(components, b"INBOX")
        started = time.process_time()
        await drained(client, b"FETCH 1 BODY.PEEK[]")
        whole_s = time.process_time() - started
        started = time.process_time()
        at, size = 0, 2**16
        expected = line * (size // len(line) + 2)
        while True:
            sent = items_of((await ok(client, b"UID FETCH 1 BODY.PEEK[TEXT]<%d.%d>" % (at, size)))[0])
            chunk = sent[b"BODY[TEXT]<%d>" % at] or b""
            assert chunk == expected[at % len(line) :][: len(chunk)]
            at += len(chunk)
            if len(chunk) < size:
                break
        assert at == LARGE_OCTETS // (len(line) * 1000) * len(line) * 1000
        chunks_s = time.process_time() - started
        print(f"whole {whole_s * 1000:.0f} ms, in chunks {chunks_s * 1000:.0f} ms")
        assert chunks_s < 5 * whole_s + 1


async def test_the_kept_message_is_never_sent_after_its_expunge(tmp_path: Path) -> None:
    async with some_components(tmp_path) as components:
        await large(components)
        one, two = await signed_in(components, b"INBOX"), await signed_in(components, b"INBOX")
        first = await ok(one, b"FETCH 1 (FLAGS BODY.PEEK[]<0.10>)")
        assert await ok(one, b"FETCH 1 (FLAGS BODY.PEEK[]<0.10>)") == first
        await ok(two, b"STORE 1 +FLAGS (\\Flagged)")
        assert items_of((await ok(one, b"FETCH 1 (FLAGS BODY.PEEK[]<0.10>)"))[0])[b"FLAGS"] == b"(\\Flagged \\Recent)"
        await ok(two, b"STORE 1 +FLAGS.SILENT (\\Deleted)")
        await ok(two, b"EXPUNGE")
        untagged, tagged = await one.command(b"FETCH 1 BODY.PEEK[]<10.10>")
        assert tagged.startswith(b"NO [EXPUNGEISSUED]") and not any(b"BODY" in line for line in untagged)


# --- others change things meanwhile ------------------------------------------------------------


async def test_messages_expunged_by_others_are_left_out(tmp_path: Path) -> None:
    """RFC 2180 §4.1.3 by number; RFC 9051 §6.4.9 by UID."""
    async with some_components(tmp_path) as components:
        for number in range(5):
            await components.deliver(b"Subject: %d\r\n\r\n" % number)
        one, two = await signed_in(components, b"INBOX"), await signed_in(components, b"INBOX")
        await ok(two, b"STORE 2,4 +FLAGS.SILENT (\\Deleted)")
        await ok(two, b"EXPUNGE")
        untagged, tagged = await one.command(b"FETCH 1:* (UID)")
        assert [line for line in untagged if b"FLAGS" not in line] == [b"* 1 FETCH (UID 1)", b"* 3 FETCH (UID 3)", b"* 5 FETCH (UID 5)"]
        assert tagged.startswith(b"NO [EXPUNGEISSUED]")
        untagged, tagged = await one.command(b"FETCH 1:* (UID BODY.PEEK[HEADER])")
        assert len(untagged) == 3 and tagged.startswith(b"NO [EXPUNGEISSUED]")
        untagged, tagged = await one.command(b"UID FETCH 1:* (BODY.PEEK[HEADER])")
        assert len(untagged) == 5 and untagged[3:] == [b"* 2 EXPUNGE", b"* 3 EXPUNGE"] and tagged.startswith(b"OK")


async def test_exists_announces_new_messages_before_they_have_a_number(tmp_path: Path) -> None:
    async with some_components(tmp_path) as components:
        await components.deliver(b"Subject: 1\r\n\r\n")
        client = await signed_in(components, b"INBOX")
        await components.deliver(b"Subject: 2\r\n\r\n")
        untagged = await ok(client, b"FETCH 1:* (UID)")
        assert untagged == [b"* 1 FETCH (UID 1)", b"* 2 EXISTS", b"* 2 RECENT"]
        assert await ok(client, b"UID FETCH 2:* FLAGS") == [b"* 2 FETCH (UID 2 FLAGS (\\Recent))"]


# --- bounds --------------------------------------------------------------------------------


async def test_hostile_fetches_cost_little(tmp_path: Path) -> None:
    async with some_components(tmp_path) as components:
        for number in range(300):
            await components.deliver(b"Subject: %d\r\n\r\n" % number)
        client = await signed_in(components, b"INBOX")
        started = time.process_time()
        assert len(await ok(client, b"UID FETCH 1:4294967295 FLAGS")) == 300
        assert len(await ok(client, b"UID FETCH %b FLAGS" % b",".join(b"%d" % n for n in range(10_000, 0, -1)))) == 300
        assert len(await ok(client, b"FETCH %b UID" % b",".join([b"1:*"] * 10_000))) == 300
        for command in (
            b"(" * 50_000,
            b"(FLAGS" + b" UID" * 15_000,
            b"BODY[" + b"1." * 30_000,
            b"(%b)" % b" ".join(b"BODY[%d]" % n for n in range(1, 5000)),
        ):
            _, tagged = await client.command(b"FETCH 1 " + command)
            assert tagged.startswith(b"BAD")
        assert time.process_time() - started < 10, "ten times the measured cost"


async def test_a_header_bomb_is_cut_in_constant_memory(tmp_path: Path) -> None:
    """8 MiB of fields: HEADER.FIELDS of them all is sent chunk by chunk."""
    async with some_components(tmp_path) as components:
        bomb = b"From: a@example.org\r\n" * (8 * 2**20 // 21)
        await components.deliver(bomb + b"\r\nbody\r\n")
        client = await signed_in(components, b"INBOX")
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            assert await drained(client, b"FETCH 1 BODY.PEEK[HEADER.FIELDS (FROM)]") > len(bomb)
            assert tracemalloc.get_traced_memory()[1] - before < 6 * 2**20
        finally:
            tracemalloc.stop()


@pytest.mark.parametrize("octets", [b"", b"\r\n", b"no header at all", b"Subject: x", b"Subject: x\r\n"])
async def test_messages_without_header_or_body(tmp_path: Path, octets: bytes) -> None:
    async with some_components(tmp_path) as components:
        await components.deliver(octets)
        client = await signed_in(components, b"INBOX")
        sent = items_of((await ok(client, b"FETCH 1 (BODY.PEEK[] BODY.PEEK[HEADER] BODY.PEEK[TEXT] BODY.PEEK[1])"))[0])
        assert sent[b"BODY[]"] == octets == (sent[b"BODY[HEADER]"] or b"") + (sent[b"BODY[TEXT]"] or b"")
