"""SEARCH and UID SEARCH, with RETURN (RFC 9051 §6.4.4, RFC 4731, RFC 5182; MODSEQ: RFC 7162 §3.1.5, §3.1.10).

The plain response is one SEARCH line; with RETURN, or with IMAP4rev2 enabled, one ESEARCH. An unknown charset is
NO [BADCHARSET]. A saved result is kept as UIDs, so it stays correct whatever is expunged. Messages that another session expunged are
left out; while their EXPUNGE may not be sent the completion is OK [EXPUNGEISSUED] (RFC 5530 §3, RFC 2180 §4.3), so that the client
knows to send NOOP. UID SEARCH sends their EXPUNGE before its completion.
"""

from typing import TYPE_CHECKING

from appliance.mail.query import ChangedSince, leaves
from appliance.protocol.imap.search import KEYS, BadCharset, Search, parse_search
from appliance.protocol.imap.sequence import encode_set

from ..completion import Completion, bad, no, ok
from ..contract import Command, SequenceNumbers, State
from ..matching import Matches, matching

if TYPE_CHECKING:
    from appliance.protocol.imap.tokens import Tokens

    from ..contract import Session

OPTIONS = (b"MIN", b"MAX", b"ALL", b"COUNT", b"SAVE")


async def run(session: "Session", tokens: "Tokens", uid: bool) -> Completion:
    selected = session.selected
    assert selected is not None  # noqa: S101 the command is allowed in that state only
    keys = {key.name: key for key in KEYS} | dict(session.registry.search_keys)
    try:
        search = parse_search(tokens, keys, utf8=b"UTF8=ACCEPT" in session.enabled)
    except BadCharset as problem:
        return no(str(problem).encode(), b"BADCHARSET (US-ASCII UTF-8)")
    if search.options is None and b"IMAP4REV2" in session.enabled:
        search = Search(search.query, (b"ALL",))
    options = search.options or ()
    if any(option not in OPTIONS for option in options):
        return bad(b"SEARCH knows RETURN (MIN MAX ALL COUNT SAVE).")
    modseq = any(isinstance(leaf, ChangedSince) for leaf in leaves(search.query))
    if modseq:
        await session.enable(b"CONDSTORE")
    if b"SAVE" in options:
        selected.saved = ()  # a failed SEARCH empties the saved result (RFC 5182 §2.1)
    found = await matching(selected, search.query)
    if b"SAVE" in options:
        selected.saved = _saved(found, options)
    if search.options is None:
        numbers = found.uids if uid else found.numbers
        words = b"".join([b" %d" % number for number in numbers])
        highest = b" (MODSEQ %d)" % max(found.modseqs) if modseq and found.modseqs else b""
        await session.send(b"* SEARCH", words, highest, b"\r\n")
    elif options != (b"SAVE",):
        await session.send(_esearch(session.tag, found, options, uid, modseq))
    if found.missing:
        selected.note_missing()
    await selected.sync(session, uid)
    return ok(b"Searched.", b"EXPUNGEISSUED") if found.missing or selected.view.gone else ok(b"Searched.")


def _esearch(tag: bytes, found: Matches, options: tuple[bytes, ...], uid: bool, modseq: bool) -> bytes:
    """`* ESEARCH (TAG "x") UID MIN 1 MAX 9 ALL 1:9 COUNT 9 MODSEQ 12` (RFC 4731 §3.1, RFC 7162 §3.1.10)."""
    numbers = found.uids if uid else found.numbers
    quoted = tag.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    words = [b'* ESEARCH (TAG "%b")' % quoted]
    if uid:
        words.append(b"UID")
    for option in options:
        if option == b"COUNT":
            words.append(b"COUNT %d" % len(numbers))
        elif numbers and option == b"ALL":
            words.append(b"ALL " + encode_set(numbers))
        elif numbers and option in (b"MIN", b"MAX"):
            words.append(b"%b %d" % (option, numbers[0] if option == b"MIN" else numbers[-1]))
    if modseq and found.modseqs:
        words.append(b"MODSEQ %d" % max([found.modseqs[place] for place in _reported(found, options)]))
    return b" ".join(words) + b"\r\n"


def _reported(found: Matches, options: tuple[bytes, ...]) -> "range | list[int]":
    """Indexes of the messages a response reports: MIN and MAX alone report those two only (RFC 7162 §3.1.10, RFC 5182 §2.4)."""
    ends = [place for place, option in ((0, b"MIN"), (-1, b"MAX")) if option in options]
    if not ends or b"ALL" in options or b"COUNT" in options:
        return range(len(found.uids))
    return ends


def _saved(found: Matches, options: tuple[bytes, ...]) -> list[int]:
    return sorted({found.uids[place] for place in _reported(found, options)}) if found.uids else []


COMMANDS = (
    Command(b"SEARCH", State.SELECTED, lambda tokens: tokens.fork(), run, SequenceNumbers.MUST_STAY, uid_form=True, rfc="RFC 9051 §6.4.4"),
)
