"""States, timeouts and end of a session, and hostile input."""

import random
import re
import ssl
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from appliance.imapd.commands.table import CORE
from appliance.imapd.connection import TURN_COMMANDS
from appliance.imapd.contract import ImapState
from appliance.imapd.extensions.table import EXTENSIONS
from appliance.imapd.registry import Registry
from appliance.imapd.service import ImapOptions
from appliance.imapd.session import TRANSITIONS, ImapSession, SessionEvent
from appliance.mail.flags import INBOX
from tests.support.services import PASSWORD, some_components

from .client import PATIENCE_S, greeted, signed_in
from .tls import make

MESSAGE = b"Subject: hello\r\nFrom: a@example.org\r\n\r\nGood day.\r\n"
STATES = (ImapState.NOT_AUTHENTICATED, ImapState.AUTHENTICATED, ImapState.SELECTED, ImapState.LOGOUT)


def test_the_transition_table_is_complete() -> None:
    """Every transition leads to a known state; every state but LOGOUT can end; all are reachable."""
    for state in STATES:
        for event in SessionEvent:
            after = TRANSITIONS.get((state, event))
            assert after is None or after in STATES
        if state is not ImapState.LOGOUT:
            assert TRANSITIONS[state, SessionEvent.ENDED] is ImapState.LOGOUT
    assert not any(before is ImapState.LOGOUT for before, _ in TRANSITIONS)
    reached = {ImapState.NOT_AUTHENTICATED}
    for _ in STATES:
        reached |= {after for (before, _), after in TRANSITIONS.items() if before in reached}
    assert reached == set(STATES)


REGISTRY = Registry((CORE, *EXTENSIONS))


@pytest.mark.parametrize("state", STATES[:3])
async def test_every_command_is_refused_where_it_is_not_allowed(state: ImapState, tmp_path: Path) -> None:
    """State x command: BAD and nothing done outside a command's states, for its plain and its UID form."""
    async with some_components(tmp_path, imap=ImapOptions(errors=10**9)) as components:
        mailbox = b"INBOX" if state is ImapState.SELECTED else b""
        client = await greeted(components) if state is ImapState.NOT_AUTHENTICATED else await signed_in(components, mailbox)
        for name, command in REGISTRY.commands.items():
            if state not in command.states:
                for text in (name, name + b" x y", b"UID " + name if command.uid_form else name):
                    untagged, answer = await client.command(text)
                    assert answer.startswith(b"BAD "), text
                    assert not untagged
        assert (await client.command(b"NOOP"))[1].startswith(b"OK")


@pytest.mark.parametrize("pair", [b'"%s" "%s"', b'"%s" {1024+}\r\n%s'], ids=["quoted", "literal"])
async def test_a_long_id_before_signing_in_is_refused_and_the_session_goes_on(tmp_path: Path, pair: bytes) -> None:
    """RFC 2971 §3.3 allows thirty fields of thirty octets with values of 1024, quoted pairs in all of them."""
    value = b"v" * 1024 if pair.endswith(b"\r\n%s") else b"\\\\" * 1024
    async with some_components(tmp_path) as components:
        client = await greeted(components)
        untagged, answer = await client.command(b"ID (" + b" ".join(pair % (b"f%029d" % n, value) for n in range(30)) + b")")
        assert answer[:3] in (b"BAD", b"NO ") and not untagged
        untagged, answer = await client.command(b'ID ("name" "x")')
        assert answer.startswith(b"OK") and untagged == [b'* ID ("name" "Pillarbox")']


async def test_bad_commands_in_a_row_end_the_session(tmp_path: Path) -> None:
    async with some_components(tmp_path, imap=ImapOptions(errors=5)) as components:
        client = await greeted(components)
        for _ in range(4):
            assert (await client.command(b"NONSENSE"))[1].startswith(b"BAD")
        await client.command(b"NOOP")
        for _ in range(4):
            assert (await client.command(b"NONSENSE"))[1].startswith(b"BAD")
        assert (await client.command(b"NONSENSE"))[1].startswith(b"BAD")
        assert await client.response() == b"* BYE Too many errors."
        assert await client.response() is None


async def test_failed_logins_in_a_row_end_the_session(tmp_path: Path) -> None:
    async with some_components(tmp_path, imap=ImapOptions(login_failures=2)) as components:
        client = await greeted(components)
        assert (await client.command(b"LOGIN fred@example.org wrong1"))[1].startswith(b"NO [AUTHENTICATIONFAILED]")
        await client.send(b"x LOGIN fred@example.org wrong2\r\n")
        assert (await client.response() or b"").startswith(b"* BYE [AUTHENTICATIONFAILED]")
        assert await client.response() is None


async def test_a_client_that_does_not_sign_in_is_disconnected(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with some_components(tmp_path, imap=ImapOptions(before_login_s=60)) as components:
        client = await greeted(components)
        await client.command(b"NOOP")
        for octet in b"x LOGIN fred ":  # a trickle does not prolong it
            await trio.sleep(9)
            try:
                await client.send(bytes([octet]))
            except trio.BrokenResourceError:
                break
        assert trio.current_time() <= 63 + 9
        assert (await client.response() or b"").startswith(b"* BYE Autologout")


@pytest.mark.parametrize("idle", [False, True])
async def test_autologout(idle: bool, tmp_path: Path, autojump_clock: MockClock) -> None:
    async with some_components(tmp_path, imap=ImapOptions(idle_s=PATIENCE_S / 2)) as components:
        client = await signed_in(components, b"INBOX")
        if idle:
            await client.send(b"x IDLE\r\n")
            assert await client.response() == b"+ Idling."
        assert (await client.response() or b"").startswith(b"* BYE Autologout")
        assert await client.response() is None


@pytest.mark.parametrize("idle", [False, True])
async def test_a_draining_server_sends_bye(idle: bool, tmp_path: Path) -> None:
    async with some_components(tmp_path) as components:
        client = await signed_in(components, b"INBOX")
        if idle:
            await client.send(b"x IDLE\r\n")
            assert await client.response() == b"+ Idling."
        await trio.testing.wait_all_tasks_blocked()
        components.streams[0].drain()
        assert (await client.response() or b"").startswith(b"* BYE [UNAVAILABLE]")
        assert await client.response() is None


async def test_a_draining_server_accepts_the_message_being_sent(tmp_path: Path) -> None:
    async with some_components(tmp_path) as components:
        client = await signed_in(components)
        await client.send(b"x APPEND INBOX {%d}\r\n" % len(MESSAGE))
        assert await client.response() == b"+ Ready."
        components.streams[0].drain()
        await client.send(MESSAGE + b"\r\n")
        assert (await client.until_tag(b"x"))[1].startswith(b"OK [APPENDUID")
        assert (await client.response() or b"").startswith(b"* BYE [UNAVAILABLE]")


async def test_a_client_that_disconnects_leaves_nothing_behind(tmp_path: Path) -> None:
    async with some_components(tmp_path) as components:
        for sent in (b"x APPEND INBOX {1000+}\r\nSubject: half", b"x IDLE\r\n", b"x AUTHENTICATE PLAIN\r\n", b"x LOGIN {3+}\r\na", b""):
            client = await signed_in(components, b"INBOX")
            await client.send(sent)
            await trio.testing.wait_all_tasks_blocked()
            await client.stream.aclose()
        client = await signed_in(components)
        assert (await client.command(b"STATUS INBOX (MESSAGES UIDNEXT)"))[0] == [b"* STATUS INBOX (MESSAGES 0 UIDNEXT 1)"]


async def test_starttls(tmp_path: Path) -> None:
    tls = make(tmp_path)
    async with some_components(tmp_path, plaintext=False, tls=tls.server) as components:
        client = await greeted(components)
        assert b"STARTTLS" in (await client.command(b"CAPABILITY"))[0][0]
        assert (await client.command(b"STARTTLS"))[1].startswith(b"OK")
        secured = trio.SSLStream(client.stream, tls.client, server_hostname="example.test")
        await secured.do_handshake()
        client.stream = secured
        words = (await client.command(b"CAPABILITY"))[0][0].split()
        assert b"STARTTLS" not in words and b"LOGINDISABLED" not in words
        assert {b"AUTH=PLAIN", b"AUTH=SCRAM-SHA-256"} <= set(words) and (
            (b"AUTH=SCRAM-SHA-256-PLUS" in words) == ("tls-exporter" in ssl.CHANNEL_BINDING_TYPES)
        )
        assert (await client.command(b"STARTTLS"))[1].startswith(b"BAD")
        assert (await client.command(b"LOGIN fred@example.org " + PASSWORD.encode()))[1].startswith(b"OK")


async def test_plain_text_after_starttls_is_never_a_command(tmp_path: Path) -> None:
    tls = make(tmp_path)
    async with some_components(tmp_path, plaintext=False, tls=tls.server) as components:
        client = await greeted(components)
        await client.send(b"x STARTTLS\r\ny NOOP\r\n")
        response = await client.response()
        assert response is not None and response.startswith(b"* BYE [CLIENTBUG]")
        assert await client.response() is None
        client = await greeted(components)
        assert (await client.command(b"STARTTLS"))[1].startswith(b"OK")
        await client.send(b"y NOOP\r\n")
        secured = trio.SSLStream(client.stream, tls.client, server_hostname="example.test")
        with pytest.raises((trio.BrokenResourceError, ssl.SSLError)):
            await secured.do_handshake()


async def test_changes_reach_a_pipelining_client_in_order(tmp_path: Path) -> None:
    async with some_components(tmp_path) as components:
        client = await signed_in(components, b"INBOX")
        await components.deliver(MESSAGE)
        await client.send(b"a NOOP\r\nb STORE 1 +FLAGS (\\Deleted)\r\nc EXPUNGE\r\nd NOOP\r\n")
        assert b"* 1 EXISTS" in (await client.until_tag(b"a"))[0]
        assert (await client.until_tag(b"b"))[1].startswith(b"OK")
        assert b"* 1 EXPUNGE" in (await client.until_tag(b"c"))[0]
        assert (await client.until_tag(b"d")) == ([], b"OK NOOP completed.")


async def test_a_client_that_pipelines_without_end_leaves_others_their_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """None of these commands waits for anything."""
    handled = ran = longest = 0
    plain = ImapSession._handle

    async def handle(session: ImapSession, event: Any) -> None:
        nonlocal handled
        handled += 1
        await plain(session, event)

    async def another() -> None:
        nonlocal ran, longest
        while True:
            await trio.lowlevel.checkpoint()
            longest, ran = max(longest, handled - ran), handled

    monkeypatch.setattr(ImapSession, "_handle", handle)
    async with some_components(tmp_path) as components:
        client = await signed_in(components, b"INBOX")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(another)
            await client.send(b"".join([b"n%d NOOP\r\ns%d SELECT INBOX\r\n" % (number, number) for number in range(250)]))
            await client.until_tag(b"s249")
            nursery.cancel_scope.cancel()
        assert handled > 500
        assert longest <= 2 * TURN_COMMANDS  # the order of tasks that are due is random


async def test_idle_sends_delivery_flags_and_expunge_at_once(tmp_path: Path) -> None:
    async with some_components(tmp_path) as components:
        await components.deliver(MESSAGE)
        client, other = await signed_in(components, b"INBOX"), await signed_in(components, b"INBOX")
        await client.send(b"x IDLE\r\n")
        assert await client.response() == b"+ Idling."
        with trio.fail_after(2):
            await components.deliver(MESSAGE)
            assert await client.response() == b"* 2 EXISTS"
            assert (await client.response() or b"").endswith(b"RECENT")
            await other.command(b"STORE 1 +FLAGS (\\Deleted)")
            assert re.fullmatch(rb"\* 1 FETCH \(.*\\Deleted.*\)", await client.response() or b"")
            await other.command(b"EXPUNGE")
            assert await client.response() == b"* 1 EXPUNGE"
        await client.send(b"DONE\r\n")
        assert (await client.until_tag(b"x")) == ([], b"OK IDLE completed.")


WORDS = [
    *b"a LOGIN SELECT INBOX FETCH 1:* ( ) FLAGS UID STORE +FLAGS \\Seen SEARCH ALL OR NOT".split(),
    *b"LIST \"\" * % APPEND {3} {3+} ~{2+} {99999}".split(),
    *b"IDLE DONE AUTHENTICATE PLAIN = \" \\ \0 \xff BODY[ ] <0.5> RETURN STATUS MESSAGES CREATE RENAME x/y & ENABLE CONDSTORE".split(),
    *b"CLOSE NOOP COPY MOVE EXPUNGE ID NIL NAMESPACE CHECK EXAMINE 4294967295 LSUB SUBSCRIBE DELETE".split(),
    b"\r\n", b"\r\n", b"\r\n", b"\n",
]  # fmt: skip


@pytest.mark.parametrize("seed", range(12))
async def test_hostile_octets_get_responses_and_nothing_else(seed: int, tmp_path: Path) -> None:
    """Random and half-valid octets: well-formed responses, no exception, and the next client is served."""
    chance = random.Random(seed)
    async with some_components(tmp_path, imap=ImapOptions(errors=10**9)) as components:
        await components.deliver(MESSAGE)
        client = await (signed_in(components, INBOX.encode()) if seed % 3 else greeted(components))
        for _ in range(60):
            if chance.random() < 0.3:
                octets = chance.randbytes(chance.randrange(200))
            else:
                octets = b"t%d " % chance.randrange(9) + b" ".join(chance.choices(WORDS, k=chance.randrange(12))) + b"\r\n"
            try:
                await client.send(octets)
            except trio.BrokenResourceError:
                break
        await client.stream.send_eof()  # type: ignore[attr-defined]
        while True:
            try:
                response = await client.response()
            except AssertionError:
                break
            if response is None:
                break
            assert re.match(rb"(\* |\+ |[^\x00-\x20(){%*\"\\+\x7f-\xff]{1,255} (OK|NO|BAD) )", response), response
            assert b"SERVERBUG" not in response
        assert (await (await signed_in(components)).command(b"NOOP"))[1].startswith(b"OK")
