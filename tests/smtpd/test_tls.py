"""SMTP over TLS: STARTTLS forgets what was sent before, injected octets are never commands, SCRAM bound to the certificate."""

import ssl
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from appliance.mail.reply import Reply
from appliance.network.tls import ServerTls
from appliance.status.board import Board
from tests.auth.scram_client import ScramClient
from tests.support.accounts import TrioClock
from tests.support.certificates import TestCertificates, make_certificates
from tests.support.services import PASSWORD, Components, some_components
from tests.support.smtp import Client

FRED = "fred@example.org"
PLAIN = "AUTH PLAIN AGZyZWRAZXhhbXBsZS5vcmcAQmx1cmR5Ymxvb3AtNw=="


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> TestCertificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
async def tls(certificates: TestCertificates) -> ServerTls:
    clock = TrioClock()
    return ServerTls(certificates.server, certificates.server, clock=clock, board=Board(clock), source="server")


@pytest.fixture
async def components(tmp_path: Path, tls: ServerTls) -> AsyncIterator[Components]:
    async with some_components(tmp_path, plaintext=False, tls=tls) as components:
        yield components


async def secured(client: Client, certificates: TestCertificates) -> Client:
    wrapped = trio.SSLStream(client.stream, certificates.client(), server_hostname="example.test")
    await wrapped.do_handshake()
    return Client(wrapped)


def words(reply: Reply) -> set[str]:
    return {line.split()[0] for line in reply.lines[1:]}


async def test_starttls_forgets_everything(components: Components, certificates: TestCertificates) -> None:
    plain = Client(components.connect("submission"))
    offered = words(await plain.greet("first.example"))
    assert "STARTTLS" in offered and "AUTH" not in offered
    assert (await plain.ask(PLAIN)).code == 538
    assert (await plain.ask("STARTTLS now")).code == 501
    assert (await plain.ask("STARTTLS")).code == 220
    client = await secured(plain, certificates)
    assert (await client.ask(f"MAIL FROM:<{FRED}>")).code == 503  # RFC 3207 §4.2: EHLO again
    offered = words(await client.ask("EHLO second.example"))
    assert "STARTTLS" not in offered and "AUTH" in offered
    assert (await client.ask("STARTTLS")).code == 503
    assert (await client.ask(PLAIN)).code == 235
    await client.envelope(FRED, FRED)
    assert (await client.data(b"From: fred@example.org\r\n\r\nx\r\n")).code == 250
    inbox = await components.store.open(components.account(), "INBOX")
    kept = await (await inbox.open_message(inbox.uids[0])).read(0, 4096)
    received = kept.partition(b"Received: ")[2].split(b"\r\n")
    assert received[0] == b"from second.example ([192.0.2.7])"
    assert received[1] == b" by mail.example.org with ESMTPSA"
    assert received[2].startswith(b" (TLSv1.3 TLS_")


async def test_a_transaction_does_not_survive_starttls(components: Components, certificates: TestCertificates) -> None:
    """STARTTLS is refused in the middle of a message; after RSET nothing of the message is left."""
    plain = Client(components.connect("smtp"))
    await plain.greet()
    await plain.envelope("a@outside.example", FRED)
    assert (await plain.ask("STARTTLS")).code == 503
    assert (await plain.ask("RSET", "STARTTLS")).code == 220
    client = await secured(plain, certificates)
    assert (await client.ask("EHLO x", "DATA")).code == 503


async def test_plain_octets_after_starttls(components: Components, certificates: TestCertificates) -> None:
    """CVE-2011-0411 and its like: in one chunk with STARTTLS, or on their own before the handshake."""
    client = Client(components.connect("submission"))
    await client.greet()
    reply = await client.ask("STARTTLS\r\nEHLO injected\r\nMAIL FROM:<x@y.example>")
    assert reply.code == 554
    assert await client.closed()
    client = Client(components.connect("submission"))
    await client.greet()
    assert (await client.ask("STARTTLS")).code == 220
    await client.send("EHLO injected")
    with pytest.raises((trio.BrokenResourceError, ssl.SSLError)):
        await secured(client, certificates)


@pytest.mark.parametrize("plus", [False, True])
@pytest.mark.parametrize("initial", [False, True])
async def test_scram(components: Components, certificates: TestCertificates, tls: ServerTls, plus: bool, initial: bool) -> None:
    """RFC 5802, RFC 7677; the server's final message is sent as a challenge (RFC 4954 §4)."""
    plain = Client(components.connect("submission"))
    await plain.greet()
    await plain.ask("STARTTLS")
    client = await secured(plain, certificates)
    await client.ask("EHLO x")
    if plus:
        scram = ScramClient(FRED, PASSWORD, header=b"p=tls-server-end-point,,", binding=tls.current().end_point)
    else:
        scram = ScramClient(FRED, PASSWORD)
    name = "SCRAM-SHA-256-PLUS" if plus else "SCRAM-SHA-256"
    first = b64encode(scram.first()).decode()
    if initial:
        reply = await client.ask(f"AUTH {name} {first}")
    else:
        assert (await client.ask(f"AUTH {name}")).lines == ("",)
        reply = await client.ask(first)
    assert reply.code == 334
    reply = await client.ask(b64encode(scram.final(b64decode(reply.lines[0]))))
    assert reply.code == 334 and scram.proves(b64decode(reply.lines[0]))
    assert (await client.ask("")).code == 235
    assert components.streams[0].who == FRED
