"""POP3 over TLS: STLS, passwords after it, SCRAM with channel binding, and what is sent before the handshake."""

import ssl
from base64 import b64decode, b64encode
from pathlib import Path

import pytest
import trio

from appliance.network.tls import ServerTls
from appliance.status.board import Board
from tests.auth.scram_client import ScramClient
from tests.support.accounts import TrioClock
from tests.support.certificates import TestCertificates, make_certificates
from tests.support.services import some_components

from .pop_client import PASSWORD, PopClient


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> TestCertificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def server_tls(certificates: TestCertificates) -> ServerTls:
    clock = TrioClock()
    return ServerTls(certificates.server, certificates.server, clock=clock, board=Board(clock), source="server")


async def secured(client: PopClient, certificates: TestCertificates) -> "PopClient":
    tls = trio.SSLStream(client.stream, certificates.client(), server_hostname="example.test")
    await tls.do_handshake()
    return PopClient(tls)


async def test_stls_and_channel_binding(tmp_path: Path, certificates: TestCertificates) -> None:
    async with some_components(tmp_path, plaintext=False, tls=server_tls(certificates)) as components:
        plain = PopClient(components.connect("pop3"))
        await plain.line()
        assert (await plain.command(b"CAPA")).startswith(b"+OK")
        before = (await plain.body()).split(b"\r\n")
        assert b"STLS" in before
        assert b"USER" not in before
        assert not [word for word in before if word.startswith(b"SASL")]
        assert (await plain.command(b"USER fred")).startswith(b"-ERR")
        assert (await plain.command(b"STLS")).startswith(b"+OK")
        client = await secured(plain, certificates)
        assert (await client.command(b"STLS")).startswith(b"-ERR")
        assert (await client.command(b"CAPA")).startswith(b"+OK")
        after = (await client.body()).split(b"\r\n")
        assert b"STLS" not in after
        plus = b"SCRAM-SHA-256-PLUS " if "tls-exporter" in ssl.CHANNEL_BINDING_TYPES else b""
        assert b"SASL " + plus + b"SCRAM-SHA-256 PLAIN LOGIN" in after
        header = b"p=tls-server-end-point,,"
        binding = components.streams[0].channel_binding()["tls-server-end-point"]
        for data in (b"another", binding):
            scram = ScramClient("fred", PASSWORD, header=header, binding=data)
            first = await client.command(b"AUTH SCRAM-SHA-256-PLUS " + b64encode(scram.first()))
            final = await client.command(b64encode(scram.final(b64decode(first[2:]))))
            if data != binding:
                assert final.startswith(b"-ERR [AUTH]")
        assert scram.proves(b64decode(final[2:]))
        assert (await client.command(b"")).startswith(b"+OK Welcome")


async def test_what_came_before_tls_is_forgotten(tmp_path: Path, certificates: TestCertificates) -> None:
    """Octets sent after STLS are discarded or break the handshake; a name given before is forgotten (RFC 2595 §4)."""
    async with some_components(tmp_path, tls=server_tls(certificates)) as components:
        plain = PopClient(components.connect("pop3"))
        await plain.line()
        await plain.command(b"USER fred")
        await plain.stream.send_all(b"STLS\r\nUSER mallory\r\nPASS guess\r\nCAPA\r\n")
        assert (await plain.line()).startswith(b"+OK Begin")
        client = await secured(plain, certificates)
        assert (await client.command(b"PASS " + PASSWORD.encode())) == b"-ERR USER comes first."
        assert (await client.command(b"NOOP")) == b"+OK"
        assert components.family.board.heard == []
