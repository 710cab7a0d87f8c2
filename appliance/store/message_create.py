"""A new message in one or several mailboxes of an account at once, in one durable commit; for JMAP (RFC 8621 §4.6 to §4.8).

It is one message wherever it stands: one identity, one body. Its octets come from a body just received, or from one that is stored
already, of which no octet is written again. In the same commit it may take the place of other messages, as a draft that is saved anew:
they go first, so a full mailbox has room for what replaces them, and stay when the new one cannot be stored.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from appliance.database.writer import Transaction
from appliance.mail.description import DescriptionOf
from appliance.mail.errors import StoreError, Trouble
from appliance.mail.ids import BodyId, MailboxId, MessageId
from appliance.mail.rights import changeable

from . import append, copy_move
from .base import StoreBase
from .incoming import StagedBody
from .message_update import MessageState, expect_in, update_message
from .scope import Scope, StateStep, scope_modseq
from .values import Placement


@dataclass(frozen=True, slots=True)
class NewMessage:
    """Where it goes. `prefix`: the fields in front of the body; `flags` are names; `internal_at` UTC seconds. `needed`: rights that
    another's mailboxes have to give; flags that they do not give are left out."""

    mailboxes: Sequence[MailboxId]
    flags: Sequence[str]
    internal_at: int
    prefix: bytes = b""
    needed: str = "i"


@dataclass(frozen=True, slots=True)
class CreatedMessage:
    """`octets` of prefix and body; `replaced`: those of the messages to be replaced that were there."""

    id: MessageId
    thread: MessageId
    octets: int
    replaced: tuple[MessageId, ...]
    step: StateStep


async def create_message(
    store: StoreBase,
    scope: Scope,
    body: "StagedBody | tuple[BodyId, DescriptionOf]",
    new: NewMessage,
    replaced: Sequence[MessageId] = (),
) -> CreatedMessage:
    """`body`: one just received, or a stored one with what `Store.scan` gave.

    Raises NO_MAILBOX, NO_RIGHT, NOT_ALLOWED (an Outbox), OVER_QUOTA, TOO_MANY, FULL; GONE when the stored body is not there any more.
    Nothing is done then.
    """
    staged = body if isinstance(body, StagedBody) else None
    describe = body.describe if isinstance(body, StagedBody) else body[1]
    description = describe(new.prefix)

    def work(transaction: Transaction) -> CreatedMessage:
        before = scope_modseq(transaction, scope)
        rights = {mailbox: expect_in(transaction, scope, mailbox, new.needed) for mailbox in new.mailboxes}
        gone = tuple(one for one in replaced if _destroy(store, transaction, scope, one))
        number = store.bodies.hold(transaction, staged) if staged is not None else _hold_stored(store, transaction, body[0])  # type: ignore[index]
        first, *others = new.mailboxes
        place = Placement(first, new.prefix, changeable(new.flags, rights[first]), new.internal_at)
        (placed,) = append.append(transaction, number, description.octets, [place], lambda _: description, store.effects)
        for other in others:
            copy_move.copy(transaction, first, [placed.uid], other, store.effects, copy_move.Copying(rights=rights[other]))
        (thread,) = transaction.execute("SELECT thread FROM message_data WHERE id = ?", (placed.message,)).fetchall()[0]
        step = StateStep(before, scope_modseq(transaction, scope))
        return CreatedMessage(placed.message, MessageId(thread), description.octets + len(new.prefix), gone, step)

    return await store.database.write(work, octets=staged.stored_octets if staged is not None else 0)


def _destroy(store: StoreBase, transaction: Transaction, scope: Scope, message: MessageId) -> bool:
    try:
        update_message(transaction, scope, message, lambda state: MessageState(state.flags, frozenset()), store.effects)
    except StoreError as error:
        if error.trouble not in (Trouble.GONE, Trouble.NO_RIGHT):
            raise
        return False
    return True


def _hold_stored(store: StoreBase, transaction: Transaction, body: BodyId) -> BodyId:
    """One more row needs a body that is there: not one that is about to be removed, whose octets may be gone."""
    if not transaction.execute("SELECT 1 FROM body WHERE id = ? AND refcount > 0", (body,)).fetchone():
        raise StoreError(Trouble.GONE)
    store.bodies.hold_more(transaction, body)
    return body
