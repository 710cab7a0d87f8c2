"""CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE (RFC 9051 §6.3.4 to §6.3.8; RFC 6154 §3).

A name that no mailbox can have is refused before the store is called. With IMAP4rev2 enabled a mailbox that has another name than the
client wrote, because the server normalized or renamed it, is announced by LIST with OLDNAME (RFC 9051 §6.3.9.7).
"""

from typing import TYPE_CHECKING

from appliance.mail.flags import FURTHER_USES, SPECIAL_USE
from appliance.protocol.imap.mailbox_name import SEPARATOR, flaw

from ..completion import Completion, no, ok
from ..contract import ImapCommand, ImapState
from ..errors import printable
from ..list_response import REVISION_2, announce, list_response, old_name

if TYPE_CHECKING:
    from appliance.protocol.imap.tokens import Tokens

    from ..contract import CommandSession

USES = {attribute.upper().encode(): attribute for attribute in (*(attribute for _, attribute in SPECIAL_USE), *FURTHER_USES)}


def read_name(tokens: "Tokens") -> str:
    tokens.space()
    return tokens.mailbox()


def _refusal(name: str) -> Completion | None:
    wrong = flaw(name)
    return no(printable(wrong), b"CANNOT") if wrong else None


async def _own(session: "CommandSession", *names: str) -> None:
    """The client did this to them and is not notified of it."""
    if session.background is not None:
        await session.background.own(*names)


# --- CREATE ----------------------------------------------------------------------------------


def read_create(tokens: "Tokens") -> tuple[str, list[bytes]]:
    """`name` or `name (USE (\\Sent))`."""
    name = read_name(tokens)
    uses: list[bytes] = []
    if tokens.accept(b" "):
        tokens.expect(b"(USE ")
        uses = [flag.upper().encode() for flag in tokens.flag_list()]
        tokens.expect(b")")
    return name, uses


async def create(session: "CommandSession", arguments: tuple[str, list[bytes]], uid: bool) -> Completion:
    """A trailing separator only announces that children will follow (RFC 9051 §6.3.4)."""
    name, uses = arguments
    if len(name) > 1 and name.endswith(SEPARATOR):
        name = name[:-1]
    refusal = _refusal(name)
    if refusal is not None:
        return refusal
    if len(uses) > 1 or any(use not in USES for use in uses):
        return no(b"A mailbox has one of the special uses " + b" ".join(word.encode() for word in USES.values()) + b".", b"USEATTR")
    use = USES[uses[0]] if uses else ""
    if use and any(info.special_use == use for info in await session.mailboxes.list()):
        return no(b"Another mailbox has that special use.", b"USEATTR")
    made = await session.mailboxes.create(name, use)
    await _own(session, made.name)
    if REVISION_2 in session.enabled and made.name != name:
        announce(session, made, name)
    return ok(b"CREATE completed.", session.registry.created_code(made))


# --- DELETE, RENAME --------------------------------------------------------------------------


async def delete(session: "CommandSession", name: str, uid: bool) -> Completion:
    """A mailbox this session has selected is deselected, with [CLOSED]."""
    info = await session.mailboxes.find(name, "x")
    await session.mailboxes.delete(name)
    await _own(session, info.name)
    if session.selected is not None and info.id == session.selected.mailbox.info.id:
        session.deselect()
        session.queue(b"* OK [CLOSED] The selected mailbox was deleted.\r\n")
    if REVISION_2 in session.enabled and info.name != name:
        session.queue(list_response(session, (b"\\NonExistent",), info.name, old_name(session, name)))
    return ok(b"DELETE completed.")


def read_rename(tokens: "Tokens") -> tuple[str, str]:
    old = read_name(tokens)
    tokens.space()
    return old, tokens.mailbox()


async def rename(session: "CommandSession", arguments: tuple[str, str], uid: bool) -> Completion:
    old, new = arguments
    refusal = _refusal(new)
    if refusal is not None:
        return refusal
    if new.startswith(old + SEPARATOR) and old != "INBOX":
        return no(b"A mailbox cannot be moved into itself.", b"CANNOT")
    await session.mailboxes.rename(old, new)
    await _own(session, old, new)
    if REVISION_2 in session.enabled and old != "INBOX":
        announce(session, await session.mailboxes.find(new, ""), old)
    return ok(b"RENAME completed.")


# --- SUBSCRIBE -------------------------------------------------------------------------------


async def subscribe(session: "CommandSession", name: str, uid: bool) -> Completion:
    """The name need not exist (RFC 9051 §6.3.7)."""
    refusal = _refusal(name)
    if refusal is not None:
        return refusal
    await session.mailboxes.subscribe(name, True)
    await _own(session, name)
    return ok(b"SUBSCRIBE completed.")


async def unsubscribe(session: "CommandSession", name: str, uid: bool) -> Completion:
    await session.mailboxes.subscribe(name, False)
    await _own(session, name)
    return ok(b"UNSUBSCRIBE completed.")


COMMANDS = (
    ImapCommand(b"CREATE", ImapState.SIGNED_IN, read_create, create, rfc="RFC 9051 §6.3.4"),
    ImapCommand(b"DELETE", ImapState.SIGNED_IN, read_name, delete, rfc="RFC 9051 §6.3.5"),
    ImapCommand(b"RENAME", ImapState.SIGNED_IN, read_rename, rename, rfc="RFC 9051 §6.3.6"),
    ImapCommand(b"SUBSCRIBE", ImapState.SIGNED_IN, read_name, subscribe, rfc="RFC 9051 §6.3.7"),
    ImapCommand(b"UNSUBSCRIBE", ImapState.SIGNED_IN, read_name, unsubscribe, rfc="RFC 9051 §6.3.8"),
)
