"""STORE and UID STORE (RFC 9051 §6.4.6; modifiers: RFC 4466 §2.5).

Durable before it is answered. The result is sent by the session's sync, together with what other sessions changed before and
after: each message once and in its current state, so that no client keeps an outdated state. .SILENT is silent about a message only
when the client knew its flags and no other session changed them since.
Messages expunged meanwhile: STORE by number ends with NO [EXPUNGEISSUED] (RFC 2180 §4.2.1), UID STORE skips them.
"""

from typing import TYPE_CHECKING

from appliance.protocol.imap.modifiers import parse_modifiers
from appliance.store.values import Mode

from ..completion import Completion, no, ok
from ..contract import ImapCommand, ImapState, SequenceNumbers
from ..flag_texts import checked
from ..plans import StorePlan
from ..progress import in_progress

if TYPE_CHECKING:
    from collections.abc import Mapping

    from appliance.protocol.imap.tokens import Tokens

    from ..contract import CommandSession, StoreModifier

MODES: dict[bytes, Mode] = {b"FLAGS": Mode.REPLACE, b"+FLAGS": Mode.ADD, b"-FLAGS": Mode.REMOVE}
GONE = b"Some of the messages have been deleted by another session."


def parse_store(tokens: "Tokens", modifiers: "Mapping[bytes, StoreModifier]") -> StorePlan:
    """`SP set [SP "(" modifiers ")"] SP item SP flags`; flags in parentheses or bare."""
    tokens.space()
    messages = tokens.sequence_set()
    found = parse_modifiers(tokens, modifiers)
    tokens.space()
    item = tokens.keyword()
    mode = MODES.get(item.removesuffix(b".SILENT"))
    if mode is None:
        raise tokens.misuse("STORE takes FLAGS, +FLAGS or -FLAGS, with or without .SILENT")
    tokens.space()
    if tokens.peek() == b"(":
        flags = tokens.flag_list()
    else:
        flags = [tokens.flag()]
        while tokens.accept(b" "):
            flags.append(tokens.flag())
    tokens.end()
    plan = StorePlan(messages, mode, item.endswith(b".SILENT"), checked(flags))
    for modifier, value in found:
        modifier.apply(plan, value)
    return plan


async def run(session: "CommandSession", tokens: "Tokens", uid: bool) -> Completion:
    selected = session.selected
    assert selected is not None  # noqa: S101 the command is allowed in that state only
    plan = parse_store(tokens, session.registry.store_modifiers)
    if selected.read_only:
        return no(b"The mailbox is read-only.")
    uids = selected.uids_at(selected.places(plan.messages, uid))
    for word in plan.enables:
        await session.enable(word)
    if not uids:
        return ok(b"No messages found.")
    mode, flags, since = plan.mode, plan.flags, plan.unchanged_since
    result = await in_progress(session, len(uids), lambda: selected.mailbox.set_flags(uids, mode, flags, unchanged_since=since))
    selected.stored(result, session.updates.flag_items, silent=plan.silent, uid=uid)
    for complete in plan.complete:
        completion = complete(selected, result, uid)
        if completion is not None:
            return completion
    return no(GONE, b"EXPUNGEISSUED") if result.gone and not uid else ok(b"Stored.")


COMMANDS = (
    ImapCommand(
        b"STORE", ImapState.SELECTED, lambda tokens: tokens.fork(), run, SequenceNumbers.MUST_STAY, uid_form=True, rfc="RFC 9051 §6.4.6"
    ),
)
