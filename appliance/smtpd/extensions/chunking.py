"""CHUNKING: a message in counted chunks, BDAT (RFC 3030 §2).

Every BDAT is answered once its octets were read, also a refused one: what a client sends after BDAT is never taken for
commands. When the number of octets is unknown, or too large to discard, the session ends. A refused
chunk ends the transaction; chunks after it get 503 until the next MAIL.
"""

from contextlib import suppress

import trio

from appliance.mail.errors import MisuseError
from appliance.mail.limits import READ_OCTETS, SMTP_DATA_BLOCK_S
from appliance.mail.reply import Reply
from appliance.protocol.smtp.grammar import parse_chunk
from appliance.protocol.smtp.server import SmtpEvent

from ..commands import misuse
from ..extension import SmtpCommand, SmtpExtension, SmtpSession
from ..store_replies import TOO_BIG
from ..transaction import BARE, MailTransaction


def octets_follow(argument: bytes) -> int | None:
    with suppress(MisuseError):
        return parse_chunk(argument)[0]
    return None


def check(session: SmtpSession, argument: bytes) -> tuple[int, bool] | Reply:
    assert session.transaction is not None  # noqa: S101 - the state table lets BDAT through only after RCPT
    try:
        octets, last = parse_chunk(argument)
    except MisuseError as problem:
        return misuse(problem)
    return octets, last


async def proceed(session: SmtpSession, chunk: tuple[int, bool]) -> Reply | None:
    octets, last = chunk
    transaction = session.transaction
    assert transaction is not None  # noqa: S101
    session.state.proceed(SmtpEvent.BDAT)
    session.connection.stream.uninterrupted = True
    refusal = TOO_BIG if transaction.octets + octets > session.options.message_octets else None
    if refusal is None and not transaction.begun:
        refusal = await transaction.open()
    if refusal is not None:
        session.announce_refusal(refusal)
        await transaction.drop()
        await session.discard_octets(octets)
        return await _over(session, refusal)
    if not await _take_chunk(session, transaction, octets, last=last):
        return None
    if last:
        return await _over(session, await transaction.deliver())
    if transaction.refusal is not None:
        return await _over(session, await transaction.deliver())
    return Reply(250, "2.0.0", (f"{octets} octets received.",))


async def _take_chunk(session: SmtpSession, transaction: MailTransaction, octets: int, *, last: bool) -> bool:
    """Read the chunk; False when a bare CR or LF in it ended the session."""
    connection, line_ends = session.connection, transaction.line_ends
    binary = transaction.envelope.options.body == "BINARYMIME"
    deadline = transaction.begun_at_s + session.options.message_s
    while octets:
        wait_s = min(SMTP_DATA_BLOCK_S, deadline - trio.current_time())
        chunk = await connection.chunk(wait_s, min(octets, READ_OCTETS))
        octets -= len(chunk)
        if not binary:
            line_ends.feed(chunk)
            if line_ends.bare:
                break
        await transaction.take(chunk)
    if last:
        line_ends.end()
    if line_ends.bare and not binary:
        session.announce_refusal(BARE)
        await session.refuse_and_close(BARE, octets)
        return False
    return True


async def _over(session: SmtpSession, reply: Reply) -> Reply | None:
    """The message is kept or refused; either way the transaction is over."""
    if session.state.open:
        session.state.proceed(SmtpEvent.OVER)
    await session.end_transaction()
    return reply


EXTENSION = SmtpExtension(
    "CHUNKING",
    "RFC 3030",
    keyword=lambda session: "CHUNKING",
    commands=(SmtpCommand(b"BDAT", SmtpEvent.BDAT, check, proceed, "BDAT octets [LAST]", octets_follow=octets_follow),),
)
