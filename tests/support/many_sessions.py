"""Many IMAP sessions on one mailbox over real sockets, each with a model of it; every response is checked against the model at once.

`play` runs them for a while, then lets them settle: the state of each session, in IDLE without further commands, must equal what the
server sends to a new session. The commands follow from the seed, their interleaving is the server's. Raises Wrong with the session's
last commands.
"""

import random
import re
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import trio

from tests.imapd.client import Client

from .mailbox_model import TOKEN, Enabled, Flags, Heard, Message, Model, World, Wrong, expect, numbers_of
from .server import PASSWORD

SYSTEM = (b"\\Seen", b"\\Deleted", b"\\Flagged", b"\\Answered")
CONTENT = (
    b"BODY.PEEK[]", b"BODY[]", b"BODY.PEEK[TEXT]", b"BODY[TEXT]", b"BODY.PEEK[HEADER]", b"BODY.PEEK[1]", b"BODY.PEEK[1.MIME]",
    b"BODY.PEEK[2]", b"BINARY.PEEK[2]", b"BINARY.SIZE[2]", b"RFC822", b"RFC822.TEXT", b"RFC822.HEADER", b"RFC822.SIZE",
    b"BODY.PEEK[]<10.200>", b"BODY.PEEK[TEXT]<50.70000>", b"BODY.PEEK[HEADER.FIELDS (X-TOKEN)]", b"BINARY.PEEK[2]<3.50>",
)  # fmt: skip
OCTETS = (40, 300, 4_000, 20_000, 90_000)
FEW, MANY = 15, 70
"""Messages in the mailbox: below, more are appended; above, more are expunged."""
REST_S = 15.0
OFFLINE = 8
"""Clients that come back after the server was started again."""


@dataclass(frozen=True)
class Mix:
    """How sessions behave: weights of their commands; `keywords`: how many names are in use in all; `slow`: sessions that read slowly."""

    weights: dict[str, int]
    keywords: int = 12
    slow: int = 0


WEIGHTS = {
    "append": 4, "fetch": 8, "read": 6, "store": 14, "expunge": 3, "uid_expunge": 2, "search": 6, "copy": 3, "move": 2, "noop": 6,
    "idle": 3, "changed": 3, "reselect": 1, "status": 1, "reconnect": 1,
}  # fmt: skip
MIXES = {
    "even": Mix(WEIGHTS),
    "flags": Mix({**WEIGHTS, "store": 40, "idle": 8, "append": 2}),
    "bodies": Mix({**WEIGHTS, "read": 40, "expunge": 8, "append": 12}, slow=3),
    "keywords": Mix({**WEIGHTS, "store": 30, "copy": 6}, keywords=90),
}


@dataclass
class Shared:
    world: World
    mix: Mix
    port: int
    names: dict[str, bytes]
    """Server names of the mailbox that all select (INBOX here) and of the one messages are moved to (Archive here)."""
    commands: int = 0
    tokens: int = 0
    ended: bool = False
    sessions: list["Player"] = field(default_factory=list)
    offline: list[Model] = field(default_factory=list)
    """What some sessions with QRESYNC knew when their connection was lost."""


MODES = (
    Enabled(condstore=True), Enabled(), Enabled(condstore=True, qresync=True), Enabled(uid_only=True), Enabled(condstore=True), Enabled(),
    Enabled(condstore=True, qresync=True), Enabled(condstore=True, qresync=True, uid_only=True),
)  # fmt: skip
"""Of the sessions, in turn."""


class Slow(trio.abc.HalfCloseableStream):
    """A stream that reads a little at a time."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.inner = stream

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        await trio.sleep(0.0005)
        return await self.inner.receive_some(8192)

    async def send_all(self, data: Any) -> None:
        await self.inner.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self.inner.wait_send_all_might_not_block()

    async def send_eof(self) -> None:
        await self.inner.send_eof()

    async def aclose(self) -> None:
        await self.inner.aclose()


class Player:
    """One session: sends commands, checks the responses and updates its model."""

    def __init__(self, shared: Shared, number: int, seed: int, client: Client) -> None:
        self.shared = shared
        self.number = number
        self.chance = random.Random(f"{seed}-{number}")
        self.client = client
        self.enabled = MODES[number % len(MODES)]
        self.model = Model(shared.world, self.enabled)
        self.slow = number < shared.mix.slow
        self.log: deque[str] = deque(maxlen=25)
        self.read_only = False
        self.owed: set[int] = set()
        """UIDs that the server reported as expunged without having sent EXPUNGE yet."""

    # --- commands ----------------------------------------------------------------------------

    async def execute(
        self, text: bytes, *, may_expunge: bool = True, items: Iterable[bytes] = (), before: Callable[[], None] = lambda: None
    ) -> tuple[Heard, bytes]:
        """One command: the data of its responses, and its tagged response. `before`: the client's own changes to its model."""
        self.log.append(f"C {text[:200]!r}")
        untagged, tagged = await self.client.command(text)
        self.log += [f"S {line[:160]!r}" for line in untagged[-8:]] + [f"S {tagged[:160]!r}"]
        self.shared.commands += 1
        before()
        untagged = self.model.feed(untagged, may_expunge=may_expunge, items=items)
        self.owed -= untagged.expunged
        if may_expunge:
            expect(not self.owed, "no EXPUNGE for messages reported as gone:", self.owed)
        if b"[HIGHESTMODSEQ " in tagged:
            self.model.at_modseq(int(tagged.split(b"HIGHESTMODSEQ ")[1].split(b"]")[0]))
        return untagged, tagged

    async def good(self, text: bytes, **words: Any) -> Heard:
        untagged, tagged = await self.execute(text, **words)
        expect(tagged.startswith(b"OK"), text[:80], "is answered", tagged)
        return untagged

    async def select(self) -> None:
        self.read_only = self.chance.random() < 0.1
        self.owed.clear()
        word = b"EXAMINE" if self.read_only else b"SELECT"
        text = b"%b %b" % (word, self.shared.names["INBOX"])
        since = self.model.since()
        if since and 0 not in self.model.uids and self.chance.random() < 0.9:
            await self.resynchronize(b"%b (QRESYNC (%b%b))" % (text, since, self.known()))
        else:
            self.model.selected()
            await self.good(text + (b" (CONDSTORE)" if self.model.condstore else b""))
        await self.look()

    def known(self) -> bytes:
        """Sometimes the UIDs known, sometimes numbers of some of them as well (RFC 7162 §3.2.5.2)."""
        uids, kind = self.model.uids, self.chance.random()
        if not uids or kind < 0.4:
            return b""
        told = b" 1:%d" % (uids[-1] + 5000)  # those that arrived meanwhile are wanted as well
        if kind < 0.7 or self.model.uid_only:
            return told
        places = sorted(self.chance.sample(range(len(uids)), min(3, len(uids))))
        pairs = b",".join(b"%d" % (place + 1) for place in places), b",".join(b"%d" % uids[place] for place in places)
        return told + b" (%b %b)" % pairs

    async def resynchronize(self, text: bytes) -> None:
        """SELECT (QRESYNC ...): the model goes on from what it knew."""
        self.log.append(f"C {text[:200]!r}")
        untagged, tagged = await self.client.command(text)
        self.log += [f"S {line[:160]!r}" for line in untagged[-16:]] + [f"S {tagged[:160]!r}"]
        self.shared.commands += 1
        expect(tagged.startswith(b"OK"), text[:80], "is answered", tagged)
        self.model.feed(self.model.resynchronized(untagged), may_expunge=True)

    async def sign_in(self) -> None:
        await self.good(b"LOGIN ada@home.example " + PASSWORD.encode())
        for command in self.enabled.commands:
            await self.good(command)

    async def look(self) -> None:
        """FETCH the messages announced by EXISTS, until every message has its UID and flags."""
        what = b"(UID FLAGS MODSEQ)" if self.model.condstore else b"(UID FLAGS)"
        asked = 0
        while 0 in self.model.uids:
            first = self.model.uids.index(0) + 1
            if self.chance.random() < 0.5 and not self.model.uid_only:
                _, tagged = await self.execute(b"FETCH %d:* %b" % (first, what), may_expunge=False)
                if not tagged.startswith(b"OK"):
                    expect(tagged.startswith(b"NO [EXPUNGEISSUED]"), tagged)
                    await self.good(b"NOOP")
            else:
                known = max(self.model.uids, default=0)
                # with UIDONLY a change may have named a new message before an older one was asked for: then all are asked for
                first, asked = 1 if asked == known + 1 else known + 1, known + 1
                await self.good(b"UID FETCH %d:* %b" % (first, what))

    # --- sets --------------------------------------------------------------------------------

    def some(self) -> tuple[list[int], bytes, bytes, bool]:
        """A set of messages: their UIDs, the set as written, `UID ` or nothing, and whether EXPUNGE may come."""
        uids = self.model.uids
        first = self.chance.randrange(len(uids))
        count = self.chance.choice((1, 1, 2, 5, len(uids)))
        places = range(first, min(len(uids), first + count))
        if self.chance.random() < 0.2:
            places = range(first, len(uids), 2)
        chosen = [uids[place] for place in places]
        if self.model.uid_only or self.chance.random() < 0.5:
            return chosen, b",".join(b"%d" % uid for uid in chosen), b"UID ", True
        return chosen, b",".join(b"%d" % (place + 1) for place in places), b"", False

    def complete(self, chosen: list[int], untagged: Heard, tagged: bytes, uid: bool, wanted: Callable[[dict[bytes, Any]], bool]) -> None:
        """Each message of the set was reported, or is expunged, and the response says which (RFC 2180 §4.1.2)."""
        missing = {one for one in chosen if one not in untagged.fetched or not wanted(untagged.fetched[one])}
        if uid:
            expect(tagged.startswith(b"OK"), tagged)
            expect(missing <= untagged.expunged, "neither reported nor expunged:", missing - untagged.expunged)
        elif tagged.startswith(b"OK"):
            expect(not missing, "OK, and no word of", missing)
        else:
            expect(tagged.startswith(b"NO [EXPUNGEISSUED]"), tagged)
            expect(bool(missing), "NO [EXPUNGEISSUED], and all were told")
            self.owed |= missing

    # --- what a session does -----------------------------------------------------------------

    async def step(self) -> None:
        weights = self.shared.mix.weights
        what = self.chance.choices(list(weights), list(weights.values()))[0]
        if len(self.model.uids) < FEW:
            what = "append"
        elif len(self.model.uids) > MANY and what == "append":
            what = "expunge"
        await getattr(self, "do_" + what)()
        await self.look()

    async def do_append(self) -> None:
        self.shared.tokens += 1
        message = Message(b"t%d-%d" % (self.number, self.shared.tokens), self.chance.choice(OCTETS), self.chance)
        flags = b" ".join(self.chance.sample((*SYSTEM[2:], self.keyword()), self.chance.randrange(3)))
        text = b"APPEND %b (%b) {%d+}\r\n%b" % (self.shared.names["INBOX"], flags, len(message.octets), message.octets)
        _, tagged = await self.execute(text)
        found = re.match(rb"OK \[APPENDUID \d+ (\d+)\]", tagged)
        expect(found, "APPEND is answered", tagged)
        assert found
        self.shared.world.placed("INBOX", int(found[1]), message)

    def keyword(self) -> bytes:
        return b"k%d" % self.chance.randrange(self.shared.mix.keywords)

    async def do_fetch(self) -> None:
        chosen, written, form, uid = self.some()
        items = self.chance.sample([b"FLAGS", b"UID", b"RFC822.SIZE", b"ENVELOPE", b"BODYSTRUCTURE", b"INTERNALDATE"], 3)
        if self.model.condstore:
            items.append(b"MODSEQ")
        text = b"%bFETCH %b (%b)" % (form, written, b" ".join(items))
        untagged, tagged = await self.execute(text, may_expunge=uid, items=(b"RFC822.SIZE",))
        self.complete(chosen, untagged, tagged, uid, lambda told: set(items) <= told.keys())

    async def do_read(self) -> None:
        chosen, written, form, uid = self.some()
        items = self.chance.sample(CONTENT, self.chance.choice((1, 1, 2, 3)))
        if any(b"]<" in item for item in items) or len({item.replace(b".PEEK", b"") for item in items}) < len(items):
            items = items[:1]
        text = b"%bFETCH %b (%b)" % (form, written, b" ".join(items))
        untagged, tagged = await self.execute(text, may_expunge=uid, items=items)
        names = {re.sub(rb"<(\d+)\.\d+>$", rb"<\1>", item.replace(b".PEEK", b"")) for item in items}
        self.complete(chosen, untagged, tagged, uid, lambda told: names <= told.keys())

    async def do_changed(self) -> None:
        if not self.model.condstore:
            return
        chosen, written, form, uid = self.some()
        since = self.chance.choice((0, self.model.highest, max(self.model.highest - 20, 1), max(self.model.highest - 2000, 1)))
        before = dict(self.model.modseqs)
        vanished = b" VANISHED" if self.model.qresync and uid else b""
        text = b"%bFETCH %b (FLAGS) (CHANGEDSINCE %d%b)" % (form, written, since, vanished)
        untagged, tagged = await self.execute(text, may_expunge=uid)
        if tagged.startswith(b"OK") or uid:
            later = {one for one in chosen if before[one] > since}
            missing = {one for one in later if one not in untagged.fetched} - untagged.expunged
            expect(tagged.startswith(b"OK") and not missing, tagged, "changed since", since, "and not reported:", missing)
        else:
            expect(tagged.startswith(b"NO [EXPUNGEISSUED]"), tagged)

    async def do_store(self) -> None:
        if self.read_only:
            return
        chosen, written, form, uid = self.some()
        mode, silent = self.chance.choice((b"+FLAGS", b"-FLAGS", b"FLAGS")), self.chance.random() < 0.5
        flags = frozenset(self.chance.sample((*SYSTEM, self.keyword(), self.keyword()), self.chance.choice((1, 1, 2))))
        condition = b""
        if self.model.condstore and self.chance.random() < 0.3:
            condition = b" (UNCHANGEDSINCE %d)" % self.chance.choice((self.model.highest, max(self.model.highest - 5, 1), 0))
        old = dict(self.model.flags)
        text = b"%bSTORE %b%b %b%b (%b)" % (form, written, condition, mode, b".SILENT" if silent else b"", b" ".join(flags))

        def apply() -> None:
            if silent:
                self.model.flags.update({one: changed(old[one], mode, flags) for one in chosen})

        untagged, tagged = await self.execute(text, may_expunge=uid, before=apply)
        if tagged.startswith(b"NO [LIMIT]"):
            expect(self.shared.mix.keywords > 57, "keyword limit reached with few keywords")
            self.undo(set(chosen), old, untagged)
            return
        modified = self.modified(tagged, uid)
        if silent:
            self.undo(modified, old, untagged)
        self.check_store(chosen, untagged, tagged, uid, modified, [] if silent else [b"FLAGS"])

    def check_store(self, chosen: list[int], untagged: Heard, tagged: bytes, uid: bool, modified: set[int], words: list[bytes]) -> None:
        if self.model.condstore:
            words = [*words, b"MODSEQ"]
        expect(tagged.startswith((b"OK", b"NO [EXPUNGEISSUED]", b"NO [MODIFIED")), tagged)
        if words:  # otherwise silent: expunged messages are reported by EXPUNGE alone
            rest = [one for one in chosen if one not in modified]
            if modified and tagged.startswith(b"NO"):
                tagged = b"NO [EXPUNGEISSUED]"
            self.complete(rest, untagged, tagged, uid, lambda told: set(words) <= told.keys())

    def undo(self, uids: set[int], old: dict[int, Flags], untagged: Heard) -> None:
        """Undo what was not stored, except where the server sent flags."""
        for one in uids:
            if b"FLAGS" not in untagged.fetched.get(one, {}) and one in self.model.flags:
                self.model.flags[one] = old[one]

    def modified(self, tagged: bytes, uid: bool) -> set[int]:
        found = re.search(rb"\[MODIFIED ([\d:,]+)\]", tagged)
        numbers = numbers_of(found[1]) if found else []
        return set(numbers) if uid else {self.model.uids[number - 1] for number in numbers}

    async def do_expunge(self) -> None:
        if not self.read_only:
            await self.good(b"EXPUNGE")

    async def do_uid_expunge(self) -> None:
        if not self.read_only:
            _, written, form, uid = self.some()
            if uid:
                await self.good(b"%bEXPUNGE %b" % (form, written))

    async def do_search(self) -> None:
        uid = self.model.uid_only or self.chance.random() < 0.5
        flag = self.chance.choice((b"\\Seen", b"\\Flagged", b"\\Answered", b"\\Deleted", self.keyword()))
        key = flag[1:].upper() if flag.startswith(b"\\") else b"KEYWORD " + flag
        before, numbers = dict(self.model.flags), list(self.model.uids)
        untagged, tagged = await self.execute(b"%bSEARCH %b" % (b"UID " if uid else b"", key), may_expunge=uid)
        expect(tagged.startswith(b"OK") and untagged.searched is not None, key, "is answered", tagged)
        found = set(untagged.searched or ()) if uid else {numbers[number - 1] for number in untagged.searched or ()}
        steady = {one for one in numbers if b"FLAGS" not in untagged.fetched.get(one, {})}
        true = {one for one in steady if flag in before[one]}
        expect(found <= set(numbers), "found unknown messages:", found - set(numbers))
        differ = (true ^ found & steady) - untagged.expunged
        if differ:  # missing, or found with outdated flags: expunged in either case
            expect(b"[EXPUNGEISSUED]" in tagged, key, "finds", found, "not of", true, "and says", tagged)
            self.owed |= differ

    async def do_copy(self) -> None:
        await self.copy(b"COPY", self.chance.choice(("INBOX", "Archive", "Archive")))

    async def do_move(self) -> None:
        if not self.read_only:
            await self.copy(b"MOVE", "Archive")

    async def copy(self, word: bytes, target: str) -> None:
        chosen, written, form, uid = self.some()
        untagged, tagged = await self.execute(b"%b%b %b %b" % (form, word, written, self.shared.names[target]))
        code = re.search(rb"\[COPYUID \d+ ([\d:,]+) ([\d:,]+)\]", tagged + untagged.copy_uid)
        sources, copies = (numbers_of(code[1]), numbers_of(code[2])) if code else ([], [])
        expect(set(sources) <= set(chosen), "copied messages outside the set")
        self.shared.world.copied(sources, target, copies)
        gone = set(chosen) - set(sources)
        if word == b"COPY" and tagged.startswith(b"NO [EXPUNGEISSUED]"):
            expect(not uid and not sources, "a part was copied")
            expect(bool(gone & untagged.expunged), "NO [EXPUNGEISSUED], and all are there")
            return
        expect(gone <= untagged.expunged, "neither copied nor expunged:", gone - untagged.expunged)
        if word == b"MOVE":
            expect(set(sources) <= untagged.expunged, "moved and still there:", set(sources) - untagged.expunged)
        if uid:
            expect(tagged.startswith(b"OK"), tagged)
        elif tagged.startswith(b"OK"):
            expect(not gone, word, "says OK and left out", gone)
        else:
            expect(tagged.startswith(b"NO [EXPUNGEISSUED]"), tagged)

    async def do_noop(self) -> None:
        await self.good(b"NOOP")

    async def do_status(self) -> None:
        items = b"MESSAGES UNSEEN UIDNEXT" + (b" HIGHESTMODSEQ" if self.model.condstore else b"")
        await self.good(b"STATUS %b (%b)" % (self.shared.names["INBOX"], items))

    async def do_reselect(self) -> None:
        self.owed.clear()
        await self.good(self.chance.choice((b"CLOSE", b"UNSELECT")))
        await self.select()

    async def do_reconnect(self) -> None:
        """The connection is gone, sometimes within a command."""
        if self.model.qresync and 0 not in self.model.uids and len(self.shared.offline) < OFFLINE:
            self.shared.offline.append(self.model.copy())
        if self.chance.random() < 0.3:
            await self.client.send(b"gone UID FETCH 1:* (FLAGS BODY.PEEK[])\r\n")
        await self.client.stream.aclose()
        self.owed.clear()
        self.log.append("C -- connects again")
        self.client = await opened(self.shared.port, self.slow)
        await self.sign_in()
        await self.select()

    async def do_idle(self) -> None:
        await self.begin_idle()
        with trio.move_on_after(self.chance.choice((0.0, 0.01, 0.05))):
            while True:
                await self.read_until_tagged()
        await self.end_idle()

    # --- IDLE, and coming to rest ------------------------------------------------------------

    async def begin_idle(self) -> None:
        self.log.append("C IDLE")
        await self.client.send(b"idle IDLE\r\n")
        while not (line := await self.response()).startswith(b"+"):
            self.model.feed([line], may_expunge=True)

    async def response(self) -> bytes:
        line = await self.client.response()
        if line is None:
            raise Wrong("the server closed the connection")
        self.log.append(f"S {line[:160]!r}")
        return line

    async def read_until_tagged(self) -> None:
        """One response while in IDLE."""
        self.owed -= self.model.feed([await self.response()], may_expunge=True).expunged

    async def end_idle(self) -> None:
        await self.client.send(b"DONE\r\n")
        untagged, tagged = await self.client.until_tag(b"idle")
        self.owed -= self.model.feed(untagged, may_expunge=True).expunged
        expect(tagged.startswith(b"OK"), tagged)
        self.shared.commands += 1

    def equals(self, truth: dict[int, Flags]) -> bool:
        known = self.model.uids
        if self.model.uid_only:
            told = [one for one in known if one]
            return len(known) == len(truth) and all(self.model.flags[one] == truth.get(one) for one in told)
        if len(known) != len(truth) or any(one and one != true for one, true in zip(known, sorted(truth), strict=True)):
            return False
        return all(self.model.flags[one] == truth[one] for one in known if one)

    async def run(self) -> None:
        while not self.shared.ended:
            await self.step()


def changed(before: Flags, mode: bytes, flags: Flags) -> Flags:
    return before | flags if mode == b"+FLAGS" else before - flags if mode == b"-FLAGS" else flags


async def opened(port: int, slow: bool) -> Client:
    stream: Any = await trio.open_tcp_stream("127.0.0.1", port)
    client = Client(Slow(stream) if slow else stream)
    await client.response()
    return client


async def connect(shared: Shared, number: int, seed: int) -> Player:
    player = Player(shared, number, seed, await opened(shared.port, number < shared.mix.slow))
    await player.sign_in()
    return player


@dataclass
class Result:
    commands: int
    truth: dict[int, Flags]
    modseqs: dict[int, int]
    offline: list[Model]


SESSIONS = 10


async def play(port: int, *, seed: int, seconds: float, mix: Mix, mailbox: str = "INBOX") -> Result:
    """`mailbox` must be empty; other than INBOX it is made, with one beside it. Raises Wrong."""
    names = {"INBOX": mailbox.encode(), "Archive": b"Archive" if mailbox == "INBOX" else mailbox.encode() + b"-archive"}
    shared = Shared(World(), mix, port, names)
    for number in range(SESSIONS):
        shared.sessions.append(await connect(shared, number, seed))
    if mailbox != "INBOX":
        for name in names.values():
            await shared.sessions[0].good(b"CREATE " + name)
    async with trio.open_nursery() as nursery:
        for player in shared.sessions:
            nursery.start_soon(watched, player, player.select)
    async with trio.open_nursery() as nursery:
        for player in shared.sessions:
            nursery.start_soon(watched, player, player.run)
        await trio.sleep(seconds)
        shared.ended = True
    result = await rest(shared, seed)
    for player in shared.sessions:
        await player.client.stream.aclose()
    return result


async def come_back(port: int, result: Result) -> None:
    """Clients that were offline, on a server started anew: what SELECT (QRESYNC ...) tells them makes their mailbox the truth."""
    shared = Shared(World(), MIXES["even"], port, {"INBOX": b"INBOX"})
    for number, model in enumerate(result.offline):
        player = Player(shared, number, number, await opened(port, False))
        player.enabled, player.model = model.enabled, model
        await player.sign_in()
        await watched(player, lambda player=player: player.resynchronize(b"SELECT INBOX (QRESYNC (%b))" % player.model.since()))  # type: ignore[misc]
        expect(player.equals(result.truth), "back and not equal:", differences(player, result.truth))
        await player.client.stream.aclose()


async def watched(player: Player, work: Callable[[], Any]) -> None:
    """Add the last commands and responses to a wrong response."""
    try:
        await work()
    except Exception as error:
        transcript = "\n".join(player.log)
        raise Wrong(f"session {player.number} ({player.enabled}): {error!r}\n{transcript}") from error


async def rest(shared: Shared, seed: int) -> Result:
    """Half of the sessions idle while some last changes are made; then all of them know the truth."""
    idle = shared.sessions[::2]
    last = await connect(shared, 1000, seed)
    assert last.model.condstore
    await watched(last, last.select)
    for player in idle:
        await watched(player, player.begin_idle)
    for _ in range(10):
        await watched(last, last.step)
    await watched(last, last.do_append)  # a durable commit takes what was lazy with it
    await watched(last, last.select)
    truth, modseqs = last.model.known(), {uid: last.model.modseqs[uid] for uid in last.model.uids}
    shared.world.prove()
    for player in shared.sessions:
        await watched(player, lambda player=player: at_rest(player, truth, modseqs, idle=player in idle))  # type: ignore[misc]
    await watched(last, lambda: archived(last))
    await last.client.stream.aclose()
    return Result(shared.commands, truth, modseqs, shared.offline)


async def at_rest(player: Player, truth: dict[int, Flags], modseqs: dict[int, int], *, idle: bool) -> None:
    if idle:
        with trio.move_on_after(REST_S):
            while not player.equals(truth):
                await player.read_until_tagged()
        expect(player.equals(truth), "IDLE does not tell all:", differences(player, truth))
        await player.end_idle()
    else:
        await player.good(b"NOOP")
    await player.look()
    expect(player.equals(truth), "at rest and not equal:", differences(player, truth))
    if player.model.condstore:
        expect({uid: player.model.modseqs[uid] for uid in truth} == modseqs, "MODSEQs differ at rest")


def differences(player: Player, truth: dict[int, Flags]) -> str:
    mine = {uid: player.model.flags.get(uid) for uid in player.model.uids}
    differ = [uid for uid in sorted(mine.keys() | truth) if mine.get(uid) != truth.get(uid)]
    return "; ".join(f"{uid}: {mine.get(uid)} for {truth.get(uid)}" for uid in differ)


async def archived(player: Player) -> None:
    """What was copied and moved away stands there, message for message."""
    await player.client.command(b"EXAMINE " + player.shared.names["Archive"])
    untagged, _ = await player.client.command(b"UID FETCH 1:* (BODY.PEEK[HEADER])")
    found = {}
    for line in untagged:
        uid, token = re.search(rb"UID (\d+)", line), TOKEN.search(line)
        if uid and token:
            found[int(uid[1])] = token[1]
    true = {uid: message.token for (mailbox, uid), message in player.shared.world.messages.items() if mailbox == "Archive"}
    expect(found == true, "the archive holds other messages")
