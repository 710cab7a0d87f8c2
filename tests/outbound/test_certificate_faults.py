"""Invalid certificates over real TLS: refused, with the reason in the outcome."""

import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from appliance.delivery.route import Relay, Route
from appliance.mail.outcome import DsnAction, Outcome, Reason
from appliance.network.resolver import Tlsa
from appliance.outbound.mx import MailHost
from appliance.outbound.smtp_transport import SmtpTransport
from appliance.outbound.tls_policy import TlsPolicy
from tests.support.clock import HandClock
from tests.support.peer import QUICK, Peer

from .test_smtp_client import message_to
from .test_smtp_transport import Found

NOW = datetime.now(UTC)
HOST = "mx.far.example"


USES = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "key_cert_sign", "crl_sign",
    "encipher_only", "decipher_only",
)  # fmt: skip


class Made:
    """A certificate with its key, signed by `issuer` or itself; `days` from today that it begins and ends."""

    def __init__(
        self, subject: str, *names: str, issuer: "Made | None" = None, days: tuple[int, int] = (-10, 10), authority: bool = False
    ) -> None:
        self.name, self.key = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]), ec.generate_private_key(ec.SECP256R1())
        signer = issuer or self
        builder = x509.CertificateBuilder(
            signer.name, self.name, self.key.public_key(), x509.random_serial_number(), *(NOW + timedelta(days=day) for day in days)
        ).add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        # what Python 3.13 requires of every certificate (VERIFY_X509_STRICT; RFC 5280 §4.2.1.1 to §4.2.1.3)
        key_id = x509.SubjectKeyIdentifier.from_public_key(self.key.public_key())
        builder = builder.add_extension(key_id, critical=False)
        signer_id = x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.key.public_key())
        builder = builder.add_extension(signer_id, critical=False)
        if authority:
            usage = dict.fromkeys(USES, False) | {"key_cert_sign": True, "crl_sign": True}
            builder = builder.add_extension(x509.KeyUsage(**usage), critical=True)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        self.certificate = builder.sign(signer.key, hashes.SHA256())
        self.pem = self.certificate.public_bytes(Encoding.PEM)

    def serving(self, place: Path, *more: "Made") -> ssl.SSLContext:
        file = place / "server.pem"
        secret = self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        file.write_bytes(b"".join([secret, self.pem, *(one.pem for one in more)]))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context


ROOT = Made("Far Root", authority=True)
DAYS = (-1000, 1000)
OLD_MIDDLE = Made("Old Middle", issuer=ROOT, days=(-20, -1), authority=True)
STAMP = "%Y-%m-%d"


class Demands:
    def __init__(self, demand: TlsPolicy) -> None:
        self._demand = demand

    async def policy_for(self, domain: str, host: MailHost, *, require_tls: bool) -> TlsPolicy | Outcome:
        return self._demand

    async def record_session(self, domain: str, host: str, tls: str, verified: str) -> None: ...
    def record_failure(self, domain: str) -> None: ...
    def downgraded(self, domain: str) -> bool:
        return False


def trusting() -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=ROOT.pem.decode())
    context.verify_flags |= ssl.VERIFY_X509_STRICT  # as Python 3.13 does by itself
    return context


async def sent_to(context: ssl.SSLContext, demand: TlsPolicy, host: str = HOST) -> tuple[Outcome, int]:
    clock = HandClock()
    clock.step(datetime.now(UTC).timestamp() - clock.wall_s())
    found = Found()
    found.hosts = (MailHost(host, 1, ("127.0.0.1",)),)
    with Peer(context=context) as peer:
        transport = SmtpTransport(hosts=found, our_name=lambda: "home.example", clock=clock, port=peer.port, policies=Demands(demand))
        transport.times = QUICK
        async with transport.session("far.example", Route()) as session:
            delivery = await session.deliver(message_to())
        return delivery.outcomes[0], len(peer.messages)


def date_text(day: int) -> str:
    return (NOW + timedelta(days=day)).strftime(STAMP)


@pytest.mark.parametrize(
    ("made", "more", "words"),
    [
        (Made("x", "mail.other.example", "*.other.example", issuer=ROOT), (), ("expected mx.far.example", "found mail.other.example, *.")),
        (Made("x", *(f"n{number}.example" for number in range(9)), issuer=ROOT), (), ("found n0.example", "and 4 more")),
        (Made(HOST, issuer=ROOT), (), ("expected mx.far.example", "found none", 'common name "mx.far.example" does not count')),
        (Made("x", HOST, issuer=ROOT, days=(-20, -3)), (), (f"expired on {date_text(-3)}", f"clock says {NOW.strftime(STAMP)}")),
        (Made("x", HOST, issuer=ROOT, days=(5, 20)), (), (f"begins on {date_text(5)}", f"clock says {NOW.strftime(STAMP)}")),
        (Made("x", HOST, issuer=OLD_MIDDLE), (OLD_MIDDLE,), ('"Old Middle"', f"expired on {date_text(-1)}")),
        (Made("x", HOST), (), ("signed by itself",)),
        (Made("x", HOST, issuer=Made("Strange Root", authority=True)), (), ("does not lead to an authority", '"Strange Root"')),
        (Made("x", HOST, issuer=Made("Mid", issuer=ROOT, authority=True)), (), ('it ends at "Mid"', "1 certificate shown")),
    ],
)
async def test_the_reason_is_reported(made: Made, more: Sequence[Made], words: tuple[str, ...], tmp_path: Path) -> None:
    outcome, messages = await sent_to(made.serving(tmp_path, *more), TlsPolicy("verify", "mta-sts", make=lambda level: trusting()))
    assert (outcome.action, outcome.reason, outcome.status) == (DsnAction.DEFERRED, Reason.TLS, "4.7.5") and not messages
    assert outcome.text.startswith("The certificate of mx.far.example") and outcome.text.endswith(".") and outcome.text.count("\n") == 0
    for word in words:
        assert word in outcome.text


@pytest.mark.parametrize("names", [(HOST,), ("*.far.example",), ("other.example", HOST)])
async def test_a_valid_certificate_is_accepted(names: tuple[str, ...], tmp_path: Path) -> None:
    outcome, messages = await sent_to(Made("x", *names, issuer=ROOT).serving(tmp_path), TlsPolicy("verify", make=lambda _: trusting()))
    assert outcome.action is DsnAction.RELAYED and messages == 1


@pytest.mark.parametrize(
    ("usage", "names", "days", "words"),
    [
        (3, (HOST,), (-5, 5), ("DANE", "none of its 1 TLSA records", "SHA-256")),
        (2, ("other.example",), (-5, 5), ("DANE", "expected mx.far.example or far.example", "found other.example")),
        (2, (HOST,), (-9, -4), ("DANE", f"expired on {date_text(-4)}", "clock says")),
    ],
)
async def test_dane_reports_why(usage: int, names: tuple[str, ...], days: tuple[int, int], words: tuple[str, ...], tmp_path: Path) -> None:
    record = Tlsa(usage, 1, 1, b"\1" * 32)
    make = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    make.check_hostname, make.verify_mode = False, ssl.CERT_NONE
    demand = TlsPolicy("dane", "dane", (HOST, "far.example"), (record,), datetime.now(UTC).timestamp(), lambda level: make)
    outcome, messages = await sent_to(Made("x", *names, issuer=ROOT, days=days).serving(tmp_path), demand)
    assert outcome.reason is Reason.TLS and not messages
    for word in words:
        assert word in outcome.text


@pytest.mark.parametrize("security", ["starttls", "tls"])
@pytest.mark.parametrize("names", [(), (HOST,)])
async def test_a_relay_with_only_a_common_name_is_refused(
    security: str, names: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "root.pem").write_bytes(ROOT.pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "root.pem"))

    class Relays(Found):
        async def relay(self, name: str, port: int) -> tuple[MailHost, ...]:
            return (MailHost(name, 0, ("127.0.0.1",)),)

    context = Made(HOST, *names, issuer=ROOT).serving(tmp_path)
    with Peer(context=context, implicit_tls=security == "tls") as peer:
        transport = SmtpTransport(hosts=Relays(), our_name=lambda: "home.example", clock=HandClock())
        transport.times = QUICK
        async with transport.session("@r", Route(Relay("r", HOST, peer.port, security))) as session:
            (outcome,) = (await session.deliver(message_to())).outcomes
        assert len(peer.messages) == bool(names)
    assert (outcome.action is DsnAction.RELAYED) == bool(names) and ("common name" in outcome.text) != bool(names)
