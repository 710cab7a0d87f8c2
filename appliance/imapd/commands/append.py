"""APPEND, with several messages at once (RFC 9051 §6.3.12, RFC 3502, RFC 4315 §3, RFC 7889).

All messages of one APPEND are stored in one commit or none is, and the tagged OK follows the commit.
A message of no octets cancels the command (RFC 3502 §6.3.11): NO.
"""

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from appliance.mail.errors import MisuseError, StoreError
from appliance.protocol.imap.sequence import encode_set
from appliance.protocol.imap.server import Message
from appliance.store.values import Placement

from ..appending import Appending, Declined
from ..completion import Completion, ok
from ..contract import ImapCommand, ImapState
from ..errors import answer_of

if TYPE_CHECKING:
    from appliance.protocol.imap.tokens import Tokens
    from appliance.store.values import MailboxInfo

    from ..contract import CommandSession


async def append(session: "CommandSession", source: "Message | Tokens", uid: bool) -> Completion:
    stream = session.stream
    stream.uninterrupted = True  # a server that shuts down still accepts the message being sent
    try:
        async with AsyncExitStack() as stack:
            appending = Appending(session, stack, source)
            try:
                target = await appending.target()
                await appending.read_messages()
                return await _commit(session, appending, target)
            except Declined as declined:
                return await appending.decline(declined.completion)
            except (StoreError, MisuseError) as error:
                return await appending.decline(answer_of(error, creating=True))
    finally:
        stream.uninterrupted = False


async def _commit(session: "CommandSession", appending: Appending, target: "MailboxInfo") -> Completion:
    """Raises StoreError."""
    pairs = [(one.body, Placement(target.id, b"", one.flags, one.internal_at, by=session.account)) for one in appending.messages]
    store = session.store
    filed = await store.file(pairs[0][0], [pairs[0][1]]) if len(pairs) == 1 else await store.file_all(pairs)
    uids = encode_set(one.uid for one in filed)
    if session.selected is not None:
        session.selected.made(filed[0].uid_validity, [one.uid for one in filed])
    return ok(b"APPEND completed.", b"APPENDUID %d %s" % (filed[0].uid_validity, uids))


COMMANDS = (ImapCommand(b"APPEND", ImapState.SIGNED_IN, lambda tokens: tokens.fork(), append, rfc="RFC 9051 §6.3.12", streamed=1),)
