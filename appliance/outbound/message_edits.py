"""Edits of a message by octet range, applied while it is read in chunks: memory is one header and one chunk."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from appliance.mail.body_encoders import BodyEncoder, OctetRemover
from appliance.mail.outgoing import Chunks


@dataclass(slots=True)
class Edit:
    """Octets from `start` to `end` of the message: a header is passed whole through `header`, a body through a `encoder`; or unchanged."""

    start: int
    end: int
    header: Callable[[bytes], bytes] | None = None
    encoder: "type[BodyEncoder] | None" = None


@dataclass(slots=True)
class EditList:
    """The edits in order. `between`: preambles, epilogues and delimiters lose the octets that must not be sent."""

    between: bool
    edits: list[Edit] = field(default_factory=list)


def apply_edits(chunks: Chunks, edit_list: EditList) -> Chunks:
    """The message with the edits applied, the same octets each time it is read."""

    @asynccontextmanager
    async def changed() -> AsyncIterator[AsyncIterator[bytes]]:
        async with chunks() as octets:
            yield _edit(octets, edit_list)

    return changed


async def _edit(octets: AsyncIterator[bytes], edit_list: EditList) -> AsyncIterator[bytes]:
    at, number, edits = 0, 0, edit_list.edits
    held: list[bytes] = []
    encoder: BodyEncoder | None = None
    between = OctetRemover()
    async for chunk in octets:
        start = 0
        while start < len(chunk):
            here = at + start
            while number < len(edits) and edits[number].end <= here and encoder is None and not held:
                if edits[number].header is not None and edits[number].start == edits[number].end == here:
                    yield _edit_header(edits[number], b"")
                number += 1
            edit = edits[number] if number < len(edits) else None
            if edit is None or here < edit.start:
                stop = len(chunk) if edit is None else min(len(chunk), edit.start - at)
                yield between.feed(chunk[start:stop]) if edit_list.between else chunk[start:stop]
                start = stop
                continue
            stop = min(len(chunk), edit.end - at)
            some = chunk[start:stop]
            start = stop
            if edit.header is not None:
                held.append(some)
                if at + stop == edit.end:
                    yield _edit_header(edit, b"".join(held))
                    held, number = [], number + 1
                continue
            if encoder is None and edit.encoder is not None:
                encoder = edit.encoder()
            yield some if encoder is None else encoder.feed(some)
            if at + stop == edit.end:
                if encoder is not None:
                    yield encoder.finish()
                encoder, number = None, number + 1
        at += len(chunk)
    if held:
        yield _edit_header(edits[number], b"".join(held))
    if encoder is not None:
        yield encoder.finish()


def _edit_header(edit: Edit, block: bytes) -> bytes:
    return edit.header(block) if edit.header is not None else block
