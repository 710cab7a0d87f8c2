"""THREAD: the messages of a search as threads, by subject alone or by what they refer to (RFC 5256).

Threads are made from what the store keeps of each message: hashes of its Message-ID, its references and its base subject, whether it is a
reply, and the date; no header is read. The threads of a whole mailbox are cached by the store until a message comes or goes.
"""

from array import array
from typing import TYPE_CHECKING

from appliance.protocol.imap.search import BadCharset, Search, parse_charset_and_keys
from appliance.protocol.imap.thread import encode_threads, ordered_subject, references

from ..commands.search import bad_charset, enable_for, finish
from ..completion import Completion, bad
from ..contract import ImapCommand, ImapExtension, ImapState, SequenceNumbers
from ..matching import Matches, matching
from ..progress import in_progress
from ..steps import Progress, in_steps

if TYPE_CHECKING:
    from appliance.protocol.imap.tokens import Tokens

    from ..contract import CommandSession
    from ..selected import Selected

ALGORITHMS = ((b"ORDEREDSUBJECT", ordered_subject), (b"REFERENCES", references))


async def run(session: "CommandSession", tokens: "Tokens", uid: bool) -> Completion:
    tokens.space()
    name = tokens.keyword()
    if name not in dict(ALGORITHMS):
        return bad(b"THREAD has the algorithms REFERENCES and ORDEREDSUBJECT.")
    tokens.space()
    try:
        utf8 = b"UTF8=ACCEPT" in session.enabled
        search = parse_charset_and_keys(tokens, session.registry.search_keys, utf8=utf8, now_s=session.clock.wall_s())
    except BadCharset as problem:
        return bad_charset(problem)
    return await _answer(session, name, search, uid)


async def _answer(session: "CommandSession", name: bytes, search: Search, uid: bool) -> Completion:
    selected = session.selected
    assert selected is not None  # noqa: S101 the command is allowed in that state only
    await enable_for(session, search)
    progress = Progress()

    async def find() -> "tuple[Matches, array[int]]":
        return await _threads(selected, name, await matching(selected, search.query, progress))

    found, tokens = await in_progress(session, len(selected.view), find, progress)
    data = encode_threads(tokens, found.uids if uid else found.numbers)
    await session.send(b"* THREAD", b" " if data else b"", data, b"\r\n")
    return await finish(session, found.missing, uid)


async def _threads(selected: "Selected", name: bytes, found: Matches) -> "tuple[Matches, array[int]]":
    """The messages that are still there, and their threads by place among them."""
    mailbox, cached = selected.mailbox, f"thread {name.decode()}"
    tokens = mailbox.kept(cached, found.uids)
    if tokens is None:
        generation = mailbox.generation
        rows = await mailbox.thread_rows(found.uids)
        if len(rows.uids) < len(found.uids):
            there = set(rows.uids)
            found = found.at([place for place, uid in enumerate(found.uids) if uid in there], len(found.uids) - len(rows.uids))
        tokens = await in_steps(dict(ALGORITHMS)[name](rows))
        mailbox.keep(cached, found.uids, tokens, generation)
    return found, tokens


EXTENSION = ImapExtension(
    name="THREAD",
    rfc="RFC 5256",
    capability=lambda session: tuple(b"THREAD=" + name for name, _ in ALGORITHMS),
    commands=(
        ImapCommand(
            b"THREAD", ImapState.SELECTED, lambda tokens: tokens.fork(), run, SequenceNumbers.MUST_STAY, uid_form=True, rfc="RFC 5256 §3"
        ),
    ),
    response_codes=(b"BADCHARSET",),
)
