"""One file of the search index: what is added is found, what cannot be used says so, a full file is merged."""

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.mail.index_text import END, MessageIndexText
from appliance.mail.query import ENVELOPE_FIELDS
from appliance.store import search_shard
from appliance.store.search_found import Lookup
from appliance.store.search_shard import DamagedShard, ShardReader, add, close, create, ids_of, is_full, read_info

NOTHING = ("", "", "", "", "")


def text(body: str, header: str = "", subject: str | None = "") -> MessageIndexText:
    return MessageIndexText(header + END, body + END, ("", "", "", "", subject))


def body(needle: str) -> Lookup:
    return Lookup(needle, header=False, body=True)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    shard = create(tmp_path / "0001.db", 10, 1_700_000_000, "me")
    shard = add(shard, [(10, text("alpha beta", "subject: one", "one")), (12, None), (15, text("gamma", "subject: two", "two"))], 15)
    add(shard, [(20, text("alpha 東京", "subject: one two", None))], 29)
    return shard.path


def test_what_was_added_is_found(path: Path) -> None:
    reader = ShardReader(path)
    always = {12}
    found = {needle: reader.find(body(needle)) for needle in ("alpha", "beta", "alph", "東京", "東", "be", "none", 'a"b', "gam")}
    assert {needle: set(hits.candidates) - always for needle, hits in found.items() if hits is not None} == {
        "alpha": {10, 20}, "beta": {10}, "alph": {10, 20}, "東京": {20}, "東": {20}, "be": {10}, "none": set(), 'a"b': set(), "gam": {15},
    }  # fmt: skip
    assert all(hits is not None and always <= hits.candidates for hits in found.values())
    assert reader.find(body("e")) == ({10, 12, 15, 20}, set()), "too common to tell"
    assert reader.find(body("")) is None
    both = reader.find(Lookup("one", header=True, body=True))
    assert both is not None
    assert both.candidates == {10, 12, 20}
    reader.close()


def test_fields_of_the_envelope_are_certain_where_they_are_kept(path: Path) -> None:
    reader = ShardReader(path)
    for needle, candidates, certain in (("one", {10, 12, 20}, {10}), ("two", {12, 15, 20}, {15}), ("o", {10, 12, 15, 20}, {10, 15})):
        hits = reader.find(Lookup(needle, fields=("subject",)))
        assert hits is not None
        assert (hits.candidates, hits.certain) == (candidates, certain)
    reader.close()


def test_what_readers_see_is_in_the_body_or_in_any_field(tmp_path: Path) -> None:
    shard = create(tmp_path / "0001.db", 1, 0, "me")
    host = "received: from relay.example"
    texts = [
        MessageIndexText(f"{host}\nfrom: mary{END}", f"nothing{END}", ("mary", "", "", "", "")),
        MessageIndexText(f"{host}{END}", f"mary was here{END}", NOTHING),
        MessageIndexText(f"{host}\nmary.pdf{END}", END, NOTHING, f"mary.pdf{END}"),
        MessageIndexText(host + END, END, NOTHING),
    ]
    add(shard, list(enumerate(texts, 1)), 4)
    reader = ShardReader(shard.path)
    for needle, candidates, certain in (("mary", {1, 2, 3}, {1}), ("ma", {1, 2, 3}, {1}), ("relay", set(), set()), ("pdf", {3}, set())):
        hits = reader.find(Lookup(needle, body=True, fields=ENVELOPE_FIELDS))
        assert hits == (candidates, certain), needle
    reader.close()


def test_common_words_are_certain(tmp_path: Path) -> None:
    shard = create(tmp_path / "0001.db", 1, 0, "me")
    add(shard, [(number, text("thatched" if number % 10 == 0 else "say that, then")) for number in range(1, 301)], 300)
    reader = ShardReader(shard.path)
    hits = reader.find(body("that"))
    assert hits is not None
    assert hits.candidates == set(range(1, 301))
    assert hits.certain == {number for number in range(1, 301) if number % 10}
    reader.close()


def test_one_character_is_proven_or_looked_for(tmp_path: Path) -> None:
    shard = create(tmp_path / "0001.db", 1, 0, "me")
    add(shard, [(number, text(f"then {'q' if number % 10 == 0 else 'and'} {number}")) for number in range(1, 301)], 300)
    reader = ShardReader(shard.path)
    assert reader.find(body("t")) == (set(range(1, 301)), set(range(1, 301)))
    assert reader.find(body("q")) == (set(range(10, 301, 10)), set())
    assert reader.find(body("z")) == (set(), set())
    reader.close()


def test_a_full_file_is_merged_and_closed(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = read_info(path, "me")
    assert (info.first, info.last, info.messages, info.closed) == (10, 29, 3, False)
    assert not is_full(info, 500)
    monkeypatch.setattr(search_shard, "MESSAGES", 500)
    assert is_full(info, 500)
    reader = ShardReader(path)
    before = reader.find(body("alpha"))
    merged = close(info)
    assert merged == read_info(path, "me")
    assert merged.closed
    after = ShardReader(path)
    assert after.inode != reader.inode
    assert after.find(body("alpha")) == before == reader.find(body("alpha"))
    assert ids_of(merged) == [10, 15, 20]
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(DISTINCT segid) FROM body_idx").fetchone() == (1,)
    assert [one.name for one in path.parent.iterdir()] == [path.name]


def test_files_that_are_not_of_this_index(path: Path, tmp_path: Path) -> None:
    with pytest.raises(DamagedShard):
        read_info(path, "another scanner")
    for octets in (b"", b"text" * 3000, path.read_bytes()[:5000]):
        (tmp_path / "x.db").write_bytes(octets)
        with pytest.raises(DamagedShard):
            read_info(tmp_path / "x.db", "me")
    empty = create(tmp_path / "0099.db", 99, 0, "me")
    with pytest.raises(DamagedShard):  # its first batch never came
        read_info(empty.path, "me")


ADDING = """
import sys
from pathlib import Path
from appliance.mail.index_text import MessageIndexText
from appliance.store.search_shard import add, close, create, is_full

shard = create(Path(sys.argv[1]), 1, 0, "me")
for batch in range(100):
    first = shard.last + 1
    words = [(n, MessageIndexText(f"h{n}x", " ".join(f"w{n * k}y" for k in range(60)), ("",) * 5)) for n in range(first, first + 20)]
    shard = add(shard, words, first + 19)
    print(shard.last, flush=True)
    if batch % 5 == 4:
        shard = close(shard)
"""


@pytest.mark.parametrize("batches", [1, 4, 7])
def test_a_killed_process_leaves_whole_batches(tmp_path: Path, batches: int) -> None:
    """SIGKILL somewhere behind so many batches: what was reported is there, and what is there is whole."""
    path = tmp_path / "0001.db"
    with subprocess.Popen([sys.executable, "-c", ADDING, str(path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        reported = [int(process.stdout.readline()) for _ in range(batches)][-1]
        process.kill()
    info = read_info(path, "me")
    assert info.last >= reported
    assert ids_of(info) == list(range(1, info.last + 1))
    reader = ShardReader(path)
    for number in (1, reported, info.last):
        hits = reader.find(body(f"w{number * 59}y"))
        assert hits is not None
        assert number in hits.candidates
    reader.close()
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
