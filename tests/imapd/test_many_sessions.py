"""Ten sessions on one mailbox of a running server, every response checked against each session's model; seeded, a minute in all.

They enable CONDSTORE, QRESYNC and UIDONLY or nothing; connections break and are made again, and the server is started anew.

`make fuzz` runs the same for ten minutes. The interleavings these found are forced one by one in `test_overtaken`."""

import os
import sqlite3
from pathlib import Path

import pytest

from appliance.mail.flags import KEYWORD_SHIFT, SYSTEM_NAMES
from tests.support.mailbox_model import Flags
from tests.support.many_sessions import MIXES, come_back, play
from tests.support.server import Pillarbox, new_data
from tests.support.wire import faults

SECONDS = 8.0
SEED = int(os.environ.get("PILLARBOX_SEED", "20260"))


@pytest.mark.slow
@pytest.mark.parametrize("mix", MIXES)
async def test_every_session_sees_the_committed_state(tmp_path: Path, mix: str) -> None:
    data = new_data(tmp_path / "data")
    with Pillarbox(data) as server:
        result = await play(server.ports["imap"], seed=SEED, seconds=SECONDS, mix=MIXES[mix])
    assert not faults(server.log)
    assert result.commands > 200
    with Pillarbox(data) as server:
        await come_back(server.ports["imap"], result)
    assert kept(data) == {uid: (flags, result.modseqs[uid]) for uid, flags in result.truth.items()}, "as it stands in the database"


def kept(data: Path) -> dict[int, tuple[Flags, int]]:
    """INBOX as the stopped server left it."""
    [path] = data.glob("*.db")
    connection = sqlite3.connect(path)
    try:
        [(inbox,)] = connection.execute("SELECT id FROM mailbox WHERE name = 'INBOX'").fetchall()
        names = dict(SYSTEM_NAMES)
        keywords = connection.execute("SELECT bit, name FROM keyword WHERE mailbox = ?", (inbox,)).fetchall()
        names |= {1 << (KEYWORD_SHIFT + bit): name for bit, name in keywords}
        rows = connection.execute("SELECT uid, flags, modseq FROM message WHERE mailbox = ?", (inbox,)).fetchall()
        return {uid: (frozenset(name.encode() for bit, name in names.items() if flags & bit), modseq) for uid, flags, modseq in rows}
    finally:
        connection.close()
