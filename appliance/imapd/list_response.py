"""The untagged LIST response, of the LIST command and of a mailbox that the server announces (RFC 9051 §7.3.1, §6.3.9.7)."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from appliance.protocol.imap import encode

if TYPE_CHECKING:
    from appliance.store.values import MailboxInfo

    from .contract import CommandSession

REVISION_2 = b"IMAP4REV2"


def list_response(session: "CommandSession", attributes: Iterable[bytes], name: str, data: bytes = b"") -> bytes:
    """The line; `data` is an extended data item with its leading space."""
    return b"* LIST " + encode.listed(attributes) + b' "/" ' + encode.mailbox(name, session.utf8) + data + b"\r\n"


def attributes_of(info: "MailboxInfo") -> list[bytes]:
    """Those a mailbox always has: \\Noselect, children, special use."""
    attributes = [] if info.selectable else [b"\\Noselect"]
    attributes.append(b"\\HasChildren" if info.has_children else b"\\HasNoChildren")
    if info.special_use:
        attributes.append(info.special_use.encode("ascii"))
    return attributes


def old_name(session: "CommandSession", name: str) -> bytes:
    """The extended data item OLDNAME: the name the client knows the mailbox by (RFC 9051 §6.3.9.7)."""
    return b' ("OLDNAME" (' + encode.mailbox(name, session.utf8) + b"))"


def announce(session: "CommandSession", info: "MailboxInfo", known_as: str = "") -> None:
    """Queue the mailbox's LIST response; `known_as`: the name the client used, sent as OLDNAME where the mailbox has another."""
    data = old_name(session, known_as) if known_as and known_as != info.name else b""
    session.queue(list_response(session, attributes_of(info), info.name, data))
