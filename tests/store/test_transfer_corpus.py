"""Every real and broken message goes in from an archive and comes out into another with the same octets."""

from pathlib import Path

import pytest

from appliance.database.database import Database
from appliance.protocol.imap.bodystructure import make_describe
from appliance.store.bodies import Bodies
from appliance.store.store import Store
from appliance.store.transfer import MaildirWriter, MboxWriter, export, import_into, messages_of
from tests.support.corpus import messages

from .server import ANN

pytestmark = pytest.mark.corpus


def in_mbox(octets: bytes) -> bytes:
    """An mbox file cannot say that the last line has no end, nor tell an end from one behind a lone CR there."""
    if octets.endswith(b"\r"):
        return octets + b"\n"
    return octets if octets.endswith(b"\n") or not octets else octets + b"\r\n"


@pytest.mark.parametrize("kind", ["maildir", "mbox"])
async def test_in_and_out_again(tmp_path: Path, kind: str) -> None:
    every = [message.octets for message in messages()]
    source, target = tmp_path / "source", tmp_path / "target"
    write(kind, source, every)
    async with await Database.open(tmp_path / "pillarbox.db", migrate_in_child=False) as database:
        store = await Store.start(database, await Bodies.open(database, tmp_path / "bodies"), describe=make_describe)
        await database.write(lambda transaction: store.make_mailboxes(transaction, ANN))
        counts = [reported async for reported in import_into(store, ANN, source, "Corpus")]
        assert counts[-1] == (len(every), 0)
        out = [b"".join([chunk async for chunk in chunks]) async for _, chunks in export(store, ANN, "Corpus")]
    expected = every if kind == "maildir" else [in_mbox(octets) for octets in every]
    assert [number for number, (one, other) in enumerate(zip(out, expected, strict=True)) if one != other] == []
    write(kind, target, out)
    again = [b"".join(chunks) for _, chunks in messages_of(target)]
    assert [number for number, (one, other) in enumerate(zip(again, out, strict=True)) if one != other] == []


def write(kind: str, path: Path, messages: list[bytes]) -> None:
    if kind == "maildir":
        maildir = MaildirWriter(path)
        for message in messages:
            maildir.begin("INBOX", (), 1_000_000_000)
            maildir.write(message)
            maildir.end()
    else:
        with path.open("wb") as file:
            mbox = MboxWriter(file)
            for message in messages:
                mbox.begin(1_000_000_000)
                mbox.write(message)
                mbox.end()
