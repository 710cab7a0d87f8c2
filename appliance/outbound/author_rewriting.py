"""Rewrite From, Sender and Reply-To to the account's address at the relay's provider; display names and all else stay.

Most families have no domain of their own: at home they write as anna@home.example, and to others as the address their provider
knows. Only addresses that are delivered to the sending account are changed, so that no other author is replaced. Reply-To is
included because nobody outside could answer to a local address. The header is read up to HEADER_OCTETS; a field that does not
parse as addresses is left unchanged.
"""

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from appliance.mail.address import Address, encode_address, parse_address
from appliance.mail.errors import MisuseError
from appliance.mail.header import fields, header_end
from appliance.mail.limits import HEADER_OCTETS
from appliance.mail.outgoing import Chunks

FIELDS = frozenset({b"from", b"sender", b"reply-to"})
_ADDRESS = re.compile(rb'[^\s<>,;:"()@]+@[^\s<>,;:"()@]+')


def rewrite_author(chunks: Chunks, address: Address, same_account: Callable[[Address], bool]) -> Chunks:
    """The same message with `address` in place of the account's own addresses in FIELDS; `is_own(address)` recognizes those."""
    replacement = encode_address(address)

    @asynccontextmanager
    async def changed() -> AsyncIterator[AsyncIterator[bytes]]:
        async with chunks() as octets:

            async def each() -> AsyncIterator[bytes]:
                head = b""
                async for chunk in octets:
                    head += chunk
                    if b"\r\n\r\n" in head or len(head) > HEADER_OCTETS:
                        break
                yield rewrite_header(head, replacement, same_account)
                async for chunk in octets:
                    yield chunk

            yield each()

    return changed


def rewrite_header(head: bytes, replacement: bytes, same_account: Callable[[Address], bool]) -> bytes:
    """The start of a message with the fields rewrite_header; anything after the header is left unchanged."""
    end = header_end(head)
    changed, done = [], 0
    for field in fields(head[:end]):
        raw, done = head[field.start : field.end], field.end
        changed.append(_field(raw, replacement, same_account) if field.name.lower() in FIELDS else raw)
    return b"".join(changed) + head[done:]


def _field(field: bytes, replacement: bytes, same_account: Callable[[Address], bool]) -> bytes:
    return _ADDRESS.sub(lambda found: replacement if _is_own(found[0], same_account) else found[0], field)


def _is_own(text: bytes, same_account: Callable[[Address], bool]) -> bool:
    try:
        return same_account(parse_address(text))
    except MisuseError:
        return False
