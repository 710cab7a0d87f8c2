"""QUOTA: how much of the account's storage and of its messages is used (RFC 9208). Limits are the administrator's: no SETQUOTA.

All mailboxes of an account have one quota root, "". STORAGE counts 1024 octets; it is left out where the account has no limit. MESSAGE
has the limit every account has. DELETED-STORAGE, in octets as SIZE is, reads the mailbox's rows, and only where some are \\Deleted.
"""

from typing import TYPE_CHECKING

from appliance.protocol.imap import encode

from ..commands.mailboxes import read_name
from ..completion import Completion, no, ok
from ..contract import ImapCommand, ImapExtension, ImapState, StatusItem

if TYPE_CHECKING:
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


def quota_response(session: "CommandSession") -> bytes:
    """`* QUOTA "" (STORAGE used limit MESSAGE used limit)` (RFC 9208 §4.2.1)."""
    octets, octets_limit = session.store.quota(session.account)
    storage = b"" if octets_limit is None else b"STORAGE %d %d " % (-(-octets // UNIT_OCTETS), octets_limit // UNIT_OCTETS)
    return b'* QUOTA "" (%bMESSAGE %d %d)\r\n' % (storage, *session.store.message_quota(session.account))


async def get_quota(session: "CommandSession", root: bytes, uid: bool) -> Completion:
    if root:
        return no(b"There is no such quota root.", b"NONEXISTENT")
    session.queue(quota_response(session))
    return ok(b"GETQUOTA completed.")


async def get_quota_root(session: "CommandSession", name: str, uid: bool) -> Completion:
    """The mailbox need not exist: the root is that of one made with the name (RFC 9208 §4.1.2)."""
    session.queue(b"* QUOTAROOT ", encode.mailbox(name, session.utf8), b' ""\r\n', quota_response(session))
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
