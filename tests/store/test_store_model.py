"""Any sequence of changes, restarts among them, leaves the store equal to a plain model, and a client that follows by
MODSEQ equal to one that fetches everything (RFC 7162)."""

import random
import sqlite3
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.mail.errors import StoreError, Trouble
from appliance.mail.flags import KEYWORD_SHIFT, SYSTEM_NAMES
from appliance.mail.ids import ModSeq, Uid
from appliance.store import expunge
from appliance.store.mailbox import Mailbox
from appliance.store.store import Store
from appliance.store.values import Mode, Placement, Want
from appliance.store.view import SequenceView

from .server import ANN, a_server, put

NAMES = ("INBOX", "A", "A/x", "B")
WORDS = ("\\Seen", "\\Deleted", "\\Flagged", "$Work", "later")

Message = tuple[frozenset[str], int, int]
"""Flag names, identity, octets."""


@dataclass
class Box:
    """What one mailbox ought to hold, and two clients that follow it."""

    messages: dict[int, Message] = field(default_factory=dict)
    uid_next: int = 1
    uid_validity: int = 0
    modseq: int = 1
    clients: list[tuple[int, dict[int, tuple[int, int]]]] = field(default_factory=lambda: [(0, {}), (0, {})])

    def take(self, message: Message) -> int:
        self.messages[self.uid_next] = message
        self.uid_next += 1
        return self.uid_next - 1


class Model:
    def __init__(self) -> None:
        self.boxes: dict[str, Box] = {name: Box() for name in ("INBOX", "Archive", "Drafts", "Junk", "Sent", "Trash")}
        self.placeholders: set[str] = set()
        self.deleted_mailbox: dict[str, int] = {}
        self.contents: dict[tuple[int, int], int] = {}
        """Which message a UIDVALIDITY and UID ever meant."""


def names_of(flags: int, keywords: tuple[str, ...]) -> frozenset[str]:
    words = {name for bit, name in SYSTEM_NAMES if flags & bit}
    return frozenset(words | {name for bit, name in enumerate(keywords) if flags >> (KEYWORD_SHIFT + bit) & 1})


class Run:
    """One run: the store, the model, and a session that keeps INBOX open."""

    def __init__(self, store: Store, model: Model) -> None:
        self.store, self.model = store, model
        self.session: Mailbox
        self.view: SequenceView
        self.reported: list[int] = []

    async def begin(self) -> None:
        self.session = await self.store.open(ANN, "INBOX")
        self.view = SequenceView(self.session.uids, self.session.modseq, self.session.info.uid_next)
        self.reported = list(self.session.uids)

    def pick(self, name: str, which: int) -> list[Uid]:
        """Some UIDs, such as are not there among them."""
        box = self.model.boxes[name]
        return [Uid(uid) for uid in range(1, box.uid_next + 1) if (uid * 7 + which) % 3 or not which]

    async def open(self, name: str) -> Mailbox:
        return await self.store.open(ANN, name)

    async def step(self, kind: str, name: str, other: str, which: int, words: tuple[str, ...]) -> None:
        if kind in ("file", "flags", "copy", "move", "expunge", "remove", "follow") and name not in self.model.boxes:
            with pytest.raises(StoreError) as refused:
                await self.open(name)
            assert refused.value.trouble is Trouble.NO_MAILBOX
            return
        await getattr(self, kind)(name, other, which, words)

    async def file(self, name: str, other: str, which: int, words: tuple[str, ...]) -> None:
        places = [name] + ([other] if other in self.model.boxes and which == 1 else [])
        ids = [(await self.store.find(ANN, place)).id for place in places]
        filed = await put(self.store, *[Placement(number, b"p" * which, words, 5) for number in ids], octets=b"o" * (which + 1))
        for place, done in zip(places, filed, strict=True):
            box = self.model.boxes[place]
            assert done.uid == box.take((frozenset(words), done.message, 2 * which + 1))
            assert done.modseq > box.modseq

    async def flags(self, name: str, other: str, which: int, words: tuple[str, ...]) -> None:
        box, uids, mode = self.model.boxes[name], self.pick(name, which), list(Mode)[which % 3]
        mailbox = await self.open(name)
        since = ModSeq(box.clients[0][0]) if len(words) == 2 else None
        before = {row.uid: row for row in await mailbox.rows(Uid(1), Uid(2**32), Want.FLAGS)}
        result = await mailbox.set_flags(uids, mode, words, unchanged_since=since)
        mailbox.close()
        there = [uid for uid in uids if uid in box.messages]
        assert result.gone == [uid for uid in uids if uid not in box.messages]
        assert result.modified == [uid for uid in there if since is not None and before[uid].modseq > since]
        for uid in there:
            if uid not in result.modified:
                old, identity, octets = box.messages[uid]
                new = {Mode.ADD: old | set(words), Mode.REMOVE: old - set(words), Mode.REPLACE: frozenset(words)}[mode]
                box.messages[uid] = (frozenset(new), identity, octets)
        keywords = (await self.changes_of(name, 0))[1]
        assert {uid: names_of(flags, keywords) for uid, flags, *_ in result.rows()} == {
            uid: box.messages[uid][0] for uid in there if uid not in result.modified
        }
        for uid, flags, modseq, *_ in result.rows():
            assert (modseq > before[uid].modseq) == (flags != before[uid].flags)

    async def copy(self, name: str, other: str, which: int, words: tuple[str, ...], move: bool = False) -> None:
        box, uids = self.model.boxes[name], self.pick(name, which)
        mailbox = await self.open(name)
        try:
            copied = await (mailbox.move if move else mailbox.copy)(uids, other)
        except StoreError as refused:
            assert refused.trouble is Trouble.NO_MAILBOX and other not in self.model.boxes
            return
        finally:
            mailbox.close()
        target = self.model.boxes[other]
        sources = [uid for uid in uids if uid in box.messages]
        assert copied.sources == sources
        assert copied.copies == [target.take(box.messages[uid]) for uid in sources]
        if move:
            for uid in sources:
                del box.messages[uid]

    async def move(self, name: str, other: str, which: int, words: tuple[str, ...]) -> None:
        await self.copy(name, other, which, words, move=True)

    async def expunge(self, name: str, other: str, which: int, words: tuple[str, ...]) -> None:
        box = self.model.boxes[name]
        mailbox = await self.open(name)
        uids = self.pick(name, which) if which else None
        gone = await mailbox.expunge(uids)
        mailbox.close()
        assert gone == [uid for uid, row in box.messages.items() if "\\Deleted" in row[0] and (uids is None or uid in uids)]
        for uid in gone:
            del box.messages[uid]

    async def remove(self, name: str, other: str, which: int, words: tuple[str, ...]) -> None:
        box, uids = self.model.boxes[name], self.pick(name, which)
        mailbox = await self.open(name)
        gone = await mailbox.remove(uids)
        mailbox.close()
        assert gone == [uid for uid in uids if uid in box.messages]
        for uid in gone:
            del box.messages[uid]

    async def create(self, name: str, other: str, which: int, words: tuple[str, ...]) -> None:
        try:
            await self.store.create(ANN, name)
        except StoreError as refused:
            assert refused.trouble is Trouble.EXISTS and name in self.model.boxes
            return
        assert name not in self.model.boxes
        if name == "A/x" and "A" not in self.model.boxes and "A" not in self.model.placeholders:
            self.model.boxes["A"] = Box()
        self.model.placeholders.discard(name)
        self.model.boxes[name] = Box()
        await self.learn()

    async def learn(self) -> dict[str, int]:
        """UIDVALIDITY of every name; boxes that are new to the model take theirs."""
        found = {info.name: int(info.uid_validity) for info in await self.store.list(ANN)}
        for name, box in self.model.boxes.items():
            box.uid_validity = box.uid_validity or found[name]
        return found

    async def delete(self, name: str, other: str, which: int, words: tuple[str, ...]) -> None:
        known = set(self.model.boxes) | self.model.placeholders
        has_child = any(other.startswith(name + "/") for other in known)
        validity = await self.learn()
        try:
            await self.store.delete(ANN, name)
        except StoreError as refused:
            if refused.trouble is Trouble.HAS_CHILDREN:
                assert name in self.model.placeholders and has_child
            elif refused.trouble is Trouble.NOT_ALLOWED:
                assert name == "INBOX"
            else:
                assert refused.trouble is Trouble.NO_MAILBOX and name not in self.model.boxes and name not in self.model.placeholders
            return
        self.bury(name, validity[name])
        if name in self.model.boxes:
            del self.model.boxes[name]
            if has_child:
                self.model.placeholders.add(name)
        else:
            self.model.placeholders.remove(name)

    def bury(self, name: str, uid_validity: int) -> None:
        self.model.deleted_mailbox[name] = max(self.model.deleted_mailbox.get(name, 0), uid_validity)

    async def rename(self, name: str, other: str, which: int, words: tuple[str, ...]) -> None:
        model = self.model
        known = set(model.boxes) | model.placeholders
        validity = await self.learn()
        try:
            await self.store.rename(ANN, name, other)
        except StoreError as refused:
            below = other.startswith(name + "/") and name != "INBOX"
            clash = {other + old[len(name) :] for old in known if old.startswith(name + "/")} & known
            if name not in known:
                assert refused.trouble is Trouble.NO_MAILBOX
            elif other in known or not below:
                assert refused.trouble is Trouble.EXISTS
                assert other in known or clash
            else:
                assert refused.trouble is Trouble.NOT_ALLOWED
            return
        assert name in known and other not in known
        if other == "A/x" and "A" not in known:
            model.boxes["A"] = Box()
        if name == "INBOX":
            box = model.boxes[other] = Box()
            for message in model.boxes["INBOX"].messages.values():
                box.take(message)
            model.boxes["INBOX"].messages.clear()
            await self.learn()
            return
        for old in sorted(known):
            if old == name or old.startswith(name + "/"):
                new = other + old[len(name) :]
                self.bury(old, validity[old])
                if old in model.placeholders:
                    model.placeholders.remove(old)
                    model.placeholders.add(new)
                else:
                    box = model.boxes[new] = model.boxes.pop(old)
                    if model.deleted_mailbox.get(new, 0) > box.uid_validity:
                        box.uid_validity = 0
                        box.clients = [(0, {}), (0, {})]
        await self.learn()

    async def follow(self, name: str, other: str, which: int, words: tuple[str, ...]) -> None:
        """One client hears what changed and must hold what is there."""
        box = self.model.boxes[name]
        since, held = box.clients[which % 2]
        held = dict(held)
        mailbox = await self.open(name)
        changes = await mailbox.changes(ModSeq(since))
        rows = await mailbox.rows(Uid(1), Uid(2**32), Want.FLAGS)
        mailbox.close()
        for uid in changes.expunged:
            held.pop(uid, None)
        held.update({uid: (flags, modseq) for uid, flags, modseq in changes.flags})
        assert held == {row.uid: (row.flags, row.modseq) for row in rows}
        box.clients[which % 2] = (changes.modseq, held)

    async def look(self, name: str, other: str, which: int, words: tuple[str, ...]) -> None:
        """The session that keeps INBOX open gets the changes and must hold what is there."""
        await trio.testing.wait_all_tasks_blocked(0.001)
        if self.session.newest() > self.view.modseq:
            flags = self.view.apply(await self.session.changes(self.view.modseq))
            self.reported += [row[0] for row in flags if row[0] > max(self.reported, default=0) and row[0] in set(self.view.uids)]
        for number in self.view.expunge():
            del self.reported[number - 1]
        self.view.share(*self.session.shared())
        assert list(self.view.uids) == sorted(self.model.boxes["INBOX"].messages) == self.reported

    async def changes_of(self, name: str, since: int) -> tuple[Any, tuple[str, ...]]:
        mailbox = await self.open(name)
        changes = await mailbox.changes(ModSeq(since))
        mailbox.close()
        return changes, changes.keywords

    async def check(self) -> None:
        infos = await self.store.list(ANN)
        assert {info.name for info in infos if info.selectable} == set(self.model.boxes)
        assert {info.name for info in infos if not info.selectable} == self.model.placeholders
        for info in infos:
            if not info.selectable:
                continue
            box = self.model.boxes[info.name]
            assert box.uid_validity in (0, info.uid_validity)
            assert info.uid_validity >= self.model.deleted_mailbox.get(info.name, 0)  # equal: the same mailbox came back to its name
            assert info.highest_modseq >= box.modseq or not box.uid_validity
            box.uid_validity, box.modseq = info.uid_validity, info.highest_modseq
            assert info.uid_next == box.uid_next
            changes, keywords = await self.changes_of(info.name, 0)
            mailbox = await self.open(info.name)
            rows = await mailbox.rows(Uid(1), Uid(2**32), Want.DATES)
            assert list(mailbox.uids) == [row.uid for row in rows]
            assert mailbox.first_unseen == next((row.uid for row in rows if not row.flags & 1), None)
            mailbox.close()
            assert {row.uid: (names_of(row.flags, keywords), row.message, row.octets) for row in rows} == box.messages
            assert [row.uid for row in rows] == [row[0] for row in changes.flags]
            for row in rows:
                assert self.model.contents.setdefault((info.uid_validity, row.uid), row.message) == row.message
            assert (info.messages, info.octets) == (len(rows), sum(row.octets for row in rows))
            assert info.unseen == sum(not row.flags & 1 for row in rows)
            assert info.deleted == sum(bool(row.flags & 8) for row in rows)
        await self.store.database.read(check_refcount)


def check_refcount(connection: sqlite3.Connection) -> None:
    for query in (
        "SELECT count(*) FROM message_data LEFT JOIN shared_data ON shared_data.message_data = id "
        "LEFT JOIN (SELECT message_data, count(*) AS n FROM message GROUP BY message_data) m ON m.message_data = id "
        "WHERE coalesce(shared_data.refcount, 1) IS NOT n",
        "SELECT count(*) FROM shared_data WHERE refcount < 2 OR message_data NOT IN (SELECT id FROM message_data)",
        "SELECT count(*) FROM message WHERE message_data NOT IN (SELECT id FROM message_data) OR body NOT IN (SELECT id FROM body)",
        "SELECT count(*) FROM body LEFT JOIN (SELECT body, count(DISTINCT message_data) AS n FROM message GROUP BY body) ON body = id"
        " WHERE refcount <> coalesce(n, 0)",
        "SELECT count(*) FROM message WHERE mailbox NOT IN (SELECT id FROM mailbox)",
        "SELECT count(*) FROM expunged WHERE mailbox NOT IN (SELECT id FROM mailbox)",
        "SELECT count(*) FROM changed WHERE mailbox NOT IN (SELECT id FROM mailbox)",
        "SELECT count(*) FROM message AS m WHERE NOT EXISTS (SELECT 1 FROM changed AS c WHERE c.mailbox = m.mailbox"
        " AND c.modseq = m.modseq AND m.uid BETWEEN c.first_uid AND c.last_uid)",
        "SELECT count(*) FROM mailbox WHERE expunged_runs <> (SELECT count(*) FROM expunged WHERE mailbox = id)",
    ):
        assert connection.execute(query).fetchone() == (0,), query


KINDS = (
    "file", "file", "file", "flags", "flags", "copy", "move", "expunge", "remove", "create", "delete", "rename", "follow", "follow", "look",
)  # fmt: skip
Step = tuple[str, str, str, int, tuple[str, ...]]


def plan_of(seed: int, length: int) -> list[Step]:
    """Steps drawn evenly (hypothesis draws few kinds a run, and short runs, which seldom meet)."""
    dice = random.Random(seed)
    kinds = (*KINDS, "restart") if seed % 2 else KINDS
    return [
        (dice.choice(kinds), dice.choice(NAMES), dice.choice(NAMES), dice.randrange(6), tuple(dice.sample(WORDS, dice.randrange(4))))
        for _ in range(length)
    ]


async def run(plan: list[Step]) -> None:
    with tempfile.TemporaryDirectory() as directory:
        model = Model()
        left = list(plan)
        while True:
            async with a_server(Path(directory)) as store:
                run = Run(store, model)
                await run.check()
                if not model.contents:
                    for name in ("A", "A/x", "B"):
                        await run.step("create", name, "", 0, ())
                    for count in range(12):
                        await run.step("file", NAMES[count % 4], "INBOX", 1, WORDS[count % 5 : count % 5 + 1])
                    model.contents[0, 0] = 0
                await run.begin()
                while left and left[0][0] != "restart":
                    await run.step(*left.pop(0))
                await run.check()
                for name in model.boxes:
                    for which in (0, 1):
                        await run.follow(name, "", which, ())
                await run.look("INBOX", "", 0, ())
            if not left:
                return
            left.pop(0)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 120))
def test_the_store_is_what_the_model_says(seed: int, length: int) -> None:
    trio.run(run, plan_of(seed, length))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 120))
def test_the_same_with_few_tombstones(seed: int, length: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(expunge, "KEPT", 2)
        patch.setattr(expunge, "SLACK", 1)
        trio.run(run, plan_of(seed, length))
