"""CONTEXT: a client that follows ADDTO and REMOVEFROM alone knows the result, whatever two sessions do (RFC 5267 §4.3)."""

import random
import re
from pathlib import Path

import pytest

from appliance.imapd.extensions import context
from tests.imapd.client import Client, signed_in
from tests.imapd.picture import ok
from tests.support.services import Components, some_components

_UPDATE = re.compile(rb'\* ESEARCH \(TAG "(\w+)"\)( UID)? (ADDTO|REMOVEFROM) \(([^)]*)\)')
SEARCHES = {
    b"SEARCH RETURN (UPDATE ALL) UNSEEN": b"SEARCH UNSEEN",
    b"UID SEARCH RETURN (UPDATE ALL) OR FLAGGED SUBJECT x": b"UID SEARCH OR FLAGGED SUBJECT x",
    b"UID SORT RETURN (UPDATE ALL) (SUBJECT REVERSE ARRIVAL) UTF-8 NOT FLAGGED": b"UID SORT (SUBJECT REVERSE ARRIVAL) UTF-8 NOT FLAGGED",
    b"SORT RETURN (UPDATE ALL) (REVERSE SUBJECT) UTF-8 SEEN": b"SORT (REVERSE SUBJECT) UTF-8 SEEN",
}


def numbers(written: bytes) -> list[int]:
    found = []
    for part in written.split(b",") if written else []:
        first, _, last = part.partition(b":")
        found += range(int(first), int(last or first) + 1)
    return found


class Model:
    """The result of one search as a client keeps it."""

    def __init__(self, uid: bool, result: list[int]) -> None:
        self.uid, self.result = uid, result

    def update(self, word: bytes, pairs: bytes) -> None:
        words = pairs.split(b" ")
        for place, written in zip(map(int, words[::2]), words[1::2], strict=True):
            chosen = numbers(written)
            if word == b"REMOVEFROM":
                assert set(chosen) <= set(self.result), "only what is there is removed"
                if place:
                    assert self.result[place - 1 : place - 1 + len(chosen)] == chosen
                self.result = [one for one in self.result if one not in chosen]
            else:
                assert not set(chosen) & set(self.result), "nothing is added twice"
                self.result = sorted(self.result + chosen) if not place else [*self.result[: place - 1], *chosen, *self.result[place - 1 :]]

    def expunged(self, number: int) -> None:
        if not self.uid:
            assert number not in self.result, "REMOVEFROM comes before EXPUNGE"
            self.result = [one - (one > number) for one in self.result]


def feed(models: dict[bytes, Model], untagged: list[bytes]) -> None:
    for line in untagged:
        if update := _UPDATE.fullmatch(line):
            models[update[1]].update(update[3], update[4])
        elif line.endswith(b" EXPUNGE"):
            for model in models.values():
                model.expunged(int(line.split()[1]))


async def act(chance: random.Random, client: Client, components: Components, count: int) -> list[bytes]:
    kind = chance.randrange(6)
    message = chance.randrange(1, count + 1) if count else 0
    if kind == 0 or not count:
        flags = chance.choice(((), ("\\Seen",), ("\\Flagged",)))
        await components.deliver(b"Subject: %b\r\n\r\n" % chance.choice((b"x", b"y", b"z")), flags=flags)
        return (await client.command(b"NOOP"))[0]
    if kind == 1:
        untagged = (await client.command(b"STORE %d +FLAGS.SILENT (\\Deleted)" % message))[0]
        return untagged + (await client.command(b"EXPUNGE"))[0]
    if kind == 2:
        return (await client.command(b"FETCH %d BODY[]" % message))[0]
    word = chance.choice((b"+", b"-"))
    flag = chance.choice((b"\\Seen", b"\\Flagged"))
    return (await client.command(b"STORE %d:%d %bFLAGS (%b)" % (message, chance.randrange(1, count + 1), word, flag)))[0]


@pytest.mark.parametrize("seed", range(4))
async def test_the_client_knows_the_result(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    async with some_components(tmp_path) as components:
        for _ in range(8):
            await components.deliver(b"Subject: %b\r\n\r\n" % chance.choice((b"x", b"y")))
        client, other = await signed_in(components, b"INBOX"), await signed_in(components, b"INBOX")
        models: dict[bytes, Model] = {}
        for search in SEARCHES:
            (response,) = await ok(client, search)
            tag = response.split(b'"')[1]
            models[tag] = Model(search.startswith(b"UID"), numbers(response.partition(b" ALL ")[2]))
        for _ in range(40):
            for one in (client, other):
                feed(models, await ok(client, b"NOOP"))
                await ok(other, b"NOOP")
                count = (await components.store.find(components.account(), "INBOX")).messages
                untagged = await act(chance, one, components, count)
                feed(models, untagged if one is client else await ok(client, b"NOOP"))
        await components.store.database.write(lambda transaction: None)  # lazy \Seen is committed
        feed(models, await ok(client, b"NOOP"))
        for model, again in zip(models.values(), SEARCHES.values(), strict=True):
            untagged = await ok(client, again)
            assert model.result == list(map(int, untagged[0].split()[2:])), again


async def test_results_too_large_are_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context, "MEMBERS", 3)
    async with some_components(tmp_path) as components:
        for _ in range(4):
            await components.deliver(b"Subject: a\r\n\r\n")
        client = await signed_in(components, b"INBOX")
        untagged = await ok(client, b"SEARCH RETURN (UPDATE COUNT) ALL")
        assert untagged[0].startswith(b"* NO [NOUPDATE ") and untagged[1].endswith(b" COUNT 4")
        assert len(await ok(client, b"SEARCH RETURN (UPDATE COUNT) 1:3")) == 1


async def test_an_order_that_depends_on_the_others_is_not_followed(tmp_path: Path) -> None:
    async with some_components(tmp_path) as components:
        await components.deliver(b"Subject: hello\r\n\r\n")
        client = await signed_in(components, b"INBOX")
        untagged = await ok(client, b"SORT RETURN (UPDATE ALL) (RELEVANCY) UTF-8 FUZZY SUBJECT hello")
        assert untagged[0].startswith(b"* NO [NOUPDATE ") and untagged[1].endswith(b" ALL 1")
