"""SORT=DISPLAY: messages ordered by the name their first author or recipient is shown with (RFC 5957)."""

from typing import TYPE_CHECKING

from appliance.mail.collation import casemap
from appliance.mail.encoding import decode_words

from ..contract import ImapExtension, SortKey
from ..sorting import ranks_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from appliance.protocol.imap.envelope_fields import EnvelopeAddress


def display(address: "EnvelopeAddress") -> str:
    """RFC 5957 §3: the name, decoded, if that is not empty; else `mailbox@host`; else what there is of it."""
    named = decode_words(address.name or b"")
    if named:
        return named
    mailbox = (address.mailbox or b"").decode("utf-8", "replace")
    return mailbox if address.mailbox is None or address.host is None else f"{mailbox}@{address.host.decode('utf-8', 'replace')}"


def display_of(field: str) -> "Callable[[bytes], str]":
    def text_of(envelope: bytes) -> str:
        from appliance.protocol.imap.envelope_scan import first_address

        address = first_address(envelope, field)
        return casemap(display(address)) if address is not None else ""

    return text_of


EXTENSION = ImapExtension(
    name="SORT=DISPLAY",
    rfc="RFC 5957",
    capability=lambda session: (b"SORT=DISPLAY",),
    sort_keys=(
        SortKey(b"DISPLAYFROM", ranks_of("displayfrom", display_of("from"))),
        SortKey(b"DISPLAYTO", ranks_of("displayto", display_of("to"))),
    ),
)
