"""MULTISEARCH: ESEARCH searches several mailboxes with one command, whichever is selected (RFC 7377).

One ESEARCH response for each mailbox in which something was found, with UIDs, its name and its UIDVALIDITY. Mailboxes are opened one
after the other, read-only, so nothing in them changes, \\Recent neither; one that is deleted meanwhile or may not be read is
passed over, as one that never was. Sequence numbers and `$` in the search mean those of each mailbox (RFC 7377 §2).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from appliance.mail.errors import MisuseError, StoreError, Trouble
from appliance.protocol.imap import encode
from appliance.protocol.imap.mailbox_filter import MailboxFilter, parse_filters
from appliance.protocol.imap.search import BadCharset, Search, parse_search

from ..commands.search import Options, answer_mailbox, bad_charset, check_options, enable_for
from ..completion import Completion, bad, ok
from ..contract import ImapCommand, ImapExtension, ImapState, SequenceNumbers
from ..selected import Selected

if TYPE_CHECKING:
    from appliance.protocol.imap.tokens import Tokens

    from ..contract import CommandSession

SELECTED = MailboxFilter(b"SELECTED")


@dataclass(frozen=True, slots=True)
class Sources:
    """Where to search: filters, of which SELECTED stands for the selected mailbox."""

    filters: tuple[MailboxFilter, ...]

    @property
    def selected(self) -> bool:
        return SELECTED in self.filters

    @property
    def selected_only(self) -> bool:
        return set(self.filters) == {SELECTED}


def read_sources(tokens: "Tokens") -> Sources:
    """`[SP "IN" SP "(" filters ")"]`; without it the selected mailbox. There are no scope options yet (RFC 7377 §4)."""
    if not tokens.accept(b" IN ("):
        return Sources((SELECTED,))
    filters = parse_filters(tokens)
    tokens.expect(b")")
    return Sources(filters)


async def run(session: "CommandSession", tokens: "Tokens", uid: bool) -> Completion:
    sources = read_sources(tokens)
    if sources.selected and session.selected is None:
        return bad(b"Select a mailbox first, or say IN which to search.")
    tables = session.registry
    utf8 = b"UTF8=ACCEPT" in session.enabled
    try:
        search = parse_search(tokens, tables.search_keys, tables.search_returns, utf8=utf8, now_s=session.clock.wall_s())
    except BadCharset as problem:
        return bad_charset(problem)
    options: Options = search.options or ((tables.search_returns[b"ALL"], None),)
    if any(option.saves for option, _ in options) and not sources.selected_only:
        raise MisuseError("RETURN (SAVE) is for a search of the selected mailbox alone.")
    check_options(session, options, search.keys)
    await enable_for(session, search)
    for name in await _names(session, sources):
        await _search(session, search, options, name)
    if session.selected is not None:
        await session.selected.sync(session, True)
    return ok(b"Searched.")


async def _names(session: "CommandSession", sources: Sources) -> list[str]:
    """The mailboxes, each once; the selected one first."""
    names = [session.selected.mailbox.info.name] if sources.selected and session.selected is not None else []
    if sources.selected_only:
        return names
    for info in await session.mailboxes.list():
        if info.selectable and "r" in info.rights and info.name not in names:
            own = info.account == session.account
            if any(one.matches(info.name, own=own, subscribed=info.subscribed) for one in sources.filters):
                names.append(info.name)
    return names


async def _search(session: "CommandSession", search: Search, options: Options, name: str) -> None:
    here = session.selected
    if here is not None and here.mailbox.info.name == name:
        await _answer(session, here, search, options)
        return
    try:
        mailbox = await session.mailboxes.open(name, read_only=True)
    except StoreError as error:
        if error.trouble not in (Trouble.NO_MAILBOX, Trouble.NO_RIGHT):
            raise
        return
    try:
        other = Selected(mailbox)
        other.uid_only = here.uid_only if here is not None else b"UIDONLY" in session.enabled
        await _answer(session, other, search, options)
    finally:
        mailbox.close()


async def _answer(session: "CommandSession", selected: Selected, search: Search, options: Options) -> None:
    info = selected.mailbox.info
    correlators = b" MAILBOX " + encode.mailbox(info.name, session.utf8) + b" UIDVALIDITY %d" % info.uid_validity
    await answer_mailbox(session, selected, search, options, correlators)


EXTENSION = ImapExtension(
    name="MULTISEARCH",
    rfc="RFC 7377",
    capability=lambda session: (b"MULTISEARCH",),
    commands=(
        ImapCommand(b"ESEARCH", ImapState.SIGNED_IN, lambda tokens: tokens.fork(), run, SequenceNumbers.MAY_MOVE, rfc="RFC 7377 §2"),
    ),
)
