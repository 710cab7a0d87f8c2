"""Transport sessions over real sockets: hosts in order, TLS that works, fails or is not offered, several messages."""

import ssl
from dataclasses import replace
from pathlib import Path

import pytest

from appliance.delivery.route import Route
from appliance.delivery.transport import DeliveryResult
from appliance.mail.outcome import DsnAction, Outcome, Reason
from appliance.mail.outgoing import OutgoingMessage
from appliance.outbound.mx import MailHost
from appliance.outbound.smtp_transport import SmtpTransport
from appliance.outbound.tls_policy import TlsPolicy
from tests.support.clock import HandClock
from tests.support.peer import DROP, QUICK, SILENT, Peer
from tests.support.server import free_ports

from .test_smtp_client import MESSAGE, message_to


class Found:
    """A HostFinder with fixed hosts."""

    def __init__(self, *addresses: str, outcome: Outcome | None = None) -> None:
        self.hosts = tuple(MailHost(f"mx{number}.far.example", number, (address,)) for number, address in enumerate(addresses, 1))
        self.outcome = outcome
        self.v6_failures = 0
        self.refusals: list[tuple[str, int]] = []

    async def find(self, domain: str) -> tuple[MailHost, ...] | Outcome:
        return self.outcome or self.hosts

    def v6_failed(self) -> None:
        self.v6_failures += 1

    def refused(self, name: str, family: int) -> None:
        self.refusals.append((name, family))


async def deliver_all(found: Found, port: int, *outgoing_messages: OutgoingMessage) -> list[DeliveryResult]:
    transport = SmtpTransport(hosts=found, our_name=lambda: "home.example", clock=HandClock(), port=port)
    transport.times = QUICK
    async with transport.session("far.example", Route()) as session:
        return [await session.deliver(outgoing) for outgoing in outgoing_messages]


async def test_messages_share_a_connection_with_tls(server_tls: ssl.SSLContext) -> None:
    with Peer(context=server_tls) as peer:
        first, second = await deliver_all(Found("127.0.0.1"), peer.port, message_to("bob"), message_to("eve"))
    assert [one.outcomes[0].action for one in (first, second)] == [DsnAction.RELAYED] * 2 and first.reusable and first.dsn_relayed
    assert peer.connections == 1 and all(message.tls and message.octets == MESSAGE for message in peer.messages)
    (host_attempt,) = first.host_attempts
    assert (host_attempt.host, host_attempt.tls, host_attempt.verified) == ("mx1.far.example", "TLSv1.3", "none") and host_attempt.cipher
    assert second.host_attempts == () and peer.commands[-1] == "QUIT"


@pytest.mark.parametrize("script", [{"HANDSHAKE": DROP}, {"STARTTLS": "454 4.7.0 not now"}, {"STARTTLS": DROP}])
async def test_after_broken_tls_plain_text(script: dict[str, str | list[str]]) -> None:
    with Peer(script=script) as peer:
        (delivery,) = await deliver_all(Found("127.0.0.1"), peer.port, message_to())
    if script.get("STARTTLS") == DROP:
        assert delivery.outcomes[0].action is DsnAction.DEFERRED, "a lost connection is not a TLS failure"
        return
    assert delivery.outcomes[0].action is DsnAction.RELAYED and peer.connections == 2 and not peer.messages[0].tls
    assert [host_attempt.tls for host_attempt in delivery.host_attempts] == ["", ""]


async def test_a_message_with_requiretls_is_never_sent_in_plain_text() -> None:
    with Peer(offer=("REQUIRETLS",), script={"HANDSHAKE": DROP}) as peer:
        (delivery,) = await deliver_all(Found("127.0.0.1"), peer.port, message_to(require_tls=True))
    assert delivery.outcomes[0].reason is Reason.TLS and not peer.messages


class Remembers:
    """Policies of a domain that used TLS before."""

    def __init__(self, level: str) -> None:
        self.level = level
        self.missed_domains: list[str] = []

    async def policy_for(self, domain: str, host: MailHost, *, require_tls: bool) -> TlsPolicy:
        return TlsPolicy(self.level, "remembered" if self.level == "encrypt" else "")

    async def record_session(self, domain: str, host: str, tls: str, verified: str) -> None:
        pass

    def record_failure(self, domain: str) -> None:
        self.missed_domains.append(domain)

    def downgraded(self, domain: str) -> bool:
        return self.level == "may"


@pytest.mark.parametrize(("offer", "script"), [((), {}), (("REQUIRETLS",), {"HANDSHAKE": DROP})])
async def test_a_bounce_is_not_lost_for_lack_of_requiretls(offer: tuple[str, ...], script: dict[str, str | list[str]]) -> None:
    with Peer(offer=offer, script=script) as peer:
        (delivery,) = await deliver_all(Found("127.0.0.1"), peer.port, replace(message_to(require_tls=True), sender=None))
    assert delivery.outcomes[0].action is DsnAction.RELAYED and len(peer.messages) == 1


class Strict(Remembers):
    """Policies of a domain whose host is not authenticated: REQUIRETLS fails, or its certificate does."""

    def __init__(self, strict: TlsPolicy | Outcome) -> None:
        super().__init__("may")
        self.strict = strict

    async def policy_for(self, domain: str, host: MailHost, *, require_tls: bool) -> TlsPolicy | Outcome:  # type: ignore[override]
        return self.strict if require_tls else TlsPolicy("encrypt")


@pytest.mark.parametrize(
    "strict",
    [Outcome(DsnAction.FAILED, "5.7.30", Reason.TLS, "not authenticated"), TlsPolicy("verify", "requiretls")],
    ids=["failed", "unverified"],
)
@pytest.mark.parametrize("bounce", [True, False])
async def test_requiretls_where_the_host_is_not_authenticated(
    server_tls: ssl.SSLContext, strict: TlsPolicy | Outcome, bounce: bool
) -> None:
    """RFC 8689 §5: a bounce then goes as any message does, with the option where it is offered; others stay."""
    with Peer(context=server_tls, offer=("REQUIRETLS",)) as peer:
        policies = Strict(strict)
        transport = SmtpTransport(
            hosts=Found("127.0.0.1"), our_name=lambda: "home.example", clock=HandClock(), port=peer.port, policies=policies
        )
        transport.times = QUICK
        outgoing = message_to(require_tls=True)
        async with transport.session("far.example", Route()) as session:
            delivery = await session.deliver(replace(outgoing, sender=None) if bounce else outgoing)
    assert (delivery.outcomes[0].action is DsnAction.RELAYED) == bounce == any("MAIL FROM:<> REQUIRETLS" in line for line in peer.commands)
    assert all(one.tls for one in peer.messages)


async def test_the_next_host_is_tried_after_a_dead_a_silent_and_a_refusing_one() -> None:
    port = free_ports(1)[0]
    with (
        Peer(host="127.0.0.2", port=port, script={"greeting": SILENT}) as silent,
        Peer(host="127.0.0.3", port=port, script={"greeting": "554 5.3.2 not today"}) as refusing,
        Peer(host="127.0.0.4", port=port, script={"MAIL": DROP}) as breaking,
        Peer(host="127.0.0.5", port=port) as good,
    ):
        found = Found("127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5")
        (delivery,) = await deliver_all(found, port, message_to())
    assert delivery.outcomes[0].action is DsnAction.RELAYED and delivery.outcomes[0].host == "mx5.far.example"
    assert [one.connections for one in (silent, refusing, breaking, good)] == [1, 1, 1, 1] and len(good.messages) == 1
    assert [host_attempt.address for host_attempt in delivery.host_attempts] == [f"127.0.0.{number}" for number in range(1, 6)]


async def test_no_host_defers_with_the_last_reply() -> None:
    port = free_ports(1)[0]
    with Peer(host="127.0.0.3", port=port, script={"greeting": "554 5.3.2 not today"}):
        (delivery,) = await deliver_all(Found("127.0.0.2", "127.0.0.3"), port, message_to("bob", "eve"))
    assert [one.action for one in delivery.outcomes] == [DsnAction.DEFERRED] * 2 and delivery.outcomes[0].status == "4.3.2"
    (delivery,) = await deliver_all(Found("127.0.0.2"), port, message_to())
    assert delivery.outcomes[0].reason is Reason.UNREACHABLE


async def test_lost_after_the_final_dot_is_tried_nowhere_else() -> None:
    port = free_ports(1)[0]
    with Peer(host="127.0.0.2", port=port, script={"MESSAGE": DROP}), Peer(host="127.0.0.3", port=port) as other:
        (delivery,) = await deliver_all(Found("127.0.0.2", "127.0.0.3"), port, message_to())
    assert delivery.outcomes[0].reason is Reason.UNSURE and not other.messages


async def test_a_failed_mx_lookup_is_the_outcome() -> None:
    gone = Outcome(DsnAction.FAILED, "5.1.2", Reason.NO_DOMAIN, "There is no domain far.example.")
    (delivery,) = await deliver_all(Found(outcome=gone), 25, message_to("bob", "eve"))
    assert delivery.outcomes == (gone, gone) and not delivery.reusable


async def test_a_closed_connection_is_reopened_for_the_next_message() -> None:
    with Peer(script={"MESSAGE": ["421 4.3.2 closing", "250 2.0.0 ok"]}) as peer:
        first, second = await deliver_all(Found("127.0.0.1"), peer.port, message_to("bob"), message_to("eve"))
    assert first.outcomes[0].action is DsnAction.DEFERRED and not first.reusable
    assert second.outcomes[0].action is DsnAction.RELAYED and peer.connections == 2


async def test_ipv6_that_does_not_work_is_remembered(tmp_path: Path) -> None:
    with Peer() as peer:
        found = Found("::1", "127.0.0.1")
        (delivery,) = await deliver_all(found, peer.port, message_to())
    assert delivery.outcomes[0].action is DsnAction.RELAYED and found.v6_failures == 1


@pytest.mark.parametrize("level", ["encrypt", "may"])
async def test_a_server_without_tls_any_more_defers_and_is_noted_later(level: str) -> None:
    policies = Remembers(level)
    with Peer() as peer:
        transport = SmtpTransport(
            hosts=Found("127.0.0.1"), our_name=lambda: "home.example", clock=HandClock(), port=peer.port, policies=policies
        )
        transport.times = QUICK
        async with transport.session("far.example", Route()) as session:
            delivery = await session.deliver(message_to())
    if level == "encrypt":
        assert delivery.outcomes[0].action is DsnAction.DEFERRED and delivery.outcomes[0].reason is Reason.TLS
        assert policies.missed_domains == ["far.example"] and not peer.messages
    else:
        assert delivery.outcomes[0].action is DsnAction.RELAYED and [one.verified for one in delivery.host_attempts] == ["downgraded"]
