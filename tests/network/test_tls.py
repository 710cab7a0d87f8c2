"""network/tls and stream over TLS: handshakes, reload, channel binding, and the errors of bad files."""

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio

import appliance
from appliance.delivery.route import Relay
from appliance.mail.clock import Clock
from appliance.mail.errors import MisuseError, PeerGone, PeerSlow, SetupError
from appliance.network.dial import any_certificate
from appliance.network.stream import Draining, Stream
from appliance.network.tls import CHECK_S, ServerTls, server_context
from appliance.network.x509 import parse_certificate
from appliance.outbound.smtp_transport import RelayTls
from appliance.outbound.tls_policy import make_context
from appliance.status.board import Board
from appliance.status.events import ServerState
from tests.support.certificates import TestCertificates, make_certificates
from tests.support.clock import HandClock
from tests.support.streams import ClientStream, stream_pair


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> TestCertificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


def server_tls(made: TestCertificates, clock: Clock | None = None) -> ServerTls:
    clock = clock or HandClock()
    return ServerTls(made.server, made.server, clock=clock, board=Board(clock), source="server")


async def tls_pair(
    made: TestCertificates, tls: ServerTls, host: str = "box.local", newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3
) -> tuple[Stream, "trio.SSLStream[ClientStream]"]:
    stream, below = stream_pair("imap", tls=tls)
    client = trio.SSLStream(below, made.client(newest=newest), server_hostname=host)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.do_handshake)
        await stream.start_tls()
    return stream, client


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_octets_over_tls(made: TestCertificates, newest: ssl.TLSVersion) -> None:
    stream, client = await tls_pair(made, server_tls(made), newest=newest)
    assert stream.secure and not stream.can_start_tls
    assert stream.tls_version == {ssl.TLSVersion.TLSv1_2: "TLSv1.2", ssl.TLSVersion.TLSv1_3: "TLSv1.3"}[newest]
    assert "GCM" in stream.tls_cipher or "CHACHA20" in stream.tls_cipher
    big = bytes(range(256)) * 1000
    got = bytearray()

    async def read() -> None:
        while len(got) < len(big):
            got.extend(await client.receive_some())

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await stream.send(big)
    assert got == big
    await client.send_all(b"a NOOP\r\n")
    assert await stream.receive(5) == b"a NOOP\r\n"
    assert (stream.octets_in, stream.octets_out) == (8, len(big))
    with pytest.raises(MisuseError):
        await stream.start_tls()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(stream.aclose)
        assert await client.receive_some() == b""  # close_notify came: an orderly end
        await client.aclose()


@pytest.mark.parametrize("host", ["box.local", "box", "localhost", "example.test", "mail.example.test", "127.0.0.1", "::1"])
async def test_a_strict_client_accepts_every_name(made: TestCertificates, host: str) -> None:
    stream, client = await tls_pair(made, server_tls(made), host)
    await client.send_all(b"x")
    assert await stream.receive(5) == b"x"


async def test_an_unknown_server_name_is_harmless(made: TestCertificates) -> None:
    stream, below = stream_pair("imap", tls=server_tls(made))
    context = made.client()
    context.check_hostname = False
    client = trio.SSLStream(below, context, server_hostname="somewhere.else.example")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(client.do_handshake)
        await stream.start_tls()
    assert stream.secure


async def test_channel_binding_is_the_served_certificates(made: TestCertificates) -> None:
    import hashlib

    stream, client = await tls_pair(made, server_tls(made))
    served = client.getpeercert(binary_form=True)
    binding = stream.channel_binding()
    assert binding["tls-server-end-point"] == hashlib.sha256(served).digest()
    assert set(binding) <= {"tls-server-end-point", "tls-exporter"}


async def test_changed_files_are_served_to_new_connections_only(tmp_path: Path) -> None:
    made = make_certificates(tmp_path)
    clock = HandClock()
    tls = server_tls(made, clock)
    old, old_client = await tls_pair(made, tls)
    before = old.channel_binding()["tls-server-end-point"]
    make_certificates(tmp_path)
    same, _ = await tls_pair(made, tls)
    assert same.channel_binding()["tls-server-end-point"] == before  # not checked yet
    clock.forward(CHECK_S)
    new, new_client = await tls_pair(made, tls)
    after = new.channel_binding()["tls-server-end-point"]
    assert after != before == old.channel_binding()["tls-server-end-point"]
    assert old_client.getpeercert(binary_form=True) != new_client.getpeercert(binary_form=True)
    make_certificates(tmp_path)
    assert tls.reload()
    assert tls.current().end_point != after


async def test_a_bad_new_file_leaves_the_old_in_use_and_is_announced(tmp_path: Path) -> None:
    made = make_certificates(tmp_path)
    clock = HandClock()
    board = Board(clock)
    tls = ServerTls(made.server, made.server, clock=clock, board=board)
    good = made.server.read_bytes()
    before = tls.current().end_point
    made.server.write_bytes(b"half a")
    clock.forward(CHECK_S)
    assert tls.current().end_point == before
    assert board.snapshot().certificate.trouble
    version = board.version
    clock.forward(CHECK_S)
    tls.current()
    assert board.version == version  # published once
    made.server.write_bytes(good)
    clock.forward(CHECK_S)
    tls.current()
    assert not board.snapshot().certificate.trouble


async def test_octets_that_are_no_handshake_end_it(made: TestCertificates) -> None:
    """STARTTLS injection: plain octets after STARTTLS are never taken for the client's commands."""
    stream, client = stream_pair("smtp", tls=server_tls(made))
    await client.send_all(b"RSET\r\nMAIL FROM:<evil@example.net>\r\n" * 20)
    with pytest.raises(PeerGone, match="TLS"):
        await stream.start_tls()
    with pytest.raises(PeerGone):
        await stream.send(b"250 never\r\n")
    await client.aclose()
    await stream.aclose()


async def test_a_handshake_has_a_deadline_and_ends_with_the_server(made: TestCertificates, autojump_clock: trio.abc.Clock) -> None:
    stream, _client = stream_pair("imaps", tls=server_tls(made))
    with pytest.raises(PeerSlow):
        await stream.start_tls(30)
    stream, _client = stream_pair("imaps", tls=server_tls(made))
    async with trio.open_nursery() as nursery:

        async def drain() -> None:
            await trio.sleep(1)
            stream.drain()

        nursery.start_soon(drain)
        with pytest.raises(Draining):
            await stream.start_tls(30)


async def test_draining_and_deadlines_leave_tls_usable(made: TestCertificates) -> None:
    stream, client = await tls_pair(made, server_tls(made))
    with pytest.raises(PeerSlow):
        await stream.receive(0.01)
    async with trio.open_nursery() as nursery:

        async def drain() -> None:
            await trio.testing.wait_all_tasks_blocked()
            stream.drain()

        nursery.start_soon(drain)
        with pytest.raises(Draining):
            await stream.receive(60)
    await stream.send(b"* BYE\r\n")
    assert await client.receive_some() == b"* BYE\r\n"


async def test_a_cut_connection_is_gone_not_ended(made: TestCertificates) -> None:
    stream, client = await tls_pair(made, server_tls(made))
    await client.transport_stream.aclose()
    with pytest.raises(PeerGone):
        await stream.receive(5)


@pytest.mark.parametrize(
    "make",
    [server_context, any_certificate, lambda: make_context("verify"), lambda: make_context("any"), lambda: relay_context("tls"),
     lambda: relay_context("none"), lambda: relay_context("tls", any_certificate=True)],
)  # fmt: skip
def test_no_context_takes_a_cut_connection_for_an_end(make: Callable[[], ssl.SSLContext]) -> None:
    """Before 3.11.4 Python sets the option in every context."""
    assert not make().options & ssl.OP_IGNORE_UNEXPECTED_EOF


def relay_context(security: str, **words: Any) -> ssl.SSLContext:
    return RelayTls(Relay("r", "relay.example", 465, security=security, **words)).context()


def test_every_context_is_made_so() -> None:
    """Every file that makes a context calls `require_close_notify`."""
    for path in Path(appliance.__file__).parent.rglob("*.py"):
        source = path.read_text(encoding="utf-8")
        if "ssl.SSLContext(" in source or "create_default_context(" in source:
            assert "require_close_notify(" in source, path


async def test_old_tls_is_refused(made: TestCertificates) -> None:
    stream, below = stream_pair("imaps", tls=server_tls(made))
    context = made.client()
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    client = trio.SSLStream(below, context, server_hostname="box.local")

    async def shake() -> None:
        with pytest.raises(trio.BrokenResourceError):
            await client.do_handshake()
        await below.aclose()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(shake)
        with pytest.raises(PeerGone):
            await stream.start_tls()
        await stream.aclose()


async def test_no_session_is_kept_for_resumption(made: TestCertificates) -> None:
    tls = server_tls(made)
    _stream, client = await tls_pair(made, tls)
    await _stream.send(b"x")
    await client.receive_some()
    assert client.session is None or not client.session.has_ticket


async def test_cached_tls12_sessions_are_forgotten(made: TestCertificates, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("appliance.network.tls.CACHED_SESSIONS", 4)
    tls = server_tls(made)
    for _ in range(10):
        await tls_pair(made, tls, newest=ssl.TLSVersion.TLSv1_2)
    assert tls.current().context.session_stats()["number"] <= 4


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_bad_files_are_explained(tmp_path: Path, made: TestCertificates) -> None:
    other = make_certificates(tmp_path / "other")
    clock = HandClock()
    pem = made.server.read_text()
    key_end = pem.index("-----BEGIN CERTIFICATE")
    certificate_only, key_only = write(tmp_path / "c.pem", pem[key_end:]), write(tmp_path / "k.pem", pem[:key_end])
    other_key = write(tmp_path / "ok.pem", other.server.read_text().partition("-----BEGIN CERTIFICATE")[0])
    from cryptography.hazmat.primitives import serialization as s
    from cryptography.hazmat.primitives.asymmetric import rsa

    another_kind = rsa.generate_private_key(65537, 2048).private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption())
    rsa_key = write(tmp_path / "rsa.pem", another_kind.decode())
    upside_down = write(tmp_path / "chain.pem", made.authority_pem + pem[key_end:])
    locked = tmp_path / "locked.pem"
    bare = s.load_pem_private_key(key_only.read_bytes(), None)
    locked.write_bytes(bare.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.BestAvailableEncryption(b"x")))
    ServerTls(certificate_only, key_only, clock=clock, board=Board(clock))
    for certificate, key, words in [
        (tmp_path / "none.pem", key_only, "No such file"),
        (certificate_only, tmp_path / "none.pem", "No such file"),
        (certificate_only, other_key, "is not the key of"),
        (certificate_only, rsa_key, "is not the key of"),
        (upside_down, key_only, "is not the key of"),
        (certificate_only, locked, "encrypted"),
        (key_only, key_only, "not a certificate"),
        (write(tmp_path / "junk.pem", "junk"), key_only, "not a certificate"),
    ]:
        with pytest.raises(SetupError) as caught:
            ServerTls(certificate, key, clock=clock, board=Board(clock))
        assert words in caught.value.problem and caught.value.remedy, caught.value


@pytest.mark.parametrize("name", ["sha224", "sha256", "sha384", "sha512", "pss256", "pss384", "ecdsa384", "ed25519"])
def test_end_point_hashes_as_the_signature_does(name: str) -> None:
    """RFC 5929 §4.1; cryptography's own reading of the certificate is the oracle."""
    import datetime as dt

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

    algorithm = {"224": hashes.SHA224, "256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}.get(name[-3:])
    if name == "ed25519":
        key = ed25519.Ed25519PrivateKey.generate()
    else:
        key = ec.generate_private_key(ec.SECP256R1()) if "ecdsa" in name else rsa.generate_private_key(65537, 2048)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "x")])
    begin, end = dt.datetime(2049, 1, 1, tzinfo=dt.UTC), dt.datetime(2051, 12, 31, 23, 59, 59, tzinfo=dt.UTC)
    certificate = x509.CertificateBuilder(subject, subject, key.public_key(), 5, begin, end).sign(
        key,
        None if name == "ed25519" else algorithm(),
        **({"rsa_padding": padding.PSS(padding.MGF1(algorithm()), 32)} if "pss" in name else {}),
    )
    facts = parse_certificate("text before\n" + certificate.public_bytes(serialization.Encoding.PEM).decode())
    assert (facts.not_before_at, facts.not_after_at, facts.names) == (int(begin.timestamp()), int(end.timestamp()), ())
    expected = b"" if name == "ed25519" else certificate.fingerprint(certificate.signature_hash_algorithm)
    assert facts.end_point == expected
    assert facts.fingerprint.replace(":", "").lower() == certificate.fingerprint(hashes.SHA256()).hex()


@pytest.mark.parametrize("inside", [None, "", "MIIB", "MAA=", "!!!!", "MIIBMIIB"])
def test_junk_is_no_certificate(inside: str | None) -> None:
    with pytest.raises(MisuseError):
        parse_certificate("" if inside is None else f"-----BEGIN CERTIFICATE-----\n{inside}\n-----END CERTIFICATE-----")


def _spoil(kind: str, certificate: Path, key: Path, made: TestCertificates, other: TestCertificates) -> None:
    """The user's files, one of them spoiled."""
    pem = made.server.read_text()
    certificate.write_text(pem[pem.index("-----BEGIN CERTIFICATE") :])
    key.write_text(pem[: pem.index("-----BEGIN CERTIFICATE")])
    if kind == "wrong key":
        other_pem = other.server.read_text()
        key.write_text(other_pem[: other_pem.index("-----BEGIN CERTIFICATE")])
    elif kind == "empty certificate":
        certificate.write_text("")
    elif kind == "empty key":
        key.write_text("")
    elif kind == "no certificate":
        certificate.unlink()
    elif kind == "no key":
        key.unlink()
    elif kind == "a directory":
        key.unlink()
        key.mkdir()
    elif kind == "encrypted key":
        from cryptography.hazmat.primitives import serialization as s

        private = s.load_pem_private_key(key.read_bytes(), None)
        key.write_bytes(private.private_bytes(s.Encoding.PEM, s.PrivateFormat.PKCS8, s.BestAvailableEncryption(b"secret")))


@pytest.mark.parametrize(
    "kind", ["wrong key", "empty certificate", "empty key", "no certificate", "no key", "a directory", "encrypted key"]
)
def test_unusable_files_at_the_start_are_published_and_the_fallback_is_served(made: TestCertificates, tmp_path: Path, kind: str) -> None:
    other = make_certificates(tmp_path / "other")
    certificate, key = tmp_path / "own.pem", tmp_path / "own.key"
    _spoil(kind, certificate, key, made, other)
    clock = HandClock()
    board = Board(clock)
    board.publish(ServerState("ready"))
    with pytest.raises(SetupError):
        ServerTls(certificate, key, clock=clock, board=board)
    tls = ServerTls(certificate, key, clock=clock, board=board, fallback=other.server)
    fallback, own = (parse_certificate(one.server.read_text()).der for one in (other, made))
    assert tls.current().facts.der == fallback and (tls.source, tls.file) == ("server", other.server)
    (condition,) = board.snapshot().conditions
    assert condition.key == "certificate-error" and str(tmp_path / "own") in condition.sentence and "one of its own" in condition.sentence
    assert not tls.reload() and tls.current().facts.der == fallback
    other.server.write_bytes(make_certificates(tmp_path / "renewed").server.read_bytes())  # the fallback is renewed meanwhile
    clock.forward(CHECK_S)
    assert tls.current().facts.der not in (fallback, own) and board.snapshot().conditions == (condition,)
    if key.is_dir():
        key.rmdir()
    _spoil("nothing", certificate, key, made, other)
    clock.forward(CHECK_S)
    assert tls.current().facts.der == own and tls.source == "own" and not board.snapshot().conditions
    key.write_text("")  # once they were usable, the ones before stay
    clock.forward(CHECK_S)
    assert tls.current().facts.der == own and board.snapshot().conditions[0].key == "certificate-error"
