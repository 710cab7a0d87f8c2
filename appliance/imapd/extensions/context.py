"""CONTEXT=SEARCH and CONTEXT=SORT: results that are kept up to date, and pages of them (RFC 5267 §4; pages are PARTIAL's).

UPDATE asks for ADDTO and REMOVEFROM (`search_context`) until CANCELUPDATE or the end of the mailbox's selection, and with attributes for
FETCH of what is new and found (RFC 5465 §7). CONTEXT is a hint that changes nothing. Contexts are bounded by number and
by the messages in their results; one too many is answered NO [NOUPDATE], and the search itself all the same (RFC 5267 §4.3.1).
"""

from typing import TYPE_CHECKING

from appliance.mail.errors import MisuseError
from appliance.protocol.imap.notify import parse_attributes

from ..commands.fetch import enable_for, plan_of, send_unsolicited
from ..completion import Completion, ok
from ..contract import Answered, ImapCommand, ImapExtension, ImapState, SearchReturn, SequenceNumbers

if TYPE_CHECKING:
    from appliance.protocol.imap.fetch import Attribute
    from appliance.protocol.imap.tokens import Tokens

    from ..contract import CommandSession

CONTEXTS = 8
"""Of one session: each is searched again for whatever changes."""
MEMBERS = 50_000
"""Messages in the results of a session's contexts together: 200 kB."""


def read_attributes(tokens: "Tokens") -> "tuple[Attribute, ...]":
    """`UPDATE [SP "(" fetch-att *(SP fetch-att) ")"]` (RFC 5465 §7)."""
    return parse_attributes(tokens) if tokens.begins(b" (") else ()


def check(session: "CommandSession", attributes: "tuple[Attribute, ...]") -> None:
    """A tag that names a context already may not name another (RFC 5267 §4.3)."""
    if session.selected is None:
        raise MisuseError("Select the mailbox whose search is to be kept up to date.")
    if any(context.tag == session.tag for context in session.selected.contexts):
        raise MisuseError("The tag is that of a search that is kept up to date.")
    plan_of(session, attributes)


async def follow(session: "CommandSession", answered: Answered, attributes: "tuple[Attribute, ...]") -> bytes:
    """Keep the result up to date; sends nothing itself but a refusal. `attributes` are fetched of new messages in it."""
    from ..search_context import SearchContext

    selected, found = answered.selected, answered.found
    if selected is not session.selected:
        return b""  # updates are for the selected mailbox alone (RFC 7377 §2.2)
    moving = any(criterion.key.changes for criterion in answered.criteria or ())
    members = len(found.uids) + sum(len(context.members) for context in selected.contexts)
    if moving or len(selected.contexts) >= CONTEXTS or members > MEMBERS:
        quoted = session.tag.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
        reason = b"That order is not kept up to date." if moving else b"Too many searches are kept up to date."
        await session.send(b'* NO [NOUPDATE "%b"] %b\r\n' % (quoted, reason))
    else:
        context = SearchContext(selected, session.tag, found, answered.uid, answered.criteria)
        if attributes:
            await enable_for(session, attributes)
            context.fetch = lambda uids: send_unsolicited(session, attributes, uids)
        selected.contexts.append(context)
    return b""


def read_tags(tokens: "Tokens") -> list[bytes]:
    """`1*(SP quoted)`."""
    tags = []
    while tokens.accept(b" "):
        tags.append(tokens.string())
    if not tags:
        raise MisuseError("CANCELUPDATE needs the tags of searches.")
    return tags


async def cancel(session: "CommandSession", tags: list[bytes], uid: bool) -> Completion:
    selected = session.selected
    assert selected is not None  # noqa: S101 the command is allowed in that state only
    selected.contexts = [context for context in selected.contexts if context.tag not in tags]
    return ok(b"No further updates.")


EXTENSION = ImapExtension(
    name="CONTEXT",
    rfc="RFC 5267",
    capability=lambda session: (b"CONTEXT=SEARCH", b"CONTEXT=SORT"),
    commands=(ImapCommand(b"CANCELUPDATE", ImapState.SELECTED, read_tags, cancel, SequenceNumbers.MAY_MOVE, rfc="RFC 5267 §4.3.5"),),
    search_returns=(
        SearchReturn(b"CONTEXT", reports=False),
        SearchReturn(b"UPDATE", parse=read_attributes, reports=False, data=follow, check=check),
    ),
    response_codes=(b"NOUPDATE",),
)
