"""SORT and ESORT: a search whose result is ordered by dates, sizes, addresses or subjects (RFC 5256, RFC 5267 §3).

With RETURN the result is an ESEARCH response, in which ALL, MIN and MAX follow the requested order (RFC 5267 §3.1).
"""

from typing import TYPE_CHECKING

from appliance.mail.collation import casemap
from appliance.mail.errors import MisuseError
from appliance.mail.threads import base_subject
from appliance.protocol.imap.modifiers import parse_return_options
from appliance.protocol.imap.search import BadCharset, parse_charset_and_keys
from appliance.protocol.imap.sort import parse_criteria
from appliance.store.values import Column

from ..commands.search import Arranged, answer, bad_charset
from ..contract import ImapCommand, ImapExtension, ImapState, SequenceNumbers, SortKey
from ..sorting import numbers_of, ordered, ranks_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from appliance.protocol.imap.tokens import Tokens

    from ..completion import Completion
    from ..contract import CommandSession
    from ..matching import Matches
    from ..selected import Selected


async def run(session: "CommandSession", tokens: "Tokens", uid: bool) -> "Completion":
    tables = session.registry
    options = parse_return_options(tokens, tables.search_returns)
    tokens.space()
    criteria = parse_criteria(tokens, tables.sort_keys)
    tokens.space()
    try:
        utf8 = b"UTF8=ACCEPT" in session.enabled
        search = parse_charset_and_keys(tokens, tables.search_keys, options, utf8=utf8, now_s=session.clock.wall_s())
    except BadCharset as problem:
        return bad_charset(problem)
    for criterion in criteria:
        if criterion.key.needs and criterion.key.needs not in search.keys:
            raise MisuseError(f"SORT ({criterion.key.name.decode()}) needs the search key {criterion.key.needs.decode()}.")

    async def arrange(selected: "Selected", found: "Matches") -> "Matches":
        return await ordered(selected, found, criteria)

    return await answer(session, search, options, uid, Arranged(b"SORT", arrange, criteria))


def subject(envelope: bytes) -> str:
    from appliance.protocol.imap.envelope_scan import subject_of

    return base_subject(subject_of(envelope) or b"")


def mailbox_of(field: str) -> "Callable[[bytes], str]":
    """addr-mailbox of the first address, "" without one (RFC 5256 §3)."""

    def text_of(envelope: bytes) -> str:
        from appliance.protocol.imap.envelope_scan import first_address

        address = first_address(envelope, field)
        return casemap((address.mailbox or b"").decode("utf-8", "replace")) if address is not None else ""

    return text_of


EXTENSION = ImapExtension(
    name="SORT",
    rfc="RFC 5256, RFC 5267",
    capability=lambda session: (b"SORT", b"ESORT"),
    commands=(
        ImapCommand(
            b"SORT", ImapState.SELECTED, lambda tokens: tokens.fork(), run, SequenceNumbers.MUST_STAY, uid_form=True, rfc="RFC 5256 §3"
        ),
    ),
    sort_keys=(
        SortKey(b"ARRIVAL", numbers_of(Column.ARRIVAL)),
        SortKey(b"CC", ranks_of("cc", mailbox_of("cc"))),
        SortKey(b"DATE", numbers_of(Column.SENT)),
        SortKey(b"FROM", ranks_of("from", mailbox_of("from"))),
        SortKey(b"SIZE", numbers_of(Column.SIZE)),
        SortKey(b"SUBJECT", ranks_of("subject", subject)),
        SortKey(b"TO", ranks_of("to", mailbox_of("to"))),
    ),
    response_codes=(b"BADCHARSET",),
)
