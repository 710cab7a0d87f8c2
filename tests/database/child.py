"""A process of its own for tests that kill it, trace it or take its card away: `python child.py WORD DIRECTORY ...`.

Each acknowledged key is printed in a line of its own as soon as `write` returned.
"""

import os
import sys
from pathlib import Path

import trio

from appliance.database.database import Database
from appliance.mail.errors import StoreError


def report(line: str) -> None:
    os.write(1, line.encode() + b"\n")


def mark(line: str) -> None:
    """Shows up in strace's record."""
    os.write(2, f"MARK {line}\n".encode())


async def one_message(database: Database, key: str) -> None:
    def work(transaction: object) -> str:
        number = transaction.next_id("message")  # type: ignore[attr-defined]
        transaction.execute("INSERT INTO meta VALUES(?, ?)", (key, number))  # type: ignore[attr-defined]
        transaction.execute("INSERT INTO body_data VALUES(?, ?)", (number, os.urandom(700)))  # type: ignore[attr-defined]
        return f"{key} {number}"

    try:
        report(f"kept {await database.write(work, octets=700)}")
    except StoreError as error:
        report(f"refused {key} {error.trouble.name}")


async def for_ever(directory: Path, name: str) -> None:
    """Several sessions write until somebody kills us."""

    async def session(number: int) -> None:
        count = 0
        while True:
            count += 1
            await one_message(database, f"{name}.{number}.{count}")

    path = directory / "pillarbox.db"
    async with await Database.open(path, migrate_in_child=False, ring_octets=256 * 1024) as database, trio.open_nursery() as nursery:
        for number in range(5):
            nursery.start_soon(session, number)


async def some(directory: Path, count: str, sessions: str = "1") -> None:
    """`count` messages by each of `sessions`, one after the other, between two marks."""

    async def session(number: int) -> None:
        for at in range(int(count)):
            await one_message(database, f"s.{os.getpid()}.{number}.{at}")

    async with await Database.open(directory / "pillarbox.db", migrate_in_child=False) as database:
        await one_message(database, f"first.{os.getpid()}")
        await trio.sleep(0.05)
        mark("begin")
        async with trio.open_nursery() as nursery:
            for number in range(int(sessions)):
                nursery.start_soon(session, number)
        mark("end")
        mark(f"checkpoints {database.engine.checkpoints}")


async def failing_sync(directory: Path) -> None:
    """Ten messages, each waited for; the tracer makes one sync fail."""
    reports: list[str] = []
    async with await Database.open(
        directory / "pillarbox.db", migrate_in_child=False, report=lambda kind, _: reports.append(kind)
    ) as database:
        for number in range(10):
            await one_message(database, f"k{number}")
        rows = await database.read(lambda connection: connection.execute("SELECT count(*) FROM meta").fetchone()[0])
        report(f"rows {rows}")
    report(f"reports {' '.join(kind or 'well' for kind in reports)}")


WORDS = {"for_ever": for_ever, "some": some, "failing_sync": failing_sync}

if __name__ == "__main__":
    trio.run(WORDS[sys.argv[1]], Path(sys.argv[2]), *sys.argv[3:])  # type: ignore[arg-type]
