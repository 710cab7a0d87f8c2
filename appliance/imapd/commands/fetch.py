"""FETCH and UID FETCH (RFC 9051 §6.4.5, RFC 3501 §6.4.5; modifiers: RFC 4466 §2.4).

The list of items is compiled once for the command: items of the row (a whole batch sent at once, see `row_items`) and items that read
the message (one after the other, streamed, see `body_items`). \\Seen set by FETCH is lazy and shown at once; with CONDSTORE it is
durable before it is sent, because then its MODSEQ is sent (`UpdateFormat.flag_items`).

FETCHes that a client pipelines are taken together: one reading of at most 256 KiB of messages, the answers one after the other, no
EXPUNGE in between. One that sets \\Seen, or asks for a message that is gone or large, is taken by itself.

Messages that another session expunged meanwhile have no response, or one with all their octets, never a partial one.
FETCH by number then ends with NO [EXPUNGEISSUED] (RFC 2180 §4.1.2, RFC 5530 §3), because OK would mean that all was sent and
EXPUNGE may not be sent yet; UID FETCH ends with OK, since a UID that does not exist is no error (RFC 9051 §6.4.9), and the EXPUNGE is
sent just before.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from appliance.mail.errors import MisuseError, StoreError, Trouble
from appliance.mail.flags import SEEN
from appliance.mail.limits import BATCH_ROWS
from appliance.protocol.imap.fetch import Fetch, parse_fetch
from appliance.protocol.imap.sequence import places_of_uids, ranges_of
from appliance.store.values import Mode, Want

from ..batches import Batch, is_ahead, keep_open, open_messages, read, read_ahead, read_flags, spans
from ..body_items import BodyItem, Refusal
from ..completion import Completion, no, ok
from ..contract import ImapCommand, ImapState, SequenceNumbers
from ..errors import SessionOver
from ..plans import FetchPlan
from ..row_items import UID, lines, responses

if TYPE_CHECKING:
    from collections.abc import Sequence

    from appliance.protocol.imap.fetch import Attribute
    from appliance.protocol.imap.sequence import Ranges
    from appliance.protocol.imap.tokens import Tokens
    from appliance.store.body_readers import StoredMessage
    from appliance.store.values import Row

    from ..body_items import AtOnce
    from ..contract import CommandSession, Tables
    from ..selected import Selected

Span = list[tuple[int, int]]
Seen = dict[int, "Row"]
FETCHED = ok(b"Fetched.")
FLAG_BATCH_ROWS = 4000
"""Rows in a batch of nothing but flags: as many octets as 500 rows of everything else."""


def compile_plan(tables: "Tables", fetch: Fetch, uid: bool, uid_only: bool = False) -> FetchPlan:
    """UID is sent without being asked for in UID FETCH, unless every response begins with it. Raises MisuseError for an unknown item."""
    plan = FetchPlan(uid=uid)
    if uid and not uid_only:
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


@dataclass(frozen=True, slots=True)
class Compiled:
    """A plan, and the words it was compiled from: clients send the same ones for message after message."""

    words: bytes
    uid: bool
    plan: FetchPlan
    want: Want
    at_once: "list[AtOnce] | None"


def compiled(session: "CommandSession", selected: "Selected", tokens: "Tokens", uid: bool) -> tuple[Compiled, bytes]:
    """The compiled plan of a FETCH, and its set of messages as written. Raises MisuseError."""
    words = tokens.copy()
    words.space()
    messages, rest = words.sequence_set(), words.rest()
    last = selected.compiled
    if last is None or last.words != rest or last.uid != uid or tokens.has_literals:
        plan = compile_plan(session.registry, parse_fetch(tokens, session.registry.fetch_modifiers), uid, selected.uid_only)
        selected.compiled = last = Compiled(b"" if tokens.has_literals else rest, uid, plan, plan.want, plan.at_once())
    return last, messages


async def run(session: "CommandSession", tokens: "Tokens", uid: bool) -> Completion:
    selected = session.selected
    assert selected is not None  # noqa: S101 the command is allowed in that state only
    what, messages = compiled(session, selected, tokens, uid)
    plan, places = what.plan, selected.places(messages, uid)
    plan.messages = messages
    for check in plan.checks:
        check(session)
    for word in plan.enables:
        await session.enable(word)
    for narrow in plan.narrow:
        places = await narrow(session, selected, places)
    try:
        following = _following(session, selected, what)
        if following:
            places = await _send_pipelined(session, selected, what, [places, *following])
        return await _send_messages(session, selected, what, places)
    finally:
        _drop_kept(selected)


def _drop_kept(selected: "Selected") -> None:
    """What was read ahead for FETCHes that are answered; a large message stays open for the next part of it."""
    if selected.kept is not None and not selected.kept.large:
        selected.kept = None


def plan_of(session: "CommandSession", attributes: "Sequence[Attribute]") -> FetchPlan:
    """The plan of FETCH responses that no FETCH asks for. Raises MisuseError for an unknown item."""
    return compile_plan(session.registry, Fetch(b"", tuple(attributes)), True, session.updates.uid_only)


async def enable_for(session: "CommandSession", attributes: "Sequence[Attribute]") -> None:
    """Enable what asking for these attributes implies, once (RFC 7162 §3.1). Raises StoreError."""
    for word in plan_of(session, attributes).enables:
        await session.enable(word)


async def send_unsolicited(session: "CommandSession", attributes: "Sequence[Attribute]", uids: "Sequence[int]") -> None:
    """FETCH of messages, ascending, as NOTIFY and UPDATE ask for (RFC 5465 §5.2, §7); those that are gone have none. Raises StoreError."""
    selected = session.selected
    assert selected is not None  # noqa: S101 there are new messages in it
    plan = plan_of(session, attributes)
    what = Compiled(b"", True, plan, plan.want, plan.at_once())
    try:
        await _send_messages(session, selected, what, places_of_uids(ranges_of(uids), selected.view.uids))
    finally:
        _drop_kept(selected)


# --- pipelined commands ---------------------------------------------------------------------------


def _following(session: "CommandSession", selected: "Selected", what: Compiled) -> "list[Ranges]":
    """The messages of the FETCHes pipelined behind this one, as far as they ask for the same of a few messages each.

    None where a FETCH changes what it sends (\\Seen), or selects by more than its set.
    """
    plan = what.plan
    if plan.narrow or plan.keep or what.at_once is None or (plan.sees and selected.mailbox.keeps_seen):
        return []
    found: list[Ranges] = []
    room = BATCH_ROWS
    for tokens, uid in session.following(b"FETCH"):
        try:
            like, messages = compiled(session, selected, tokens, uid)
            places = selected.places(messages, uid)
        except MisuseError:
            break
        room -= sum([end - start for start, end in places])
        if like is not what or room < 0:
            break
        found.append(places)
    return found


async def _send_pipelined(session: "CommandSession", selected: "Selected", what: Compiled, commands: "list[Ranges]") -> "Ranges":
    """Answer a group of pipelined FETCHes from one reading, one after the other, as far as all they ask for is in memory.

    Returns the messages of the one that runs now: the last, or the first that must be read by itself. Nothing of it is sent yet.
    mbsync's first sync of 20,000 messages of 3.7 KB costs 57 us of CPU each (24 of them inflate); one FETCH alone costs 320.
    """
    uids = selected.uids_at(tuple([extent for places in commands for extent in places]))
    kept = await read_ahead(selected, uids, what.want)
    body_items, known = what.at_once, selected.view.uids
    ready: list[tuple[list[int], list[Row]]] = []
    for places in commands[:-1]:
        numbers = [place + 1 for start, end in places for place in range(start, end)]
        rows = [row for number in numbers if (row := kept.rows.get(known[number - 1])) is not None]
        if len(rows) < len(numbers) or (body_items and not all(row.uid in kept.messages for row in rows)):
            break
        ready.append((numbers, rows))
    batch = Batch([number for numbers, _ in ready for number in numbers], [row for _, rows in ready for row in rows])
    await selected.send_keyword_names(session, kept.keywords)
    heads = iter(lines(selected, what.plan.row_items, batch, _ending(what.plan)))
    for done, (_, rows) in enumerate(ready):
        texts = [_whole_line(what, next(heads), kept.messages.get(row.uid)) for row in rows]
        if None in texts:
            return commands[done]
        await session.send(b"".join([text for text in texts if text is not None]))
        session.answer(FETCHED)
    return commands[len(ready)]


def _ending(plan: FetchPlan) -> bytes:
    """What follows the row's items: the rest of the response, or the items of the message."""
    return b")\r\n" if not plan.body_items else b" " if plan.row_items else b""


def _whole_line(what: Compiled, head: bytes, message: "StoredMessage | None") -> bytes | None:
    """The whole response; None when the message is not in memory."""
    if not what.at_once:
        return head
    octets = message.whole() if message is not None else None
    if message is None or octets is None:
        return None
    return b"%b%b)\r\n" % (head, b" ".join([value(message, octets) for value in what.at_once]))


# --- one command ------------------------------------------------------------------------------------


async def _send_messages(session: "CommandSession", selected: "Selected", what: Compiled, places: "Ranges") -> Completion:
    missing, refusal = 0, Refusal.NONE
    plan, want = what.plan, what.want
    rows = FLAG_BATCH_ROWS if want == Want.FLAGS else BATCH_ROWS
    for span in spans(places, rows):
        if plan.body_items and not is_ahead(selected, span, want):
            await read_ahead(selected, selected.uids_at(tuple(span)), want)
        batch = (await read_flags(selected, span) if plan.flags_alone else None) or await read(selected, span, want)
        missing += batch.missing
        if plan.keep:
            batch = _kept(batch, plan)
        if not batch.rows:
            continue
        await selected.send_keyword_names(session, batch.keywords)
        if plan.body_items:
            gone, refused = await _read_messages(session, selected, what, span, batch)
            missing += gone
            refusal = refusal or refused
        else:
            await session.send(responses(selected, plan.row_items, batch))
    if missing:
        selected.note_missing()
    if refusal is not Refusal.NONE:
        return no(b"Some parts could not be decoded.", refusal.value)
    if missing and not what.uid:
        return no(b"Some of the messages have been expunged by another session.", b"EXPUNGEISSUED")
    return FETCHED


def _kept(batch: Batch, plan: FetchPlan) -> Batch:
    kept = [(number, row) for number, row in zip(batch.numbers, batch.rows, strict=True) if all(keep(row) for keep in plan.keep)]
    return replace(batch, numbers=[number for number, _ in kept], rows=[row for _, row in kept])


async def _read_messages(session: "CommandSession", selected: "Selected", what: Compiled, span: Span, batch: Batch) -> tuple[int, Refusal]:
    """Send the rows of one batch with their messages. Returns how many messages were gone, and why a part could not be sent."""
    plan, wanted = what.plan, len(batch.rows)
    seen: Seen = {}
    if plan.sees and selected.mailbox.keeps_seen:
        batch, seen = await _set_seen(session, selected, plan, span, batch)
    as_read = batch.rows
    rows = [seen.get(row.uid, row) for row in as_read]
    heads = lines(selected, plan.row_items, replace(batch, rows=rows), _ending(plan))
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
            if (line := _whole_line(what, head, message) if what.at_once else None) is not None:
                await session.send(line)
                continue
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


async def _send_message(session: "CommandSession", plan: FetchPlan, head: bytes, message: "StoredMessage") -> Refusal:
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


async def _set_seen(session: "CommandSession", selected: "Selected", plan: FetchPlan, span: Span, batch: Batch) -> tuple[Batch, Seen]:
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
    ImapCommand(
        b"FETCH", ImapState.SELECTED, lambda tokens: tokens.fork(), run, SequenceNumbers.MUST_STAY, uid_form=True, rfc="RFC 9051 §6.4.5"
    ),
)
