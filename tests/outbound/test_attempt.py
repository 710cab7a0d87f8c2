"""Attempts over real sockets with several hosts: address families, 421, refused forms, recipient limits."""

import ssl
from random import Random
from types import SimpleNamespace

import pytest

from appliance.delivery.route import Relay, Route
from appliance.delivery.transport import DeliveryResult
from appliance.mail.outcome import DsnAction, Reason
from appliance.mail.outgoing import OutgoingMessage
from appliance.outbound import mx
from appliance.outbound.mx import MailHost, MailHosts, OwnHost
from appliance.outbound.routing import RelayRule, Routes
from appliance.outbound.smtp_transport import SmtpTransport
from tests.support.clock import HandClock
from tests.support.names import a_name_server, resolver_of
from tests.support.peer import DROP, QUICK, Peer
from tests.support.server import free_ports

from .test_smtp_client import MESSAGE, message_to
from .test_smtp_transport import Found

EIGHT = "From: ada@home.example\r\nSubject: eight\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nGrüße\r\n".encode()
NO_PTR = "550 5.7.25 The IP address sending this message does not have a PTR record"
BOTH = (MailHost("mx1.far.example", 1, ("::1", "127.0.0.1")),)


async def deliver_all(
    port: int, *outgoing_messages: OutgoingMessage, hosts: tuple[MailHost, ...] = BOTH
) -> tuple[list[DeliveryResult], Found]:
    found = Found()
    found.hosts = hosts
    transport = SmtpTransport(hosts=found, our_name=lambda: "home.example", clock=HandClock(), port=port)
    transport.times = QUICK
    async with transport.session("far.example", Route()) as session:
        return [await session.deliver(outgoing) for outgoing in outgoing_messages], found


def apart(*addresses: str) -> tuple[MailHost, ...]:
    return tuple(MailHost(f"mx{number}.far.example", number, (address,)) for number, address in enumerate(addresses, 1))


REFUSED = [
    {"greeting": "554 5.7.1 Client blocked using zen.spamhaus.org"}, {"greeting": "554 No SMTP service here"},
    {"EHLO": "550 go away", "HELO": "550 go away"}, {"MAIL": "550 Access denied"}, {"MAIL": NO_PTR}, {"RCPT": NO_PTR},
    {"RCPT": "450 4.7.25 Client host rejected: cannot find your hostname"}, {"DATA": NO_PTR}, {"MESSAGE": NO_PTR},
    {"RCPT": "550 5.7.1 your network is on our block list"}, {"MESSAGE": "450 4.7.25 no PTR"},
]  # fmt: skip


@pytest.mark.parametrize("script", REFUSED, ids=[f"{next(iter(one))} {next(iter(one.values()))[:9]}" for one in REFUSED])
@pytest.mark.parametrize("offer", [("PIPELINING",), ()])
async def test_the_other_address_family_is_tried(script: dict[str, str | list[str]], offer: tuple[str, ...]) -> None:
    port = free_ports(1)[0]
    with Peer(host="::1", port=port, script=script, offer=offer) as six, Peer(port=port, offer=offer) as four:
        (first, second), found = await deliver_all(port, message_to("bob", "eve"), message_to("joe"))
    assert [one.action for one in (*first.outcomes, *second.outcomes)] == [DsnAction.RELAYED] * 3
    assert (six.connections, four.connections) == (1, 1) and [len(one.recipients) for one in four.messages] == [2, 1]
    assert found.refusals == [("mx1.far.example", 6)] and found.v6_failures == 0
    assert [one.address for one in first.host_attempts] == ["::1", "127.0.0.1"]


async def test_only_the_refused_recipients_are_tried_again() -> None:
    port = free_ports(1)[0]
    script: dict[str, str | list[str]] = {"RCPT eve@far.example": NO_PTR, "RCPT joe@far.example": "550 5.1.1 no such user"}
    with Peer(host="::1", port=port, script=script) as six, Peer(port=port) as four:
        (delivery,), _ = await deliver_all(port, message_to("bob", "eve", "joe"))
    assert [one.action for one in delivery.outcomes] == [DsnAction.RELAYED, DsnAction.RELAYED, DsnAction.FAILED]
    assert [one.recipients for one in (*six.messages, *four.messages)] == [["bob@far.example"], ["eve@far.example"]]


async def test_refused_by_both_families_is_final_and_names_no_family() -> None:
    port = free_ports(1)[0]
    with Peer(host="::1", port=port, script={"MAIL": NO_PTR}), Peer(port=port, script={"RCPT": NO_PTR}) as four:
        (delivery,), found = await deliver_all(port, message_to())
    assert delivery.outcomes[0].action is DsnAction.FAILED and delivery.outcomes[0].reason is Reason.REPUTATION
    assert four.connections == 1 and not found.refusals


async def test_an_unreachable_other_family_defers() -> None:
    port = free_ports(1)[0]
    with Peer(host="::1", port=port, script={"MAIL": NO_PTR}):
        (delivery,), _ = await deliver_all(port, message_to())
    (outcome,) = delivery.outcomes
    assert (outcome.action, outcome.status, outcome.reason) == (DsnAction.DEFERRED, "4.7.25", Reason.REPUTATION)


@pytest.mark.parametrize("said", ["550 5.7.1 message content rejected", "550 5.1.1 no such user", "451 4.7.1 greylisted"])
@pytest.mark.parametrize("step", ["RCPT", "MESSAGE"])
async def test_a_refusal_about_the_message_is_not_retried_elsewhere(step: str, said: str) -> None:
    port = free_ports(1)[0]
    with Peer(host="::1", port=port, script={step: said}), Peer(port=port) as four:
        (delivery,), found = await deliver_all(port, message_to())
    assert delivery.outcomes[0].reason in (Reason.REFUSED, Reason.NOT_NOW) and not four.connections and not found.refusals


async def test_the_family_is_left_out_for_a_while() -> None:
    clock = HandClock()
    async with a_name_server() as server:
        server.add("far.example", "MX", "10 mx.far.example.")
        server.add("mx.far.example", "AAAA", "fd00::1")
        server.add("mx.far.example", "A", "10.0.0.1")
        server.ttl_s = 10**6
        names = resolver_of(server, clock)
        hosts = MailHosts(names, clock, OwnHost(), private=True, random=Random(1))

        async def addresses() -> tuple[str, ...]:
            found = await hosts.find("far.example")
            assert isinstance(found, tuple)
            return found[0].addresses

        assert await addresses() == ("fd00::1", "10.0.0.1")
        hosts.refused("mx.far.example", 6)
        assert await addresses() == ("10.0.0.1",)
        hosts.refused("mx.far.example", 4)
        assert await addresses() == ("fd00::1", "10.0.0.1"), "with both refused both are tried"
        clock.forward(mx.REFUSED_REST_S + 1)
        hosts.refused("mx.far.example", 4)
        assert await addresses() == ("fd00::1",)


async def test_many_addresses_of_one_family_leave_room_for_the_other() -> None:
    port = free_ports(1)[0]
    dead = tuple(f"127.0.1.{number}" for number in range(1, 9))
    with Peer(host="::1", port=port) as six:
        (delivery,), _ = await deliver_all(port, message_to(), hosts=(MailHost("mx.far.example", 1, (*dead, "::1")),))
    assert delivery.outcomes[0].action is DsnAction.RELAYED and six.connections == 1


CLOSING = [("greeting", False), ("EHLO", True), ("MAIL", True), ("RCPT", True), ("DATA", True), ("MESSAGE", True), ("MAIL", False)]


@pytest.mark.parametrize("offer", [("PIPELINING",), ()])
@pytest.mark.parametrize(("step", "closes"), CLOSING)
async def test_421_leads_to_the_next_host(step: str, closes: bool, offer: tuple[str, ...]) -> None:
    port = free_ports(1)[0]
    with (
        Peer(host="127.0.0.2", port=port, script={step: "421 4.3.2 closing"}, offer=offer, closes=closes) as busy,
        Peer(host="127.0.0.3", port=port) as good,
    ):
        (delivery,), _ = await deliver_all(port, message_to("bob", "eve"), hosts=apart("127.0.0.2", "127.0.0.3"))
    assert [one.action for one in delivery.outcomes] == [DsnAction.RELAYED] * 2
    assert busy.connections == good.connections == 1 and len(good.messages) == 1


async def test_421_after_some_recipients_were_refused_retries_the_others_only() -> None:
    port = free_ports(1)[0]
    script: dict[str, str | list[str]] = {"RCPT bob@far.example": "550 5.1.1 nobody", "RCPT joe@far.example": "421 4.3.2 closing"}
    with (
        Peer(host="127.0.0.2", port=port, script=script, closes=True),
        Peer(host="127.0.0.3", port=port) as good,
    ):
        (delivery,), _ = await deliver_all(port, message_to("bob", "eve", "joe"), hosts=apart("127.0.0.2", "127.0.0.3"))
    assert [one.action for one in delivery.outcomes] == [DsnAction.FAILED, DsnAction.RELAYED, DsnAction.RELAYED]
    assert good.messages[0].recipients == ["eve@far.example", "joe@far.example"]


async def test_421_everywhere_defers() -> None:
    port = free_ports(1)[0]
    with (
        Peer(host="127.0.0.2", port=port, script={"RCPT": "421 4.3.2 one"}, closes=True),
        Peer(host="127.0.0.3", port=port, script={"greeting": "421 4.3.2 two"}),
    ):
        (delivery,), _ = await deliver_all(port, message_to(), hosts=apart("127.0.0.2", "127.0.0.3"))
    assert delivery.outcomes[0].action is DsnAction.DEFERRED and delivery.outcomes[0].status == "4.3.2" and not delivery.reusable


@pytest.mark.parametrize("offer", [("PIPELINING",), ()])
@pytest.mark.parametrize("said", ["552 too many recipients", "452 4.5.3 too many recipients", "452 enough", "550 5.5.3 too many rcpts"])
async def test_recipients_over_a_servers_limit_go_in_the_next_transaction(said: str, offer: tuple[str, ...]) -> None:
    names = [f"u{number}" for number in range(25)]
    with Peer(most_recipients=10, too_many=said, offer=offer) as peer:
        (delivery, other), _ = await deliver_all(peer.port, message_to(*names), message_to(*names), hosts=apart("127.0.0.1"))
    assert {one.action for one in (*delivery.outcomes, *other.outcomes)} == {DsnAction.RELAYED} and peer.connections == 1
    assert [len(one.recipients) for one in peer.messages] == [10, 10, 5] * 2, "a limit once reported is kept"
    assert [address for one in peer.messages[:3] for address in one.recipients] == [f"{name}@far.example" for name in names]


@pytest.mark.parametrize("said", ["452 4.5.3 too many recipients", "552 too many recipients"])
async def test_a_limit_of_the_connection_leads_to_another_connection(said: str) -> None:
    with Peer(most_of_connection=10, too_many=said) as peer:
        (delivery,), _ = await deliver_all(peer.port, message_to(*[f"u{number}" for number in range(25)]), hosts=apart("127.0.0.1"))
    assert {one.action for one in delivery.outcomes} == {DsnAction.RELAYED} and peer.connections == 3
    assert sorted(address for one in peer.messages for address in one.recipients) == sorted(
        f"u{number}@far.example" for number in range(25)
    )


@pytest.mark.parametrize(("said", "relay"), [(NO_PTR, True), ("550 5.1.1 no such user", False)])
async def test_after_both_families_the_relay_is_next(said: str, relay: bool) -> None:
    port = free_ports(1)[0]
    with Peer(host="::1", port=port, script={"RCPT": said}), Peer(port=port, script={"RCPT": said}):
        (delivery,), _ = await deliver_all(port, message_to())
    routes = Routes([RelayRule(Relay("r", "relay.example", 587, "starttls"))], is_account=lambda address, account: False)
    destination = routes.other_destination(SimpleNamespace(destination="far.example"), delivery.outcomes, 1)  # type: ignore[arg-type]
    assert destination == ("@r" if relay else None)


async def test_too_many_and_unknown_recipients_mixed() -> None:
    script: dict[str, str | list[str]] = {"RCPT u0@far.example": "550 5.1.1 nobody", "RCPT u4@far.example": "552 5.2.2 mailbox full"}
    with Peer(most_recipients=2, script=script) as peer:
        (delivery,), _ = await deliver_all(peer.port, message_to(*[f"u{number}" for number in range(7)]), hosts=apart("127.0.0.1"))
    assert [one.action is DsnAction.RELAYED for one in delivery.outcomes] == [False, True, True, True, False, True, True]
    assert delivery.outcomes[4].status == "5.2.2" and "mailbox is full" in delivery.outcomes[4].text


async def test_a_server_that_accepts_no_recipient_is_not_retried_for_ever() -> None:
    with Peer(most_recipients=0) as peer:
        (delivery,), _ = await deliver_all(peer.port, message_to("bob", "eve"), hosts=apart("127.0.0.1"))
    assert {one.action for one in delivery.outcomes} == {DsnAction.DEFERRED} and sum(line.startswith("MAIL") for line in peer.commands) == 1


@pytest.mark.parametrize("said", ["552 5.3.4 too big for us", "450 4.3.0 not now", "554 5.7.1 no"])
@pytest.mark.parametrize("tls", [False, True])
@pytest.mark.parametrize("lines", [4200, 80_000])
async def test_a_refusal_in_the_middle_of_the_message_is_read(said: str, tls: bool, lines: int, server_tls: ssl.SSLContext) -> None:
    large = MESSAGE + (b"y" * 70 + b"\r\n") * lines
    with Peer(script={"BODY": said}, offer=("PIPELINING",), context=server_tls if tls else None) as peer:
        (delivery,), _ = await deliver_all(peer.port, a_large(large), hosts=apart("127.0.0.1"))
    (outcome,) = delivery.outcomes
    assert (outcome.action, outcome.status, str(outcome.reply)) == (
        DsnAction.FAILED if said[0] == "5" else DsnAction.DEFERRED,
        said[4:9],
        said,
    )
    assert peer.connections == 1 and not delivery.reusable


def a_large(message: bytes) -> OutgoingMessage:
    outgoing = message_to(message=message)
    return OutgoingMessage(outgoing.message, outgoing.sender, outgoing.recipients, outgoing.octets, chunks_of(message))


def chunks_of(message: bytes):  # type: ignore[no-untyped-def]
    from contextlib import asynccontextmanager

    @asynccontextmanager
    async def chunks():  # type: ignore[no-untyped-def]
        async def each():  # type: ignore[no-untyped-def]
            for start in range(0, len(message), 65_536):
                yield message[start : start + 65_536]

        yield each()

    return chunks


async def test_closed_in_the_middle_without_a_reply_defers() -> None:
    with Peer(script={"BODY": DROP}, offer=()) as peer:
        (delivery,), _ = await deliver_all(peer.port, a_large(MESSAGE + (b"y" * 70 + b"\r\n") * 80_000), hosts=apart("127.0.0.1"))
    assert delivery.outcomes[0].reason is Reason.LOST and delivery.outcomes[0].action is DsnAction.DEFERRED


FORMS = ["554 5.6.1 8-bit not accepted", "550 5.6.3 conversion required", "554 8bit data not accepted", "450 4.6.1 not so"]


@pytest.mark.parametrize("said", FORMS)
async def test_eight_bits_that_were_announced_and_refused_go_in_seven(said: str) -> None:
    with Peer(offer=("8BITMIME",), script={"MESSAGE": [said, "250 2.0.0 ok"]}) as peer:
        first, second = message_to(message=EIGHT, body="8BITMIME"), message_to("eve", message=EIGHT, body="8BITMIME")
        deliveries, _ = await deliver_all(peer.port, first, second, hosts=apart("127.0.0.1"))
    assert [one.outcomes[0].action for one in deliveries] == [DsnAction.RELAYED] * 2 and peer.connections == 1
    assert all(one.octets.isascii() and b"Gr=C3=BC=C3=9Fe" in one.octets for one in peer.messages)
    assert ["BODY=8BITMIME" in line for line in peer.commands if line.startswith("MAIL")] == [True, False, False]


async def test_the_parameter_itself_may_be_refused_and_the_connection_closed() -> None:
    port = free_ports(1)[0]
    for said in ("555 5.5.4 unsupported option BODY=8BITMIME", "421 4.6.1 8 bits are not for us"):
        with Peer(port=port, offer=("8BITMIME",), script={"MAIL": [said, "250 ok"]}, closes=True) as peer:
            (delivery,), _ = await deliver_all(port, message_to(message=EIGHT, body="8BITMIME"), hosts=apart("127.0.0.1"))
        assert delivery.outcomes[0].action is DsnAction.RELAYED and peer.messages[0].octets.isascii()
        port = free_ports(1)[0]


async def test_a_signed_message_that_is_refused_keeps_the_servers_reply() -> None:
    signed = (
        b'MIME-Version: 1.0\r\nContent-Type: multipart/signed; boundary=b; protocol="application/pgp-signature"; micalg=pgp-sha256\r\n\r\n'
        b"--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
        + "Grüße\r\n".encode()
        + b"\r\n--b\r\nContent-Type: application/pgp-signature\r\n\r\nx\r\n--b--\r\n"
    )
    with Peer(offer=("8BITMIME",), script={"MESSAGE": "554 5.6.1 8-bit not accepted"}) as peer:
        (delivery,), _ = await deliver_all(peer.port, message_to(message=signed, body="8BITMIME"), hosts=apart("127.0.0.1"))
    assert delivery.outcomes[0].action is DsnAction.FAILED and str(delivery.outcomes[0].reply) == "554 5.6.1 8-bit not accepted"
