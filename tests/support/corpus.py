"""The shared corpus of real and malformed messages, where present: `../shared/corpus` beside the checkout or `$PILLARBOX_CORPUS`.

Every line end is converted to CRLF, as its README requires; a bare CR stays.
"""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

BARE_LF = re.compile(rb"(?<!\r)\n")
BULK = ("easy-ham-1", "spam-1")


class Message(NamedTuple):
    id: str
    octets: bytes
    expected: dict[str, Any]


def folder() -> Path | None:
    named = os.environ.get("PILLARBOX_CORPUS")
    path = Path(named) if named else Path(__file__).resolve().parents[3] / "shared" / "corpus"
    return path if (path / "expected" / "dovecot.jsonl").is_file() else None


def need_corpus() -> Path:
    """The directory, or a skip that says what is not tested."""
    path = folder()
    if path is None:
        pytest.skip("the shared corpus is missing (set PILLARBOX_CORPUS): 4,448 real messages are not compared")
    return path


def crlf(octets: bytes) -> bytes:
    return BARE_LF.sub(b"\r\n", octets) if b"\n" in octets else octets


def expected(name: str) -> Iterator[dict[str, Any]]:
    """Rows of one recorded answer file, `dovecot` for instance."""
    with (need_corpus() / "expected" / f"{name}.jsonl").open(encoding="utf-8") as rows:
        for row in rows:
            yield json.loads(row)


def bulk(name: str) -> Iterator[tuple[str, bytes]]:
    """Id and octets, line ends as stored, of every message of one bulk set."""
    path = need_corpus() / "bulk"
    mbox = (path / f"{name}.mbox").read_bytes()
    with (path / f"{name}.idx.jsonl").open(encoding="utf-8") as rows:
        for row in map(json.loads, rows):
            yield f"bulk/{name}#{row['id']}", mbox[row["offset"] : row["offset"] + row["length"]]


def messages() -> Iterator[Message]:
    """All 4,448 with Dovecot's recorded answers."""
    path = need_corpus()
    for row in expected("dovecot"):
        yield Message(row["id"], crlf((path / row["id"]).read_bytes()), row)
    answers = {row["id"]: row for row in expected("dovecot-bulk")}
    for name in BULK:
        for key, octets in bulk(name):
            yield Message(key, crlf(octets), answers[key])
