"""Opens the state left by a cut with the server's own code and compares it with what had been acknowledged by then.

Every acknowledged message exists once, every acknowledged change holds, no unacknowledged change is partly done; UIDs,
MODSEQs and UIDVALIDITY never go back or repeat; a client that follows by MODSEQ equals one that reads everything;
`integrity_check` is ok and no row lacks its body.
"""

import re
import sqlite3
from dataclasses import dataclass
from pathlib import Path

import trio

from appliance.app.components import open_components
from appliance.config.settings import Settings
from appliance.mail.flags import HAS_NO_ATTACHMENT, KEYWORD_SHIFT, SYSTEM_NAMES
from appliance.mail.ids import ModSeq, Uid
from appliance.store.mailbox import Mailbox
from appliance.store.values import Placement, Want

from .trace import Event, Said
from .workload import ACCOUNT, BOXES, Ledger, Seen, Step

Place = tuple[str, frozenset[str]]
"""(mailbox, flags) of one copy of a message."""


@dataclass(slots=True)
class Promised:
    """A ledger with the instant (event number) of each promise; None: never said in the trace."""

    ledger: Ledger
    steps: list[tuple[Step, int | None]]
    looks: list[tuple[Seen, int]]


def find_promises(ledger: Ledger, events: list[Event]) -> Promised:
    """The instant at which each promise was sent."""
    said = [(number, event.data) for number, event in enumerate(events) if isinstance(event, Said)]

    def when(promise: bytes, after: int) -> int | None:
        if not promise:
            return None
        return next((number for number, data in said if number >= after and promise.strip() in data), None)

    steps: list[tuple[Step, int | None]] = []
    last = 0
    for step in ledger.steps:
        # a POP3 answer is no one's in particular: it comes after what this client was sent before
        instant = when(step.promise, last if step.promise.startswith(b"+OK") else 0)
        if step.promise and instant is None:
            raise AssertionError(f"the trace lacks the promise of {step}")
        if instant is not None and step.kind != "deliver":
            last = max(last, instant)
        steps.append((step, instant))
    looks = [(look, found) for look in ledger.looks if (found := when(look.promise, 0)) is not None]
    return Promised(ledger, steps, looks)


def apply(places: frozenset[Place], step: Step) -> frozenset[Place]:
    """The copies of a message after a step."""
    if step.kind == "deliver":
        return places | {("INBOX", frozenset({HAS_NO_ATTACHMENT}))}
    if step.kind == "append":
        return places | {(step.box, frozenset(step.flag.split()))}
    out = set()
    for box, flags in places:
        if box != step.box:
            out.add((box, flags))
        elif step.kind == "flag":
            out.add((box, flags | {step.flag}))
        elif step.kind == "unflag":
            out.add((box, flags - {step.flag}))
        elif step.kind == "copy":
            out |= {(box, flags), (step.flag, flags)}
        elif step.kind == "move":
            out.add((step.flag, flags))
        elif step.kind == "may-see":
            out.add((box, flags))
    return frozenset(out)


def allowed(promised: Promised, token: str, cut: int) -> set[frozenset[Place]]:
    """All states a message may have after a cut at event `cut`: what was promised, and at most the next request done."""
    states = {frozenset[Place]()}
    for step, instant in promised.steps:
        if step.token != token:
            continue
        after = {apply(state, step) for state in states}
        if instant is not None and instant < cut:
            states = after
        else:
            states |= after
            if step.kind != "may-see":
                break
    return states


async def judge(data: Path, promised: Promised, cut: int) -> None:
    """Raises AssertionError with the broken promise."""
    async with open_components(data, Settings()) as components:
        account = components.accounts.directory.find_login(ACCOUNT)
        assert account, "the account is gone"
        assert await components.database.read(_integrity) == "ok"
        boxes = {box: await components.store.open(account.id, box) for box in BOXES}
        places: dict[str, list[Place]] = {}
        uids: dict[tuple[str, int], str] = {}
        for name, mailbox in boxes.items():
            for uid, token, flags in await _messages(mailbox, promised.ledger):
                places.setdefault(token, []).append((name, flags))
                uids[name, uid] = token
        for token in promised.ledger.bodies:
            found = places.get(token, [])
            assert len(found) == len(set(found)) or len({box for box, _ in found}) == len(found), f"{token} exists twice: {found}"
            may = allowed(promised, token, cut)
            seen = {frozenset((box, flags - {"\\Seen"}) for box, flags in found)}
            bare = {frozenset((box, flags - {"\\Seen"}) for box, flags in state) for state in may}
            sees = any(step.token == token and step.kind == "may-see" for step in promised.ledger.steps)
            assert frozenset(found) in may or (sees and seen <= bare), f"{token} is {found}, allowed {may}"
        _check_uids(promised, cut, boxes, uids)
        await _check_followers(promised, cut, boxes, uids)
        for name, mailbox in boxes.items():
            fresh = await _file(components.store, mailbox)
            reported = [step.uid for step, at in promised.steps if at is not None and at < cut and _lands(step) == name and step.uid]
            assert fresh > max(reported, default=0), f"UID {fresh} of {name} was given out before"
            mailbox.close()


def _integrity(connection: sqlite3.Connection) -> str:
    return str(connection.execute("PRAGMA integrity_check").fetchone()[0])


async def _messages(mailbox: Mailbox, ledger: Ledger) -> list[tuple[int, str, frozenset[str]]]:
    """(uid, token, flags) of every message, each read whole and compared with what was sent."""
    out = []
    at = Uid(1)
    while True:
        rows = await mailbox.rows(at, Uid(2**32 - 1), Want.FLAGS | Want.DATES | Want.BODY)
        for row in rows:
            message = await mailbox.open_row(row)
            octets = b""
            while len(octets) < message.octets:
                chunk = await message.read(len(octets), 1 << 20)
                assert chunk, f"message {row.uid} of {mailbox.info.name} ends early"
                octets += chunk
            token = re.search(rb"X-Token: (\w+)", octets)
            assert token, f"message {row.uid} of {mailbox.info.name} is not one of ours"
            name = token[1].decode()
            assert octets.endswith(ledger.bodies[name]), f"{name} came back changed"
            system = {text for bit, text in SYSTEM_NAMES if row.flags & bit}
            words = {word for n, word in enumerate(mailbox.keywords) if row.flags >> (KEYWORD_SHIFT + n) & 1}
            out.append((row.uid, name, frozenset(system | words)))
        if not rows:
            return out
        at = Uid(rows[-1].uid + 1)


def _lands(step: Step) -> str:
    return step.flag if step.kind in ("copy", "move") else step.box


def _check_uids(promised: Promised, cut: int, boxes: dict[str, Mailbox], uids: dict[tuple[str, int], str]) -> None:
    for step, at in promised.steps:
        if at is None or at >= cut or not step.uid:
            continue
        box = _lands(step)
        assert uids.get((box, step.uid), step.token) == step.token, f"UID {step.uid} of {box} is another message than it was"
        assert boxes[box].info.uid_next > step.uid, f"UIDNEXT of {box} went back"
    for look, at in promised.looks:
        if at < cut:
            info = boxes[look.box].info
            assert info.uid_validity == look.validity, f"UIDVALIDITY of {look.box} changed"
            assert info.highest_modseq >= look.modseq, f"HIGHESTMODSEQ of {look.box} went back"
            assert info.uid_next >= look.uid_next, f"UIDNEXT of {look.box} went back"


async def _check_followers(promised: Promised, cut: int, boxes: dict[str, Mailbox], uids: dict[tuple[str, int], str]) -> None:
    """A client that knew the mailbox as of its last look and asks what changed since equals one that reads everything."""
    last = {look.box: look for look, at in promised.looks if at < cut}
    for box, look in last.items():
        changes = await boxes[box].changes(ModSeq(look.modseq))
        known = set(look.messages) - set(changes.expunged) | {uid for uid, _, _ in changes.flags}
        full = {uid for name, uid in uids if name == box}
        assert known == full, f"a client following {box} by MODSEQ has {sorted(known ^ full)} wrong"


async def _file(store: object, mailbox: Mailbox) -> int:
    from appliance.store.store import Store

    assert isinstance(store, Store)
    async with store.receive(1000) as incoming:
        await incoming.write(b"X-Token: fresh\r\n\r\nx\r\n")
        body = await incoming.finish()
        filed = await store.file(body, [Placement(mailbox.info.id, b"", (), 1)])
    return filed[0].uid


def judge_now(data: Path, promised: Promised, cut: int) -> None:
    trio.run(judge, data, promised, cut)
