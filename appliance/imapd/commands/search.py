"""SEARCH and UID SEARCH, with RETURN (RFC 9051 §6.4.4, RFC 4731, RFC 5182).

The plain response is one SEARCH line; with RETURN, or with IMAP4rev2 enabled, one ESEARCH. An unknown charset is
NO [BADCHARSET]. A saved result is kept as UIDs, so it stays correct whatever is expunged. Messages that another session expunged are
left out; while their EXPUNGE may not be sent the completion is OK [EXPUNGEISSUED] (RFC 5530 §3, RFC 2180 §4.3), so that the client
knows to send NOOP. UID SEARCH sends their EXPUNGE before its completion.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from appliance.mail.errors import MisuseError
from appliance.protocol.imap.search import BadCharset, Search, parse_search
from appliance.protocol.imap.sequence import encode_set

from ..completion import Completion, no, ok
from ..contract import Answered, ImapCommand, ImapState, SearchReturn, SequenceNumbers
from ..matching import Matches, matching
from ..progress import in_progress
from ..steps import Progress

if TYPE_CHECKING:
    from appliance.protocol.imap.sort import SortCriterion
    from appliance.protocol.imap.tokens import Tokens

    from ..contract import CommandSession
    from ..selected import Selected

Options = tuple[tuple[SearchReturn, Any], ...]
"""RETURN options with their values."""
NUMBERS = 8000
"""Numbers of a plain response that are encoded and sent at once: 2 ms."""


async def run(session: "CommandSession", tokens: "Tokens", uid: bool) -> Completion:
    tables = session.registry
    try:
        utf8 = b"UTF8=ACCEPT" in session.enabled
        search = parse_search(tokens, tables.search_keys, tables.search_returns, utf8=utf8, now_s=session.clock.wall_s())
    except BadCharset as problem:
        return bad_charset(problem)
    options: Options | None = search.options
    if options is None and b"IMAP4REV2" in session.enabled:
        options = ((tables.search_returns[b"ALL"], None),)
    return await answer(session, search, options, uid)


def bad_charset(problem: BadCharset) -> Completion:
    return no(str(problem).encode(), b"BADCHARSET (US-ASCII UTF-8)")


@dataclass(frozen=True, slots=True)
class Arranged:
    """What SORT does with the messages found; `word` names its plain response."""

    word: bytes
    arrange: "Callable[[Selected, Matches], Awaitable[Matches]]"
    criteria: "tuple[SortCriterion, ...]" = ()


async def answer(
    session: "CommandSession", search: Search, options: Options | None, uid: bool, arranged: Arranged | None = None
) -> Completion:
    """Search, arrange what was found, and send it: as ESEARCH, or without `options` as a plain response."""
    selected = session.selected
    assert selected is not None  # noqa: S101 the command is allowed in that state only
    check_options(session, options or (), search.keys)
    await enable_for(session, search)
    progress = Progress()
    work = partial(_found, selected, search, options or (), arranged, progress)
    found, reported = await in_progress(session, len(selected.view), work, progress)
    data = _data(session, search, found, reported)
    if options is None:
        await _send_plain(session, arranged.word if arranged is not None else b"SEARCH", found.uids if uid else found.numbers, data)
    elif any(not option.saves for option, _ in options):
        answered = Answered(selected, found, uid, arranged.criteria if arranged is not None else None)
        await session.send(await _esearch(session, answered, options, data))
    return await finish(session, found.missing, uid)


async def answer_mailbox(session: "CommandSession", selected: "Selected", search: Search, options: Options, correlators: bytes) -> None:
    """Search one of several mailboxes, and send what was found there, if anything was, with UIDs (RFC 7377 §2.1)."""
    found, reported = await in_progress(session, len(selected.view), partial(_found, selected, search, options, None, Progress()))
    if found.uids and any(not option.saves for option, _ in options):
        data = _data(session, search, found, reported)
        await session.send(await _esearch(session, Answered(selected, found, True), options, data, correlators))
    if found.missing:
        selected.note_missing()


async def _found(
    selected: "Selected", search: Search, options: Options, arranged: Arranged | None, progress: Progress
) -> "tuple[Matches, Sequence[int]]":
    """The result, and the indexes of the messages that are reported; saved where that is asked for."""
    saves = any(option.saves for option, _ in options)
    if saves:
        selected.saved = ()  # a failed SEARCH empties the saved result (RFC 5182 §2.1)
    found = await matching(selected, search.query, progress)
    if arranged is not None:
        found = await arranged.arrange(selected, found)
    reported = _reported(len(found.uids), options)
    if saves:
        selected.saved = [found.uids[at] for at in reported]
    return found, reported


def _data(session: "CommandSession", search: Search, found: Matches, reported: Sequence[int]) -> list[tuple[bytes, bytes]]:
    return [(one.name, one.encode(found, reported)) for one in session.registry.search_data.values() if one.key in search.keys]


def check_options(session: "CommandSession", options: Options, keys: frozenset[bytes]) -> None:
    names = {option.name for option, _ in options}
    for option, value in options:
        option.check(session, value)
        if option.needs and option.needs not in keys:
            raise MisuseError(f"RETURN ({option.name.decode()}) needs the search key {option.needs.decode()}.")
        if option.excludes in names:
            raise MisuseError(f"A search returns {option.name.decode()} or {option.excludes.decode()}, not both.")


async def enable_for(session: "CommandSession", search: Search) -> None:
    """Enable what the search's keys imply."""
    for key in sorted(search.keys):
        enables = session.registry.search_keys[key].enables
        if enables:
            await session.enable(enables)


async def finish(session: "CommandSession", missing: int, uid: bool) -> Completion:
    """The completion of a search, of which `missing` messages were expunged meanwhile."""
    selected = session.selected
    assert selected is not None  # noqa: S101 as above
    if missing:
        selected.note_missing()
    await selected.sync(session, uid)
    return ok(b"Searched.", b"EXPUNGEISSUED") if missing or selected.view.gone else ok(b"Searched.")


async def _send_plain(session: "CommandSession", word: bytes, numbers: Sequence[int], data: list[tuple[bytes, bytes]]) -> None:
    await session.send(b"* " + word)
    for start in range(0, len(numbers), NUMBERS):
        # a third of the time of formatting each
        await session.send(b" ", repr(list(numbers[start : start + NUMBERS]))[1:-1].replace(",", "").encode())
    await session.send(*(b" (%b %b)" % pair for pair in data if pair[1]), b"\r\n")


async def _esearch(
    session: "CommandSession", answered: Answered, options: Options, data: list[tuple[bytes, bytes]], correlators: bytes = b""
) -> bytes:
    """`* ESEARCH (TAG "x") UID MIN 1 MAX 9 ALL 1:9 COUNT 9 MODSEQ 12` (RFC 4731 §3.1, RFC 7162 §3.1.10)."""
    numbers = answered.found.uids if answered.uid else answered.found.numbers
    quoted = session.tag.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    parts = [b'* ESEARCH (TAG "%b"%b)' % (quoted, correlators)]
    if answered.uid:
        parts.append(b"UID")
    for option, value in options:
        parts.append(option.encode(numbers, value) if option.data is None else await option.data(session, answered, value))
    parts += [name + b" " + value for name, value in data if value]
    return b" ".join(filter(None, parts)) + b"\r\n"


def _reported(count: int, options: Options) -> "Sequence[int]":
    """Indexes of the messages a response reports: MIN and MAX alone report those two only (RFC 7162 §3.1.10, RFC 5182 §2.4)."""
    reported: set[int] = set()
    reporting = [(option, value) for option, value in options if option.reports and not option.saves]
    for option, value in reporting:
        some = option.reported(count, value)
        if some is None:
            return range(count)
        reported.update(some)
    return sorted(reported) if reporting else range(count)


SEARCH_RETURNS: tuple[SearchReturn, ...] = (
    SearchReturn(b"MIN", lambda found, value: b"MIN %d" % found[0] if found else b"", lambda count, value: range(count)[:1]),
    SearchReturn(b"MAX", lambda found, value: b"MAX %d" % found[-1] if found else b"", lambda count, value: range(count)[-1:]),
    SearchReturn(b"ALL", lambda found, value: b"ALL " + encode_set(found) if found else b""),
    SearchReturn(b"COUNT", lambda found, value: b"COUNT %d" % len(found)),
    SearchReturn(b"SAVE", lambda found, value: b"", saves=True),
)
"""RFC 4731 §3.1, RFC 5182 §2; IMAP4rev2 has them as well (RFC 9051 §6.4.4)."""

COMMANDS = (
    ImapCommand(
        b"SEARCH", ImapState.SELECTED, lambda tokens: tokens.fork(), run, SequenceNumbers.MUST_STAY, uid_form=True, rfc="RFC 9051 §6.4.4"
    ),
)
