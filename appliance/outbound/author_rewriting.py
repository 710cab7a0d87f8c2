"""A person's messages leave under their address at the relay's provider: From and Sender are rewritten, name and all else stay.

The commonest household has no domain of its own: inside it people write as anna@home.example, outside as the address their
provider knows. Only addresses whose messages come to that person are changed, so a message never speaks for somebody else.
Reply-To that names the address here is changed too: nobody outside could answer to it. The header is read up to HEADER_OCTETS; a
field that cannot be read as addresses stays as it is.
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


def under_address(chunks: Chunks, address: Address, is_theirs: Callable[[Address], bool]) -> Chunks:
    """The same message, written by `address` wherever one of the person's own addresses stood."""
    written = encode_address(address)

    @asynccontextmanager
    async def changed() -> AsyncIterator[AsyncIterator[bytes]]:
        async with chunks() as octets:

            async def each() -> AsyncIterator[bytes]:
                head = b""
                async for chunk in octets:
                    head += chunk
                    if b"\r\n\r\n" in head or len(head) > HEADER_OCTETS:
                        break
                yield rewritten(head, written, is_theirs)
                async for chunk in octets:
                    yield chunk

            yield each()

    return changed


def rewritten(head: bytes, written: bytes, is_theirs: Callable[[Address], bool]) -> bytes:
    """The message's beginning with the fields changed; what stands behind the header is not looked at."""
    end = header_end(head)
    changed, done = [], 0
    for field in fields(head[:end]):
        raw, done = head[field.start : field.end], field.end
        changed.append(_field(raw, written, is_theirs) if field.name.lower() in FIELDS else raw)
    return b"".join(changed) + head[done:]


def _field(field: bytes, written: bytes, is_theirs: Callable[[Address], bool]) -> bytes:
    return _ADDRESS.sub(lambda found: written if _theirs(found[0], is_theirs) else found[0], field)


def _theirs(text: bytes, is_theirs: Callable[[Address], bool]) -> bool:
    try:
        return is_theirs(parse_address(text))
    except MisuseError:
        return False
