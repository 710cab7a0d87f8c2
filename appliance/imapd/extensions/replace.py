"""REPLACE and UID REPLACE: a message takes the place of another in one commit, in the same or another mailbox (RFC 8508).

What is replaced does not count against the quota, so a draft can be saved again in a full account. If it is gone nothing is stored.
"""

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from appliance.mail.errors import MisuseError, StoreError, Trouble
from appliance.protocol.imap.server import Message
from appliance.store.values import Placement, Want

from ..appending import Appending, Declined
from ..completion import Completion, no, ok
from ..contract import ImapCommand, ImapExtension, ImapState
from ..errors import answer_of

if TYPE_CHECKING:
    from appliance.mail.ids import Uid
    from appliance.protocol.imap.tokens import Tokens

    from ..contract import CommandSession

GONE = no(b"There is no such message, nothing was stored.", b"NONEXISTENT")


async def replace(session: "CommandSession", source: "Message | Tokens", uid: bool) -> Completion:
    stream = session.stream
    stream.uninterrupted = True
    try:
        async with AsyncExitStack() as stack:
            appending = Appending(session, stack, source)
            try:
                return await _replace(session, appending, uid)
            except Declined as declined:
                return await appending.decline(declined.completion)
            except (StoreError, MisuseError) as error:
                return await appending.decline(answer_of(error, creating=True))
    finally:
        stream.uninterrupted = False


async def _replace(session: "CommandSession", appending: Appending, uid: bool) -> Completion:
    """Refused before the message is requested where that is possible (RFC 8508 §3.2)."""
    selected = session.selected
    assert selected is not None  # noqa: S101 the command is allowed in that state only
    old = _old_message(session, appending.tokens, uid)
    target = await appending.target()
    if selected.read_only:
        raise StoreError(Trouble.READ_ONLY)
    if not selected.mailbox.rights.issuperset("te"):
        raise StoreError(Trouble.NO_RIGHT)
    if target.account == selected.mailbox.info.account:
        for row in await selected.mailbox.some_rows((old,), Want.DATES):
            appending.freed_octets = row.octets
    await appending.read_messages(most=1)
    received = appending.messages[0]
    placement = Placement(target.id, b"", received.flags, received.internal_at, by=session.account)
    try:
        placed = await session.store.replace(received.body, placement, selected.mailbox.info.id, old)
    except StoreError as error:
        if error.trouble is Trouble.GONE:
            return GONE
        raise
    selected.made(placed.uid_validity, (placed.uid,))
    await session.send(b"* OK [APPENDUID %d %d] Replaced.\r\n" % (placed.uid_validity, placed.uid))
    await selected.sync(session, True)
    return ok(b"REPLACE completed.", session.updates.expunge_code(selected.modseq))


def _old_message(session: "CommandSession", tokens: "Tokens", uid: bool) -> "Uid":
    """`SP number`: of one message. Raises MisuseError for what is no number in use, Declined for a UID of no message."""
    assert session.selected is not None  # noqa: S101 as above
    tokens.space()
    number = tokens.sequence_set()
    if not number.isdigit() and number != b"*":
        raise tokens.misuse("REPLACE takes one message")
    uids = session.selected.uids_at(session.selected.places(number, uid))
    if not uids:
        raise Declined(GONE)
    return uids[0]


EXTENSION = ImapExtension(
    name="REPLACE",
    rfc="RFC 8508",
    capability=lambda session: (b"REPLACE",),
    commands=(
        ImapCommand(b"REPLACE", ImapState.SELECTED, lambda tokens: tokens.fork(), replace, uid_form=True, rfc="RFC 8508 §3", streamed=2),
    ),
)
