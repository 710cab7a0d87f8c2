"""The core commands, each as *check* and *proceed* (RFC 5321 §4.1.1), and the table of them.

RFC 5321 §4.3.2 says which replies a command may get. Syntax errors are 501, missing rights 5xx 5.7.x, no space 4xx.
"""

import trio

from appliance.delivery.rights import SIGN_IN_FIRST, judge_recipient, judge_sender
from appliance.mail.envelope import Envelope, Recipient
from appliance.mail.errors import MisuseError
from appliance.mail.limits import SMTP_DATA_BLOCK_S
from appliance.mail.reply import Reply
from appliance.protocol.smtp.data import DotStream
from appliance.protocol.smtp.grammar import ParameterMisuse, Path, parse_forward_path, parse_greeting_name, parse_reverse_path
from appliance.protocol.smtp.server import SmtpEvent

from .extension import SmtpCommand, SmtpSession
from .store_replies import NO_ROOM
from .transaction import BARE, MailTransaction, TooMuch

START_DATA = Reply(354, "", ("Go on; end the message with a line that is a single dot.",))
DONE = Reply(250, "2.0.0", ("Fine.",))
SENDER_ACCEPTED = Reply(250, "2.1.0", ("Sender accepted.",))
RECIPIENT_ACCEPTED = Reply(250, "2.1.5", ("Recipient accepted.",))
GOODBYE = Reply(221, "2.0.0", ("Goodbye.",))
NO_OPINION = Reply(252, "2.1.5", ("This server does not list its accounts; send the message and see.",))
NEEDS_UTF8 = Reply(553, "5.6.7", ("An address outside ASCII needs SMTPUTF8 in MAIL FROM.",))
TOO_MANY = Reply(452, "4.5.3", ("Too many recipients for one message; send the rest in another.",))
NEEDS_BDAT = Reply(503, "5.5.1", ("A message with BODY=BINARYMIME comes by BDAT, not DATA.",))
NO_ARGUMENT = Reply(501, "5.5.4", ("This command takes no argument.",))


def misuse(problem: MisuseError, status: str = "5.5.4") -> Reply:
    """The reply to a syntax error, with the parser's sentence."""
    text = str(problem)
    return Reply(501, status, (text[:1].upper() + text[1:] + ".",))


# --- EHLO, HELO --------------------------------------------------------------------------------


def check_greeting(session: SmtpSession, argument: bytes) -> str | Reply:
    try:
        return parse_greeting_name(argument)
    except MisuseError as problem:
        return misuse(problem)


async def greet_extended(session: SmtpSession, name: str) -> Reply:
    await _greet(session, name, extended=True)
    return Reply(250, "", (f"{session.options.host_name} greets you", *session.tables.offered(session)))


async def greet_plainly(session: SmtpSession, name: str) -> Reply:
    await _greet(session, name, extended=False)
    return Reply(250, "", (f"{session.options.host_name} greets you",))


async def _greet(session: SmtpSession, name: str, *, extended: bool) -> None:
    await session.end_transaction()
    session.greeted_as = name
    session.extended = extended
    session.state.proceed(SmtpEvent.EHLO)


# --- MAIL, RCPT --------------------------------------------------------------------------------


def check_mail(session: SmtpSession, argument: bytes) -> Envelope | Reply:
    if session.submission and session.identity is None:
        return SIGN_IN_FIRST
    try:
        path = parse_reverse_path(argument)
    except MisuseError as problem:
        return misuse(problem, "5.5.4" if isinstance(problem, ParameterMisuse) else "5.1.7")
    envelope = Envelope(path.address)
    for keyword, value in path.parameters.items():
        parameter = session.tables.mail_parameters.get(keyword)
        if parameter is None:
            return Reply(555, "5.5.4", (f"The parameter {keyword.decode()} is not known here.",))
        refusal = parameter.take(session, envelope, value)
        if refusal is not None:
            return refusal
    if not argument.isascii() and not envelope.options.smtputf8:
        return NEEDS_UTF8
    options = session.options
    refusal = judge_sender(
        session.directory, session.identity, path.address, forged_own=options.forged_own_sender, others=options.others_as_sender
    )
    if refusal is not None:
        session.announce_refusal(refusal, sender=str(path.address or ""))
        return refusal
    return envelope


async def begin(session: SmtpSession, envelope: Envelope) -> Reply:
    session.transaction = MailTransaction(session, envelope)
    session.state.proceed(SmtpEvent.MAIL)
    return SENDER_ACCEPTED


def check_rcpt(session: SmtpSession, argument: bytes) -> Recipient | Reply:
    transaction = session.transaction
    assert transaction is not None  # noqa: S101 - the state table lets RCPT through only after MAIL
    envelope = transaction.envelope
    try:
        path = parse_forward_path(argument)
    except MisuseError as problem:
        return misuse(problem, "5.5.4" if isinstance(problem, ParameterMisuse) else "5.1.3")
    requested = Recipient(path.address)
    for keyword, value in path.parameters.items():
        parameter = session.tables.recipient_parameters.get(keyword)
        if parameter is None:
            return Reply(555, "5.5.4", (f"The parameter {keyword.decode()} is not known here.",))
        refusal = parameter.take(session, envelope, requested, value)
        if refusal is not None:
            return refusal
    if not argument.isascii() and not envelope.options.smtputf8:
        return NEEDS_UTF8
    if len(envelope.recipients) >= session.options.recipients:
        return TOO_MANY
    judged = _judge_recipient(session, path, envelope)
    if isinstance(judged, Reply):
        session.announce_refusal(judged, recipient=str(path.address or "postmaster"))
        return judged
    judged.options = requested.options
    return judged


def _judge_recipient(session: SmtpSession, path: Path, envelope: Envelope) -> Recipient | Reply:
    judged = judge_recipient(
        session.directory, session.relay_check, session.identity, envelope.sender, path, session.at_this_server(path.address)
    )
    if isinstance(judged, Recipient):
        octets = envelope.declared_octets or 0
        # of a group, accounts with room get the message and for the rest it waits: no account waits for another's mailbox
        if judged.accounts and not judged.outside and not any(session.intake.has_room(account, octets) for account in judged.accounts):
            return NO_ROOM
        outside = sum(len(recipient.outside) for recipient in envelope.recipients) + len(judged.outside)
        if outside > session.options.recipients:
            return TOO_MANY
        if session.identity is not None and judged.outside:
            return session.sending_refusal(outside) or judged
    return judged


async def add_recipient(session: SmtpSession, recipient: Recipient) -> Reply:
    assert session.transaction is not None  # noqa: S101
    recipients = session.transaction.envelope.recipients
    if recipient not in recipients[-RECENT:]:
        recipients.append(recipient)
    session.state.proceed(SmtpEvent.RCPT)
    return RECIPIENT_ACCEPTED


RECENT = 16
"""A recipient repeated within so many is kept once; farther apart it is kept twice, and still gets one copy."""


# --- DATA --------------------------------------------------------------------------------------


def check_data(session: SmtpSession, argument: bytes) -> MailTransaction | Reply:
    assert session.transaction is not None  # noqa: S101
    if argument:
        return NO_ARGUMENT
    return NEEDS_BDAT if session.transaction.envelope.options.body == "BINARYMIME" else session.transaction


async def take_message(session: SmtpSession, transaction: MailTransaction) -> Reply | None:
    """Octets up to CRLF.CRLF, then the reply to the message."""
    connection = session.connection
    session.state.proceed(SmtpEvent.DATA)
    connection.stream.uninterrupted = True
    reply = await transaction.open()
    if reply is not None:
        session.announce_refusal(reply)
    else:
        connection.queue(START_DATA)
        dots = DotStream()
        deadline = transaction.begun_at_s + session.options.message_s
        while not dots.done:
            text = dots.feed(await connection.chunk(min(SMTP_DATA_BLOCK_S, deadline - trio.current_time())))
            if dots.bare:
                session.announce_refusal(BARE)
                await session.refuse_and_close(BARE, dots)
                return None
            if text:
                try:
                    await transaction.take(text)
                except TooMuch:
                    await session.refuse_and_close(await transaction.deliver(), dots)
                    return None
        connection.give_back(dots.rest)
        reply = await transaction.deliver()
    session.state.proceed(SmtpEvent.OVER)
    await session.end_transaction()
    return reply


# --- the rest ----------------------------------------------------------------------------------


def check_nothing(session: SmtpSession, argument: bytes) -> Reply | None:
    return NO_ARGUMENT if argument else None


def check_anything(session: SmtpSession, argument: bytes) -> None:
    return None


def check_something(session: SmtpSession, argument: bytes) -> Reply | None:
    return None if argument else Reply(501, "5.5.4", ("Say what you would like to know.",))


async def reset(session: SmtpSession, _: None) -> Reply:
    await session.end_transaction()
    session.state.proceed(SmtpEvent.RSET)
    return DONE


async def do_nothing(session: SmtpSession, _: None) -> Reply:
    session.state.proceed(SmtpEvent.ASIDE)
    return DONE


async def verify(session: SmtpSession, _: None) -> Reply:
    session.state.proceed(SmtpEvent.ASIDE)
    return NO_OPINION


async def explain(session: SmtpSession, _: None) -> Reply:
    session.state.proceed(SmtpEvent.ASIDE)
    return Reply(214, "2.0.0", ("This server understands:", *session.tables.usages(), "Its owner reads messages to postmaster."))


async def leave(session: SmtpSession, _: None) -> None:
    session.connection.queue(GOODBYE)
    session.close_after_replies()


CORE: tuple[SmtpCommand, ...] = (
    SmtpCommand(b"EHLO", SmtpEvent.EHLO, check_greeting, greet_extended, "EHLO your-host-name"),
    SmtpCommand(b"HELO", SmtpEvent.EHLO, check_greeting, greet_plainly, "HELO your-host-name"),
    SmtpCommand(b"MAIL", SmtpEvent.MAIL, check_mail, begin, "MAIL FROM:<sender> [parameters]"),
    SmtpCommand(b"RCPT", SmtpEvent.RCPT, check_rcpt, add_recipient, "RCPT TO:<recipient>"),
    SmtpCommand(b"DATA", SmtpEvent.DATA, check_data, take_message, "DATA"),
    SmtpCommand(b"RSET", SmtpEvent.RSET, check_nothing, reset, "RSET"),
    SmtpCommand(b"VRFY", SmtpEvent.ASIDE, check_something, verify, "VRFY name"),
    SmtpCommand(b"NOOP", SmtpEvent.ASIDE, check_anything, do_nothing, "NOOP"),
    SmtpCommand(b"HELP", SmtpEvent.ASIDE, check_anything, explain, "HELP"),
    SmtpCommand(b"QUIT", SmtpEvent.QUIT, check_nothing, leave, "QUIT"),
)
