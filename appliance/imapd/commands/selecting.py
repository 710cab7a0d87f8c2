"""SELECT, EXAMINE, CLOSE, CHECK (RFC 9051 §6.3.2, §6.3.3, §6.4.1; RFC 3501 §6.4.1)."""

from typing import TYPE_CHECKING

from appliance.mail.errors import StoreError
from appliance.protocol.imap.mailbox_name import NotAName
from appliance.protocol.imap.modifiers import parse_modifiers

from ..completion import Completion, ok
from ..contract import ImapCommand, ImapState
from ..list_response import REVISION_2, announce
from ..selected import Selected
from .basic import noop, nothing
from .mailboxes import read_name

if TYPE_CHECKING:
    from appliance.protocol.imap.tokens import Tokens

    from ..contract import CommandSession

    Arguments = tuple[str | NotAName, Tokens]


def read_select(tokens: "Tokens") -> "Arguments":
    """`name` or `name (parameters)`; the parameters are parsed by `open_mailbox`, which has the extensions' table."""
    try:
        name: str | NotAName = read_name(tokens)
    except NotAName as error:
        name = error  # still a SELECT: it deselects the mailbox selected before
    return name, tokens.fork()


async def open_mailbox(session: "CommandSession", arguments: "Arguments", read_only: bool) -> None:
    """The mailbox selected before is closed first, also when the new one cannot be opened (RFC 9051 §6.3.2)."""
    name, rest = arguments
    parameters = parse_modifiers(rest, session.registry.select_parameters)
    rest.end()
    if session.selected is not None:
        session.deselect()
        session.queue(b"* OK [CLOSED] The previous mailbox is closed.\r\n")
    for parameter, value in parameters:
        await parameter.apply(session, value)
    if isinstance(name, NotAName):
        raise name
    mailbox = await session.mailboxes.open(name, read_only=read_only)
    try:
        selected = await Selected.open(session, mailbox)
    except BaseException:
        mailbox.close()
        raise
    session.select(selected)
    if REVISION_2 in session.enabled:
        announce(session, mailbox.info, name)  # RFC 9051 §6.3.2
    try:
        values = {parameter.name: value for parameter, value in parameters}
        for after_select in session.registry.after_select:
            await after_select(session, values)
    except StoreError:
        session.deselect()
        raise


async def select(session: "CommandSession", arguments: "Arguments", uid: bool) -> Completion:
    """Without a right to change anything the mailbox is read-only (RFC 4314 §5.2)."""
    await open_mailbox(session, arguments, read_only=False)
    selected = session.selected
    return ok(b"SELECT completed.", b"READ-ONLY" if selected is not None and selected.read_only else b"READ-WRITE")


async def examine(session: "CommandSession", arguments: "Arguments", uid: bool) -> Completion:
    await open_mailbox(session, arguments, read_only=True)
    return ok(b"EXAMINE completed.", b"READ-ONLY")


async def close(session: "CommandSession", arguments: None, uid: bool) -> Completion:
    """Messages with \\Deleted are expunged without untagged responses, unless the mailbox is read-only (RFC 9051 §6.4.1) or the right
    to expunge is missing, which is no error (RFC 4314 §4)."""
    selected = session.selected
    if selected is not None and not selected.read_only and "e" in selected.mailbox.rights:
        await selected.mailbox.expunge()
    session.deselect()
    return ok(b"CLOSE completed.")


COMMANDS = (
    ImapCommand(b"SELECT", ImapState.SIGNED_IN, read_select, select, rfc="RFC 9051 §6.3.2"),
    ImapCommand(b"EXAMINE", ImapState.SIGNED_IN, read_select, examine, rfc="RFC 9051 §6.3.3"),
    ImapCommand(b"CLOSE", ImapState.SELECTED, nothing, close, rfc="RFC 9051 §6.4.1"),
    ImapCommand(b"CHECK", ImapState.SELECTED, nothing, noop, rfc="RFC 3501 §6.4.1"),
)
