"""What commands cost as a mailbox grows, and what sessions hold: `python -m tests.bench.growth`.

The messages are copies of one, written as rows (delivering a million would take an hour): each has its row of `message`, and ten
share one of `message_data`. SEARCH TEXT of a word that is nowhere, once the index has all messages (of a few hundred it has none); it
reads a megabyte of them a second, so `--wait-s` bounds the wait, and what it lacks then is printed.
"""

import argparse
import os
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from appliance.store.search_filling import BATCH
from tests.support.server import Pillarbox, new_data

from .clients import Imap, Smtp, tls
from .messages import message, random
from .meters import Process

USER = "u1@bench.test"
SIZES = (1_000, 10_000, 100_000, 1_000_000)
SHARING = 10
COLUMNS = ("SELECT cold", "SELECT warm", "NOOP", "FETCH newest 50", "SEARCH TEXT", "delivery", "KB a session", "KB another")
STANDS_STILL_S = 120
KB_MOST = 600
"""What an idle session of 100,000 messages may hold more than one of an empty mailbox."""


def fill(data: Path, count: int) -> None:
    """INBOX's one message so many times."""
    with sqlite3.connect(data / "pillarbox.db") as db:
        db.execute("PRAGMA synchronous=OFF")
        mailbox, uid, uid_next, modseq, octets, body, first = db.execute(
            """SELECT m.mailbox, m.uid, b.uid_next, b.modseq, m.octets, m.body, m.message_data FROM message m JOIN mailbox b
               ON b.id = m.mailbox WHERE b.name = 'INBOX' LIMIT 1"""
        ).fetchone()
        more, datas = count - 1, (count - 1) // SHARING + 1

        def copied(table: str, changed: dict[str, str], where: str, number: int) -> None:
            columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
            values = ", ".join(changed.get(name, name) for name in columns)
            db.execute(
                f"""WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {number - 1})
                    INSERT INTO {table}({", ".join(columns)}) SELECT {values} FROM n, {table} WHERE {where} ORDER BY i"""
            )

        db.execute("DELETE FROM changed")  # with none, changes are looked for in all rows
        step = {"id": f"{first} + 1 + i", "thread": f"{first} + 1 + i", "message_id_hash": "NULL", "created_modseq": f"{modseq} + 1 + i"}
        copied("message_data", step, f"id = {first}", datas)
        step = {"uid": f"{uid_next} + i", "modseq": f"{modseq} + 1 + i", "message_data": f"{first} + 1 + i / {SHARING}", "flags": "1"}
        copied("message", step, f"mailbox = {mailbox} AND uid = {uid}", more)
        db.execute("INSERT INTO shared_data SELECT message_data, count(*) FROM message GROUP BY message_data HAVING count(*) > 1")
        db.execute(
            "UPDATE mailbox SET uid_next = ?, modseq = ?, messages = ?, octets = ? WHERE id = ?",
            (uid_next + more, modseq + more, count, count * octets, mailbox),
        )
        db.execute("UPDATE body SET refcount = refcount + ? WHERE id = ?", (datas, body))
        db.execute("UPDATE counter SET next = next + ? WHERE name = 'message'", (datas + 1000,))
        for name in ("modseq", f"modseq {1}"):
            db.execute("UPDATE counter SET next = next + ? WHERE name = ?", (more, name))
    db.close()


def newest_message(data: Path) -> int:
    with sqlite3.connect(f"file:{data / 'pillarbox.db'}?mode=ro", uri=True) as db:
        return int(db.execute("SELECT max(message_data) FROM message").fetchone()[0])


def messages_above(data: Path, last: int) -> int:
    """How many messages have higher ids."""
    with sqlite3.connect(f"file:{data / 'pillarbox.db'}?mode=ro", uri=True) as db:
        return int(db.execute("SELECT count(*) FROM message_data WHERE id > ?", (last,)).fetchone()[0])


def indexed_up_to(data: Path) -> int:
    """The last message in the files of the index."""
    last = 0
    for path in (data / "search").rglob("*.db"):
        try:
            with sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5) as connection:
                last = max((last, *(found for (found,) in connection.execute("SELECT last FROM shard"))))
        except sqlite3.Error:
            continue  # being written
    return last


def wait_for_index(data: Path, last: int, most_s: float = 3600) -> None:
    """Until it holds message `last`, or grows no more: the newest few wait for others."""
    found, begun = -1, time.monotonic()
    changed = begun
    while found < last and time.monotonic() < min(changed + STANDS_STILL_S, begun + most_s):
        time.sleep(1)
        before, found = found, indexed_up_to(data)
        changed = time.monotonic() if found > before else changed
    time.sleep(2)


def measured(process: Process, work: Callable[[], object], times: int = 1) -> float:
    before = process.cpu_s()
    for _ in range(times):
        work()
    return 1000 * (process.cpu_s() - before) / times


def row(work: Path, count: int, wait_s: float) -> list[float]:
    place = work / str(count)
    place.mkdir()
    data = new_data(place / "data", "u1", domain="bench.test")
    one = message(random.Random(1), 1, USER, "text")
    words = ("--settings", str(settings(place)))
    with Pillarbox(data, *words, domain="bench.test", log=place / "log") as server:
        Smtp(server.ports["smtp"]).send(USER, one)
    if count > 1:
        fill(data, count)
    with Pillarbox(data, *words, domain="bench.test", log=place / "log") as server:
        process = Process(server.pid)
        imap = Imap(server.ports["imap"], USER)
        figures = [measured(process, lambda: imap.ask("SELECT INBOX"))]
        figures.append(measured(process, lambda: imap.ask("SELECT INBOX"), 5))
        figures.append(measured(process, lambda: imap.ask("NOOP"), 100))
        newest = f"FETCH {max(1, count - 49)}:{count} (FLAGS UID ENVELOPE RFC822.SIZE)"
        figures.append(measured(process, lambda: imap.ask(newest), 5))
        imap.ask("SEARCH TEXT nosuchword")  # wakes the index
        last = newest_message(data)
        if count >= BATCH:
            wait_for_index(data, last, wait_s)
            print(f"  {max(0, last - indexed_up_to(data)):,} of {last:,} messages are not indexed", flush=True)
        figures.append(measured(process, lambda: imap.ask("SEARCH TEXT nosuchword"), 5))
        smtp = Smtp(server.ports["smtp"])
        figures.append(measured(process, lambda: smtp.send(USER, one), 20))
        imap.close()
    with Pillarbox(data, *words, domain="bench.test", log=place / "log") as server:
        figures += idle(server, Process(server.pid))
    shutil.rmtree(place)
    return figures


def settings(place: Path) -> Path:
    path = place / "settings.toml"
    path.write_text("[limits]\nconnections = 2000\nconnections_per_address = 2000\n")
    return path


def idle(server: Pillarbox, process: Process) -> list[float]:
    """PSS of the first session that has the mailbox selected, and of each one more."""
    sessions, held = [Imap(server.ports["imap"], USER)], []
    for more in (0, 1, 10):
        for _ in range(more):
            sessions.append(Imap(server.ports["imap"], USER))
            sessions[-1].ask("SELECT INBOX")
            sessions[-1].idle()
        process.settle()
        held.append(process.memory_kb()["Pss"])
    for session in sessions:
        session.close()
    return [float(held[1] - held[0]), (held[2] - held[1]) / 10]


def crowd(work: Path, counts: tuple[int, ...]) -> None:
    """Memory with so many idle TLS sessions."""
    place = work / "crowd"
    place.mkdir()
    data = new_data(place / "data", "u1", "u2", "u3", "u4", "u5", domain="bench.test")
    with Pillarbox(data, "--settings", str(settings(place)), domain="bench.test", log=place / "log") as server:
        process, context, sessions, smtp = Process(server.pid), tls(), [], Smtp(server.ports["smtp"])
        for count in counts:
            while len(sessions) < count:
                sessions.append(Imap(server.ports["imaps"], f"u{len(sessions) % 5 + 1}@bench.test", context))
                sessions[-1].ask("SELECT INBOX")
                sessions[-1].idle()
            process.settle()
            print(f"{count:>9,} idle IMAP sessions over TLS: {process.memory_kb()['Pss'] / 1024:.1f} MB", flush=True)
        deliveries(smtp, process, sessions)
        for session in sessions:
            session.close()


def deliveries(smtp: Smtp, process: Process, sessions: list[Imap]) -> None:
    """A message for u1 and the time until every session of u1 has shown it."""
    mine = sessions[::5]
    one = message(random.Random(2), 2, USER, "text")
    for _ in range(3):
        before, begun = process.cpu_s(), time.monotonic()
        smtp.send(USER, one)
        for session in mine:
            session._until(rb"EXISTS")
        took = time.monotonic() - begun
        spent = 1000 * (process.cpu_s() - before)
        print(f"  a delivery shows in {len(mine)} sessions within {1000 * took:.0f} ms, CPU {spent:.0f} ms (bars for 200: 100 and 40)")


def main() -> int:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--most", type=int, default=SIZES[-1])
    words.add_argument("--sessions", type=int, default=1000)
    words.add_argument("--wait-s", type=float, default=3600)
    options = words.parse_args()
    with tempfile.TemporaryDirectory(prefix="pillarbox-growth-", dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None) as work:
        print("CPU in ms\n messages" + "".join(f"{name:>17}" for name in COLUMNS), flush=True)
        empty = 0.0
        for count in (1, *SIZES):
            if count <= options.most:
                figures = row(Path(work), count, options.wait_s)
                empty = empty or figures[-2]
                print(f"{count:>9,}" + "".join(f"{figure:>17.2f}" for figure in figures), flush=True)
                if count == 100_000:
                    print(f"  a session of it holds {figures[-2] - empty:.0f} KB more than one of an empty mailbox (bar {KB_MOST})")
        crowd(Path(work), tuple(count for count in (1, 100, 1000) if count <= options.sessions))
    return 0


if __name__ == "__main__":
    sys.exit(main())
