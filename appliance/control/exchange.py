"""What crosses a control connection, the server's side: one request, then its answer.

request   one JSON line, a request of `requests`
answer    a Response or a RequestRefused, one line
import    after the request the server sends ImportBegun; then for each message the client sends an ImportedMessage and its
          octets (see `stream`) and the server answers MessageTaken; MakeMailboxes is answered by MailboxesMade; ImportEnded
          ends it and the answer follows
export    the server sends messages in the same form, then the answer
"""

from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import trio

from appliance.mail.archive import ImportedMessage
from appliance.mail.errors import MisuseError, PeerGone, PillarboxError, SetupError

from .codec import ImportBegun, ImportEnded, MailboxesMade, MakeMailboxes, MessageTaken, decode_request, decode_value
from .import_result import import_response
from .requests import Control, Export, Import, RequestRefused, Response
from .stream import ControlStream

SILENCE_S = 60


async def answer_caller(stream: ControlStream, control: Control, message: dict[str, Any]) -> None:
    """Do one request, as received, and send the answer. Raises PeerGone, MisuseError."""
    answer: Response | RequestRefused
    try:
        request = decode_request(message)
        if isinstance(request, Import):
            answer = await _import_messages(stream, control, request)
        elif isinstance(request, Export):
            answer = await _export_messages(stream, control, request)
        else:
            answer = await control.ask(request)
    except SetupError as error:
        answer = RequestRefused(error.problem, error.remedy)
    except (PeerGone, MisuseError):
        raise
    except PillarboxError as error:
        answer = RequestRefused(f"{error}.".replace("..", "."), failed=True)
    await stream.send(answer)


async def _import_messages(stream: ControlStream, control: Control, request: Import) -> Response:
    taken = left_out = 0
    async with control.import_messages(request) as sink:
        await stream.send(ImportBegun(sink.position))
        while True:
            with trio.fail_after(SILENCE_S):
                value = decode_value(await stream.receive(), ImportedMessage, MakeMailboxes, ImportEnded)
            if isinstance(value, ImportEnded):
                break
            if isinstance(value, MakeMailboxes):
                await sink.make(value.names)
                await stream.send(MailboxesMade())
                continue
            octets = stream.receive_octets()
            try:
                good = await sink.take(value, octets)
            except PillarboxError:
                with trio.move_on_after(SILENCE_S):
                    await _discard(octets)  # the client reads the answer only when it has sent all
                raise
            taken, left_out = taken + good, left_out + (not good)
            await stream.send(MessageTaken(good))
    return import_response(taken, left_out)


async def _export_messages(stream: ControlStream, control: Control, request: Export) -> Response:
    count = 0
    async for message, chunks in control.export_messages(request):
        await stream.send(message)
        await stream.send_octets(chunks)
        count += not message.unreadable
    return Response(f"{count} messages exported.", {"exported": count})


async def _discard(octets: AsyncIterator[bytes]) -> None:
    with suppress(OSError):
        async for _ in octets:
            pass
