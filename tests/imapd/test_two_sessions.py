"""Two sessions and deliveries change one mailbox at random; each client's model, from responses alone, equals the store."""

import tempfile
from pathlib import Path
from typing import Any

import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.mail.flags import KEYWORD_SHIFT, SYSTEM_NAMES
from appliance.store.values import Want
from tests.support.services import Components, some_components

from .client import Client, signed_in
from .picture import Picture, ok

MESSAGE = b"From: a@example.org\r\nSubject: %d\r\n\r\nwords\r\n"
FLAGS = (b"\\Seen", b"\\Deleted", b"\\Flagged", b"work", b"Home")

PLACES = st.integers(0, 9)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("deliver"), st.just(0), st.just(0), st.just(b"")),
        st.tuples(st.just("noop"), st.integers(0, 1), st.just(0), st.just(b"")),
        st.tuples(st.just("fetch"), st.integers(0, 1), PLACES, st.sampled_from([b"FLAGS", b"BODY[]", b"(UID BODY.PEEK[TEXT] FLAGS)"])),
        st.tuples(
            st.just("store"),
            st.integers(0, 1),
            PLACES,
            st.tuples(
                st.sampled_from([b"+FLAGS", b"-FLAGS", b"FLAGS", b"+FLAGS.SILENT", b"-FLAGS.SILENT", b"FLAGS.SILENT"]),
                st.sampled_from(FLAGS),
                st.booleans(),
            ).map(lambda words: (b"UID " if words[2] else b"", words[0], words[1])),
        ),
        st.tuples(st.just("expunge"), st.integers(0, 1), PLACES, st.sampled_from([b"EXPUNGE", b"UID EXPUNGE", b"UID MOVE", b"COPY"])),
        st.tuples(st.just("search"), st.integers(0, 1), PLACES, st.sampled_from([b"SEARCH SEEN", b"UID SEARCH FLAGGED"])),
        st.tuples(st.just("enable"), st.integers(0, 1), st.just(0), st.just(b"")),
    ),
    max_size=40,
)


async def step(components: Components, clients: list[tuple[Client, Picture]], what: str, who: int, place: int, words: object) -> None:
    client, picture = clients[who]
    if what == "deliver":
        await components.deliver(MESSAGE % place)
        return
    if what == "enable":
        command = b"FETCH 1 MODSEQ" if picture.uids else b"NOOP"
    elif what == "noop":
        command = b"NOOP"
    elif not picture.uids:
        return
    else:
        number = place % len(picture.uids) + 1
        uid = picture.uids[number - 1]
        if what == "fetch":
            command = b"FETCH %d:* %b" % (number, words)
        elif what == "search":
            command = bytes(words)  # type: ignore[call-overload]
        elif what == "store":
            form, item, flag = words  # type: ignore[misc]
            command = b"%bSTORE %d %b (%b)" % (form, uid if form else number, item, flag)
        elif words == b"EXPUNGE":
            command = b"EXPUNGE"
        elif words == b"COPY":
            command = b"COPY %d INBOX" % number
        else:
            command = b"%b %d%b" % (words, uid or 1, b" Trash" if words == b"UID MOVE" else b"")
    untagged, tagged = await client.command(command)
    if command.startswith((b"FETCH", b"STORE", b"SEARCH")):
        assert not any(line.endswith(b" EXPUNGE") for line in untagged), "RFC 9051 §7.5.1"
    picture.feed(untagged)
    if what == "store" and b".SILENT" in command and uid in picture.flags:
        picture.flags[uid] = silently(picture.flags[uid], item, flag)
    assert tagged.startswith((b"OK", b"NO [EXPUNGEISSUED]")), (command, tagged)
    if any(uid == 0 for uid in picture.uids):
        picture.feed(await ok(client, b"UID FETCH 1:* FLAGS"))


def silently(before: frozenset[bytes], item: bytes, flag: bytes) -> frozenset[bytes]:
    """The client's model of its own .SILENT: the change, applied to whatever it was sent meanwhile."""
    if item.startswith(b"+"):
        return before | {flag}
    return before - {flag} if item.startswith(b"-") else frozenset({flag})


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(STEPS)
def test_both_clients_end_equal_to_the_store(steps: list[tuple[str, int, int, object]]) -> None:
    trio.run(play, steps)


async def play(steps: list[tuple[str, int, int, object]]) -> None:
    with tempfile.TemporaryDirectory() as place:
        async with some_components(Path(place)) as components:
            held_back(components)
            for number in range(4):
                await components.deliver(MESSAGE % number)
            clients = [(await signed_in(components, b"INBOX"), Picture()) for _ in range(2)]
            for client, picture in clients:
                picture.uids = [0] * 4
                picture.feed(await ok(client, b"UID FETCH 1:* FLAGS"))
            for one in steps:
                await step(components, clients, *one)
            truth = await stored(components)
            for client, picture in clients:
                picture.feed(await ok(client, b"NOOP"))
                if 0 in picture.uids:
                    picture.feed(await ok(client, b"UID FETCH 1:* FLAGS"))
                assert picture.messages() == truth


def held_back(components: Components) -> None:
    """Lazy changes wait for the next durable commit, as in the real server; the rooms' own writer commits them at once."""
    writer = components.family.writer
    lazily, durably, waiting = writer.write_lazily, writer.write, []

    async def write(work: Any, *, octets: int = 0) -> Any:
        for one in waiting:
            lazily(one)
        waiting.clear()
        return await durably(work, octets=octets)

    writer.write_lazily = waiting.append  # type: ignore[method-assign]
    writer.write = write  # type: ignore[method-assign]


async def stored(components: Components) -> dict[int, frozenset[bytes]]:
    """The mailbox as committed (a write makes lazy changes durable first)."""
    await components.store.create(components.account(), "elsewhere")
    mailbox = await components.store.open(components.account(), "INBOX", read_only=True)
    rows = await mailbox.rows(1, 2**32 - 1, Want.FLAGS)  # type: ignore[arg-type]
    names = {KEYWORD_SHIFT + place: name.encode() for place, name in enumerate(mailbox.keywords)}
    found = {}
    for row in rows:
        words = [name.encode() for bit, name in SYSTEM_NAMES if row.flags & bit]
        words += [name for bit, name in names.items() if row.flags >> bit & 1]
        found[int(row.uid)] = frozenset(words)
    mailbox.close()
    return found
