"""Arrival, twin arrival, abort, expunge and sweep of large bodies in any order: no row ever loses its file.

The machine plays the writer itself: requests gather, a group commits, and what follows a commit runs later, while
arrivals finish, let go and are given up in between.
"""

import os
import shutil
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import trio
from hypothesis import example, given, settings
from hypothesis import strategies as st

from appliance.database.database import InlineWriter
from appliance.database.group import Request, Transaction
from appliance.mail.ids import BodyId
from appliance.store.blocks import pack
from appliance.store.bodies import Bodies
from appliance.store.body_files import ASIDE, Staging
from appliance.store.incoming import StagedBody

from .server import PlainScanner

CONTENTS = tuple(os.urandom(20) * 30 for _ in range(2))


def digest_of(content: bytes) -> bytes:
    return content[:20] + b"\0" * 4


class _Server:
    """The database with its writer taken out."""

    def __init__(self, path: Path) -> None:
        self.inner = InlineWriter(path)
        self.new_lock = threading.Lock
        self.waiting: list[Request] = []

    def write_lazily(self, work: Callable[[Transaction], object]) -> None:
        self.waiting.append(Request(work, lazy=True))


class Arrival:
    def __init__(self, content: bytes, staging: Staging) -> None:
        self.content = content
        self.staging = staging
        self.claimed = False
        self.gone = False
        """Its end is decided: it waits for a commit, or was given up."""


class Life:
    """One server's bodies; each method is something that may happen at any time, `pick` chooses among what is there."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp())
        self.server = _Server(self.directory / "pillarbox.db")
        self.bodies = Bodies(self.server, self.directory / "bodies", trio.CapacityLimiter(1))  # type: ignore[arg-type]
        self.afterwards: list[Callable[[], None]] = []
        self.seen: list[bytes] = []
        self.live: list[Arrival] = []

    # --- arriving --------------------------------------------------------------------------------------

    def _staged(self, pick: int) -> Arrival:
        content = CONTENTS[pick % len(CONTENTS)]
        staging = self.bodies.files.stage()
        staging.write([pack(content, first=True)], len(content))
        staging.end()
        return Arrival(content, staging)

    def _place(self, arrivals: list[Arrival]) -> None:
        faults = self.bodies.files.place([(arrival.staging, digest_of(arrival.content)) for arrival in arrivals])
        assert faults == [None] * len(arrivals)
        for arrival in arrivals:
            arrival.claimed = True
            self.live.append(arrival)

    def arrive(self, pick: int) -> None:
        self._place([self._staged(pick)])

    def arrive_together(self, pick: int) -> None:
        self._place([self._staged(pick), self._staged(pick // 2)])

    def give_up_early(self, pick: int) -> None:
        self.bodies.files.discard(self._staged(pick).staging)

    def _one_alive(self, pick: int) -> Arrival | None:
        alive = [arrival for arrival in self.live if not arrival.gone]
        return alive[pick % len(alive)] if alive else None

    def hold(self, pick: int) -> None:
        """The arrival lets go only after its group, like a task that waits for `write`."""
        if arrival := self._one_alive(pick):
            arrival.gone = True
            staged = StagedBody(len(arrival.content), PlainScanner(), b"", digest_of(arrival.content), arrival.staging.stored_octets)
            self.server.waiting.append(Request(lambda transaction: self.bodies.hold(transaction, staged, 1 + pick % 2), task=arrival))

    def give_up_late(self, pick: int) -> None:
        if arrival := self._one_alive(pick):
            arrival.gone = True
            self._let_go(arrival)

    def _let_go(self, arrival: Arrival) -> None:
        arrival.claimed = False
        self.bodies.files.unclaim(digest_of(arrival.content))
        self.bodies.look_after(digest_of(arrival.content))

    # --- going -----------------------------------------------------------------------------------------

    def rows(self) -> list[tuple[int, bytes, int]]:
        return self.server.inner.read_now(lambda connection: connection.execute("SELECT id, digest, refcount FROM body").fetchall())

    def _release(self, pick: int, *, later: bool = False, fails: bool = False) -> None:
        def work(transaction: Transaction) -> None:
            rows = transaction.execute("SELECT id FROM body WHERE refcount > 0 ORDER BY id").fetchall()
            if rows:
                number = BodyId(rows[pick % len(rows)][0])
                if later:
                    transaction.execute("UPDATE body SET refcount = refcount - 1 WHERE id = ?", (number,))
                else:
                    self.bodies.release(transaction, [(number, 1)])
            if fails:
                raise ValueError

        self.server.waiting.append(Request(work))

    def release(self, pick: int) -> None:
        self._release(pick)

    def release_and_free_later(self, pick: int) -> None:
        self._release(pick, later=True)

    def release_that_fails(self, pick: int) -> None:
        self._release(pick, fails=True)

    def free(self, pick: int) -> None:
        self.server.waiting.append(Request(lambda transaction: self.bodies.free(transaction, 2)))

    def sweep_looks(self, pick: int) -> None:
        named = {row[1] for row in self.rows()}
        self.seen = [digest for some in self.bodies.files.names() for digest in some if digest not in named]

    def sweep_asks(self, pick: int) -> None:
        seen, self.seen = self.seen, []

        def work(transaction: Transaction) -> None:
            for digest in seen:
                self.bodies.set_aside_later(transaction, digest)

        self.server.waiting.append(Request(work))

    def forget(self, pick: int) -> None:
        """The rows of files that are gone go in a later commit."""
        self.server.waiting.append(Request(lambda transaction: self.bodies.forget(transaction, self.bodies.unlinked(transaction, 9, 0))))

    # --- the writer ------------------------------------------------------------------------------------

    def commit(self, pick: int) -> None:
        """A group is durable, its waiting tasks are resumed at once; what follows the commit runs in `settle`, before the next group."""
        self.settle(0)
        count = 1 + pick % 4
        group, self.server.waiting = self.server.waiting[:count], self.server.waiting[count:]
        if not group:
            return
        self.server.inner.engine.run(group)
        for request in group:
            assert request.error is None or isinstance(request.error, ValueError)
            self.afterwards += request.after_commit
            if isinstance(request.task, Arrival):
                self._let_go(request.task)

    def settle(self, pick: int) -> None:
        calls, self.afterwards = self.afterwards, []
        for call in calls:
            call()

    # --- what must hold ----------------------------------------------------------------------------------

    def look(self) -> None:
        contents = {digest_of(content): content for content in CONTENTS}
        for _, digest, refcount in self.rows():
            if not refcount:
                continue  # its file may be gone already
            assert self.bodies.files.open(digest).blocks(0, 0) == contents[digest], "a row's file"
        for arrival in self.live:
            if arrival.claimed:
                assert self.bodies.files.open(digest_of(arrival.content)).blocks(0, 0) == arrival.content, "an arrival's file"

    def end(self) -> None:
        for arrival in self.live:
            if not arrival.gone:
                arrival.gone = True
                self._let_go(arrival)
        self.free(0)
        self._drain()
        self.forget(0)
        self._drain()
        self.look()
        assert not self.bodies.files._claims
        there = {digest for some in self.bodies.files.names() for digest in some}
        assert there == {row[1] for row in self.rows()}, "no file is left without a row"

        assert not self.bodies.files._own and not next(self.bodies.files.names(ASIDE)), "nothing of this run is taken for unknown"

    def _drain(self) -> None:
        while self.server.waiting or self.afterwards:
            self.commit(3)

    def close(self) -> None:
        self.server.inner.close()
        shutil.rmtree(self.directory)


WORDS = tuple(name for name in vars(Life) if name[0] != "_" and name not in ("rows", "look", "end", "close"))
OFTEN = ("arrive", "hold", "release", "commit", "settle")


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(WORDS + OFTEN), st.integers(0, 5)), min_size=10, max_size=50))
@example([("arrive", 0), ("hold", 0), ("commit", 0), ("arrive", 0), ("release", 0), ("hold", 0), ("commit", 3), ("settle", 0)])
@example([("arrive", 0), ("arrive", 0), ("give_up_late", 0), ("commit", 0), ("settle", 0)])
def test_in_any_order_no_row_loses_its_file_and_none_is_left(happenings: list[tuple[str, int]]) -> None:
    life = Life()
    try:
        for word, pick in happenings:
            getattr(life, word)(pick)
            life.look()
        life.end()
    finally:
        life.close()
