"""QUOTA: how much of the account's storage and of its messages is used (RFC 9208). Limits are the administrator's: no SETQUOTA.

All mailboxes of an account have one quota root, "". Those that others share with it count for their owners, and the root is named by the
owner's address. STORAGE counts 1024 octets; it is left out where the account has no limit. MESSAGE has the limit every account has.
DELETED-STORAGE, in octets as SIZE is, reads the mailbox's rows, and only where some are \\Deleted.
"""

from typing import TYPE_CHECKING

from appliance.mail.errors import StoreError, Trouble
from appliance.protocol.imap import encode

from ..commands.mailboxes import read_name
from ..completion import Completion, no, ok
from ..contract import ImapCommand, ImapExtension, ImapState, StatusItem

if TYPE_CHECKING:
    from appliance.mail.ids import AccountId
    from appliance.protocol.imap.tokens import Tokens

    from ..contract import CommandSession

UNIT_OCTETS = 1024


def parse_root(tokens: "Tokens") -> bytes:
    """`SP quota-root`."""
    tokens.space()
    return tokens.astring()


def parse_set_quota(tokens: "Tokens") -> None:
    """`SP quota-root SP (resource limit ...)`; read so that it is refused by name, not by syntax."""
    parse_root(tokens)
    tokens.space()
    tokens.list_of(lambda: parse_limit(tokens))


def parse_limit(tokens: "Tokens") -> tuple[bytes, int]:
    """`resource SP limit`."""
    resource = tokens.atom()
    tokens.space()
    return resource, tokens.number64()


def quota_response(session: "CommandSession", account: "AccountId") -> bytes:
    """`* QUOTA "" (STORAGE used limit MESSAGE used limit)` (RFC 9208 §4.2.1)."""
    octets, octets_limit = session.store.quota(account)
    storage = b"" if octets_limit is None else b"STORAGE %d %d " % (-(-octets // UNIT_OCTETS), octets_limit // UNIT_OCTETS)
    return b"* QUOTA %b (%bMESSAGE %d %d)\r\n" % (root_of(session, account), storage, *session.store.message_quota(account))


def root_of(session: "CommandSession", account: "AccountId") -> bytes:
    """The name of an account's quota root, encoded."""
    found = session.directory.account(account) if account != session.account else None
    return encode.astring(found.address.encode() if found is not None else b"", session.utf8)


async def get_quota(session: "CommandSession", root: bytes, uid: bool) -> Completion:
    account: AccountId | None = session.account
    if root:
        owner = session.directory.find_login(root.decode("utf-8", "replace"))
        readable = {info.account for info in await session.mailboxes.list() if "r" in info.rights}
        account = owner.id if owner is not None and owner.id in readable else None
    if account is None:
        return no(b"There is no such quota root.", b"NONEXISTENT")
    session.queue(quota_response(session, account))
    return ok(b"GETQUOTA completed.")


async def get_quota_root(session: "CommandSession", name: str, uid: bool) -> Completion:
    """The mailbox need not exist: the root is that of one made with the name (RFC 9208 §4.1.2). Another's needs right r."""
    try:
        account = (await session.mailboxes.find(name)).account
    except StoreError as error:
        if error.trouble is not Trouble.NO_MAILBOX:
            raise
        account = session.account
    session.queue(b"* QUOTAROOT ", encode.mailbox(name, session.utf8), b" ", root_of(session, account), b"\r\n")
    session.queue(quota_response(session, account))
    return ok(b"GETQUOTAROOT completed.")


async def set_quota(session: "CommandSession", arguments: None, uid: bool) -> Completion:
    return no(b"Limits are set by the administrator.", b"NOPERM")


async def deleted_octets(session: "CommandSession", mailbox: int, deleted: int) -> int:
    return await session.store.deleted_octets(mailbox) if deleted else 0  # type: ignore[arg-type]


EXTENSION = ImapExtension(
    name="QUOTA",
    rfc="RFC 9208",
    capability=lambda session: (b"QUOTA", b"QUOTA=RES-STORAGE", b"QUOTA=RES-MESSAGE"),
    commands=(
        ImapCommand(b"GETQUOTA", ImapState.SIGNED_IN, parse_root, get_quota, rfc="RFC 9208 §4.1.1"),
        ImapCommand(b"GETQUOTAROOT", ImapState.SIGNED_IN, read_name, get_quota_root, rfc="RFC 9208 §4.1.2"),
        ImapCommand(b"SETQUOTA", ImapState.SIGNED_IN, parse_set_quota, set_quota, rfc="RFC 9208 §4.1.3"),
    ),
    status_items=(StatusItem(b"DELETED-STORAGE", lambda session, info: deleted_octets(session, info.id, info.deleted)),),
    response_codes=(b"NOPERM",),
)
