"""Parameters of MAIL and RCPT where dialogs cannot test them: inside TLS, without a trusted clock, in the envelope."""

from pathlib import Path

import pytest
import trio

from appliance.delivery.arrival import Arrival
from appliance.delivery.intake import Intake
from appliance.mail.envelope import Envelope
from appliance.network.tls import ServerTls
from appliance.protocol.smtp.futurerelease import encode_date_time, parse_date_time
from appliance.status.board import Board
from tests.support.accounts import TrioClock
from tests.support.certificates import make_certificates
from tests.support.routes import SomeRemoteAddresses
from tests.support.services import Components, some_components
from tests.support.smtp import Client

from .test_session import a_client

PLAIN = "AUTH PLAIN AGZyZWRAZXhhbXBsZS5vcmcAQmx1cmR5Ymxvb3AtNw=="


def envelopes(components: Components, monkeypatch: pytest.MonkeyPatch) -> list[Envelope]:
    """Every envelope that is accepted from now on."""
    seen: list[Envelope] = []
    accept = Intake.accept

    async def look(intake: Intake, arrival: Arrival, body: object) -> object:
        seen.append(arrival.envelope)
        return await accept(intake, arrival, body)  # type: ignore[arg-type]

    monkeypatch.setattr(Intake, "accept", look)
    return seen


async def test_requiretls_is_offered_inside_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 8689 §4.1: announced inside TLS only, and taken there."""
    certificates, clock = make_certificates(tmp_path), TrioClock()
    tls = ServerTls(certificates.server, certificates.server, clock=clock, board=Board(clock), source="server")
    async with some_components(tmp_path, tls=tls) as components:
        seen = envelopes(components, monkeypatch)
        plain = Client(components.connect("smtp"))
        assert "REQUIRETLS" not in (await plain.greet()).lines
        assert (await plain.ask("MAIL FROM:<a@b.example> REQUIRETLS")).status == "5.7.10"
        assert (await plain.ask("STARTTLS")).code == 220
        wrapped = trio.SSLStream(plain.stream, certificates.client(), server_hostname="example.test")
        await wrapped.do_handshake()
        client = Client(wrapped)
        assert "REQUIRETLS" in (await client.ask("EHLO client.example")).lines
        assert (await client.ask("MAIL FROM:<a@b.example> REQUIRETLS=yes")).status == "5.5.4"
        assert (await client.ask("MAIL FROM:<a@b.example> REQUIRETLS")).code == 250
        assert (await client.ask("RCPT TO:<fred@example.org>")).code == 250
        assert (await client.data(b"\r\nhi\r\n")).code == 250
        assert seen[0].options.require_tls


async def test_parameters_are_in_the_envelope(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with some_components(tmp_path, relay_check=SomeRemoteAddresses()) as components:
        seen = envelopes(components, monkeypatch)
        client = await a_client(components, "submission")
        assert (await client.ask(PLAIN)).code == 235
        sent_at = components.family.clock.wall_s()
        assert (await client.ask("MAIL FROM:<fred@example.org> RET=hdrs ENVID=a+2Bb HOLDFOR=3600")).code == 250
        assert (await client.ask("RCPT TO:<fred@example.org> NOTIFY=delay,FAILURE ORCPT=rfc822;f+2Bx@example.org")).code == 250
        assert (await client.ask("RCPT TO:<mary@example.org>")).code == 250
        assert (await client.data(b"From: fred@example.org\r\n\r\nhi\r\n")).code == 250
        (envelope,) = seen
        assert (envelope.options.ret, envelope.options.envid, envelope.options.require_tls) == ("HDRS", "a+b", False)
        assert 0 <= envelope.options.release_at - sent_at - 3600 < 60 or abs(envelope.options.release_at - sent_at - 3600) < 2
        fred, mary = envelope.recipients
        assert (fred.options.notify, fred.options.orcpt) == ({"DELAY", "FAILURE"}, "rfc822;f+x@example.org")
        assert (mary.options.notify, mary.options.orcpt) == (None, "")


@pytest.mark.parametrize("parameter", ["HOLDUNTIL=2030-01-01T08:00:00Z", "HOLDFOR=60"])
async def test_no_release_time_from_an_untrusted_clock(tmp_path: Path, parameter: str) -> None:
    async with some_components(tmp_path, relay_check=SomeRemoteAddresses()) as components:
        components.family.clock.is_trusted = False
        client = Client(components.connect("submission"))
        assert not any(line.startswith("FUTURERELEASE") for line in (await client.greet()).lines)
        assert (await client.ask(PLAIN)).code == 235
        reply = await client.ask(f"MAIL FROM:<fred@example.org> {parameter}")
        assert (reply.code, reply.status) == (451, "4.3.0")
        assert (await client.ask("MAIL FROM:<fred@example.org>")).code == 250


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("1970-01-01T00:00:00Z", 0), ("2027-01-31T08:00:00Z", 1_801_382_400), ("2027-01-31t09:00:00.5+01:00", 1_801_382_400),
        ("2027-01-31T07:30:00-00:30", 1_801_382_400), ("2024-02-29T00:00:00Z", 1_709_164_800), ("2023-02-29T00:00:00Z", None),
        ("1969-12-31T23:59:59Z", None), ("2027-13-01T00:00:00Z", None), ("2027-01-31 08:00:00Z", None), ("2027-01-31T08:00:00", None),
        ("2027-01-31T08:00:61Z", None), ("2027-01-31T24:00:00Z", None), ("2027-01-31T08:00:00+24:00", None), ("", None),
    ],
)  # fmt: skip
def test_date_times(text: str, at: "int | None") -> None:
    """RFC 3339 §5.6."""
    assert parse_date_time(text.encode()) == at
    if at is not None:
        assert parse_date_time(encode_date_time(at).encode()) == at
