"""LIST and LSUB (RFC 9051 §6.3.9; RFC 3501 §6.3.9; RFC 5258, 5819, 6154).

Everything is answered from one read of the account's mailboxes; patterns take linear time (`mailbox_name.Patterns`).
Unknown options are BAD (RFC 5258 §3); extensions add RETURN options.
"""

from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import trio

from appliance.mail.errors import MisuseError
from appliance.mail.flags import INBOX
from appliance.protocol.imap import encode
from appliance.protocol.imap.mailbox_name import SEPARATOR, Patterns

from ..completion import Completion, ok
from ..contract import ImapCommand, ImapState
from ..list_response import REVISION_2, attributes_of, list_response
from .status import find_items, read_items, status_line

if TYPE_CHECKING:
    from appliance.protocol.imap.tokens import Tokens
    from appliance.store.values import MailboxInfo

    from ..contract import CommandSession, ListReturn

PATTERN_CHARACTERS = 4000
"""Of all patterns of one LIST, each with the reference: matching costs each name one step per character and 64 of these."""
SELECTION = (b"SUBSCRIBED", b"REMOTE", b"RECURSIVEMATCH", b"SPECIAL-USE")
RETURN = (b"SUBSCRIBED", b"CHILDREN", b"SPECIAL-USE")
NAMES_PER_TURN = 200
"""Names matched between checkpoints, at which other sessions run."""


@dataclass(slots=True)
class Listing:
    """The arguments of one LIST."""

    reference: str
    patterns: list[str]
    selection: set[bytes] = field(default_factory=set)
    wanted: set[bytes] = field(default_factory=set)
    status: list[bytes] = field(default_factory=list)
    more: "dict[ListReturn, Any]" = field(default_factory=dict)
    extended: bool = False


@dataclass(slots=True)
class ListEntry:
    """A name and its mailbox: `info` is None when no mailbox of that name exists."""

    name: str
    info: "MailboxInfo | None"
    subscribed: bool
    has_children: bool


# --- grammar ---------------------------------------------------------------------------------


def read_list(tokens: "Tokens", returns: "Mapping[bytes, ListReturn]") -> Listing:
    """RFC 5258 §6: `LIST [(selection)] reference pattern|(patterns) [RETURN (options)]`."""
    tokens.space()
    request = Listing("", [])
    if tokens.peek() == b"(":
        request.extended = True
        request.selection = set(tokens.list_of(lambda: _option(tokens, SELECTION)))
        tokens.space()
    reference = tokens.reference()
    tokens.space()
    if tokens.peek() == b"(":
        request.extended = True
        patterns = tokens.list_of(tokens.pattern)
    else:
        patterns = [tokens.pattern()]
    _take(request, reference, patterns)
    if tokens.accept(b" RETURN "):
        request.extended = True
        tokens.list_of(lambda: _read_return(tokens, request, returns))
    tokens.end()
    if b"RECURSIVEMATCH" in request.selection and not request.selection & {b"SUBSCRIBED", b"SPECIAL-USE"}:
        raise MisuseError("RECURSIVEMATCH needs another selection option beside it.")
    return request


def _option(tokens: "Tokens", known: tuple[bytes, ...]) -> bytes:
    option = tokens.keyword()
    if option not in known:
        raise MisuseError("No such LIST option.")
    return option


def _read_return(tokens: "Tokens", request: Listing, returns: "Mapping[bytes, ListReturn]") -> None:
    option = _option(tokens, (*RETURN, b"STATUS", *returns))
    if option in returns:
        request.more[returns[option]] = returns[option].parse(tokens)
    elif option == b"STATUS":
        tokens.space()
        request.status = read_items(tokens)
    else:
        request.wanted.add(option)


def read_lsub(tokens: "Tokens") -> Listing:
    tokens.space()
    request = Listing("", [])
    reference = tokens.reference()
    tokens.space()
    _take(request, reference, [tokens.pattern()])
    return request


def _take(request: Listing, reference: str | None, patterns: list[str | None]) -> None:
    """Set reference and patterns; one that no mailbox name can match matches none, which is no error (RFC 9051 §6.3.9)."""
    if not patterns:
        raise MisuseError("LIST needs a pattern.")
    if reference is not None:
        request.reference = reference
        request.patterns = [pattern for pattern in patterns if pattern is not None]
    if sum(len(request.reference) + len(pattern) for pattern in request.patterns) > PATTERN_CHARACTERS:
        raise MisuseError("LIST's patterns are too long.")


# --- LIST ------------------------------------------------------------------------------------


async def list_mailboxes(session: "CommandSession", tokens: "Tokens", uid: bool) -> Completion:
    request = read_list(tokens, session.registry.list_returns)
    items = await find_items(session, request.status)
    if not request.extended and request.patterns == [""]:
        session.queue(b'* LIST (\\Noselect) "/" ""\r\n')
        return ok(b"LIST completed.")
    entries = await _entries(session, request)
    matching = [entry async for entry in _matching(entries, request)]
    above, needed = _unmatched_parents(entries, matching, request)
    for entry in matching:
        chosen = _selected(entry, request.selection)
        below = entry.name in (above if chosen else needed)
        if chosen or below:
            await session.send(_list_line(session, entry, request, below))
            if items and chosen and entry.info is not None and entry.info.selectable and "r" in entry.info.rights:
                await session.send(await status_line(session, entry.info, items))
            if entry.info is not None:
                for option, value in request.more.items():
                    await option.send(session, entry.info, value)
    return ok(b"LIST completed.")


def _unmatched_parents(entries: list[ListEntry], matching: list[ListEntry], request: Listing) -> tuple[frozenset[str], frozenset[str]]:
    """RECURSIVEMATCH: the names with selected descendants, and of those the ones with some descendant that is not listed itself.

    A name that is not selected is listed for the latter only: where all descendants are listed, it adds nothing (RFC 9051 §6.3.9.1).
    """
    if b"RECURSIVEMATCH" not in request.selection:
        return frozenset(), frozenset()
    chosen = {entry.name for entry in entries if _selected(entry, request.selection)}
    return _parents(chosen), _parents(chosen.difference(entry.name for entry in matching))


async def _entries(session: "CommandSession", request: Listing) -> list[ListEntry]:
    """The names LIST can return: mailboxes, their superior names, and subscribed names without a mailbox."""
    infos = await session.mailboxes.list()
    entries = [ListEntry(info.name, info, info.subscribed, info.has_children) for info in infos]
    if b"SUBSCRIBED" in request.selection or b"SUBSCRIBED" in request.wanted:
        subscribed: set[str] = set(await session.mailboxes.subscriptions())
        for entry in entries:
            entry.subscribed = entry.name in subscribed
        if b"SUBSCRIBED" in request.selection:
            entries += [ListEntry(name, None, True, False) for name in sorted(subscribed.difference(info.name for info in infos))]
    have = {entry.name for entry in entries}
    for name in sorted(_parents(have)):
        if name in have:
            continue
        entries.append(ListEntry(name, None, False, True))
    return entries


def _parents(names: Iterable[str]) -> frozenset[str]:
    """All superior levels of the names."""
    found: set[str] = set()
    for name in names:
        while SEPARATOR in name:
            name = name.rpartition(SEPARATOR)[0]
            if name in found:
                break
            found.add(name)
    return frozenset(found)


def _selected(entry: ListEntry, selection: set[bytes]) -> bool:
    """Whether the name meets the selection options (RFC 5258 §3.1)? Without one, every name that exists or has children."""
    if b"SUBSCRIBED" in selection and not entry.subscribed:
        return False
    if b"SPECIAL-USE" in selection:
        return entry.info is not None and bool(entry.info.special_use)
    return entry.info is not None or entry.subscribed or (not selection & {b"SUBSCRIBED"} and entry.has_children)


async def _matching(entries: list[ListEntry], request: Listing) -> AsyncIterator[ListEntry]:
    """Entries that match a pattern, with a checkpoint every NAMES_PER_TURN, so that other sessions are not delayed."""
    patterns = Patterns(request.reference + pattern for pattern in request.patterns)
    for number, entry in enumerate(entries, 1):
        if number % NAMES_PER_TURN == 0:
            await trio.lowlevel.checkpoint()
        if patterns.match(entry.name):
            yield entry


def _list_line(session: "CommandSession", entry: ListEntry, request: Listing, below: bool) -> bytes:
    if entry.info is None:
        attributes = [b"\\NonExistent" if request.extended or REVISION_2 in session.enabled else b"\\Noselect"]
        attributes.append(b"\\HasChildren" if entry.has_children else b"\\HasNoChildren")
    else:
        attributes = attributes_of(entry.info)
    if entry.subscribed and (b"SUBSCRIBED" in request.wanted or b"SUBSCRIBED" in request.selection):
        attributes.append(b"\\Subscribed")
    info = b""
    if below:
        criteria = [word for word in (b"SUBSCRIBED", b"SPECIAL-USE") if word in request.selection]
        info = b' ("CHILDINFO" ' + encode.listed(b'"' + word + b'"' for word in criteria) + b")"
    return list_response(session, attributes, entry.name, info)


# --- LSUB ------------------------------------------------------------------------------------


async def lsub(session: "CommandSession", request: Listing, uid: bool) -> Completion:
    """Subscribed names; a superior of one comes with \\Noselect when `%` stops at it (RFC 3501 §6.3.9)."""
    subscribed: set[str] = set(await session.mailboxes.subscriptions())
    pattern = Patterns(request.reference + pattern for pattern in request.patterns)
    names = subscribed | _parents(subscribed) if any("%" in pattern for pattern in request.patterns) else subscribed
    for name in sorted(names, key=lambda name: (name != INBOX, name)):
        if pattern.match(name):
            attributes = b"()" if name in subscribed else b"(\\Noselect)"
            await session.send(b"* LSUB " + attributes + b' "/" ' + encode.mailbox(name, session.utf8) + b"\r\n")
    return ok(b"LSUB completed.")


COMMANDS = (
    ImapCommand(b"LIST", ImapState.SIGNED_IN, lambda tokens: tokens.fork(), list_mailboxes, rfc="RFC 9051 §6.3.9"),
    ImapCommand(b"LSUB", ImapState.SIGNED_IN, read_lsub, lsub, rfc="RFC 3501 §6.3.9"),
)
