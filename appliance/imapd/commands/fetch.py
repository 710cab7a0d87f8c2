"""FETCH and UID FETCH (RFC 9051 §6.4.5, RFC 3501 §6.4.5; modifiers: RFC 4466 §2.4).

The list of items is compiled once for the command: items of the row (a whole batch sent at once, see `row_items`) and items that read
the message (one after the other, streamed, see `body_items`). \\Seen set by FETCH is lazy and shown at once; with CONDSTORE it is
durable before it is sent, because then its MODSEQ is sent (`UpdateFormat.flag_items`).

Messages that another session expunged meanwhile have no response, or one with all their octets, never a partial one.
FETCH by number then ends with NO [EXPUNGEISSUED] (RFC 2180 §4.1.2, RFC 5530 §3), because OK would mean that all was sent and
EXPUNGE may not be sent yet; UID FETCH ends with OK, since a UID that does not exist is no error (RFC 9051 §6.4.9), and the EXPUNGE is
sent just before.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

from appliance.mail.errors import MisuseError, StoreError, Trouble
from appliance.mail.flags import SEEN
from appliance.mail.limits import BATCH_ROWS
from appliance.protocol.imap.fetch import Fetch, parse_fetch
from appliance.store.values import Mode, Want

from ..batches import Batch, keep_open, open_messages, read, spans
from ..body_items import BodyItem, Refusal
from ..completion import Completion, no, ok
from ..contract import Command, SequenceNumbers, State
from ..errors import SessionOver
from ..plans import FetchPlan
from ..row_items import UID, lines

if TYPE_CHECKING:
    from appliance.protocol.imap.sequence import Ranges
    from appliance.protocol.imap.tokens import Tokens
    from appliance.store.body_readers import StoredMessage
    from appliance.store.values import Row

    from ..contract import Session, Tables
    from ..selected import Selected

Span = list[tuple[int, int]]
Seen = dict[int, "Row"]
FLAG_BATCH_ROWS = 2000
"""Rows in a batch of nothing but flags: as many octets as 500 rows of everything else."""


def compile_plan(tables: "Tables", fetch: Fetch, uid: bool) -> FetchPlan:
    """Raises MisuseError for an unknown item."""
    plan = FetchPlan()
    if uid:
        plan.require(UID)
    for attribute in fetch.attributes:
        item = tables.fetch_items.get(attribute.name)
        if item is None:
            raise MisuseError(f"FETCH has no item {attribute.name.decode()}.")
        if isinstance(item, BodyItem):
            item.check(attribute)
            plan.body_items.append((attribute, item))
        else:
            plan.require(item)
    for modifier, value in fetch.modifiers:
        modifier.apply(plan, value)
    return plan


async def run(session: "Session", tokens: "Tokens", uid: bool) -> Completion:
    selected = session.selected
    assert selected is not None  # noqa: S101 the command is allowed in that state only
    fetch = parse_fetch(tokens, session.registry.fetch_modifiers)
    plan = compile_plan(session.registry, fetch, uid)
    places = selected.places(fetch.messages, uid)
    for word in plan.enables:
        await session.enable(word)
    for narrow in plan.narrow:
        places = await narrow(session, selected, places)
    return await _send_messages(session, selected, plan, places, uid)


async def _send_messages(session: "Session", selected: "Selected", plan: FetchPlan, places: "Ranges", uid: bool) -> Completion:
    missing, refusal = 0, Refusal.NONE
    want = plan.want
    rows = FLAG_BATCH_ROWS if want == Want.FLAGS else BATCH_ROWS
    for span in spans(places, rows):
        batch = await read(selected, span, want)
        missing += batch.missing
        if plan.keep:
            batch = _kept(batch, plan)
        if not batch.rows:
            continue
        await selected.send_keyword_names(session, batch.keywords)
        if plan.body_items:
            gone, refused = await _read_messages(session, selected, plan, span, batch)
            missing += gone
            refusal = refusal or refused
        else:
            await session.send(b"".join(lines(selected, plan.row_items, batch, b")\r\n")))
    if missing:
        selected.note_missing()
    if refusal is not Refusal.NONE:
        return no(b"Some parts could not be decoded.", refusal.value)
    if missing and not uid:
        return no(b"Some of the messages have been expunged by another session.", b"EXPUNGEISSUED")
    return ok(b"Fetched.")


def _kept(batch: Batch, plan: FetchPlan) -> Batch:
    kept = [(number, row) for number, row in zip(batch.numbers, batch.rows, strict=True) if all(keep(row) for keep in plan.keep)]
    return replace(batch, numbers=[number for number, _ in kept], rows=[row for _, row in kept])


async def _read_messages(session: "Session", selected: "Selected", plan: FetchPlan, span: Span, batch: Batch) -> tuple[int, Refusal]:
    """Send the rows of one batch with their messages. Returns how many messages were gone, and why a part could not be sent."""
    wanted = len(batch.rows)
    seen: Seen = {}
    if plan.sees and not selected.read_only:
        batch, seen = await _set_seen(session, selected, plan, span, batch)
    as_read = batch.rows
    rows = [seen.get(row.uid, row) for row in as_read]
    row_items = plan.row_items
    heads = lines(selected, row_items, replace(batch, rows=rows), b" " if row_items else b"")
    has_flags = plan.has(b"FLAGS")
    more = [item for item in session.updates.flag_items if not plan.has(item.name)]
    refusal = Refusal.NONE
    at, gone = 0, wanted - len(rows)
    while at < len(rows):
        for message in await open_messages(selected, rows[at:]):
            row, head = rows[at], heads[at]
            at += 1
            if row.uid in seen and not has_flags:
                head += b"FLAGS %b " % selected.flag_text(row.uid, row.flags)
                head += b"".join([item.encode(row.uid, row.flags, row.modseq) + b" " for item in more])
            try:
                await message.open()
                refused = await _send_message(session, plan, head, message)
            except StoreError as error:
                if error.trouble is not Trouble.GONE:
                    raise
                gone += 1
            else:
                refusal = refusal or refused
                if len(rows) == 1:
                    keep_open(selected, batch.newest, plan.want, as_read[0], message)
    return gone, refusal


async def _send_message(session: "Session", plan: FetchPlan, head: bytes, message: "StoredMessage") -> Refusal:
    """One response: `head` ends in a space or an open parenthesis, each item that can be read follows.

    Raises StoreError while nothing of the response is sent; once it is begun it cannot be taken back, and the session ends.
    """
    refusal = Refusal.NONE
    begun = False
    try:
        for attribute, body_item in plan.body_items:
            answer = await body_item.prepare(message, attribute)
            if isinstance(answer, Refusal):
                refusal = refusal or answer
                continue
            await session.send(head if not begun else b" ", answer.label)
            begun = True
            await answer.send(session)
    except StoreError as error:
        if begun:
            raise SessionOver(b"UNAVAILABLE", b"The message can no longer be read.") from error
        raise
    if begun:
        await session.send(b")\r\n")
    elif head.endswith(b" "):
        await session.send(head[:-1], b")\r\n")
    return refusal


async def _set_seen(session: "Session", selected: "Selected", plan: FetchPlan, span: Span, batch: Batch) -> tuple[Batch, Seen]:
    """Set \\Seen on what is about to be sent. Returns the batch to send, and the new rows of messages whose flags that changed.

    With CONDSTORE the rows are read once more after the commit: flags, MODSEQ and keyword names are then of one read transaction.
    """
    unseen = [row for row in batch.rows if not selected.flags_of(row) & SEEN]
    if not unseen:
        return batch, {}
    uids = [row.uid for row in unseen]
    if not session.updates.flag_items:
        selected.mailbox.see(uids)
        selected.show_seen(unseen)
        return batch, {row.uid: row._replace(flags=row.flags | SEEN) for row in unseen}
    await selected.mailbox.set_flags(uids, Mode.ADD, ("\\Seen",))
    again = await read(selected, span, plan.want)
    await selected.send_keyword_names(session, again.keywords)
    wanted, changed = {row.uid for row in batch.rows}, set(uids)
    there = [(number, row) for number, row in zip(again.numbers, again.rows, strict=True) if row.uid in wanted]
    seen: Seen = {row.uid: row for _, row in there if row.uid in changed}
    for uid, row in seen.items():
        selected.sent(uid, row.modseq)
    return replace(again, numbers=[number for number, _ in there], rows=[row for _, row in there]), seen


COMMANDS = (
    Command(b"FETCH", State.SELECTED, lambda tokens: tokens.fork(), run, SequenceNumbers.MUST_STAY, uid_form=True, rfc="RFC 9051 §6.4.5"),
)
