"""ACL: who else may do what with a mailbox (RFC 4314); the mailboxes of others are below `Shared/` (`store/sharing` has the rules).

Rights are given to accounts by address, and to `anyone`: who asks has both together. Groups and negative rights are refused (§2 asks for
neither). The owner has all rights for good. \\Seen and all other flags are the same for everybody. Rights are checked by the store, in the
transaction or reading that needs them:

    | command                                   | rights                                                                        |
    |-------------------------------------------|-------------------------------------------------------------------------------|
    | LIST, LSUB                                | l; other names are listed like those of no mailbox, where they are subscribed |
    | SUBSCRIBE, UNSUBSCRIBE                    | none: any name may be subscribed                                              |
    | SELECT, EXAMINE, STATUS, ESEARCH, CATENATE| r; SELECT is READ-ONLY without any of s, w, i, t, e                           |
    | FETCH that sets \\Seen                     | s, else \\Seen stays                                                           |
    | STORE                                     | s \\Seen, t \\Deleted, w others; those that are missing change nothing          |
    | APPEND, COPY, REPLACE into the mailbox    | i, and for flags as STORE                                                     |
    | MOVE, REPLACE out of the mailbox          | t and e                                                                       |
    | EXPUNGE                                   | e; CLOSE without it expunges nothing                                          |
    | CREATE, RENAME to                         | k on the mailbox above                                                        |
    | DELETE, RENAME from                       | x                                                                             |
    | GETMETADATA, SETMETADATA                  | l and r; l and w for shared entries                                           |
    | GETACL, SETACL, DELETEACL, LISTRIGHTS     | a                                                                             |
    | MYRIGHTS                                  | any of l, r, i, k, x, a                                                       |

A refusal is NO [NOPERM] to who has l, and NO [NONEXISTENT] to others (RFC 4314 §6). A session that has the mailbox selected hears of
changed rights with its next command, in IDLE and NOTIFY at once; without r it ends with BYE.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from appliance.mail.errors import StoreError, Trouble
from appliance.mail.rights import ALL, ANYONE, CHARACTERS, FORMER, NONE, Rights, encode_rights, parse_rights
from appliance.protocol.imap import encode
from appliance.store.values import Mode

from ..commands.mailboxes import read_name
from ..completion import Completion, no, ok
from ..contract import ImapCommand, ImapExtension, ImapState

if TYPE_CHECKING:
    from appliance.mail.ids import AccountId
    from appliance.protocol.imap.tokens import Tokens

    from ..contract import CommandSession

KNOWING: Rights = frozenset("lrikxa")
"""One of these lets a user ask for their own rights (RFC 4314 §4)."""
EVERYBODY = "anyone"
"""The identifier for all accounts (RFC 4314 §2); an account of that local part has its whole address."""
NOBODY = no(b"There is no account of that address here; rights are given to accounts, or to anyone.", b"CANNOT")
NEGATIVE = no(b"Rights cannot be denied to one account; give rights to the others instead.", b"CANNOT")


@dataclass(frozen=True, slots=True)
class RightsChange:
    """The arguments of SETACL and DELETEACL."""

    name: str
    identifier: str
    mode: Mode = Mode.REPLACE
    rights: Rights = NONE


# --- grammar ---------------------------------------------------------------------------------


def parse_identified(tokens: "Tokens") -> RightsChange:
    """`SP mailbox SP identifier`; an identifier is UTF-8, and not empty (RFC 4314 §3)."""
    name = read_name(tokens)
    tokens.space()
    try:
        identifier = tokens.astring().decode()
    except UnicodeDecodeError:
        raise tokens.misuse("an identifier is UTF-8") from None
    if not identifier:
        raise tokens.misuse("an identifier is not empty")
    return RightsChange(name, identifier)


def parse_set(tokens: "Tokens") -> RightsChange:
    """`SP mailbox SP identifier SP ["+" / "-"] rights` (RFC 4314 §7)."""
    whose = parse_identified(tokens)
    tokens.space()
    text = tokens.astring().decode("ascii", "replace")
    mode = {"+": Mode.ADD, "-": Mode.REMOVE}.get(text[:1], Mode.REPLACE)
    return RightsChange(whose.name, whose.identifier, mode, parse_rights(text if mode is Mode.REPLACE else text[1:]))


# --- responses -------------------------------------------------------------------------------


def rights_word(rights: Rights) -> bytes:
    """With those of RFC 2086 (RFC 4314 §2.1.1); none are an empty string."""
    return encode_rights(rights, former=True).encode() or b'""'


def my_rights(session: "CommandSession", name: str, rights: Rights) -> bytes:
    """`* MYRIGHTS mailbox rights` (RFC 4314 §3.8)."""
    return b"* MYRIGHTS " + encode.mailbox(name, session.utf8) + b" " + rights_word(rights) + b"\r\n"


def identified(session: "CommandSession", identifier: str) -> "AccountId | Completion":
    """Whose rights are meant, or the refusal."""
    if identifier == EVERYBODY:
        return ANYONE
    if identifier.startswith("-"):
        return NEGATIVE
    account = session.directory.find_login(identifier)
    return account.id if account is not None else NOBODY


def identifier_word(session: "CommandSession", account: "AccountId") -> bytes:
    """`identified` the other way round; b"" for an account that is not there any more."""
    if account == ANYONE:
        return EVERYBODY.encode()
    found = session.directory.account(account)
    return encode.astring(found.address.encode(), session.utf8) if found is not None else b""


# --- commands --------------------------------------------------------------------------------


async def get_acl(session: "CommandSession", name: str, uid: bool) -> Completion:
    """The owner first, then others in the order they were given rights."""
    owner, given = await session.mailboxes.rights_given(name)
    pairs = [(identifier_word(session, account), rights_word(rights)) for account, rights in {owner: ALL, **given}.items()]
    words = b"".join([b" " + who + b" " + rights for who, rights in pairs if who])
    session.queue(b"* ACL " + encode.mailbox(name, session.utf8) + words + b"\r\n")
    return ok(b"GETACL completed.")


async def set_acl(session: "CommandSession", change: RightsChange, uid: bool) -> Completion:
    await session.mailboxes.rights_given(change.name)  # first of all: who may not do this learns nothing of accounts
    account = identified(session, change.identifier)
    if isinstance(account, Completion):
        return account
    await session.mailboxes.set_rights(change.name, account, change.mode, change.rights)
    return ok(b"Rights are set.")


async def list_rights(session: "CommandSession", whose: RightsChange, uid: bool) -> Completion:
    """The owner's rights cannot be taken, all others can be given each alone (RFC 4314 §3.7)."""
    owner, _ = await session.mailboxes.rights_given(whose.name)
    account = identified(session, whose.identifier)
    if isinstance(account, Completion):
        return account
    free = b" ".join([b'""', *(right.encode() for right in (*CHARACTERS, *FORMER))])
    who = encode.astring(whose.identifier.encode(), session.utf8)
    rights = rights_word(ALL) if account == owner else free
    session.queue(b"* LISTRIGHTS " + encode.mailbox(whose.name, session.utf8) + b" " + who + b" " + rights + b"\r\n")
    return ok(b"LISTRIGHTS completed.")


async def tell_my_rights(session: "CommandSession", name: str, uid: bool) -> Completion:
    info = await session.mailboxes.find(name, "")
    if not info.rights & KNOWING:
        raise StoreError(Trouble.NO_MAILBOX)
    session.queue(my_rights(session, name, info.rights))
    return ok(b"MYRIGHTS completed.")


EXTENSION = ImapExtension(
    name="ACL",
    rfc="RFC 4314",
    capability=lambda session: (b"ACL", b"RIGHTS=kxte"),
    commands=(
        ImapCommand(b"GETACL", ImapState.SIGNED_IN, read_name, get_acl, rfc="RFC 4314 §3.3"),
        ImapCommand(b"SETACL", ImapState.SIGNED_IN, parse_set, set_acl, rfc="RFC 4314 §3.1"),
        ImapCommand(b"DELETEACL", ImapState.SIGNED_IN, parse_identified, set_acl, rfc="RFC 4314 §3.2"),
        ImapCommand(b"LISTRIGHTS", ImapState.SIGNED_IN, parse_identified, list_rights, rfc="RFC 4314 §3.4"),
        ImapCommand(b"MYRIGHTS", ImapState.SIGNED_IN, read_name, tell_my_rights, rfc="RFC 4314 §3.5"),
    ),
)
