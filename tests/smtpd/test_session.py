"""Whole sessions over memory streams, on the real store: replies, stored messages, and cleanup."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from appliance.mail.errors import StoreError, Trouble
from appliance.mail.limits import HEADER_OCTETS, HOPS, SMTP_COMMAND_S, SMTP_DATA_BLOCK_S, SMTP_MESSAGE_S, TEXT_LINE_OCTETS
from appliance.smtpd.service import SmtpOptions
from appliance.status.events import MessageAccepted, MessageRefused
from tests.support.services import Components, some_components
from tests.support.smtp import Client

FRED, MARY = "fred@example.org", "mary@example.org"
STRANGER = "smith@outside.example"
MESSAGE = b"From: smith@outside.example\r\nSubject: a\r\n\r\n.hello\r\n..\r\n"


@pytest.fixture
async def components(tmp_path: Path) -> AsyncIterator[Components]:
    async with some_components(tmp_path) as components:
        yield components


async def a_client(components: Components, protocol: str = "smtp") -> Client:
    client = Client(components.connect(protocol))
    await client.greet()
    return client


async def messages(components: Components, address: str = FRED, mailbox: str = "INBOX") -> list[bytes]:
    opened = await components.store.open(components.account(address), mailbox, read_only=True)
    found = []
    for uid in opened.uids:
        message = await opened.open_message(uid)
        octets = b""
        while chunk := await message.read(len(octets), 2**20):
            octets += chunk
        found.append(octets)
    opened.close()
    return found


def published(components: Components, kind: type[Any]) -> list[Any]:
    return [event for event in components.family.board.heard if isinstance(event, kind)]


# --- messages -----------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["data", "chunks", "one octet a chunk"])
async def test_a_message_for_two_is_kept_as_it_came(components: Components, how: str) -> None:
    client = await a_client(components)
    await client.envelope(STRANGER, FRED, MARY, FRED, "Fred+tag@example.org")
    if how == "data":
        reply = await client.data(MESSAGE)
    else:
        chunks = [MESSAGE[:7], b"", MESSAGE[7:]] if how == "chunks" else [MESSAGE[at : at + 1] for at in range(len(MESSAGE))]
        reply = await client.chunks(*chunks)
    assert (reply.code, reply.status) == (250, "2.0.0")
    name = reply.lines[0].split()[-1].rstrip(".")
    for address in (FRED, MARY):
        (kept,) = await messages(components, address)
        prefix = kept.removesuffix(MESSAGE)
        assert prefix != kept
        lines = prefix.split(b"\r\n")
        assert lines[:2] == [b"Return-Path: <smith@outside.example>", b"Delivered-To: " + address.encode()]
        assert lines[2] == b"Received: from client.example ([192.0.2.7])"
        assert lines[3:5] == [b" by mail.example.org with ESMTP", f" id {name};".encode()]
        assert len(lines) == 7 and lines[6] == b""
    (event,) = published(components, MessageAccepted)
    assert (event.protocol, event.peer, event.sender) == ("smtp", "192.0.2.7", STRANGER)
    assert (event.recipients, event.octets, event.message) == (2, len(MESSAGE), name)


async def test_the_for_clause_with_one_recipient_only(components: Components) -> None:
    client = await a_client(components)
    await client.envelope("", "fred+x@example.org")
    assert (await client.data(b"\r\n")).code == 250
    (kept,) = await messages(components)
    assert kept.startswith(b"Return-Path: <>\r\nDelivered-To: fred+x@example.org\r\n")
    assert b" for <fred+x@example.org>;\r\n " in kept


async def test_odd_messages_by_data_and_by_chunks(components: Components) -> None:
    client = await a_client(components)
    for message in (b"", b"\r\n", b".\r\n", b"no header", b"\r\n.\r\n.", b"A: \0\r\n\r\n\0", b"x" * 70_000 + b"\r\n", "ü\r\n".encode()):
        for route in (client.data, client.chunks):
            await client.envelope(STRANGER, FRED)
            assert (await route(message)).code == 250
        by_data, by_chunks = (await messages(components))[-2:]
        assert by_chunks.endswith(b" +0000\r\n" + message)
        assert by_data.endswith(b" +0000\r\n" + message + (b"" if message.endswith(b"\r\n") or not message else b"\r\n"))


async def test_a_large_message_in_chunks(components: Components) -> None:
    message = b"Subject: large\r\n\r\n" + b"".join(b"%08d.%b\r\n" % (n, b"." * (n % 70)) for n in range(60_000))
    client = await a_client(components)
    await client.envelope(STRANGER, FRED)
    assert (await client.data(message)).code == 250
    (kept,) = await messages(components)
    assert kept.endswith(message)


async def test_pipelined_commands_are_answered_with_one_send(components: Components) -> None:
    """RFC 2920 §3.2; what follows the message's end is the next group."""
    client = await a_client(components)
    reads = client.reads
    reply = await client.ask(f"MAIL FROM:<{STRANGER}>", f"RCPT TO:<{FRED}>", "RCPT TO:<nobody@example.org>", f"RCPT TO:<{MARY}>", "DATA")
    assert reply.code == 354 and client.reads == reads + 1
    await client.send("Subject: a", "", ".", f"MAIL FROM:<{STRANGER}>", f"RCPT TO:<{FRED}>", "BDAT 2", "", "BDAT 0 LAST", "QUIT")
    assert [(await client.reply()).code for _ in range(6)] == [250, 250, 250, 250, 250, 221]
    assert client.reads <= reads + 3
    assert await client.closed()
    assert len(await messages(components)) == 2


async def test_what_a_client_aborts_leaves_nothing(components: Components) -> None:
    for begin in ("DATA", "BDAT 5"):
        client = await a_client(components)
        await client.envelope(STRANGER, FRED)
        await client.send(begin, "abc")
        if begin == "DATA":
            assert (await client.reply()).code == 354
        await client.stream.aclose()
    client = await a_client(components)
    await client.envelope(STRANGER, FRED)
    await client.send("BDAT 5", "abc", "RSET", "BDAT 2 LAST", "")
    assert [(await client.reply()).code for _ in range(3)] == [250, 250, 503]
    await client.ask("QUIT")
    assert await messages(components) == []
    assert not published(components, MessageAccepted)


async def test_return_path_inside_a_message_stays_below_ours(components: Components) -> None:
    """RFC 5321 §4.4: the final server may remove it; this one keeps messages as they came."""
    client = await a_client(components)
    await client.envelope(STRANGER, FRED)
    await client.data(b"Return-Path: <forged@example.org>\r\n\r\nx\r\n")
    (kept,) = await messages(components)
    assert kept.startswith(b"Return-Path: <smith@outside.example>\r\n") and kept.count(b"Return-Path") == 2


# --- limits ------------------------------------------------------------------------------------


async def test_messages_over_the_limit(tmp_path: Path) -> None:
    async with some_components(tmp_path, smtp=SmtpOptions(message_octets=100_000)) as components:
        client = await a_client(components)
        assert (await client.ask(f"MAIL FROM:<{STRANGER}> SIZE=100001")).status == "5.3.4"
        for message, code in ((b"x" * 998 + b"\r\n") * 100, 250), ((b"x" * 998 + b"\r\n") * 150, 552):
            await client.envelope(STRANGER, FRED)
            reply = await client.data(message)
            assert reply.code == code
        assert reply.status == "5.3.4"
        await client.envelope(STRANGER, FRED)
        assert (await client.chunks(b"x" * 60_000, b"x" * 60_000)).code == 552
        assert (await client.ask("NOOP")).code == 250
        await client.envelope(STRANGER, FRED)
        assert (await client.ask("DATA")).code == 354
        await client.stream.send_all((b"x" * 998 + b"\r\n") * 300)  # does not end: read for a while, refused, closed
        assert (await client.reply()).code == 552
        with trio.move_on_after(1):
            await client.stream.send_all(b".\r\n")
        assert await client.closed()
        assert len(await messages(components)) == 1
        assert {event.reply[:3] for event in published(components, MessageRefused)} == {"552"}


async def test_hops_headers_and_lines(components: Components) -> None:
    client = await a_client(components)
    received = b"Received: from a by b; x\r\n"
    for message, status in (
        (received * HOPS + b"\r\n", "2.0.0"),
        (received * (HOPS + 1) + b"\r\n", "5.4.6"),
        (b"X: y\r\n" * (HEADER_OCTETS // 6 + 1) + b"\r\nx\r\n", "5.3.4"),
        (b"A: b\r\n\r\n" + b"x" * TEXT_LINE_OCTETS + b"\r\n", "2.0.0"),
        (b"A: b\r\n\r\n" + b"x" * (TEXT_LINE_OCTETS + 1) + b"\r\n", "5.6.0"),
    ):
        await client.envelope(STRANGER, FRED)
        reply = await client.data(message)
        assert reply.status == status, message[:20]
    assert len(await messages(components)) == 2


async def test_recipients(tmp_path: Path) -> None:
    async with some_components(tmp_path, smtp=SmtpOptions(recipients=100)) as components:
        client = await a_client(components)
        await client.ask(f"MAIL FROM:<{STRANGER}>")
        replies = [await client.ask(f"RCPT TO:<fred+{n}@example.org>") for n in range(101)]
        assert {reply.code for reply in replies[:100]} == {250}
        assert (replies[100].code, replies[100].status) == (452, "4.5.3")
        assert (await client.data(b"A: b\r\n\r\n")).code == 250
        assert len(await messages(components)) == 1


async def test_long_lines(components: Components) -> None:
    client = await a_client(components)
    assert (await client.ask("NOOP " + "x" * 2043)).code == 250
    assert (await client.ask("NOOP " + "x" * 2044)).code == 500
    assert (await client.ask("NOOP " + "x" * 12_284)).code == 500
    assert (await client.ask("NOOP " + "x" * 60_000)).code == 500
    assert (await client.ask("NOOP")).code == 250
    with trio.move_on_after(1):
        await client.stream.send_all(b"x" * 200_000)
    assert (await client.reply()).code == 500
    assert await client.closed()


async def test_twenty_errors_end_a_session(components: Components) -> None:
    client = await a_client(components)
    await client.send(*["RUBBISH"] * 40)
    assert [(await client.reply()).code for _ in range(21)] == [500] * 20 + [421]
    assert await client.closed()


async def test_guessing_recipients_ends_an_unauthenticated_session(components: Components) -> None:
    client = await a_client(components)
    await client.ask(f"MAIL FROM:<{STRANGER}>")
    await client.send(*[f"RCPT TO:<guess{n}@example.org>" for n in range(40)])
    assert [(await client.reply()).code for _ in range(21)] == [550] * 20 + [421]
    assert await client.closed()


# --- time --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("commands", "waited_s"),
    [
        ([], SMTP_COMMAND_S),
        ([f"MAIL FROM:<{STRANGER}>", f"RCPT TO:<{FRED}>"], SMTP_COMMAND_S),
        ([f"MAIL FROM:<{STRANGER}>", f"RCPT TO:<{FRED}>", "DATA"], SMTP_DATA_BLOCK_S),
        ([f"MAIL FROM:<{STRANGER}>", f"RCPT TO:<{FRED}>", "BDAT 10"], SMTP_DATA_BLOCK_S),
    ],
)
async def test_deadlines(tmp_path: Path, autojump_clock: MockClock, commands: list[str], waited_s: float) -> None:
    async with some_components(tmp_path) as components:
        client = await a_client(components)
        await client.send(*commands)
        started = trio.current_time()
        for line in commands:
            if not line.startswith("BDAT"):
                await client.reply()
        reply = await client.reply()
        assert (reply.code, reply.status) == (421, "4.4.2")
        assert trio.current_time() - started == pytest.approx(waited_s, abs=1)
        assert await client.closed()


async def test_one_command_an_octet_at_a_time(tmp_path: Path, autojump_clock: MockClock) -> None:
    """The deadline is the command's, not the octet's."""
    async with some_components(tmp_path) as components:
        client = await a_client(components)
        started = trio.current_time()

        async def trickle() -> None:
            while True:
                await client.stream.send_all(b"N")
                await trio.sleep(20)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(trickle)
            assert (await client.reply()).code == 421
            nursery.cancel_scope.cancel()
        assert trio.current_time() - started <= SMTP_COMMAND_S + 20


async def test_one_message_a_line_at_a_time(tmp_path: Path, autojump_clock: MockClock) -> None:
    """Steady but too slow: the whole message has a deadline too."""
    async with some_components(tmp_path) as components:
        client = await a_client(components)
        await client.envelope(STRANGER, FRED)
        assert (await client.ask("DATA")).code == 354
        started = trio.current_time()

        async def trickle() -> None:
            while True:
                await client.stream.send_all(b"x\r\n")
                await trio.sleep(100)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(trickle)
            assert (await client.reply()).code == 421
            nursery.cancel_scope.cancel()
        assert trio.current_time() - started <= SMTP_MESSAGE_S + 200
        assert await messages(components) == []


async def test_draining(components: Components) -> None:
    """Waiting sessions get 421; a message that is coming in is received to its end first."""
    waiting, sending = await a_client(components), await a_client(components)
    await sending.envelope(STRANGER, FRED)
    assert (await sending.ask("DATA")).code == 354
    await sending.send("Subject: just in time", "")
    await trio.testing.wait_all_tasks_blocked()
    for stream in components.streams:
        stream.drain()
    assert (await waiting.reply()).code == 421
    assert await waiting.closed()
    await sending.send("x", ".")
    assert (await sending.reply()).code == 250
    assert (await sending.reply()).code == 421
    assert await sending.closed()
    assert len(await messages(components)) == 1


async def test_clients_that_send_before_the_greeting(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with some_components(tmp_path, smtp=SmtpOptions(greet_pause_s=2)) as components:
        client = Client(components.connect("smtp"))
        await client.send("EHLO spam.example")
        assert (await client.reply()).code == 554
        assert await client.closed()
        patient = await a_client(components)
        assert (await patient.ask("NOOP")).code == 250


# --- store errors ------------------------------------------------------------------------


TROUBLES = (
    (Trouble.FULL, 452, "4.3.1"),
    (Trouble.OVER_QUOTA, 452, "4.2.2"),
    (Trouble.BUSY, 452, "4.3.1"),
    (Trouble.BROKEN, 451, "4.3.0"),
    (Trouble.NO_MAILBOX, 451, "4.3.0"),
    (Trouble.TOO_BIG, 552, "5.3.4"),
)


@pytest.mark.parametrize("where", ["receive", "write", "finish", "file"])
@pytest.mark.parametrize("route", ["data", "chunks"])
async def test_store_errors(components: Components, monkeypatch: pytest.MonkeyPatch, where: str, route: str) -> None:
    """Any store error at any time: one reply, nothing kept, and the session goes on."""
    client = await a_client(components)
    async with components.store.receive(1000) as incoming:
        kind = type(incoming)
    target = {"receive": (type(components.store.receive(1000)), "__aenter__"), "file": (type(components.store), "file")}.get(
        where, (kind, where)
    )
    for trouble, code, status in TROUBLES:

        async def fail(*_: Any, trouble: Trouble = trouble, **__: Any) -> None:
            raise StoreError(trouble)

        await client.envelope(STRANGER, FRED)
        with monkeypatch.context() as patch:
            patch.setattr(*target, fail)
            reply = await (client.data(MESSAGE) if route == "data" else client.chunks(MESSAGE[:9], MESSAGE[9:]))
        assert (reply.code, reply.status) == (code, status)
        assert (await client.ask("BDAT 0 LAST")).code == 503
    assert len(published(components, MessageRefused)) == len(TROUBLES)
    assert await messages(components) == []
    await client.envelope(STRANGER, FRED)
    assert (await client.data(MESSAGE)).code == 250
    assert len(await messages(components)) == 1


async def test_a_full_mailbox_is_refused_at_rcpt(tmp_path: Path) -> None:
    async with some_components(tmp_path, quota_octets=2000) as components:
        client = await a_client(components)
        assert (await client.ask(f"MAIL FROM:<{STRANGER}> SIZE=3000")).code == 250
        reply = await client.ask(f"RCPT TO:<{FRED}>")
        assert (reply.code, reply.status) == (452, "4.2.2")
        await client.ask("RSET")
        await client.envelope(STRANGER, FRED)
        reply = await client.data(b"A: b\r\n\r\n" + b"x" * 900 + b"\r\n" + b"x" * 900 + b"\r\n" + b"y" * 900 + b"\r\n")
        assert (reply.code, reply.status) == (452, "4.2.2")
        assert await messages(components) == []


async def test_a_recipient_that_forwards_outside_is_refused_not_lost(components: Components) -> None:
    await components.family.accounts.add_alias("both@example.org", FRED)
    await components.family.accounts.add_alias("both@example.org", "cousin@outside.example")
    await components.family.accounts.add_alias("all@example.org", FRED)
    await components.family.accounts.add_alias("all@example.org", MARY)
    client = await a_client(components)
    await client.ask(f"MAIL FROM:<{STRANGER}>")
    assert (await client.ask("RCPT TO:<both@example.org>")).status == "5.4.4"
    assert (await client.ask("RCPT TO:<all@example.org>", f"RCPT TO:<{FRED}>")).code == 250
    assert (await client.data(MESSAGE)).code == 250
    (kept,) = await messages(components)
    assert b"Delivered-To: all@example.org\r\n" in kept
    assert len(await messages(components, MARY)) == 1


# --- forged senders ------------------------------------------------------------------------------

WARNING = b"X-Pillarbox-Warning: "


CLAIMS = (
    ("refuse", FRED, FRED, "refused"),
    ("refuse", "nobody@example.org", "x@outside.example", "refused"),
    ("refuse", STRANGER, FRED, "marked"),
    ("refuse", STRANGER, '"fred@example.org" <x@outside.example>', "marked"),
    ("refuse", STRANGER, "x@outside.example, MARY@EXAMPLE.org", "marked"),
    ("refuse", STRANGER, "x@outside.example", "plain"),
    ("refuse", "", "x@notexample.org", "plain"),
    ("refuse", STRANGER, "Fred [fred @ example.org] <x@outside.example>", "marked"),
    ("refuse", STRANGER, "=?utf-8?q?fred=40example.org?= <x@outside.example>", "marked"),
    ("refuse", STRANGER, "x [y] <x@outside.example>, <mary@example.org", "marked"),
    ("refuse", STRANGER, "x [y] <x@outside.example>", "plain"),
    ("mark", FRED, "x@outside.example", "marked"),
    ("mark", STRANGER, FRED, "marked"),
    ("mark", STRANGER, "x@outside.example", "plain"),
    ("accept", FRED, FRED, "plain"),
)


@pytest.mark.parametrize("setting", ["refuse", "mark", "accept"])
async def test_unauthenticated_clients_with_our_addresses(tmp_path: Path, setting: str) -> None:
    async with some_components(tmp_path, smtp=SmtpOptions(forged_own_sender=setting)) as components:
        client = await a_client(components)
        for envelope, header, outcome in (claim[1:] for claim in CLAIMS if claim[0] == setting):
            reply = await client.ask(f"MAIL FROM:<{envelope}>")
            if outcome == "refused":
                assert (reply.code, reply.status) == (550, "5.7.1")
                assert published(components, MessageRefused)[-1].sender == envelope
                continue
            await client.ask(f"RCPT TO:<{FRED}>")
            assert (await client.data(f"Subject: a\r\nFrom: {header}\r\n\r\nx\r\n".encode())).code == 250
            kept = (await messages(components))[-1]
            assert (WARNING in kept) == (outcome == "marked"), (envelope, header)


# --- submission ------------------------------------------------------------------------------------

PLAIN = "AUTH PLAIN AGZyZWRAZXhhbXBsZS5vcmcAQmx1cmR5Ymxvb3AtNw=="


async def signed_in(components: Components) -> Client:
    client = await a_client(components, "submission")
    assert (await client.ask(PLAIN)).code == 235
    return client


async def test_what_a_message_lacks_is_put_in_front(components: Components) -> None:
    client = await signed_in(components)
    for message in (b"From: fred@example.org\r\n\r\nx\r\n", b"From: fred@example.org\r\nDate: x\r\nMessage-ID: <a@b>\r\n\r\nx\r\n"):
        await client.envelope(FRED, MARY)
        assert (await client.data(message)).code == 250
    bare, whole = await messages(components, MARY)
    assert b" with ESMTPA\r\n" in bare
    front = bare.removesuffix(b"From: fred@example.org\r\n\r\nx\r\n").split(b"\r\n")
    assert front[-3].startswith(b"Message-ID: <") and front[-3].endswith(b"@mail.example.org>")
    assert front[-2].startswith(b"Date: ")
    assert whole.count(b"Date: ") == whole.count(b"Message-ID: ") == 1
    assert components.streams[0].who == FRED


HEADERS = (
    ("refuse", "From: fred@example.org", "2.0.0"),
    ("refuse", "From: Fred <FRED+x@Example.org>", "2.0.0"),
    ("refuse", "From: all@example.org", "2.0.0"),
    ("refuse", "From: Fred: fred@example.org;", "2.0.0"),
    ("refuse", "Subject: no From at all", "2.0.0"),
    ("refuse", "From: Mary <mary@example.org>", "5.7.1"),
    ("refuse", "From: fred@example.org\r\nFrom: mary@example.org", "5.7.1"),
    ("refuse", "From: fred@example.org, mary@example.org", "5.7.1"),
    ("refuse", "From: fred@example.org,\r\n mary@example.org", "5.7.1"),
    ("refuse", "From: fred@example.org\r\nSender: boss@outside.example", "5.7.1"),
    ("refuse", "From: fred", "5.7.1"),
    ("refuse", "From: <fred@example.org", "5.7.1"),
    # one plain name before one address is read, whatever characters the name holds
    ("refuse", "From: Fred [Home] <fred@example.org>", "2.0.0"),
    ("refuse", "From: fred@example.org <fred@example.org>", "2.0.0"),
    ("refuse", "From: Fred @ Home <fred@example.org>", "2.0.0"),
    ("refuse", "From: =?utf-8?q?Fr=C3=A9d=C3=A9ric?= [x]\r\n <fred@example.org>", "2.0.0"),
    ("refuse", 'From: "fred@example.org" <fred@example.org>', "2.0.0"),
    ("refuse", 'From: "O\'Fred @home" <fred@example.org>', "2.0.0"),
    # but every address a reader could find must be one's own
    ("refuse", "From: mary@example.org <fred@example.org>", "5.7.1"),
    ("refuse", "From: fred@example.org <mary@example.org>", "5.7.1"),
    ("refuse", 'From: "mary@example.org" <fred@example.org>', "5.7.1"),
    ("refuse", "From: Fred (mary@example.org) <fred@example.org>", "5.7.1"),
    ("refuse", "From: =?utf-8?q?mary=40example.org?= <fred@example.org>", "5.7.1"),
    ("refuse", 'From: "mary\uff20example.org" <fred@example.org>', "5.7.1"),
    ("refuse", "From: mary @ example.org <fred@example.org>", "5.7.1"),
    ("refuse", "From: \"'mary@example.org' via x\" <fred@example.org>", "5.7.1"),
    ("refuse", 'From: "boss@outside.example" <fred@example.org>', "5.7.1"),
    # what only a lenient reader can read stays unreadable
    ("refuse", "From: Fred [Home] <fred@example.org>, fred@example.org", "5.7.1"),
    ("refuse", "From: Fred [x] <fred@example.org> <fred@example.org>", "5.7.1"),
    ("refuse", "From: Fred [x] <fred@example.org> y", "5.7.1"),
    ("refuse", 'From: Fred "[x" [y] <fred@example.org>', "5.7.1"),
    ("refuse", "From: fred@example.org; fred@example.org", "5.7.1"),
    ("refuse", "Sender: Fred [Home] <mary@example.org>\r\nFrom: fred@example.org", "5.7.1"),
    ("accept", "From: Mary <mary@example.org>", "2.0.0"),
)


@pytest.mark.parametrize("setting", ["refuse", "accept"])
async def test_allowed_authors(tmp_path: Path, setting: str) -> None:
    async with some_components(tmp_path, smtp=SmtpOptions(others_as_sender=setting)) as components:
        await components.family.accounts.add_alias("all@example.org", FRED)
        client = await signed_in(components)
        kept = 0
        for place, (_, header, status) in enumerate(row for row in HEADERS if row[0] == setting):
            if place and place % 12 == 0:
                client = await signed_in(components)  # before the refusals end the session
            await client.envelope(FRED, MARY)
            assert (await client.data(header.encode() + b"\r\n\r\nx\r\n")).status == status, header
            kept += status == "2.0.0"
            assert len(await messages(components, MARY)) == kept


async def test_signing_in_on_25_where_a_setting_allows_it(tmp_path: Path) -> None:
    async with some_components(tmp_path, smtp=SmtpOptions(sign_in_on_25=True)) as components:
        client = Client(components.connect("smtp"))
        assert any(line.startswith("AUTH ") for line in (await client.greet()).lines)
        assert (await client.ask(PLAIN)).code == 235
        assert (await client.ask(f"MAIL FROM:<{FRED}>")).code == 250


async def test_twenty_wrong_passwords_end_a_session(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with some_components(tmp_path) as components:
        client = await a_client(components, "submission")
        for _ in range(19):
            assert (await client.ask("AUTH PLAIN AGZyZWQAeA==")).code == 535
        await client.send("AUTH PLAIN AGZyZWQAeA==")
        assert [(await client.reply()).code for _ in range(2)] == [535, 421]


async def test_long_lines_of_signing_in(components: Components) -> None:
    client = await a_client(components, "submission")
    assert (await client.ask("AUTH PLAIN " + "A" * 12_000)).code == 535
    assert (await client.ask("AUTH PLAIN")).code == 334
    assert (await client.ask("A" * 12_288)).status == "5.5.6"
    assert (await client.ask("NOOP")).code == 250


@pytest.mark.parametrize("how", ["data", "chunks"])
async def test_a_first_line_that_is_folded_continues_nothing_of_ours(components: Components, how: str) -> None:
    client = await a_client(components)
    message = b"\tby evil.example; Tue, 1 Jan 2030 00:00:00 +0000\r\nSubject: hi\r\n\r\nwords\r\n"
    await client.envelope(STRANGER, FRED)
    reply = await client.data(message) if how == "data" else await client.chunks(message[:1], message[1:])
    assert reply.code == 250
    (kept,) = await messages(components)
    prefix = kept.removesuffix(message)
    assert prefix.endswith(b"\r\nX-Pillarbox-First-Line:\r\n") and kept == prefix + message
