"""The cost of the store's hot paths: `python -m tests.bench.store_paths [MESSAGES]`; CPU of the whole process, the best of five.

The bars stand in SERVER.md: open of 20,000 warm 1 ms, flags of 20,000 12 ms, overview 35 ms.
"""

import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import trio

from appliance.database.database import Database
from appliance.mail.ids import Uid
from appliance.store.bodies import Bodies
from appliance.store.mailbox import Mailbox
from appliance.store.store import Store
from appliance.store.values import Mode, Placement, Want
from tests.store.server import ANN, PlainScanner

PREFIX = b"Return-Path: <somebody@example.org>\r\n" * 5
BODY = b"".join(b"Subject: line %d of an ordinary message\r\n" % number for number in range(80))
LAST = Uid(2**32 - 1)


class Scanner(PlainScanner):
    """Facts of an ordinary size."""

    def finish(self, prefix: bytes = b"") -> Any:
        facts = super().finish(prefix)
        facts.envelope, facts.bodystructure, facts.preview = b"e" * 350, b"b" * 120, "p" * 150
        return facts


async def cpu_ms(call: Callable[[], Awaitable[Any]], times: int = 5) -> float:
    best = float("inf")
    for _ in range(times):
        start = time.process_time()
        await call()
        best = min(best, time.process_time() - start)
    return best * 1000


async def windows(read: Callable[[Uid], Awaitable[list[Any]]]) -> None:
    lo = Uid(1)
    while len(rows := await read(lo)) == 500:
        lo = Uid(rows[-1][0] + 1)


async def fill(store: Store, count: int) -> None:
    inbox = await store.inbox_of(ANN)

    async def some() -> None:
        for _ in range(count // 50):
            async with store.receive(2**20) as incoming:
                await incoming.write(BODY)
                await store.file(await incoming.finish(), [Placement(inbox, PREFIX, (), 1_700_000_000)])

    start, wall = time.process_time(), time.perf_counter()
    async with trio.open_nursery() as nursery:
        for _ in range(50):
            nursery.start_soon(some)
    log("file, a message of 3 KB, 50 at once", (time.process_time() - start) * 1000 / count)
    print(f"{'  messages a second':44}{count / (time.perf_counter() - wall):10.0f}")


def log(what: str, ms: float) -> None:
    print(f"{what:44}{ms:10.3f} ms")


async def reading(store: Store, box: Mailbox) -> None:
    async def opening() -> None:
        (await store.open(ANN, "INBOX")).close()

    async def nothing() -> None:
        await store.database.read(lambda connection: None)

    log("a reading of nothing", await cpu_ms(nothing, 50))
    log("open, warm", await cpu_ms(opening, 20))
    log("find (STATUS)", await cpu_ms(lambda: store.find(ANN, "INBOX"), 20))
    log("list of 6", await cpu_ms(lambda: store.list(ANN), 20))
    log("flag_rows of all", await cpu_ms(lambda: windows(lambda lo: box.flag_rows(lo, LAST))))
    log("rows FLAGS of all", await cpu_ms(lambda: windows(lambda lo: box.rows(lo, LAST, Want.FLAGS))))
    log("rows DATES of all", await cpu_ms(lambda: windows(lambda lo: box.rows(lo, LAST, Want.DATES))))
    overview = Want.DATES | Want.FACTS

    async def rows_named(lo: Uid, want: Want) -> Sequence[Any]:
        return (await box.named_rows(lo, LAST, want, 500, box.modseq))[0]

    log("named_rows DATES|FACTS of all (overview)", await cpu_ms(lambda: windows(lambda lo: rows_named(lo, overview))))
    log("rows DATES|FACTS of all", await cpu_ms(lambda: windows(lambda lo: box.rows(lo, LAST, overview))))
    log("open_window of 50", await cpu_ms(lambda: box.open_batch(Uid(1), LAST, 50)))
    log("open_message", await cpu_ms(lambda: box.open_message(Uid(9)), 20))


async def changing(store: Store, box: Mailbox) -> None:
    uids = [Uid(uid) for uid in box.uids]
    fifth = len(uids) // 4
    since = box.modseq
    steps: tuple[tuple[str, Callable[[], Awaitable[Any]]], ...] = (
        ("set_flags of one", lambda: box.set_flags(uids[:1], Mode.ADD, ["\\Answered"])),
        ("set_flags of all", lambda: box.set_flags(uids, Mode.ADD, ["\\Flagged", "$Work"])),
        ("set_flags of every second", lambda: box.set_flags(uids[::2], Mode.ADD, ["\\Seen"])),
        ("changes, all of them", lambda: box.changes(since)),
        ("changes, asked again", lambda: box.changes(since)),
        (f"copy of {fifth}", lambda: box.copy(uids[:fifth], "Archive")),
        (f"move of {fifth}", lambda: box.move(uids[:fifth], "Trash")),
        (f"move of {fifth // 2}, every second", lambda: box.move(uids[fifth : 2 * fifth : 2], "Trash")),
        (f"remove of {fifth}", lambda: box.remove(uids[2 * fifth : 3 * fifth])),
        ("open after that", lambda: store.open(ANN, "INBOX")),
        ("delete of a mailbox", lambda: store.delete(ANN, "Trash")),
    )
    for what, call in steps:
        wall = time.perf_counter()
        log(what, await cpu_ms(call, 1))
        print(f"{'  wall':44}{(time.perf_counter() - wall) * 1000:10.3f} ms")


async def main(count: int) -> None:
    with tempfile.TemporaryDirectory(dir=".") as directory:
        async with await Database.open(Path(directory) / "pillarbox.db", migrate_in_child=False) as database:
            store = await Store.start(database, await Bodies.open(database, Path(directory) / "bodies"), describe=Scanner)
            await database.write(lambda transaction: store.make_mailboxes(transaction, ANN))
            await fill(store, count)
            box = await store.open(ANN, "INBOX")
            await reading(store, box)
            await changing(store, box)
            box.close()


if __name__ == "__main__":
    trio.run(main, int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)
